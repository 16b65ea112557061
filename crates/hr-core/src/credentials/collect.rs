//! Gathering the keys of a provider.

use std::sync::Arc;

use crate::catalog::{AuthScheme, Provider};
use crate::pool::{Key, KeySource};
use crate::problem::Problem;
use crate::secret::{InstallSecret, KeyId, Secret};
use crate::settings::Origin;
use crate::settings::define::general::PROXY_API_KEYS;
use crate::settings::define::provider::{FIRST_NUMBER, numbered, plural};
use crate::settings::dotenv::DotEnv;
use crate::settings::layers::{Found, Layers, Trust};
use crate::settings::value::list;

use super::AuthFile;

/// A credentials file that counts.
#[derive(Clone, Debug)]
pub struct AuthSource {
    /// Its path as shown to people.
    pub path: String,
    /// What it says.
    pub file: AuthFile,
    /// Whose word it is.
    pub trust: Trust,
}

/// The keys of a provider.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// The keys, each once, first seen first.
    pub keys: Vec<Key>,
    /// Keys that cannot be sent, by where they are written.
    pub problems: Vec<Problem>,
}

/// Gathers the keys of a provider: from the credentials files in their order, then for each of its variables
/// the singular, the plural (between commas) and the numbered forms from 2 until one is missing. They are
/// trimmed; of equal ones the first counts. For a provider that signs in with accounts, these are its accounts.
#[must_use]
pub fn collect_keys(
    provider: &Provider,
    auth: &[AuthSource],
    layers: &Layers,
    install: &InstallSecret,
) -> Collected {
    if provider.auth == AuthScheme::Oauth {
        return accounts(provider, auth);
    }
    let mut gathering = Gathering { provider, install, collected: Collected::default() };
    for source in auth {
        for secret in source.file.keys(&provider.id) {
            let problem = |reason: String| Problem::new(&source.path, reason);
            let owner = source.file.owner(&provider.id, secret, install);
            gathering.add(secret.expose(), KeySource::AuthFile, owner, problem);
        }
    }
    for variable in &provider.key_vars {
        for (name, text) in forms(variable, layers) {
            let source = match &text.origin {
                Origin::EnvFile(..) => KeySource::EnvFile(name.clone()),
                _ => KeySource::Environment(name.clone()),
            };
            let words = if name == plural(variable) { list(text.value) } else { vec![text.value] };
            for word in words {
                gathering
                    .add(word, source.clone(), None, |reason| text.problem(format!("`{name}`: {reason}")));
            }
        }
    }
    gathering.collected
}

/// The forms of a variable that are set, with what is written there.
fn forms<'a>(variable: &str, layers: &'a Layers) -> Vec<(String, Found<'a>)> {
    let named = |name: String| layers.get(&name).map(|found| (name, found));
    let first = [variable.to_owned(), plural(variable)].into_iter().filter_map(named);
    first.chain((FIRST_NUMBER..).map_while(|number| named(numbered(variable, number)))).collect()
}

/// The accounts of the credentials files, each once. What signs a request changes with each renewal: the key
/// has what the file said when it was read.
fn accounts(provider: &Provider, auth: &[AuthSource]) -> Collected {
    let mut collected = Collected::default();
    for (source, account) in auth.iter().flat_map(|source| source.file.accounts().map(move |it| (source, it)))
    {
        if let Err(reason) = super::check(&account.id) {
            let reason = format!("the id of an account of the provider `{}` {reason}", provider.id);
            let hint = "take that account out of the file, or write the id that it really has";
            collected.problems.push(Problem::new(&source.path, reason).hint(hint));
            continue;
        }
        let id = KeyId::account(&account.id);
        if collected.keys.iter().all(|key| key.id != id) {
            let account = Some(Arc::new(account.clone()));
            collected.keys.push(Key { id, secret: None, account, source: KeySource::AuthFile, owner: None });
        }
    }
    collected
}

/// What has been gathered so far.
struct Gathering<'a> {
    provider: &'a Provider,
    install: &'a InstallSecret,
    collected: Collected,
}

impl Gathering<'_> {
    fn add(
        &mut self,
        text: &str,
        source: KeySource,
        owner: Option<&str>,
        problem: impl FnOnce(String) -> Problem,
    ) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if let Err(reason) = super::check(text) {
            let reason = format!("a key of the provider `{}` {reason}", self.provider.id);
            self.collected.problems.push(problem(reason));
            return;
        }
        let secret = Secret::new(text);
        let id = KeyId::of(self.install, &self.provider.id, &secret);
        if self.collected.keys.iter().all(|key| key.id != id) {
            let owner = owner.map(str::to_owned);
            self.collected.keys.push(Key { id, secret: Some(secret), account: None, source, owner });
        }
    }
}

/// Whether the folder in which the router was started counts as one of its own: its `.env` names access keys,
/// or its credentials file has our schema. Any other folder's files are somebody else's.
#[must_use]
pub fn working_directory_counts(env: Option<&DotEnv>, auth: Option<&AuthFile>) -> bool {
    env.is_some_and(|env| env.get(PROXY_API_KEYS.name).is_some())
        || auth.is_some_and(AuthFile::has_our_schema)
}
