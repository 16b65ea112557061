//! Tiny questions: who is asked one, with which key, and what an answer says.
//!
//! A question is asked only of a model that costs nothing and of which nobody has told whether it calls tools, once
//! in the time for which answers are believed, and never at the expense of a quota that is nearly used up. A call that
//! fails says nothing of the model: what is then known of it is what was known before.

use super::facts::{Ability, Facts, place};
use crate::catalog::{LimitSpan, LimitUnit, SpendClass};
use crate::failure::{Failure, FailureKind};
use crate::pool::Pool;
use crate::quota::OwnerQuota;
use crate::route::{Allowance, Candidate};
use crate::secret::KeyId;
use crate::settings::Discovery;
use crate::time::Millis;

/// The most tokens of an answer: enough to call a tool that needs one short argument.
pub const MAX_TOKENS: u64 = 64;
/// Calls that must be left of a quota of a day or longer, so that one of them may go into a question.
pub const SPARE_CALLS: f64 = 10.0;
/// The most keys that one question is tried with, where the first ones turn out to be bad.
pub const MAX_KEYS: usize = 3;
/// What a question may cost: nothing. Whatever the user allows for real requests.
pub const ALLOWANCE: Allowance = Allowance { most: SpendClass::Free, per_request: None };

/// The models that are to be asked, by their indices in the pool; one of each provider, then the next of each, so that
/// nobody gets many questions at once.
#[must_use]
pub fn due(pool: &Pool, facts: &Facts, settings: &Discovery, now: Millis) -> Vec<(usize, usize)> {
    if !settings.probe {
        return Vec::new();
    }
    let mut due = Vec::new();
    for (member_at, member) in pool.members.iter().enumerate().filter(|(_, member)| member.off.is_none()) {
        let place = place(&member.base_url);
        let unknown = member.models.iter().enumerate().filter(|(_, model)| {
            let asked = facts.of(&member.provider.id, &place, &model.id).and_then(|known| known.asked);
            let lately = asked.is_some_and(|at| now < at.after(settings.believed));
            let costs_nothing = ALLOWANCE.permit(model, 0, 0).is_some();
            model.tools.is_none() && !model.by_request && costs_nothing && !lately
        });
        due.extend(unknown.enumerate().map(|(round, (model_at, _))| (round, member_at, model_at)));
    }
    due.sort_unstable();
    due.into_iter().map(|(_, member, model)| (member, model)).collect()
}

/// Whether a question may be asked with this key: all that is known of the quotas behind it leaves enough for real
/// requests.
#[must_use]
pub fn may_ask(quotas: &[OwnerQuota], pool: &Pool, candidate: Candidate) -> bool {
    let member = &pool.members[candidate.member];
    let (key, model): (&KeyId, &str) = (&member.keys[candidate.key].id, &member.models[candidate.model].id);
    let is_own = |quota: &&OwnerQuota| quota.provider == member.provider.id && quota.keys.contains(key);
    let counts = |models: &[String]| models.is_empty() || models.iter().any(|known| known == model);
    let own = || quotas.iter().filter(is_own);
    // A refusal that is waited out is put to the test by real requests.
    let waits = own().flat_map(|quota| &quota.held).any(|held| counts(&held.models));
    let mut buckets = own().flat_map(|quota| &quota.buckets).filter(|bucket| counts(&bucket.models));
    let is_long = |span: Option<LimitSpan>| {
        matches!(span, Some(LimitSpan::Day | LimitSpan::Week | LimitSpan::Month | LimitSpan::FiveHours))
    };
    !waits
        && buckets.all(|bucket| {
            let scarce = bucket.unit == LimitUnit::Requests
                && is_long(bucket.span)
                && bucket.left.is_some_and(|left| left < SPARE_CALLS);
            !bucket.spent && !scarce
        })
}

/// What an answer to a question that forced a tool call looked like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The tool was called.
    pub called: bool,
    /// Something was said instead.
    pub spoke: bool,
    /// It ended because there was no room for more.
    pub cut: bool,
    /// Reasoning came along.
    pub reasoned: bool,
}

/// What an answer says of the model. One that was cut says nothing of tools, and one without reasoning nothing of
/// reasoning: not everything is shown.
#[must_use]
pub fn judge(look: Look) -> Vec<(Ability, bool)> {
    let mut seen = Vec::new();
    match look {
        Look { called: true, .. } => seen.push((Ability::Tools, true)),
        Look { spoke: true, cut: false, .. } => seen.push((Ability::Tools, false)),
        Look { .. } => {}
    }
    if look.reasoned {
        seen.push((Ability::Reasoning, true));
    }
    seen
}

/// What a refusal says that the model cannot do; nothing, for all that speaks of the key, the moment or the request.
#[must_use]
pub fn denied(failure: &Failure) -> Option<Ability> {
    match failure.kind {
        FailureKind::Unsupported => failure.param.as_deref().and_then(Ability::refused_with),
        _ => None,
    }
}

/// Whether another key may have a better answer: the failure is this key's own.
#[must_use]
pub fn is_the_keys_fault(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::BadKey | FailureKind::NoMoney | FailureKind::QuotaSpent | FailureKind::RateLimited
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_yes_no_or_nothing() {
        let call = Look { called: true, reasoned: true, ..Look::default() };
        assert_eq!(judge(call), [(Ability::Tools, true), (Ability::Reasoning, true)]);
        assert_eq!(judge(Look { spoke: true, ..Look::default() }), [(Ability::Tools, false)]);
        assert_eq!(judge(Look { spoke: true, cut: true, ..Look::default() }), []);
        assert_eq!(judge(Look::default()), []);
    }

    #[test]
    fn only_a_refusal_of_the_tools_themselves_is_a_no() {
        let unsupported = |param: &str| Failure {
            param: Some(param.to_owned()),
            ..Failure::new(FailureKind::Unsupported, "made up")
        };
        assert_eq!(denied(&unsupported("tools")), Some(Ability::Tools));
        assert_eq!(denied(&unsupported("tool_choice")), None);
        for kind in [FailureKind::BadKey, FailureKind::Timeout, FailureKind::ModelMissing] {
            assert_eq!(
                denied(&Failure { param: Some("tools".into()), ..Failure::new(kind, "made up") }),
                None
            );
        }
    }
}
