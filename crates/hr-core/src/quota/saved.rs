//! What a ledger knows, in pieces that are kept over a restart: one an account, and one a model for its estimates.
//!
//! Accounts and models are kept under their own names. What comes back before its key or model is known finds its
//! place when they come. What was reserved and not settled counts as used.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::account::{Account, MAX_BUCKETS, Name};
use super::bucket::Bucket;
use super::calendar::LONGEST;
use super::claim::Claim;
use super::estimate::{Estimate, Ratio};
use super::held::Held;
use super::ledger::{EVERYONE, Ledger};
use super::models::{ModelSet, Models};
use super::window::KeptWindow;
use crate::catalog::{LimitSpan, LimitUnit, OwnerScope};
use crate::failure::FailureKind;
use crate::route::policy::Rule;
use crate::time::Millis;

const EVERYONES_ID: &str = "everyone";
const OWNERS: &str = "owner:";
const KEYS: &str = "key:";
const ESTIMATES: &str = "estimates:";

/// An account as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptAccount {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    buckets: Vec<KeptBucket>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holds: Vec<KeptHold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tested: Option<Millis>,
    /// Accounts that seem to be one with it, and until when a success says that they are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    joined: Vec<(String, Millis)>,
    /// What is counted against all of them together, kept with one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    together: Vec<KeptBucket>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptSet {
    All,
    One(String),
    Some(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct KeptBucket {
    models: KeptSet,
    unit: LimitUnit,
    span: Option<LimitSpan>,
    scope: Option<OwnerScope>,
    window: KeptWindow,
    under_way: f64,
    /// By source; the catalogue is read anew.
    limits: [Option<f64>; 3],
    unnamed: bool,
    said_at: Option<Millis>,
    newest: Millis,
    foreign: f64,
    foreign_until: Millis,
    surprised: bool,
    claim: Option<Claim>,
    lies: u8,
    doubted_until: Millis,
    trial_from: Option<Millis>,
    rolls: bool,
    /// For how long a guess at the end of the span is trusted, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guessed: Option<Duration>,
}

#[derive(Serialize, Deserialize)]
struct KeptHold {
    models: KeptSet,
    until: Millis,
    because: FailureKind,
    strikes: u8,
    #[serde(default)]
    stated: bool,
    refused_at: Millis,
    claim: Claim,
}

/// Values and counts of calls, for input and output.
#[derive(Serialize, Deserialize)]
struct KeptEstimate {
    input: (f64, u32),
    output: (f64, u32),
}

impl KeptSet {
    fn of(models: &Models, set: &ModelSet) -> Self {
        match set {
            ModelSet::All => Self::All,
            ModelSet::One(model) => Self::One(models.id(*model).to_owned()),
            ModelSet::Some { patterns, .. } => Self::Some(patterns.clone()),
        }
    }

    fn back(self, models: &mut Models) -> ModelSet {
        match self {
            Self::All => ModelSet::All,
            Self::One(id) => ModelSet::One(models.intern(&id)),
            Self::Some(patterns) => models.matching(&patterns),
        }
    }
}

impl KeptBucket {
    fn of(models: &Models, bucket: &Bucket) -> Self {
        let [header, body, refusals, _] = bucket.limits;
        Self {
            models: KeptSet::of(models, &bucket.models),
            unit: bucket.unit,
            span: bucket.span,
            scope: bucket.scope,
            window: bucket.window.keep(),
            under_way: bucket.under_way,
            limits: [header, body, refusals],
            unnamed: bucket.unnamed,
            said_at: bucket.said_at,
            newest: bucket.newest,
            foreign: bucket.foreign,
            foreign_until: bucket.foreign_until,
            surprised: bucket.surprised,
            claim: bucket.claim,
            lies: bucket.lies,
            doubted_until: bucket.doubted_until,
            trial_from: bucket.trial_from,
            rolls: bucket.pace.rolls,
            guessed: bucket.guessed,
        }
    }

    fn back(self, now: Millis, models: &mut Models, ahead: i64) -> Bucket {
        let set = self.models.back(models);
        let mut bucket = Bucket::new(set, self.unit, self.span, self.scope, self.window.back(now, ahead));
        let [header, body, refusals] = self.limits;
        bucket.limits = [header, body, refusals, None];
        bucket.unnamed = self.unnamed;
        bucket.said_at = self.said_at.map(|at| at.min(now));
        bucket.newest = self.newest.min(now);
        bucket.foreign = self.foreign;
        bucket.foreign_until = self.foreign_until;
        bucket.surprised = self.surprised;
        bucket.claim = self.claim.map(|claim| claim.by(now));
        bucket.lies = self.lies;
        bucket.doubted_until = self.doubted_until;
        bucket.trial_from = Some(self.trial_from.unwrap_or(now).min(now.after(LONGEST)));
        bucket.pace.rolls = self.rolls;
        bucket.guess_end();
        bucket.guessed = bucket.guessed.or(self.guessed.map(|wait| wait.min(LONGEST)));
        // The calls that were under way are gone, and may have been made. As requests they are counted already.
        let counts = !matches!(self.unit, LimitUnit::Requests | LimitUnit::Concurrent | LimitUnit::Percent);
        if counts && self.under_way > 0.0 {
            bucket.window.add(now, now, self.under_way);
        }
        bucket
    }
}

impl KeptHold {
    fn of(models: &Models, held: &Held) -> Self {
        Self {
            models: KeptSet::of(models, &held.models),
            until: held.until,
            because: held.because,
            strikes: held.strikes,
            stated: held.stated,
            refused_at: held.refused_at,
            claim: held.claim,
        }
    }

    fn back(self, now: Millis, models: &mut Models) -> Held {
        // A clock that was wrong must not hold anybody for years.
        let longest = now.after(Rule::of(self.because).stated_cap);
        Held {
            models: self.models.back(models),
            until: self.until.min(longest),
            because: self.because,
            strikes: self.strikes,
            stated: self.stated,
            refused_at: self.refused_at.min(now),
            claim: self.claim.by(now),
        }
    }
}

fn id_of(name: &Name) -> Option<String> {
    match name {
        Name::Everyone => Some(EVERYONES_ID.to_owned()),
        Name::Owner(owner) => Some(format!("{OWNERS}{owner}")),
        Name::Key(id) => Some(format!("{KEYS}{id}")),
        Name::Joint => None,
    }
}

fn name_of(id: &str) -> Option<Name> {
    if id == EVERYONES_ID {
        return Some(Name::Everyone);
    }
    let owner = id.strip_prefix(OWNERS).map(|owner| Name::Owner(owner.to_owned()));
    owner.or_else(|| id.strip_prefix(KEYS).map(|key| Name::Key(key.to_owned())))
}

impl Ledger {
    /// What has changed since it was last asked: a stable id and what to keep of it, `None` to forget it.
    pub fn changes(&mut self) -> Vec<(String, Option<String>)> {
        let mut changes = Vec::new();
        for (joint, union) in &self.unions {
            if let Some(keeper) = union.keeper(&self.accounts) {
                self.accounts[keeper].changed |= std::mem::take(&mut self.accounts[*joint].changed);
            }
        }
        for place in 0..self.accounts.len() {
            if !std::mem::take(&mut self.accounts[place].changed) {
                continue;
            }
            let Some(id) = id_of(&self.accounts[place].name) else { continue };
            let account = &self.accounts[place];
            let kept = (!account.is_blank()).then(|| self.kept(account, place));
            changes.push((id, kept.and_then(|kept| serde_json::to_string(&kept).ok())));
        }
        for model in std::mem::take(&mut self.learned) {
            let Some(estimate) = self.estimates.get(model as usize) else { continue };
            let pair = |ratio: &Ratio| (ratio.value, ratio.calls);
            let kept = KeptEstimate { input: pair(&estimate.input), output: pair(&estimate.output) };
            let id = format!("{ESTIMATES}{}", self.models.id(model));
            changes.push((id, serde_json::to_string(&kept).ok()));
        }
        changes
    }

    fn kept(&self, account: &Account, place: usize) -> KeptAccount {
        let union = account.joint.and_then(|joint| self.unions.get(&joint));
        let members = union.map(|union| union.members.as_slice()).unwrap_or_default();
        let until =
            members.iter().find(|(member, ..)| *member == place).map_or(Millis(0), |(.., until)| *until);
        let others = members.iter().filter(|(member, ..)| *member != place);
        let joined = others.filter_map(|(member, ..)| Some((id_of(&self.accounts[*member].name)?, until)));
        let keeps = union.is_some_and(|union| union.keeper(&self.accounts) == Some(place));
        let together = account.joint.filter(|_| keeps).map(|joint| &self.accounts[joint].buckets);
        let together = together.into_iter().flatten();
        KeptAccount {
            together: together.map(|bucket| KeptBucket::of(&self.models, bucket)).collect(),
            buckets: account.buckets.iter().map(|bucket| KeptBucket::of(&self.models, bucket)).collect(),
            holds: account.holds.iter().map(|held| KeptHold::of(&self.models, held)).collect(),
            tested: account.tested,
            joined: joined.collect(),
        }
    }

    /// Takes back what was kept. Keys and models that are not known yet are remembered until they come.
    pub fn restore(&mut self, now: Millis, id: &str, kept: &str) -> bool {
        if let Some(model) = id.strip_prefix(ESTIMATES) {
            return self.restore_estimate(model, kept);
        }
        let (Some(name), Ok(kept)) = (name_of(id), serde_json::from_str::<KeptAccount>(kept)) else {
            return false;
        };
        let place = self.account(name);
        let ahead = self.ahead;
        let buckets: Vec<Bucket> = kept
            .buckets
            .into_iter()
            .take(MAX_BUCKETS)
            .map(|kept| kept.back(now, &mut self.models, ahead))
            .collect();
        let holds: Vec<Held> = kept.holds.into_iter().map(|kept| kept.back(now, &mut self.models)).collect();
        let account = &mut self.accounts[place];
        for set in buckets.iter().map(|bucket| &bucket.models).chain(holds.iter().map(|held| &held.models)) {
            if let ModelSet::One(model) = set {
                account.watch(*model);
            }
        }
        account.buckets = buckets;
        account.holds = holds;
        account.tested = kept.tested;
        account.refresh(now, None);
        account.changed = false;
        let until = kept.joined.iter().map(|(_, until)| *until).max();
        let others = kept.joined.iter().filter_map(|(other, _)| name_of(other));
        let others = others.filter(|name| !matches!(name, Name::Everyone | Name::Joint)).collect::<Vec<_>>();
        let others =
            others.into_iter().map(|name| self.account(name)).filter(|other| *other != place).collect();
        if let Some(until) = until.filter(|_| place != EVERYONE) {
            self.reunite(now, place, others, until);
        }
        let together: Vec<Bucket> = kept
            .together
            .into_iter()
            .take(MAX_BUCKETS)
            .map(|kept| kept.back(now, &mut self.models, ahead))
            .collect();
        if let Some(joint) = self.accounts[place].joint {
            self.fill_union(now, joint, together);
        }
        true
    }

    fn restore_estimate(&mut self, model: &str, kept: &str) -> bool {
        let Ok(kept) = serde_json::from_str::<KeptEstimate>(kept) else { return false };
        let ratio = |(value, calls): (f64, u32)| {
            if value.is_finite() { Ratio { value: value.clamp(0.05, 20.0), calls } } else { Ratio::default() }
        };
        let place = self.models.intern(model) as usize;
        if self.estimates.len() <= place {
            self.estimates.resize(place + 1, Estimate::default());
        }
        self.estimates[place] = Estimate { input: ratio(kept.input), output: ratio(kept.output) };
        true
    }
}
