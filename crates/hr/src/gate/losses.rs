//! What gets lost on the way to a provider: counted for the plan, named for the caller.

use hr_core::pool::{Member, Pool};
use hr_core::route::{Ask, Candidate, Roster};
use hr_wire::dialect::Decoded;
use hr_wire::hub::Loss;
use http::StatusCode;
use http::header::HeaderValue;

use super::answer::Refusal;
use super::question::Question;

/// The most bytes of the names of losses in a header.
const MAX_NAMED: usize = 1024;

/// Counts for the plan what a translation into each dialect of the pool loses; returns the names of all of it.
pub fn count(question: &Question, decoded: &Decoded, roster: &Roster, ask: &mut Ask) -> Vec<Loss> {
    let mut all = Vec::new();
    for (index, member) in roster.pool.members.iter().enumerate() {
        let dialect = member.provider.dialect;
        if !is_called(member) || question.is_native(member) || ask.losses.of(dialect).is_some() {
            continue;
        }
        // What counts here is the dialect, and any of its members stands for it.
        let losses = question.losses(decoded, roster, Candidate { member: index, model: 0, key: 0 });
        ask.losses.note(dialect, losses.len());
        all.extend(losses);
    }
    all
}

/// Whether it makes a difference for the plan what a translation loses.
#[must_use]
pub fn matter(pool: &Pool, ask: &Ask) -> bool {
    let mut dialects = pool.members.iter().filter(|member| is_called(member)).map(|m| m.provider.dialect);
    let first = dialects.next();
    ask.strict || dialects.any(|dialect| Some(dialect) != first)
}

fn is_called(member: &Member) -> bool {
    member.off.is_none() && !member.keys.is_empty() && !member.models.is_empty()
}

/// That somebody would rather have no answer than one to less than was asked.
#[must_use]
pub fn refusal(losses: &[Loss]) -> Refusal {
    let names = names(losses);
    Refusal::new(
        StatusCode::BAD_REQUEST,
        format!(
            "nobody who could serve this can carry all of it; lost would be: {names} (send it without \
             `X-Hermes-Strict` to be served all the same)"
        ),
    )
    .code("would_lose")
}

/// The names of what got lost, for a header; nothing when nothing did.
#[must_use]
pub fn header(losses: &[Loss]) -> Option<HeaderValue> {
    if losses.is_empty() {
        return None;
    }
    HeaderValue::from_str(&names(losses)).ok()
}

/// Their names, each once.
fn names(losses: &[Loss]) -> String {
    let mut names = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for Loss { what, .. } in losses {
        if seen.contains(&what.as_str()) {
            continue;
        }
        seen.push(what);
        if names.len() + what.len() > MAX_NAMED {
            names.push_str(", ...");
            break;
        }
        if !names.is_empty() {
            names.push_str(", ");
        }
        // A name may be a field that the caller made up; headers are for plain text.
        names.extend(what.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '?' }));
    }
    names
}
