//! Accounts that sign requests in the place of keys: whose token it is now, and who renews it.
//!
//! [`Accounts`] outlives reloads and knows the tokens that are in force; a [`Signer`] puts those of one account
//! into the headers of one call. A token is renewed by one task for all who wait ([`super::refresh`]), which goes
//! on when they leave: whoever has asked for new tokens must also store them. How long a call waits for it is
//! bounded; it then goes to somebody else.
//!
//! ```text
//! signer.sign(headers, patience)       a token that lasts, renewed before if need be
//! … 401 …
//! signer.refused(patience)             a newer token is there: sign and call again; else why not
//! ```

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hr_core::catalog::Provider;
use hr_core::credentials::{Account, RENEW_AT_MOST_EVERY};
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::pool::{Key, Member, Pool};
use hr_core::secret::{KeyId, Secret};
use hr_core::time::Millis;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};

use super::client::Client;
use super::refresh::{self, Ended, Order, Unsaved};

/// How long a call waits for a renewal while another candidate remains.
pub const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(2);
/// How long a call waits for a renewal when there is nobody else.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long an account rests for a call that would not wait longer for its renewal.
const REST: Duration = Duration::from_secs(1);
/// How long an account rests that has to be signed in to again: the file is read anew long before.
const SIGNED_OUT_REST: Duration = Duration::from_secs(10);
/// The wait after a renewal that failed for a passing reason; it doubles with each one after that.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Where doubling ends.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// The longest wait that is believed when the answer states one.
const LONGEST_STATED_WAIT: Duration = Duration::from_secs(60 * 60);
/// How long the end of the program waits for renewals: as long as one may wait for its answer, and store it.
const LAST_WAIT: Duration = Duration::from_secs(35);
/// How many tokens of an account are still kept out of sight after they were replaced.
const REPLACED_TOKENS: usize = 12;

/// All accounts of the pool, by the ids of their keys.
#[derive(Default)]
pub struct Accounts {
    known: Mutex<HashMap<KeyId, Arc<Known>>>,
    /// The file that they are kept in.
    auth: Mutex<PathBuf>,
}

impl Accounts {
    /// Takes over what a file says that was read anew. Tokens that were replaced here since are not brought back.
    pub fn install(&self, auth: &Path, pool: &Pool) {
        *self.auth.lock() = auth.to_path_buf();
        let keys = pool.members.iter().flat_map(|member| &member.keys);
        let read: HashMap<&KeyId, &Arc<Account>> =
            keys.filter_map(|key| Some((&key.id, key.account.as_ref()?))).collect();
        let mut known = self.known.lock();
        // One that is gone may come back, with tokens that are used up by then.
        known.retain(|id, known| read.contains_key(id) || known.is_at_work());
        for (id, account) in read {
            match known.get(id) {
                Some(known) => known.read_anew(account),
                None => drop(known.insert(id.clone(), Arc::new(Known::new(Arc::clone(account))))),
            }
        }
    }

    /// Every token that must not be seen.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        self.known.lock().values().flat_map(|known| known.secrets()).collect()
    }

    /// Who signs for this key; nobody when it is not one of an account.
    #[must_use]
    pub fn signer(&self, member: &Member, key: &Key, client: &Arc<Client>) -> Option<Signer> {
        let account = key.account.as_ref()?;
        // One that a reload has taken away since is what it was when the request began.
        let known = self.known.lock().get(&key.id).cloned();
        Some(Signer {
            known: known.unwrap_or_else(|| Arc::new(Known::new(Arc::clone(account)))),
            auth: self.auth.lock().clone(),
            provider: Arc::clone(&member.provider),
            token_url: member.token_url.clone().unwrap_or_default(),
            client: Arc::clone(client),
            signed_with: None,
            found: false,
            renewed: false,
        })
    }

    /// Waits until nobody renews anything, at most [`LAST_WAIT`], so that no new token is lost when the program ends.
    pub async fn settled(&self) {
        let known: Vec<Arc<Known>> = self.known.lock().values().cloned().collect();
        let all = async {
            for known in known {
                let flight = known.inner.lock().flight.clone();
                if let Some(mut flight) = flight {
                    // When nobody is left who could tell, nobody renews.
                    let _ = flight.wait_for(|done| *done).await;
                }
            }
        };
        if tokio::time::timeout(LAST_WAIT, all).await.is_err() {
            warn!("tokens of an account were still being renewed at the end");
        }
    }
}

