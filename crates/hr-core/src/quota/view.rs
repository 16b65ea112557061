//! What people are shown of quotas.

use std::time::Duration;

use serde::Serialize;

use super::account::{Account, Name};
use super::bucket::Bucket;
use super::claim::NEVER;
use super::gauge::Amounts;
use super::ledger::Ledger;
use super::reading::Source;
use crate::catalog::{LimitSpan, LimitUnit, OwnerScope};
use crate::failure::FailureKind;
use crate::secret::KeyId;
use crate::time::Millis;

/// Calls that we did not make are somebody else's when they are more than these, and more than this part of the limit:
/// a few may be ours, on the border of two spans.
const FOREIGN_CALLS: f64 = 2.0;
const FOREIGN_PART: f64 = 0.05;

/// Calls of several keys wait for the same when they wait equally long, but for this.
const SAME_WAIT: Duration = Duration::from_secs(2);

/// How sure a bucket's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Nothing but what is published.
    Guess,
    /// Learned from refusals, or said some time ago.
    Likely,
    /// Said by the provider in this very span.
    Sure,
}

/// The quotas of one owner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnerQuota {
    /// The provider's id.
    pub provider: String,
    /// The declared name; without one, nothing tells more than the keys do.
    pub owner: Option<String>,
    /// Its keys.
    pub keys: Vec<KeyId>,
    /// Keys among them that were not declared to belong here but seem to, by a refusal that their own use does not
    /// explain.
    pub joined: Vec<KeyId>,
    /// Whether somebody else seems to use the same quota.
    pub shared: bool,
    /// Its buckets, those that end first in front.
    pub buckets: Vec<BucketView>,
    /// What was refused and waits, those that end first in front.
    pub held: Vec<HoldView>,
}

/// Calls that wait after a refusal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HoldView {
    /// The keys whose calls wait.
    pub keys: Vec<KeyId>,
    /// The models that wait; empty means all.
    pub models: Vec<String>,
    /// Until when.
    pub until: Millis,
    /// Why.
    pub because: FailureKind,
    /// When one call will put that to the test, if one does before.
    pub test_at: Option<Millis>,
}

impl HoldView {
    /// Whether two wait for the same.
    fn is_same(&self, other: &Self) -> bool {
        let apart = self.until.until(other.until).max(other.until.until(self.until));
        (&self.models, self.because) == (&other.models, other.because) && apart <= SAME_WAIT
    }

    fn take_in(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.keys.sort();
        self.keys.dedup();
        self.until = self.until.max(other.until);
        self.test_at = self.test_at.into_iter().chain(other.test_at).min();
    }
}

/// One limit of one owner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BucketView {
    /// Whom the provider counts it against, as far as that is known.
    pub scope: Option<OwnerScope>,
    /// The models that share it; empty means all.
    pub models: Vec<String>,
    /// What it counts.
    pub unit: LimitUnit,
    /// Over which span; absent where only its end is known.
    pub span: Option<LimitSpan>,
    /// How much there is in a whole span, when that is known.
    pub limit: Option<f64>,
    /// How much of it is used, calls in flight included.
    pub used: f64,
    /// How much is left, when the limit is known.
    pub left: Option<f64>,
    /// When it is whole again, when that is known.
    pub resets_at: Option<Millis>,
    /// Whether nothing is left that may be used now.
    pub spent: bool,
    /// Where the limit is known from.
    pub source: Source,
    /// How sure that is.
    pub confidence: Confidence,
    /// When the provider last said something of it.
    pub said_at: Option<Millis>,
}

