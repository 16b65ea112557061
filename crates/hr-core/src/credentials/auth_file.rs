//! `auth.json`, in the form that the original product gave it.
//!
//! ```json
//! { "providers": { "<provider>": ["<key>"] }, "proxy_keys": { … },
//!   "codex_accounts": [{ "account_id", "access_token", "refresh_token", "last_refresh", "id_token", "login_needed" }],
//!   "key_owners": { "<provider>": { "<key id>": "<owner>" } } }
//! ```
//!
//! `key_owners` is ours; the original ignores it. It is keyed by the id of a key, so that no secret becomes a
//! name. So are `id_token` and `login_needed` of an account. Every other field is kept as the bytes it came in.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Account;
use super::account_list::AccountList;
use crate::problem::Problem;
use crate::secret::{InstallSecret, KeyId, Secret};

/// The largest credentials file that is read.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

const PROVIDERS: &str = "providers";
const ACCOUNTS: &str = "codex_accounts";
const PROXY_KEYS: &str = "proxy_keys";
const OWNERS: &str = "key_owners";

/// A credentials file.
#[derive(Clone, Default)]
pub struct AuthFile {
    /// The top-level fields in their order; the ones that are read below stand here as they were.
    fields: Vec<(String, Box<RawValue>)>,
    /// Keys by provider, in the file's order.
    providers: Vec<(String, Vec<Secret>)>,
    /// Owners by provider and key id.
    owners: Owners,
    /// Accounts that were signed in to.
    accounts: AccountList,
}

type Owners = BTreeMap<String, BTreeMap<String, String>>;

/// Whether a key was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was.
    New,
    /// It was there already; its owner is the one given now, if one was.
    Duplicate,
}

/// Which key of a provider is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The one at this place, counted from 1.
    Index(usize),
    /// The one that ends so.
    Tail(String),
    /// All of them.
    All,
}

/// Why no key was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRemoved {
    /// None is meant by the selector.
    #[error("no such key is stored")]
    NotThere,
    /// Several end so.
    #[error("{0} keys end so")]
    Ambiguous(usize),
}

/// Names only: everything else may be secret.
impl fmt::Debug for AuthFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.providers.iter().map(|(provider, keys)| (provider, keys.len()));
        f.debug_map().entries(counts).finish()
    }
}

/// The fields of an object in their order, none twice.
pub(super) struct Fields<V>(pub(super) Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Fields<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
            type Value = Fields<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(String, V)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if fields.iter().any(|(there, _)| *there == name) {
                        return Err(serde::de::Error::custom(TWICE));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object(std::marker::PhantomData))
    }
}

/// How [`Fields`] says that a field is there twice. The name is not said: it may be secret.
const TWICE: &str = "a field is there twice";

/// A text inside the file, to say in which line something is wrong.
struct Page<'a> {
    text: &'a str,
    file: &'a str,
}

impl Page<'_> {
    /// The line of `part`, which lies inside the text, plus lines within it.
    fn line(&self, part: &str, within: usize) -> usize {
        let offset = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + within
    }

    /// Reads the part as an object. What serde says of wrong types is not repeated: it quotes values.
    fn object<'de, V: Deserialize<'de>>(&self, part: &'de str, name: &str) -> Result<Fields<V>, Problem> {
        serde_json::from_str(part).map_err(|error| {
            let reason = if error.is_syntax() || error.is_eof() {
                let words = error.to_string();
                format!("not valid JSON: {}", words.split(" at line").next().unwrap_or("broken"))
            } else if error.to_string().starts_with(TWICE) {
                format!("{name} has a field twice")
            } else {
                format!("{name} must be an object")
            };
            let problem = Problem::new(self.file, reason).at(self.line(part, error.line().max(1)));
            problem.hint(format!("mend it, or put the last good copy in its place: `{}.bak`", self.file))
        })
    }

    fn wrong(&self, part: &str, reason: String) -> Problem {
        Problem::new(self.file, reason).at(self.line(part, 1))
    }
}

