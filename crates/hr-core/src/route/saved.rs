//! What the router knows, in pieces that can be kept over a restart.
//!
//! A piece belongs to a provider, a key, a model, or a key with a model. What an attempt may have changed is
//! marked when it is settled; [`Saved::changes`] then says it in words. What is given back by
//! [`Saved::restore`] but belongs to nobody who is here waits until they come.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cooldown::Cooldown;
use super::health::{Average, Reliability};
use super::learned::{Ceiling, Refusals};
use super::slots::{Address, KeySlot, ModelSlot, PairSlot, ProviderSlot, Slots, Trouble};
use crate::capability::place;
use crate::failure::FailureKind;
use crate::secret::KeyId;
use crate::time::Millis;

/// The most pieces that wait for providers, keys and models that are not here. Those beyond are forgotten.
const MAX_WAITING: usize = 20_000;

/// What a piece is about; each is a table of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Buckets of quotas, and who shares them.
    Quota,
    /// Rests of keys, models and providers.
    Rests,
    /// How well keys and models have served.
    Health,
    /// What models can do.
    Capabilities,
}

/// One piece: what to keep under its stable id, or that there is nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about.
    pub table: Table,
    /// Its stable id within the table; holds no secret.
    pub id: String,
    /// What to keep, as JSON.
    pub kept: Option<String>,
}

/// Who a piece belongs to, by slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Provider(usize),
    Model(usize, usize),
    Key(usize, usize),
    Pair(usize, usize, usize),
}

/// The same by names, as it stands in the store.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names<'a> {
    #[serde(borrow)]
    provider: std::borrow::Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    model: Option<std::borrow::Cow<'a, str>>,
}

/// A row of [`Table::Rests`].
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Rests {
    #[serde(skip_serializing_if = "is_default")]
    rest: Cooldown,
    #[serde(skip_serializing_if = "is_default")]
    suspect: Cooldown,
}

/// A row of [`Table::Health`]; which fields have a meaning depends on whose it is.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Health {
    #[serde(skip_serializing_if = "is_default")]
    proven: Option<Millis>,
    #[serde(skip_serializing_if = "is_default")]
    refusals: Refusals,
    #[serde(skip_serializing_if = "is_default")]
    prompt: Ceiling,
    #[serde(skip_serializing_if = "is_default")]
    output: Ceiling,
    #[serde(skip_serializing_if = "is_default")]
    first_byte: Option<Average>,
    #[serde(skip_serializing_if = "is_default")]
    answer: Option<Average>,
    #[serde(skip_serializing_if = "is_default")]
    reliability: Reliability,
    #[serde(skip_serializing_if = "is_default")]
    latency: Option<Average>,
    #[serde(skip_serializing_if = "is_default")]
    trouble: Trouble,
}

/// A row, and at which address that was found out.
#[derive(Serialize, Deserialize)]
struct Row<T> {
    place: String,
    #[serde(flatten)]
    what: T,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What became of a piece that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Back {
    Taken,
    /// Nobody is here whose it is.
    Waits,
    Unreadable,
}

/// What is marked to be kept, and what waits.
#[derive(Debug, Default)]
pub(super) struct Saved {
    touched: BTreeSet<Whose>,
    /// Whether everything may have changed.
    all: bool,
    /// Who has a row, so that one is deleted only where there is one.
    rows: BTreeSet<(Table, Whose)>,
    waiting: BTreeMap<String, Vec<Change>>,
    /// When something was last given back.
    restored: Millis,
}

impl Saved {
    /// An attempt there was settled.
    pub(super) fn touch(&mut self, address: Address) {
        let Address { provider, key, model } = address;
        if self.touched.contains(&Whose::Pair(provider, key, model)) {
            // So are the others.
            return;
        }
        self.touched.extend([
            Whose::Provider(provider),
            Whose::Model(provider, model),
            Whose::Key(provider, key),
            Whose::Pair(provider, key, model),
        ]);
    }

    /// A pool was put in force: what waits for its keys and models goes to them, and addresses may have changed.
    pub(super) fn installed(&mut self, slots: &mut Slots) {
        self.all = true;
        for provider in 0..slots.providers.len() {
            self.arrived(slots, provider);
        }
    }

    /// Gives a provider what has waited for it, as far as it has the keys and models now.
    pub(super) fn arrived(&mut self, slots: &mut Slots, provider: usize) {
        let now = self.restored;
        let Some(waiting) = self.waiting.remove(&slots.providers[provider].id) else { return };
        let mut still = Vec::new();
        for change in waiting {
            if self.give_back(now, slots, &change) == Back::Waits {
                still.push(change);
            }
        }
        if !still.is_empty() {
            self.waiting.insert(slots.providers[provider].id.clone(), still);
        }
    }

