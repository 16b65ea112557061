//! What is known of one account: the tokens in force, who renews them now, and why nobody does for a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hr_core::credentials::{Account, RENEW_AT_MOST_EVERY};
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::secret::Secret;
use hr_core::time::Millis;
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};

use super::refresh::{self, Ended, Order, Unsaved};

/// How long an account rests for a call that would not wait longer for its renewal.
pub(super) const REST: Duration = Duration::from_secs(1);
/// How long an account rests that has to be signed in to again: the file is read anew long before.
const SIGNED_OUT_REST: Duration = Duration::from_secs(10);
/// The wait after a renewal that failed for a passing reason; it doubles with each one after that.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Where doubling ends.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// The longest wait that is believed when the answer states one.
const LONGEST_STATED_WAIT: Duration = Duration::from_secs(60 * 60);
/// How many tokens of an account are still kept out of sight after they were replaced.
const REPLACED_TOKENS: usize = 12;

/// What is known of one account.
pub(super) struct Known {
    inner: Mutex<Inner>,
}

/// What is known of it at one moment.
pub(super) struct Inner {
    /// It, with the tokens in force.
    pub(super) account: Arc<Account>,
    /// Tokens that were in force before, the oldest first.
    replaced: VecDeque<Secret>,
    /// Turns true when the renewal under way has ended.
    flight: Option<watch::Receiver<bool>>,
    trouble: Option<Trouble>,
    /// When the tokens in force were made, if that was here.
    renewed: Option<Instant>,
    /// Tokens that could not be stored yet; no request sees them before.
    pub(super) unsaved: Option<Unsaved>,
}

/// Why nothing is renewed for a while.
struct Trouble {
    until: Instant,
    strikes: u32,
    words: String,
}

impl Known {
    /// An account as the file has it.
    pub(super) fn new(account: Arc<Account>) -> Self {
        let inner = Inner {
            account,
            replaced: VecDeque::new(),
            flight: None,
            trouble: None,
            renewed: None,
            unsaved: None,
        };
        Self { inner: Mutex::new(inner) }
    }

    /// Every token of it that must not be seen.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let inner = self.inner.lock();
        let unsaved = inner.unsaved.iter().flat_map(|unsaved| unsaved.account.secrets());
        inner.account.secrets().chain(&inner.replaced).chain(unsaved).cloned().collect()
    }

    /// It, with the tokens in force.
    pub(super) fn account(&self) -> Arc<Account> {
        Arc::clone(&self.inner.lock().account)
    }

    /// Whether it renews tokens, or has some that are not stored yet.
    pub(super) fn is_at_work(&self) -> bool {
        let inner = self.inner.lock();
        inner.flight.is_some() || inner.unsaved.is_some()
    }

    /// Takes over what the file says now.
    pub(super) fn read_anew(&self, account: &Arc<Account>) {
        let mut inner = self.inner.lock();
        // A file that was read just before our own change to it was written.
        let is_old = inner.replaced.contains(&account.refresh_token);
        if !is_old && inner.account != *account {
            // Not those that replace what the file still has.
            let unsaved = inner.unsaved.take().filter(|unsaved| unsaved.used == account.refresh_token);
            inner.adopt(Arc::clone(account));
            inner.unsaved = unsaved;
        }
    }

    /// The renewal that is under way, or one that begins now.
    pub(super) fn flight(
        self: &Arc<Self>,
        order: impl FnOnce(&Inner) -> Order,
    ) -> Result<watch::Receiver<bool>, Failure> {
        let mut inner = self.inner.lock();
        if let Some(flight) = inner.flight.clone().filter(|flight| flight.has_changed().is_ok()) {
            return Ok(flight);
        }
        if let Some(trouble) = &inner.trouble {
            let left = trouble.until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(rests(&trouble.words, left));
            }
        }
        let order = order(&inner);
        let (done, flight) = watch::channel(false);
        inner.flight = Some(flight.clone());
        let known = Arc::clone(self);
        // A task of its own: it must not end with the request that began it.
        tokio::spawn(async move {
            let ended = refresh::renew(order).await;
            known.settle(ended);
            known.inner.lock().flight = None;
            // Nobody may be waiting any more.
            let _ = done.send(true);
        });
        Ok(flight)
    }

    /// The account once a renewal has ended: with a token that lasts, and not the one that was refused.
    pub(super) fn outcome(&self, refused: Option<&Secret>) -> Result<Arc<Account>, Failure> {
        let inner = self.inner.lock();
        if let Some(why) = &inner.account.login_needed {
            return Err(signed_out(why));
        }
        if let Some(trouble) = &inner.trouble {
            return Err(rests(&trouble.words, trouble.until.saturating_duration_since(Instant::now())));
        }
        let is_over = inner.account.is_over(wall()) && !inner.is_just_renewed();
        if is_over || (refused.is_some() && inner.account.access_token.as_ref() == refused) {
            return Err(rests("its tokens were not renewed", REST));
        }
        Ok(Arc::clone(&inner.account))
    }

    /// Whether it is time to renew its token.
    pub(super) fn is_stale(&self) -> bool {
        let inner = self.inner.lock();
        inner.account.is_stale(wall()) && !inner.is_just_renewed()
    }

    /// Waits until no renewal is under way.
    pub(super) async fn settled(&self) {
        let flight = self.inner.lock().flight.clone();
        if let Some(mut flight) = flight {
            // When nobody is left who could tell, nobody renews.
            let _ = flight.wait_for(|done| *done).await;
        }
    }

    /// Takes over how a renewal ended.
    pub(super) fn settle(&self, ended: Ended) {
        let mut inner = self.inner.lock();
        let id = inner.account.id.clone();
        match ended {
            Ended::Stored { account, renewed } => {
                if renewed {
                    info!(account = id, "the tokens of an account were renewed");
                }
                inner.adopt(Arc::new(account));
                inner.renewed = renewed.then(Instant::now);
            }
            Ended::SignedOut(account) => {
                let because = account.login_needed.clone().unwrap_or_default();
                warn!(account = id, because, "an account has to be signed in to again");
                inner.adopt(Arc::new(account));
            }
            Ended::Unsaved { unsaved, words } => {
                warn!(
                    account = id,
                    cause = words,
                    "the renewed tokens of an account could not be stored yet"
                );
                inner.unsaved = Some(unsaved);
                inner.strike(words, None);
            }
            Ended::Trouble { words, retry_after } => {
                warn!(account = id, cause = words, "the tokens of an account could not be renewed");
                inner.strike(words, retry_after);
            }
        }
    }
}