impl AuthFile {
    /// Reads the text of a file; `file` is its name as shown to people.
    ///
    /// # Errors
    ///
    /// When it is not JSON, has a field twice, or one of the fields that are read has another type than it
    /// should: never does a part of it count as empty.
    pub fn parse(text: &str, file: &str) -> Result<Self, Problem> {
        if text.len() > MAX_FILE_BYTES {
            let reason = format!("larger than the {MAX_FILE_BYTES} bytes that a credentials file may have");
            return Err(Problem::new(file, reason));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let page = Page { text, file };
        let Fields::<&RawValue>(fields) = page.object(text, "the credentials file")?;
        let mut auth = Self::default();
        for (name, raw) in fields {
            match name.as_str() {
                PROVIDERS => auth.providers = read_providers(&page, raw.get())?,
                OWNERS => {
                    auth.owners = serde_json::from_str(raw.get()).map_err(|_| {
                        page.wrong(raw.get(), format!("`{OWNERS}` must hold key ids and owners by provider"))
                    })?;
                }
                ACCOUNTS => {
                    auth.accounts = AccountList::read(raw.get()).ok_or_else(|| {
                        page.wrong(raw.get(), format!("`{ACCOUNTS}` must be a list of accounts"))
                    })?;
                }
                PROXY_KEYS => {
                    let Fields::<&RawValue>(_) = page.object(raw.get(), &format!("`{PROXY_KEYS}`"))?;
                }
                _ => {}
            }
            auth.fields.push((name, raw.to_owned()));
        }
        Ok(auth)
    }

    /// Whether the file is one of ours: it has one of our fields at least. Their types were seen to by `parse`.
    #[must_use]
    pub fn has_our_schema(&self) -> bool {
        self.fields.iter().any(|(name, _)| [PROVIDERS, ACCOUNTS, PROXY_KEYS].contains(&name.as_str()))
    }

    /// The providers that have a list, as the file names them.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|(provider, _)| provider.as_str())
    }

    /// The keys of a provider, in order.
    pub fn keys(&self, provider: &str) -> impl Iterator<Item = &Secret> {
        self.providers.iter().filter(move |(there, _)| there == provider).flat_map(|(_, keys)| keys)
    }

    /// The accounts that have what it takes to sign in, in the file's order.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.usable()
    }

    /// The account of this id.
    #[must_use]
    pub fn account(&self, id: &str) -> Option<&Account> {
        self.accounts().find(|account| account.id == id)
    }

    /// Stores an account: in the place of the one with its id, else behind all others.
    pub fn put_account(&mut self, account: &Account) -> Added {
        self.accounts.put(account)
    }

    /// Removes accounts. A [`Selector::Tail`] is an account's id, its e-mail address, or the end of its id.
    ///
    /// # Errors
    ///
    /// When the selector means none, or several. Then nothing is removed.
    pub fn remove_accounts(&mut self, selector: &Selector) -> Result<Vec<Account>, NotRemoved> {
        self.accounts.remove(selector)
    }

    /// The owner that was declared for a key.
    #[must_use]
    pub fn owner(&self, provider: &str, key: &Secret, install: &InstallSecret) -> Option<&str> {
        let id = KeyId::of(install, provider, key);
        self.owners.get(provider)?.get(&id.0).map(String::as_str)
    }

    /// Stores a key.
    ///
    /// # Errors
    ///
    /// When no request could carry it: what is wrong, in a clause that does not repeat it.
    pub fn add_key(
        &mut self,
        provider: &str,
        key: &Secret,
        owner: Option<&str>,
        install: &InstallSecret,
    ) -> Result<Added, String> {
        let text = key.expose().trim();
        if text.is_empty() {
            return Err("the key is empty".to_owned());
        }
        super::check(text).map_err(|reason| format!("the key {reason}"))?;
        let key = Secret::new(text);
        if let Some(owner) = owner {
            let id = KeyId::of(install, provider, &key);
            self.owners.entry(provider.to_owned()).or_default().insert(id.0, owner.to_owned());
        }
        let keys = match self.providers.iter().position(|(there, _)| there == provider) {
            Some(place) => &mut self.providers[place].1,
            None => {
                self.providers.push((provider.to_owned(), Vec::new()));
                let last = self.providers.len() - 1;
                &mut self.providers[last].1
            }
        };
        if keys.contains(&key) {
            return Ok(Added::Duplicate);
        }
        keys.push(key);
        Ok(Added::New)
    }

    /// Removes keys of a provider, and what is known of their owners.
    ///
    /// # Errors
    ///
    /// When the selector means none, or a tail means several. Then nothing is removed.
    pub fn remove_key(
        &mut self,
        provider: &str,
        selector: &Selector,
        install: &InstallSecret,
    ) -> Result<Vec<Secret>, NotRemoved> {
        let keys = self
            .providers
            .iter_mut()
            .find(|(there, _)| there == provider)
            .map(|(_, keys)| keys)
            .filter(|keys| !keys.is_empty())
            .ok_or(NotRemoved::NotThere)?;
        let removed = match selector {
            Selector::All => std::mem::take(keys),
            Selector::Index(index) => match index.checked_sub(1).filter(|place| *place < keys.len()) {
                Some(place) => vec![keys.remove(place)],
                None => return Err(NotRemoved::NotThere),
            },
            Selector::Tail(tail) => {
                let ends_so = |key: &Secret| !tail.is_empty() && key.expose().ends_with(tail.as_str());
                match keys.iter().filter(|key| ends_so(key)).count() {
                    0 => return Err(NotRemoved::NotThere),
                    1 => keys.extract_if(.., |key| ends_so(key)).collect(),
                    several => return Err(NotRemoved::Ambiguous(several)),
                }
            }
        };
        if let Some(owners) = self.owners.get_mut(provider) {
            for key in &removed {
                owners.remove(&KeyId::of(install, provider, key).0);
            }
        }
        self.owners.retain(|_, owners| !owners.is_empty());
        Ok(removed)
    }

    /// The text of the file. It holds secrets: it belongs into a 0600 file and nowhere else.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut fields: Vec<(&str, String)> =
            self.fields.iter().map(|(name, raw)| (name.as_str(), raw.get().to_owned())).collect();
        replace(&mut fields, PROVIDERS, (!self.providers.is_empty()).then(|| self.providers_text()));
        if let Some(accounts) = self.accounts.text() {
            replace(&mut fields, ACCOUNTS, Some(accounts));
        }
        replace(&mut fields, OWNERS, (!self.owners.is_empty()).then(|| self.owners_text()));
        object(fields, 0)
    }

    fn providers_text(&self) -> String {
        let lists = self.providers.iter().map(|(provider, keys)| {
            let keys: Vec<String> = keys.iter().map(|key| format!("      {}", json(key.expose()))).collect();
            let list =
                if keys.is_empty() { "[]".to_owned() } else { format!("[\n{}\n    ]", keys.join(",\n")) };
            (provider.as_str(), list)
        });
        object(lists.collect(), 1)
    }

    fn owners_text(&self) -> String {
        let by_provider = self.owners.iter().map(|(provider, owners)| {
            let owners = owners.iter().map(|(id, owner)| (id.as_str(), json(owner)));
            (provider.as_str(), object(owners.collect(), 2))
        });
        object(by_provider.collect(), 1)
    }
}