    /// What has changed since this was last asked.
    pub(super) fn changes(&mut self, slots: &mut Slots) -> Vec<Change> {
        let mut changes = Vec::new();
        for provider in &mut slots.providers {
            let id = &provider.id;
            let quota = provider.ledger.changes().into_iter();
            changes.extend(quota.map(|(bucket, kept)| Change {
                table: Table::Quota,
                id: format!("{id}/{bucket}"),
                kept,
            }));
        }
        let touched = std::mem::take(&mut self.touched);
        let touched = if std::mem::take(&mut self.all) { everybody(slots) } else { touched };
        for whose in touched {
            let Some((provider, names)) = whose.names(slots) else { continue };
            let place = place(&provider.base_url);
            let Ok(id) = serde_json::to_string(&names) else { continue };
            let (rests, health) = whose.known(provider);
            let rests = row(place.clone(), rests);
            let health = health.and_then(|health| row(place, health));
            for (table, kept) in [(Table::Rests, rests), (Table::Health, health)] {
                let is = kept.is_some();
                let was =
                    if is { !self.rows.insert((table, whose)) } else { self.rows.remove(&(table, whose)) };
                if is || was {
                    changes.push(Change { table, id: id.clone(), kept });
                }
            }
        }
        changes
    }

    /// Takes back pieces; returns how many could not be read.
    pub(super) fn restore(&mut self, now: Millis, slots: &mut Slots, kept: Vec<Change>) -> usize {
        self.restored = now;
        let mut unreadable = 0;
        let mut waiting: usize = self.waiting.values().map(Vec::len).sum();
        for change in kept {
            match self.give_back(now, slots, &change) {
                Back::Taken => {}
                Back::Unreadable => unreadable += 1,
                Back::Waits if waiting < MAX_WAITING => {
                    waiting += 1;
                    let provider = provider_of(&change).unwrap_or_default();
                    self.waiting.entry(provider).or_default().push(change);
                }
                Back::Waits => {}
            }
        }
        // It stands in the store as it is here.
        self.touched.clear();
        self.all = false;
        unreadable
    }

    fn give_back(&mut self, now: Millis, slots: &mut Slots, change: &Change) -> Back {
        let Some(kept) = change.kept.as_deref() else { return Back::Taken };
        match change.table {
            Table::Quota => {
                let Some((provider, bucket)) = change.id.split_once('/') else { return Back::Unreadable };
                let Some(slot) = slots.providers.iter_mut().find(|slot| slot.id == provider) else {
                    return Back::Waits;
                };
                if slot.ledger.restore(now, bucket, kept) { Back::Taken } else { Back::Unreadable }
            }
            Table::Rests => self.put_back(slots, change, kept, |whose, provider, here, rests: Rests| {
                whose.rest_again(provider, here, now, &rests);
            }),
            Table::Health => self.put_back(slots, change, kept, |whose, provider, here, health: Health| {
                if here {
                    whose.know_again(provider, health);
                }
            }),
            // Facts about models are kept by themselves.
            Table::Capabilities => Back::Taken,
        }
    }

    fn put_back<T: DeserializeOwned>(
        &mut self,
        slots: &mut Slots,
        change: &Change,
        kept: &str,
        put: impl FnOnce(Whose, &mut ProviderSlot, bool, T),
    ) -> Back {
        let (Ok(names), Ok(row)) =
            (serde_json::from_str::<Names<'_>>(&change.id), serde_json::from_str::<Row<T>>(kept))
        else {
            return Back::Unreadable;
        };
        let Some(whose) = find(slots, &names) else { return Back::Waits };
        let provider = &mut slots.providers[whose.provider()];
        let here = row.place == place(&provider.base_url);
        put(whose, provider, here, row.what);
        self.rows.insert((change.table, whose));
        Back::Taken
    }
}

/// The row as JSON; `None` when there is nothing to tell.
fn row<T: Default + PartialEq + Serialize>(place: String, what: T) -> Option<String> {
    (!is_default(&what)).then(|| serde_json::to_string(&Row { place, what }).ok())?
}

fn provider_of(change: &Change) -> Option<String> {
    match change.table {
        Table::Quota => change.id.split_once('/').map(|(provider, _)| provider.to_owned()),
        _ => serde_json::from_str::<Names<'_>>(&change.id).ok().map(|names| names.provider.into_owned()),
    }
}

fn everybody(slots: &Slots) -> BTreeSet<Whose> {
    let mut all = BTreeSet::new();
    for (number, provider) in slots.providers.iter().enumerate() {
        all.insert(Whose::Provider(number));
        all.extend((0..provider.models.len()).map(|model| Whose::Model(number, model)));
        for (key, slot) in provider.keys.iter().enumerate() {
            all.insert(Whose::Key(number, key));
            all.extend((0..slot.pairs().len()).map(|model| Whose::Pair(number, key, model)));
        }
    }
    all
}

fn find(slots: &Slots, names: &Names<'_>) -> Option<Whose> {
    let at = slots.providers.iter().position(|slot| slot.id == names.provider)?;
    let provider = &slots.providers[at];
    let key = |id: &str| provider.known_key(&KeyId(id.to_owned()));
    let model = |id: &str| provider.models.iter().position(|slot| slot.id == id);
    Some(match (&names.key, &names.model) {
        (None, None) => Whose::Provider(at),
        (None, Some(id)) => Whose::Model(at, model(id)?),
        (Some(id), None) => Whose::Key(at, key(id)?),
        (Some(key_id), Some(model_id)) => Whose::Pair(at, key(key_id)?, model(model_id)?),
    })
}

impl Whose {
    fn provider(self) -> usize {
        match self {
            Self::Provider(provider)
            | Self::Model(provider, _)
            | Self::Key(provider, _)
            | Self::Pair(provider, ..) => provider,
        }
    }

