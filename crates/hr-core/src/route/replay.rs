//! Computes again what was decided, from its record alone and by the same rules.

use std::fmt;

use super::record::{Planned, RULES, Record, Row};
use super::score::{self, Rank};

/// What came of computing a decision again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Each of its plans leads to the same choice, for the same reasons.
    Same {
        /// How many plans were computed.
        plans: usize,
    },
    /// It was made by rules of another version, so that a comparison would say nothing.
    OtherRules {
        /// Their version.
        recorded: u32,
    },
    /// Something else comes out.
    Differs(Difference),
}

/// The first thing that comes out differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The plan, by its place among those of the request.
    pub plan: u32,
    /// What is different.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plan {}: {}", self.plan + 1, self.what)
    }
}

/// Computes each plan of a record again: the points of each candidate, their order, and whose turn it was.
#[must_use]
pub fn replay(record: &Record) -> Replay {
    if record.rules != RULES {
        return Replay::OtherRules { recorded: record.rules };
    }
    let differs = record.plans.iter().find_map(|plan| Some((plan.place, difference(plan)?)));
    match differs {
        Some((plan, what)) => Replay::Differs(Difference { plan, what }),
        None => Replay::Same { plans: record.plans.len() },
    }
}

fn difference(plan: &Planned) -> Option<String> {
    let mut best: Option<(Rank, &Row)> = None;
    let mut before: Option<(Rank, &Row)> = None;
    for row in &plan.candidates {
        let terms = score::terms(&plan.brief, &row.merits);
        if let Some(what) = other_points(row, &terms) {
            return Some(what);
        }
        let rank = score::rank(&plan.brief, &row.merits, &terms);
        if let Some((earlier, other)) = before
            && rank < earlier
        {
            return Some(format!("`{}` comes before `{}`", name(row), name(other)));
        }
        before = Some((rank, row));
        if best.is_none_or(|(best, _)| rank < best) {
            best = Some((rank, row));
        }
    }
    let chosen = plan.chosen?;
    let Some((_, row)) = best else { return Some("nobody could be called, but somebody was".to_owned()) };
    let Some(turn) = row.turn else { return Some(format!("`{}` was not the choice", name(row))) };
    let keys: Vec<usize> = row.keys.iter().map(|key| *key as usize).collect();
    match turn.turns(plan.draw).pick(&keys) {
        Some(key) if key == chosen as usize => None,
        Some(key) => {
            Some(format!("it is the turn of key {key} of `{}`, but key {chosen} was called", name(row)))
        }
        None => Some(format!("`{}` has no key that could be called, but key {chosen} was", name(row))),
    }
}

/// The first term that comes out differently.
fn other_points(row: &Row, terms: &score::Terms) -> Option<String> {
    let other = terms.parts().into_iter().find_map(|(term, points)| {
        let recorded = row.points.get(term).copied().unwrap_or(0);
        (recorded != points).then(|| {
            format!("`{}` gets {points} points for `{term}`, but {recorded} were recorded", name(row))
        })
    });
    let unknown = row.points.keys().find(|term| terms.parts().iter().all(|(known, _)| known != term));
    other.or_else(|| unknown.map(|term| format!("`{}` has points for `{term}`, which is no term", name(row))))
}

fn name(row: &Row) -> String {
    format!("{}/{}", row.provider, row.model)
}
