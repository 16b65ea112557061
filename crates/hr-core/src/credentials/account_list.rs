//! The list of accounts in the credentials file: what is not ours in it stays as the bytes it came in.

use serde_json::value::RawValue;

use super::Account;
use super::auth_file::{Added, Fields, NotRemoved, Selector, json, object};
use crate::secret::Secret;
use crate::time::Millis;

const ID: &str = "account_id";
const ACCESS: &str = "access_token";
const REFRESH: &str = "refresh_token";
const IDENTITY: &str = "id_token";
const LAST_REFRESH: &str = "last_refresh";
/// Ours; the original ignores it.
const LOGIN_NEEDED: &str = "login_needed";

/// The accounts in their order.
#[derive(Clone, Default)]
pub(super) struct AccountList {
    entries: Vec<Entry>,
    /// Whether it differs from the text that it was read from.
    changed: bool,
}

/// An element of the list.
#[derive(Clone)]
struct Entry {
    /// Its text.
    raw: String,
    /// Its id, also where nothing else is there.
    id: Option<String>,
    /// What it says, when that is enough to sign in with.
    account: Option<Account>,
}

impl Entry {
    fn read(raw: &str) -> Self {
        // An element of another kind is kept and not used, as in the original.
        let fields =
            serde_json::from_str::<Fields<&RawValue>>(raw).map(|fields| fields.0).unwrap_or_default();
        let text = |name: &str| {
            let (_, value) = fields.iter().find(|(there, _)| there == name)?;
            let text: String = serde_json::from_str(value.get()).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let secret = |name: &str| text(name).map(Secret::new);
        let account = text(ID).zip(secret(REFRESH)).map(|(id, refresh_token)| Account {
            id,
            refresh_token,
            // What no header may hold is renewed instead.
            access_token: secret(ACCESS).filter(|token| super::check(token.expose()).is_ok()),
            id_token: secret(IDENTITY),
            last_refresh: text(LAST_REFRESH).and_then(|text| Millis::from_rfc3339(&text)),
            login_needed: text(LOGIN_NEEDED),
        });
        Self { raw: raw.to_owned(), id: text(ID), account }
    }

    /// The element with the account's words, and everything else as it was.
    fn written(raw: &str, account: &Account) -> Self {
        let fields =
            serde_json::from_str::<Fields<&RawValue>>(raw).map(|fields| fields.0).unwrap_or_default();
        let mut fields: Vec<(&str, String)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.get().to_owned())).collect();
        let token = |token: &Option<Secret>| token.as_ref().map(|token| token.expose().to_owned());
        let last_refresh = account.last_refresh.map(Millis::to_rfc3339);
        for (name, value) in [
            (ID, Some(account.id.clone())),
            (ACCESS, token(&account.access_token)),
            (REFRESH, Some(account.refresh_token.expose().to_owned())),
            (LAST_REFRESH, last_refresh),
            (IDENTITY, token(&account.id_token)),
            (LOGIN_NEEDED, account.login_needed.clone()),
        ] {
            let place = fields.iter().position(|(there, _)| *there == name);
            match (place, value) {
                (Some(place), Some(value)) => fields[place].1 = json(&value),
                (Some(place), None) => drop(fields.remove(place)),
                (None, Some(value)) => fields.push((name, json(&value))),
                (None, None) => {}
            }
        }
        Self { raw: object(fields, 2), id: Some(account.id.clone()), account: Some(account.clone()) }
    }
}

impl AccountList {
    /// Reads the list; `None` when it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let entries = elements.into_iter().map(|element| Entry::read(element.get())).collect();
        Some(Self { entries, changed: false })
    }

    /// The accounts that can be signed in with, each id once.
    pub(super) fn usable(&self) -> impl Iterator<Item = &Account> {
        self.entries.iter().enumerate().filter_map(|(place, entry)| {
            let account = entry.account.as_ref()?;
            let earlier = self.entries[..place].iter().filter_map(|entry| entry.account.as_ref());
            earlier.into_iter().all(|other| other.id != account.id).then_some(account)
        })
    }

    /// Stores an account in the place of the one with its id, or behind all.
    pub(super) fn put(&mut self, account: &Account) -> Added {
        let is_it = |entry: &Entry| entry.account.as_ref().is_some_and(|there| there.id == account.id);
        let place = self.entries.iter().position(is_it).or_else(|| {
            self.entries.iter().position(|entry| entry.id.as_deref() == Some(account.id.as_str()))
        });
        match place {
            Some(place) => {
                if self.entries[place].account.as_ref() != Some(account) {
                    self.entries[place] = Entry::written(&self.entries[place].raw, account);
                    self.changed = true;
                }
                Added::Duplicate
            }
            None => {
                self.entries.push(Entry::written("{}", account));
                self.changed = true;
                Added::New
            }
        }
    }

    /// Removes accounts: by place, by id or e-mail address or the end of an id, or all elements of the list.
    pub(super) fn remove(&mut self, selector: &Selector) -> Result<Vec<Account>, NotRemoved> {
        let ids: Vec<String> = match selector {
            Selector::All => self.usable().map(|account| account.id.clone()).collect(),
            Selector::Index(index) => {
                let place = index.checked_sub(1).ok_or(NotRemoved::NotThere)?;
                self.usable().nth(place).map(|account| account.id.clone()).into_iter().collect()
            }
            Selector::Tail(name) => self.named(name)?,
        };
        if ids.is_empty() && (*selector != Selector::All || self.entries.is_empty()) {
            return Err(NotRemoved::NotThere);
        }
        let removed = self.usable().filter(|account| ids.contains(&account.id)).cloned().collect();
        let all = *selector == Selector::All;
        self.entries.retain(|entry| !all && !entry.id.as_ref().is_some_and(|id| ids.contains(id)));
        self.changed = true;
        Ok(removed)
    }

    fn named(&self, name: &str) -> Result<Vec<String>, NotRemoved> {
        let exact = |account: &&Account| {
            account.id == name || account.claims().email.is_some_and(|email| email.eq_ignore_ascii_case(name))
        };
        let mut found: Vec<String> = self.usable().filter(exact).map(|account| account.id.clone()).collect();
        if found.is_empty() && !name.is_empty() {
            found =
                self.usable().filter(|account| account.id.ends_with(name)).map(|it| it.id.clone()).collect();
        }
        match found.len() {
            0 => Err(NotRemoved::NotThere),
            1 => Ok(found),
            several => Err(NotRemoved::Ambiguous(several)),
        }
    }

    /// Its text, when it is not the one that was read.
    pub(super) fn text(&self) -> Option<String> {
        if !self.changed {
            return None;
        }
        if self.entries.is_empty() {
            return Some("[]".to_owned());
        }
        let elements: Vec<String> = self.entries.iter().map(|entry| format!("    {}", entry.raw)).collect();
        Some(format!("[\n{}\n  ]", elements.join(",\n")))
    }
}