impl Inner {
    /// Puts other tokens in force.
    fn adopt(&mut self, account: Arc<Account>) {
        let before = std::mem::replace(&mut self.account, account);
        let replaced = before.secrets().filter(|token| self.account.secrets().all(|now| now != *token));
        self.replaced.extend(replaced.cloned());
        while self.replaced.len() > REPLACED_TOKENS {
            self.replaced.pop_front();
        }
        if before.access_token != self.account.access_token {
            self.renewed = None;
        }
        self.trouble = None;
        self.unsaved = None;
    }

    /// Whether its tokens are so new that they are used whatever the clock says: where that is fast, each of them would
    /// seem to be over at once, and each request would renew it again.
    fn is_just_renewed(&self) -> bool {
        self.renewed.is_some_and(|at| at.elapsed() < RENEW_AT_MOST_EVERY)
    }

    fn strike(&mut self, words: String, stated: Option<Duration>) {
        let strikes = self.trouble.as_ref().map_or(0, |trouble| trouble.strikes) + 1;
        let doubled = FIRST_WAIT.saturating_mul(1 << (strikes - 1).min(16)).min(LONGEST_WAIT);
        let wait = stated.map_or(doubled, |stated| stated.clamp(doubled, LONGEST_STATED_WAIT));
        self.trouble = Some(Trouble { until: Instant::now() + wait, strikes, words });
    }
}

/// The wall's time. A token ends by it also when the machine has slept.
pub(super) fn wall() -> Millis {
    Millis(0).after(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// It cannot sign now.
pub(super) fn rests(words: &str, left: Duration) -> Failure {
    let failure = Failure::new(FailureKind::RateLimited, format!("the account cannot sign now: {words}"));
    Failure { scope: Some(Scope::Key), ..failure.retry_after(Some(left.max(REST))) }
}

/// It cannot sign until its user has signed in again.
pub(super) fn signed_out(why: &str) -> Failure {
    let failure =
        Failure::new(FailureKind::BadKey, format!("the account has to be signed in to again: {why}"));
    Failure { scope: Some(Scope::Key), ..failure.retry_after(Some(SIGNED_OUT_REST)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(refresh: &str) -> Arc<Account> {
        Arc::new(Account {
            id: "acc".to_owned(),
            access_token: Some(Secret::new(format!("access-{refresh}"))),
            refresh_token: Secret::new(refresh),
            id_token: None,
            last_refresh: None,
            login_needed: None,
        })
    }

    #[test]
    fn a_file_read_before_a_renewal_brings_no_used_token_back() {
        let known = Known::new(account("one"));
        known.settle(Ended::Stored { account: (*account("two")).clone(), renewed: true });
        known.read_anew(&account("one"));
        assert_eq!(known.account().refresh_token.expose(), "two");
        known.read_anew(&account("signed in anew"));
        assert_eq!(known.account().refresh_token.expose(), "signed in anew");
        let seen: Vec<String> = known.secrets().iter().map(|secret| secret.expose().to_owned()).collect();
        for token in ["access-one", "one", "access-two", "two"] {
            assert!(seen.iter().any(|secret| secret == token), "{token} is not kept out of sight");
        }
    }

    #[test]
    fn tokens_that_are_not_stored_yet_outlive_an_edit_of_the_file() {
        let known = Known::new(account("one"));
        let unsaved = Unsaved { account: (*account("two")).clone(), used: Secret::new("one") };
        known.settle(Ended::Unsaved { unsaved, words: "no room".to_owned() });
        let edited = Account { login_needed: Some("by hand".to_owned()), ..(*account("one")).clone() };
        known.read_anew(&Arc::new(edited));
        assert!(known.is_at_work());
        known.read_anew(&account("signed in anew"));
        assert!(!known.is_at_work());
    }

    #[test]
    fn trouble_doubles_its_wait_up_to_a_limit_and_a_login_ends_it() {
        let known = Known::new(account("one"));
        let wait = || {
            let inner = known.inner.lock();
            inner.trouble.as_ref().map(|trouble| trouble.until.saturating_duration_since(Instant::now()))
        };
        let about = |left: Option<Duration>, wait: Duration| {
            left.is_some_and(|left| left <= wait && left > wait - Duration::from_secs(1))
        };
        let trouble = |stated| Ended::Trouble { words: "no connection".to_owned(), retry_after: stated };
        known.settle(trouble(None));
        assert!(about(wait(), FIRST_WAIT));
        known.settle(trouble(None));
        assert!(about(wait(), FIRST_WAIT * 2));
        for _ in 0..40 {
            known.settle(trouble(None));
        }
        assert!(about(wait(), LONGEST_WAIT));
        known.settle(trouble(Some(Duration::MAX)));
        assert!(about(wait(), LONGEST_STATED_WAIT));
        known.read_anew(&account("two"));
        assert_eq!(wait(), None);
    }
}
