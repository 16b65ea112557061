//! One table: from what happened to what follows. A dialect names the kind; nobody else decides.

use std::time::Duration;

use serde::Serialize;

use crate::failure::{FailureKind, Scope};
use crate::time::Millis;

/// The shortest rest: a provider that says "retry after 0" is still given this.
pub const MIN_WAIT: Duration = Duration::from_secs(1);

/// The shortest wait that is taken at its word when it is stated, once: if it was not true, [`MIN_WAIT`] is.
const LEAST_STATED: Duration = Duration::from_millis(50);

/// What has worked within this time is not believed to be gone for everybody; see [`Rule::doubted`].
pub const PROVEN_WITHIN: Duration = minutes(10);

/// Whether the request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Try another candidate.
    Another,
    /// The caller's own mistake: give the upstream's answer back as it is.
    GiveBack,
}

/// What a failure does to the one it speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing: it says nothing of the candidate's health.
    Nothing,
    /// A quota is used up: whose, and until when, is for [`crate::quota`] to tell, within the times given here.
    Account,
    /// It rests and is not called meanwhile, not even as a last resort.
    Cool,
    /// It is called only after all who are not suspect; a stated wait makes it a [`Consequence::Cool`].
    Suspect,
    /// It is remembered what this model cannot hold.
    LearnCeiling,
    /// It is remembered which parameter is refused.
    LearnRefusal,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What follows.
    pub consequence: Consequence,
    /// For whom, unless the failure itself says.
    pub scope: Scope,
    /// The first wait when the provider states none; it doubles with each failure after a rest.
    pub base: Duration,
    /// Where doubling ends.
    pub cap: Duration,
    /// The longest wait that is believed when the provider states one.
    pub stated_cap: Duration,
    /// Whether it counts against the provider's circuit breaker.
    pub breaker: bool,
    /// Whether the same candidate may be asked again within the request, when nobody else is left and a
    /// moment has passed; see [`super::Tried::forgive_passing`].
    pub repeat: bool,
    /// Whether a claim about a whole model or provider is held against this candidate alone while the
    /// whole has proved itself within [`PROVEN_WITHIN`].
    pub doubted: bool,
    /// Whether the request goes on.
    pub next: Next,
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

const fn hours(count: u64) -> Duration {
    minutes(60 * count)
}

impl Rule {
    const fn plain(consequence: Consequence, scope: Scope, base: Duration, cap: Duration) -> Self {
        Self {
            consequence,
            scope,
            base,
            cap,
            stated_cap: cap,
            breaker: false,
            repeat: false,
            doubted: false,
            next: Next::Another,
        }
    }

    /// The request is at fault: nobody rests, and the answer goes back.
    const fn give_back() -> Self {
        let rule = Self::plain(Consequence::Nothing, Scope::KeyModel, Duration::ZERO, Duration::ZERO);
        Self { next: Next::GiveBack, ..rule }
    }

    /// A refusal that lasts: `scope` rests.
    const fn cool(scope: Scope, base: Duration, cap: Duration) -> Self {
        Self::plain(Consequence::Cool, scope, base, cap)
    }

    /// A quota that is used up: its owner waits.
    const fn account(base: Duration, cap: Duration) -> Self {
        Self::plain(Consequence::Account, Scope::KeyModel, base, cap)
    }

    /// Trouble that may have passed already: suspect for a moment, and a sample for the breaker. It is held
    /// against the one candidate that had it; that it is everybody's is for the breaker to find.
    const fn passing() -> Self {
        let rule = Self::plain(
            Consequence::Suspect,
            Scope::KeyModel,
            Duration::from_secs(1),
            Duration::from_secs(30),
        );
        Self { stated_cap: minutes(1), breaker: true, repeat: true, ..rule }
    }

    /// Something to remember about a model, for this long.
    const fn learn(consequence: Consequence, memory: Duration) -> Self {
        Self::plain(consequence, Scope::Model, memory, memory)
    }

    /// How long something waits after so many failures in a row: as long as was stated, else longer each time, both
    /// within bounds.
    #[must_use]
    pub fn wait(&self, strikes: u8, stated: Option<Duration>) -> Duration {
        if let Some(stated) = stated {
            let at_its_word = !stated.is_zero() && strikes <= 1;
            return stated.min(self.stated_cap).max(if at_its_word { LEAST_STATED } else { MIN_WAIT });
        }
        let doublings = u32::from(strikes.max(1) - 1);
        self.base.saturating_mul(2u32.saturating_pow(doublings)).min(self.cap)
    }

    /// The count of failures in a row with one more, of something that was to wait until then.
    #[must_use]
    pub(crate) fn strikes(&self, before: u8, until: Millis, now: Millis) -> u8 {
        if now >= until.after(self.cap) { 1 } else { before.saturating_add(1) }
    }

