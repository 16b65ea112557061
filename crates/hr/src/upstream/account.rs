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

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hr_core::catalog::Provider;
use hr_core::credentials::Account;
use hr_core::failure::{Failure, FailureKind};
use hr_core::pool::{Key, Member, Pool};
use hr_core::secret::{KeyId, Secret};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tracing::warn;

use super::client::Client;
use super::known::{Inner, Known, REST, rests, signed_out, wall};
use super::refresh::{self, Order, Unsaved};

/// How long a call waits for a renewal while another candidate remains.
pub const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(2);
/// How long a call waits for a renewal when there is nobody else.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long the end of the program waits for renewals: as long as one may wait for its answer, and store it.
const LAST_WAIT: Duration = Duration::from_secs(35);

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
                known.settled().await;
            }
        };
        if tokio::time::timeout(LAST_WAIT, all).await.is_err() {
            warn!("tokens of an account were still being renewed at the end");
        }
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
        // Asked first: a renewal that ends in between is then found, and not passed over.
        let is_stale = self.known.is_stale();
        let mut account = self.known.account();
        let now = wall();
        if let Some(why) = &account.login_needed {
            return Err(signed_out(why));
        }
        if is_stale {
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
        self.known.outcome(refused.as_ref())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::refresh::Ended;
    use hr_core::time::Millis;

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
        assert!(!known.is_stale());
        known.read_anew(&account("three"));
        assert!(known.is_stale(), "signed in anew");
    }
}