impl Ledger {
    /// What is left of each quota of each owner.
    #[must_use]
    pub fn view(&self, now: Millis, provider: &str) -> Vec<OwnerQuota> {
        let mut views = Vec::new();
        for (place, account) in self.accounts.iter().enumerate() {
            let keys = self.keys_of(account);
            let all = account.name == Name::Everyone && !account.buckets.is_empty();
            if keys.is_empty() && !all || account.joint.is_some() || account.is_blank() {
                continue;
            }
            let members = self.unions.get(&place).map(|union| union.members.as_slice()).unwrap_or_default();
            let members = || members.iter().map(|(member, ..)| &self.accounts[*member]);
            let owner = std::iter::once(account).chain(members()).find_map(|account| match &account.name {
                Name::Owner(name) => Some(name.clone()),
                _ => None,
            });
            let first = members().find(|account| matches!(account.name, Name::Owner(_)));
            let first = first.or(members().next()).map(|account| account.name.clone());
            let joined = members().filter(|account| Some(&account.name) != first.as_ref());
            let mut buckets: Vec<BucketView> =
                account.buckets.iter().filter_map(|bucket| self.bucket_view(now, bucket)).collect();
            buckets.sort_by(|one, other| {
                let end = |view: &BucketView| view.resets_at.unwrap_or(NEVER);
                (end(one), one.unit, one.span, &one.models).cmp(&(
                    end(other),
                    other.unit,
                    other.span,
                    &other.models,
                ))
            });
            let held = self.held_views(now, std::iter::once(account).chain(members()));
            let shared = std::iter::once(account).chain(members()).any(|account| is_shared(account, now));
            let mut joined: Vec<KeyId> = joined.flat_map(|account| self.keys_of(account)).collect();
            joined.sort();
            views.push(OwnerQuota {
                provider: provider.to_owned(),
                owner,
                keys,
                joined,
                shared,
                buckets,
                held,
            });
        }
        views.sort_by(|one, other| (&one.owner, &one.keys).cmp(&(&other.owner, &other.keys)));
        views
    }

    /// What calls of these accounts wait for: what several of them wait for once, with all of their keys.
    fn held_views<'a>(&self, now: Millis, accounts: impl Iterator<Item = &'a Account>) -> Vec<HoldView> {
        let mut views: Vec<HoldView> = Vec::new();
        for account in accounts {
            for held in account.holds.iter().filter(|held| now < held.until) {
                let view = HoldView {
                    keys: self.keys_of(account),
                    models: self.models.names(&held.models),
                    until: held.until,
                    because: held.because,
                    test_at: (held.claim.test_from < held.until).then_some(held.claim.test_from),
                };
                match views.iter_mut().find(|known| known.is_same(&view)) {
                    Some(known) => known.take_in(view),
                    None => views.push(view),
                }
            }
        }
        views.sort_by(|one, other| {
            (one.until, &one.models, &one.keys).cmp(&(other.until, &other.models, &other.keys))
        });
        views
    }

    fn keys_of(&self, account: &Account) -> Vec<KeyId> {
        let members = match account.name {
            Name::Joint => self.unions.values().flat_map(|union| &union.members).collect(),
            _ => Vec::new(),
        };
        let joint = members.into_iter().map(|(member, ..)| &self.accounts[*member]);
        let joint = joint
            .filter(|member| member.joint.is_some_and(|joint| std::ptr::eq(&self.accounts[joint], account)));
        let numbers = account.keys.iter().chain(joint.flat_map(|member| &member.keys));
        let mut keys: Vec<KeyId> = numbers.map(|number| self.keys[*number].0.clone()).collect();
        keys.sort();
        keys
    }

    /// A bucket, unless nothing is known of it: no limit, and nothing used.
    fn bucket_view(&self, now: Millis, bucket: &Bucket) -> Option<BucketView> {
        let (limit, source) = bucket.limit(now)?;
        let used = bucket.taken(now);
        let in_this_span = bucket.said_at.is_some_and(|at| at >= bucket.window.began(now));
        let confidence = match source {
            Source::Catalog => Confidence::Guess,
            Source::Header | Source::Body if in_this_span => Confidence::Sure,
            _ => Confidence::Likely,
        };
        let left = (limit - used).max(0.0);
        let resets_at = match bucket.window.ends(now) {
            Some(ends) => Some(ends),
            None if used > 0.0 => bucket.window.frees(now, used).filter(|at| *at > now),
            None => None,
        };
        Some(BucketView {
            scope: bucket.scope,
            models: self.models.names(&bucket.models),
            unit: bucket.unit,
            span: bucket.span,
            limit: (!bucket.unnamed).then_some(limit),
            used,
            left: Some(left),
            resets_at,
            spent: bucket.block(now, Amounts::LEAST.of(bucket.unit)).is_some(),
            source,
            confidence,
            said_at: bucket.said_at,
        })
    }
}

/// Whether somebody else has used a good part of it in this span.
fn is_shared(account: &Account, now: Millis) -> bool {
    account.buckets.iter().any(|bucket| {
        let counted = bucket.unit == LimitUnit::Requests && bucket.surprised && now < bucket.foreign_until;
        let part = bucket.limit(now).map_or(0.0, |(limit, _)| limit * FOREIGN_PART);
        counted && bucket.foreign > part.max(FOREIGN_CALLS)
    })
}