    /// The row of this kind.
    #[must_use]
    pub const fn of(kind: FailureKind) -> Self {
        use FailureKind as K;
        match kind {
            K::CallerMistake | K::ContentRefused => Self::give_back(),
            K::BadKey => Self::cool(Scope::Key, minutes(10), hours(6)),
            K::NoMoney => Self::cool(Scope::Key, hours(1), hours(6)),
            K::ModelForbidden => Self::cool(Scope::KeyModel, hours(1), hours(24)),
            K::ModelMissing => Self { doubted: true, ..Self::cool(Scope::Model, hours(1), hours(6)) },
            K::ModelGone => Self { doubted: true, ..Self::cool(Scope::Model, hours(24), hours(24)) },
            K::ProviderGone => Self { doubted: true, ..Self::cool(Scope::Provider, hours(24), hours(24)) },
            K::Loop => Self::cool(Scope::Provider, hours(1), hours(1)),
            K::TooLarge => Self::learn(Consequence::LearnCeiling, hours(6)),
            K::Unsupported => Self::learn(Consequence::LearnRefusal, hours(24)),
            K::RateLimited => {
                Self { stated_cap: hours(1), repeat: true, ..Self::account(minutes(1), minutes(15)) }
            }
            // Plans count in weeks at the longest.
            K::QuotaSpent => Self { stated_cap: hours(7 * 24), ..Self::account(hours(1), hours(6)) },
            K::Overloaded | K::ServerError | K::Network | K::Malformed | K::Empty | K::Cut => Self::passing(),
            // Once more would be one more full wait.
            K::Timeout => Self { repeat: false, ..Self::passing() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// kind, consequence, scope, base and cap in seconds, stated cap, breaker, repeat, gives back
    type Row = (FailureKind, Consequence, Scope, u64, u64, u64, bool, bool, bool);

    const TABLE: [Row; 20] = {
        use Consequence::*;
        use FailureKind::*;
        use Scope::{Key, KeyModel, Model, Provider};
        [
            (CallerMistake, Nothing, KeyModel, 0, 0, 0, false, false, true),
            (ContentRefused, Nothing, KeyModel, 0, 0, 0, false, false, true),
            (BadKey, Cool, Key, 600, 21_600, 21_600, false, false, false),
            (NoMoney, Cool, Key, 3_600, 21_600, 21_600, false, false, false),
            (ModelForbidden, Cool, KeyModel, 3_600, 86_400, 86_400, false, false, false),
            (ModelMissing, Cool, Model, 3_600, 21_600, 21_600, false, false, false),
            (ModelGone, Cool, Model, 86_400, 86_400, 86_400, false, false, false),
            (ProviderGone, Cool, Provider, 86_400, 86_400, 86_400, false, false, false),
            (TooLarge, LearnCeiling, Model, 21_600, 21_600, 21_600, false, false, false),
            (Unsupported, LearnRefusal, Model, 86_400, 86_400, 86_400, false, false, false),
            (RateLimited, Account, KeyModel, 60, 900, 3_600, false, true, false),
            (QuotaSpent, Account, KeyModel, 3_600, 21_600, 604_800, false, false, false),
            (Overloaded, Suspect, KeyModel, 1, 30, 60, true, true, false),
            (ServerError, Suspect, KeyModel, 1, 30, 60, true, true, false),
            (Network, Suspect, KeyModel, 1, 30, 60, true, true, false),
            (Timeout, Suspect, KeyModel, 1, 30, 60, true, false, false),
            (Malformed, Suspect, KeyModel, 1, 30, 60, true, true, false),
            (Empty, Suspect, KeyModel, 1, 30, 60, true, true, false),
            (Cut, Suspect, KeyModel, 1, 30, 60, true, true, false),
            (Loop, Cool, Provider, 3_600, 3_600, 3_600, false, false, false),
        ]
    };

    #[test]
    fn every_kind_has_its_row() {
        for (kind, consequence, scope, base, cap, stated_cap, breaker, repeat, gives_back) in TABLE {
            let rule = Rule::of(kind);
            assert_eq!(rule.consequence, consequence, "{kind:?}");
            assert_eq!(rule.scope, scope, "{kind:?}");
            assert_eq!(rule.base.as_secs(), base, "{kind:?}");
            assert_eq!(rule.cap.as_secs(), cap, "{kind:?}");
            assert_eq!(rule.stated_cap.as_secs(), stated_cap, "{kind:?}");
            assert_eq!(rule.breaker, breaker, "{kind:?}");
            assert_eq!(rule.repeat, repeat, "{kind:?}");
            assert_eq!(rule.next == Next::GiveBack, gives_back, "{kind:?}");
        }
    }

    #[test]
    fn only_claims_about_the_whole_are_doubted() {
        for (kind, ..) in TABLE {
            let rule = Rule::of(kind);
            if rule.doubted {
                assert!(matches!(rule.scope, Scope::Model | Scope::Provider), "{kind:?}");
            }
        }
    }
}