    fn names(self, slots: &Slots) -> Option<(&ProviderSlot, Names<'_>)> {
        let provider = slots.providers.get(self.provider())?;
        let model = |slot: usize| provider.models.get(slot).map(|model: &ModelSlot| model.id.as_str().into());
        let key = |slot: usize| provider.keys.get(slot).map(|key: &KeySlot| key.id.0.as_str().into());
        let mut names = Names { provider: provider.id.as_str().into(), key: None, model: None };
        match self {
            Self::Provider(_) => {}
            Self::Model(_, slot) => names.model = Some(model(slot)?),
            Self::Key(_, slot) => names.key = Some(key(slot)?),
            Self::Pair(_, of_key, of_model) => {
                (names.key, names.model) = (Some(key(of_key)?), Some(model(of_model)?));
            }
        }
        Some((provider, names))
    }

    /// What is known of it.
    fn known(self, provider: &ProviderSlot) -> (Rests, Option<Health>) {
        let rests = |rest: Cooldown| Rests { rest, suspect: Cooldown::default() };
        match self {
            Self::Provider(_) => {
                let health = Health {
                    proven: provider.proven,
                    refusals: provider.refusals.clone(),
                    latency: provider.latency,
                    trouble: provider.trouble,
                    ..Health::default()
                };
                (rests(provider.cooldown), Some(health))
            }
            Self::Model(_, slot) => {
                let model = &provider.models[slot];
                let health = Health {
                    proven: model.proven,
                    refusals: model.refusals.clone(),
                    prompt: model.prompt,
                    output: model.output,
                    first_byte: model.first_byte,
                    answer: model.answer,
                    reliability: model.reliability,
                    ..Health::default()
                };
                (rests(model.cooldown), Some(health))
            }
            Self::Key(_, slot) => (rests(provider.keys[slot].cooldown), None),
            Self::Pair(_, key, model) => {
                let unknown = PairSlot::default();
                let pair = provider.keys[key].pair(model).unwrap_or(&unknown);
                let rests = Rests { rest: pair.cooldown, suspect: pair.suspect };
                (rests, Some(Health { prompt: pair.prompt, ..Health::default() }))
            }
        }
    }

    /// Takes a rest up again. What another server was to blame for is not this one's.
    fn rest_again(self, provider: &mut ProviderSlot, here: bool, now: Millis, rests: &Rests) {
        let stays = |kind| {
            here || matches!(kind, FailureKind::RateLimited | FailureKind::QuotaSpent | FailureKind::NoMoney)
        };
        let rest = rests.rest.again(now, stays);
        match self {
            Self::Provider(_) => provider.cooldown = rest,
            Self::Model(_, slot) => provider.models[slot].cooldown = rest,
            Self::Key(_, slot) => provider.keys[slot].cooldown = rest,
            Self::Pair(_, key, model) => {
                let pair = provider.keys[key].pair_mut(model);
                (pair.cooldown, pair.suspect) = (rest, rests.suspect.again(now, stays));
            }
        }
    }

    fn know_again(self, provider: &mut ProviderSlot, health: Health) {
        let Health { proven, refusals, prompt, output, first_byte, answer, reliability, latency, trouble } =
            health;
        match self {
            Self::Provider(_) => {
                (provider.proven, provider.refusals) = (proven, refusals);
                (provider.latency, provider.trouble) = (latency, trouble);
            }
            Self::Model(_, slot) => {
                let model = &mut provider.models[slot];
                (model.proven, model.refusals) = (proven, refusals);
                (model.prompt, model.output) = (prompt, output);
                (model.first_byte, model.answer, model.reliability) = (first_byte, answer, reliability);
            }
            Self::Pair(_, key, model) => provider.keys[key].pair_mut(model).prompt = prompt,
            Self::Key(..) => {}
        }
    }
}