/// Gives a field another value, in its place or at the end; nothing leaves it out.
fn replace(fields: &mut Vec<(&str, String)>, name: &'static str, value: Option<String>) {
    let place = fields.iter().position(|(there, _)| *there == name);
    match (place, value) {
        (Some(place), Some(value)) => fields[place].1 = value,
        (Some(place), None) => fields[place].1 = "{}".to_owned(),
        (None, Some(value)) => fields.push((name, value)),
        (None, None) => {}
    }
}

/// An object with a field a line, indented by two spaces a level; the outermost ends its line.
pub(super) fn object(fields: Vec<(&str, String)>, level: usize) -> String {
    let end = if level == 0 { "\n" } else { "" };
    if fields.is_empty() {
        return format!("{{}}{end}");
    }
    let indent = "  ".repeat(level);
    let lines: Vec<String> =
        fields.into_iter().map(|(name, value)| format!("{indent}  {}: {value}", json(name))).collect();
    format!("{{\n{}\n{indent}}}{end}", lines.join(",\n"))
}

/// A text as JSON writes it.
pub(super) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn read_providers(page: &Page<'_>, part: &str) -> Result<Vec<(String, Vec<Secret>)>, Problem> {
    let Fields::<&RawValue>(lists) = page.object(part, &format!("`{PROVIDERS}`"))?;
    let mut providers = Vec::with_capacity(lists.len());
    for (provider, raw) in lists {
        let keys: Vec<String> = serde_json::from_str(raw.get()).map_err(|_| {
            let reason = format!("`{PROVIDERS}.{provider}` must be a list of keys");
            page.wrong(raw.get(), reason).hint("write `[\"key\"]`")
        })?;
        let keys = keys.iter().map(|key| key.trim()).filter(|key| !key.is_empty()).map(Secret::new);
        providers.push((provider, keys.collect()));
    }
    Ok(providers)
}