/// What is known of one account.
struct Known {
    inner: Mutex<Inner>,
}

struct Inner {
    account: Arc<Account>,
    /// Tokens that were in force before, the oldest first.
    replaced: VecDeque<Secret>,
    /// Turns true when the renewal under way has ended.
    flight: Option<watch::Receiver<bool>>,
    trouble: Option<Trouble>,
    /// When the tokens in force were made, if that was here.
    renewed: Option<Instant>,
    /// Tokens that could not be stored yet; no request sees them before.
    unsaved: Option<Unsaved>,
}

/// Why nothing is renewed for a while.
struct Trouble {
    until: Instant,
    strikes: u32,
    words: String,
}

impl Known {
    fn new(account: Arc<Account>) -> Self {
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

    fn secrets(&self) -> Vec<Secret> {
        let inner = self.inner.lock();
        let unsaved = inner.unsaved.iter().flat_map(|unsaved| unsaved.account.secrets());
        inner.account.secrets().chain(&inner.replaced).chain(unsaved).cloned().collect()
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.inner.lock().account)
    }

    /// Whether it renews tokens, or has some that are not stored yet.
    fn is_at_work(&self) -> bool {
        let inner = self.inner.lock();
        inner.flight.is_some() || inner.unsaved.is_some()
    }

    fn read_anew(&self, account: &Arc<Account>) {
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
    fn flight(
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

    fn settle(&self, ended: Ended) {
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

/// Signs the calls of one request to one account.
pub struct Signer {
    known: Arc<Known>,
    auth: PathBuf,
    provider: Arc<Provider>,
    token_url: String,
    client: Arc<Client>,
    signed_with: Option<Secret>,
    /// Whether a refused token was replaced by one that was there already.
    found: bool,
    /// Whether a refused token was renewed.
    renewed: bool,
}

impl Signer {
    /// Puts a token that lasts and the account's id into the headers. One that ends soon is renewed before, which
    /// is waited for at most so long.
    ///
    /// # Errors
    /// When there is no such token: the account rests until it may have one, or has to be signed in to again.
    pub async fn sign(&mut self, mut headers: HeaderMap, patience: Duration) -> Result<HeaderMap, Failure> {
        let mut account = self.known.account();
        let now = wall();
        if let Some(why) = &account.login_needed {
            return Err(signed_out(why));
        }
        if account.is_stale(now) && !self.known.inner.lock().is_just_renewed() {
            // A token that still lasts serves well enough when its renewal takes long.
            let patience = if account.is_over(now) { patience } else { patience.min(PATIENCE_WITH_OTHERS) };
            account = match self.renewal(None, patience).await {
                Ok(account) => account,
                // What is left of its time is enough for this call.
                Err(_) if !account.is_over(now) => account,
                Err(failure) => return Err(failure),
            };
        }
        let token = account.access_token.as_ref().ok_or_else(|| signed_out("there is no access token"))?;
        let unsendable = || Failure::new(FailureKind::BadKey, "the account holds what no header may hold");
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| unsendable())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        if let Some(login) = &self.provider.login {
            let name = HeaderName::try_from(&login.account_header).map_err(|_| unsendable())?;
            headers.insert(name, HeaderValue::try_from(&account.id).map_err(|_| unsendable())?);
        }
        self.signed_with = Some(token.clone());
        Ok(headers)
    }

    /// What to do when the provider has refused the token with a 401: a newer one is found, once, or made, once, and
    /// the call may be signed and made again.
    ///
    /// # Errors
    /// When there is none. When the one that was made was refused as well, the account has to be signed in to again.
    pub async fn refused(&mut self, patience: Duration) -> Result<(), Failure> {
        const REFUSED_TWICE: &str = "renewed_token_refused";
        let refused = self.signed_with.take();
        let account = self.known.account();
        if self.renewed {
            let order = self.order(&account, refused, None);
            let known = Arc::clone(&self.known);
            // On its own, so that it is written also when the caller leaves.
            tokio::spawn(async move {
                if let Some(ended) = refresh::sign_out(order, REFUSED_TWICE).await {
                    known.settle(ended);
                }
            });
            return Err(signed_out(REFUSED_TWICE));
        }
        if !self.found && account.access_token.is_some() && account.access_token != refused {
            self.found = true;
            return Ok(());
        }
        self.renewed = true;
        self.renewal(refused, patience).await.map(drop)
    }

    /// The account once its tokens are renewed: by the renewal under way, or a new one.
    async fn renewal(&self, refused: Option<Secret>, patience: Duration) -> Result<Arc<Account>, Failure> {
        let order = |inner: &Inner| self.order(&inner.account, refused.clone(), inner.unsaved.clone());
        let mut flight = self.known.flight(order)?;
        if tokio::time::timeout(patience, flight.wait_for(|done| *done)).await.is_err() {
            return Err(rests("its tokens are being renewed", REST));
        }
        let inner = self.known.inner.lock();
        if let Some(why) = &inner.account.login_needed {
            return Err(signed_out(why));
        }
        if let Some(trouble) = &inner.trouble {
            return Err(rests(&trouble.words, trouble.until.saturating_duration_since(Instant::now())));
        }
        let is_over = inner.account.is_over(wall()) && !inner.is_just_renewed();
        if is_over || (refused.is_some() && inner.account.access_token == refused) {
            return Err(rests("its tokens were not renewed", REST));
        }
        Ok(Arc::clone(&inner.account))
    }

    fn order(&self, account: &Arc<Account>, refused: Option<Secret>, unsaved: Option<Unsaved>) -> Order {
        Order {
            auth: self.auth.clone(),
            account: Arc::clone(account),
            refused,
            unsaved,
            client: Arc::clone(&self.client),
            provider: Arc::clone(&self.provider),
            token_url: self.token_url.clone(),
        }
    }
}

/// The wall's time. A token ends by it also when the machine has slept.
pub(super) fn wall() -> Millis {
    Millis(0).after(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// It cannot sign now.
fn rests(words: &str, left: Duration) -> Failure {
    let failure = Failure::new(FailureKind::RateLimited, format!("the account cannot sign now: {words}"));
    Failure { scope: Some(Scope::Key), ..failure.retry_after(Some(left.max(REST))) }
}

/// It cannot sign until its user has signed in again.
fn signed_out(why: &str) -> Failure {
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

    #[tokio::test]
    async fn a_token_that_was_made_just_now_is_used_whatever_the_clock_says() {
        let known = Arc::new(Known::new(account("one")));
        // It ended in 1970.
        let ended =
            Account { access_token: Some(Secret::new("e30.eyJleHAiOjF9.c2ln")), ..(*account("two")).clone() };
        let signer = || Signer {
            known: Arc::clone(&known),
            auth: PathBuf::from("/nowhere/auth.json"),
            provider: Arc::clone(hr_core::catalog::builtin().find("codex").unwrap()),
            token_url: String::new(),
            client: Arc::new(Client::new(Duration::from_secs(1))),
            signed_with: None,
            found: false,
            renewed: false,
        };
        known.settle(Ended::Stored { account: ended.clone(), renewed: false });
        assert!(signer().sign(HeaderMap::new(), Duration::ZERO).await.is_err(), "one that was found is over");
        known.settle(Ended::Stored { account: ended, renewed: true });
        let headers = signer().sign(HeaderMap::new(), Duration::ZERO).await.unwrap();
        assert_eq!(headers[AUTHORIZATION], "Bearer e30.eyJleHAiOjF9.c2ln");
        // The file says the same with fewer digits.
        let read = Account { last_refresh: Some(Millis(0)), ..(*known.account()).clone() };
        known.read_anew(&Arc::new(read));
        assert!(known.inner.lock().is_just_renewed());
        known.read_anew(&account("three"));
        assert!(!known.inner.lock().is_just_renewed(), "signed in anew");
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
