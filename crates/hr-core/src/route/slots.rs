//! What the router knows of each provider, key and model, kept under stable ids in numbered slots.
//!
//! Slots are only ever added, so that a request that still holds an older roster finds its state where it
//! was, and a reload loses nothing. One comes into being only when a person adds a provider, key or model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Candidate;
use super::breaker::Breaker;
use super::cooldown::Cooldown;
pub(super) use super::health::Average;
pub use super::health::LATENCY_MEMORY;
use super::health::Reliability;
use super::learned::{Ceiling, Refusals};
use super::policy::PROVEN_WITHIN;
use super::record::{Name, name_of};
use crate::catalog::Provider;
use crate::failure::FailureKind;
use crate::pool::{Key, Member, Pool, PoolModel};
use crate::quota::{Ledger, Seat};
use crate::secret::KeyId;
use crate::time::Millis;

/// The most models of one provider, those that callers name included. State is kept for each.
const MAX_MODELS: usize = 256;

/// In this time a provider's recent trouble halves in weight.
const TROUBLE_HALF_LIFE: Duration = Duration::from_secs(20);

/// An installed pool: the pool, and the router's slots of its members. A request keeps the one it began with.
#[derive(Debug, Default)]
pub struct Roster {
    /// The pool in force when this was installed.
    pub pool: Pool,
    pub(super) slots: Vec<MemberSlots>,
}

impl Roster {
    /// The provider's entry in the pool.
    #[must_use]
    pub fn member(&self, candidate: Candidate) -> &Member {
        &self.pool.members[candidate.member]
    }

    /// The provider's entry in the catalogue.
    #[must_use]
    pub fn provider(&self, candidate: Candidate) -> &Provider {
        &self.member(candidate).provider
    }

    /// The key that the candidate is called with.
    #[must_use]
    pub fn key(&self, candidate: Candidate) -> &Key {
        &self.member(candidate).keys[candidate.key]
    }

    /// The id on the wire of the model that is asked; the embedding model for [`Candidate::EMBED`].
    #[must_use]
    pub fn model_id(&self, candidate: Candidate) -> &str {
        let member = self.member(candidate);
        match member.models.get(candidate.model) {
            Some(model) => &model.id,
            None => member.embed_model.as_deref().unwrap_or_default(),
        }
    }

    /// The provider's name in records.
    pub(super) fn provider_name(&self, candidate: Candidate) -> &Name {
        &self.slots[candidate.member].name
    }

    /// The model's name in records.
    pub(super) fn model_name(&self, candidate: Candidate) -> &Name {
        let MemberSlots { model_names, embed_name, .. } = &self.slots[candidate.member];
        model_names.get(candidate.model).unwrap_or(embed_name)
    }

    pub(super) fn address(&self, candidate: Candidate) -> Address {
        self.slots[candidate.member].address(candidate.key, candidate.model)
    }
}

/// The slots of a pool's member.
#[derive(Clone, Debug)]
pub(super) struct MemberSlots {
    pub(super) provider: usize,
    pub(super) keys: Vec<usize>,
    models: Vec<usize>,
    embed: usize,
    /// Where a key stands in the member, by its slot.
    places: Arc<BTreeMap<usize, usize>>,
    /// What records call it and its models.
    pub(super) name: Name,
    model_names: Vec<Name>,
    embed_name: Name,
}

impl MemberSlots {
    /// The slot of a model by its index in the member, or of the embedding model.
    pub(super) fn model(&self, index: usize) -> usize {
        self.models.get(index).copied().unwrap_or(self.embed)
    }

    /// Where the key of a slot stands in the member.
    pub(super) fn place(&self, key_slot: usize) -> Option<usize> {
        self.places.get(&key_slot).copied()
    }

    /// Where the state of a key with a model is, by their indices in the member.
    pub(super) fn address(&self, key: usize, model: usize) -> Address {
        Address { provider: self.provider, key: self.keys[key], model: self.model(model) }
    }
}

/// Where the state of a candidate is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) provider: usize,
    pub(super) key: usize,
    pub(super) model: usize,
}

impl Address {
    pub(super) fn seat(&self) -> Seat {
        Seat { key: self.key, model: self.model }
    }
}

/// Recent trouble: a count of failures that fades, so that nobody is passed over for old sins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trouble {
    weight: f64,
    at: Millis,
}

impl Trouble {
    pub(super) fn level(self, now: Millis) -> f64 {
        if self.weight == 0.0 {
            return 0.0;
        }
        self.weight * (-self.at.until(now).as_secs_f64() / TROUBLE_HALF_LIFE.as_secs_f64()).exp2()
    }

    pub(super) fn add(&mut self, now: Millis) {
        *self = Self { weight: self.level(now) + 1.0, at: now };
    }

    pub(super) fn ease(&mut self, now: Millis) {
        *self = Self { weight: self.level(now) / 2.0, at: now };
    }
}

/// A key with a model.
#[derive(Clone, Debug, Default)]
pub(super) struct PairSlot {
    pub(super) cooldown: Cooldown,
    pub(super) suspect: Cooldown,
    pub(super) prompt: Ceiling,
}

/// A key.
#[derive(Debug)]
pub(super) struct KeySlot {
    pub(super) id: KeyId,
    pub(super) cooldown: Cooldown,
    /// By model slot; as long as the highest one that something is known of.
    pairs: Vec<PairSlot>,
    pub(super) requests: u64,
    pub(super) in_flight: u32,
}

impl KeySlot {
    pub(super) fn pair(&self, model: usize) -> Option<&PairSlot> {
        self.pairs.get(model)
    }

    pub(super) fn pair_mut(&mut self, model: usize) -> &mut PairSlot {
        if self.pairs.len() <= model {
            self.pairs.resize_with(model + 1, PairSlot::default);
        }
        &mut self.pairs[model]
    }

    /// Forgets its pairs unless one of them rests.
    fn shed(&mut self, now: Millis) {
        if !self.pairs.iter().any(|pair| pair.cooldown.holds(now)) {
            self.pairs = Vec::new();
        }
    }

    pub(super) fn pairs_mut(&mut self) -> &mut [PairSlot] {
        &mut self.pairs
    }

    pub(super) fn pairs(&self) -> &[PairSlot] {
        &self.pairs
    }
}

/// A model at a provider.
#[derive(Debug)]
pub(super) struct ModelSlot {
    pub(super) id: String,
    pub(super) cooldown: Cooldown,
    pub(super) refusals: Refusals,
    pub(super) prompt: Ceiling,
    pub(super) output: Ceiling,
    /// The key slot whose turn was last.
    pub(super) last_key: Option<usize>,
    pub(super) first_byte: Option<Average>,
    /// The tokens of its answers.
    pub(super) answer: Option<Average>,
    pub(super) reliability: Reliability,
    pub(super) proven: Option<Millis>,
    pub(super) requests: u64,
    pub(super) errors: u64,
}

impl ModelSlot {
    /// Tokens that most of its answers stay below, as far as is known.
    pub(super) fn usual_answer(&self) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of tokens")]
        Average::usual(self.answer).map(|tokens| tokens as u64)
    }
}

/// A provider.
#[derive(Debug)]
pub(super) struct ProviderSlot {
    pub(super) id: String,
    pub(super) base_url: String,
    pub(super) cooldown: Cooldown,
    pub(super) breaker: Breaker,
    pub(super) refusals: Refusals,
    pub(super) trouble: Trouble,
    /// Passing failures since the last sign of life.
    pub(super) streak: u32,
    /// When its turn among equals was last, as a count of all turns.
    pub(super) turn: u64,
    pub(super) latency: Option<Average>,
    pub(super) proven: Option<Millis>,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) keys: Vec<KeySlot>,
    pub(super) models: Vec<ModelSlot>,
    /// What is left of its quotas; keys and models under the numbers of their slots.
    pub(super) ledger: Ledger,
    key_index: BTreeMap<KeyId, usize>,
    model_index: BTreeMap<String, usize>,
}

impl ProviderSlot {
    fn new(id: &str, base_url: &str) -> Self {
        Self {
            id: id.to_owned(),
            base_url: base_url.to_owned(),
            cooldown: Cooldown::default(),
            breaker: Breaker::default(),
            refusals: Refusals::default(),
            trouble: Trouble::default(),
            streak: 0,
            turn: 0,
            latency: None,
            proven: None,
            requests: 0,
            errors: 0,
            keys: Vec::new(),
            models: Vec::new(),
            ledger: Ledger::default(),
            key_index: BTreeMap::new(),
            model_index: BTreeMap::new(),
        }
    }

    fn key_slot(&mut self, key: &Key) -> usize {
        let id = &key.id;
        if let Some(&slot) = self.key_index.get(id) {
            self.ledger.key(slot, id, key.owner.as_deref());
            return slot;
        }
        let slot = self.keys.len();
        self.ledger.key(slot, id, key.owner.as_deref());
        self.key_index.insert(id.clone(), slot);
        self.keys.push(KeySlot {
            id: id.clone(),
            cooldown: Cooldown::default(),
            pairs: Vec::new(),
            requests: 0,
            in_flight: 0,
        });
        slot
    }

    /// The slot of a key that has been here.
    pub(super) fn known_key(&self, id: &KeyId) -> Option<usize> {
        self.key_index.get(id).copied()
    }

    /// The slot of a model that has been here.
    pub(super) fn known_model(&self, id: &str) -> Option<usize> {
        self.model_index.get(id).copied()
    }

    fn model_slot(&mut self, id: &str) -> usize {
        if let Some(&slot) = self.model_index.get(id) {
            return slot;
        }
        let slot = self.models.len();
        self.ledger.model(slot, id);
        self.model_index.insert(id.to_owned(), slot);
        self.models.push(ModelSlot {
            id: id.to_owned(),
            cooldown: Cooldown::default(),
            refusals: Refusals::default(),
            prompt: Ceiling::default(),
            output: Ceiling::default(),
            last_key: None,
            first_byte: None,
            answer: None,
            reliability: Reliability::default(),
            proven: None,
            requests: 0,
            errors: 0,
        });
        slot
    }

    /// Takes note of the address in force. Another address is another server: what was the old one's fault
    /// is forgotten; limits stay, since they are the account's.
    fn move_to(&mut self, base_url: &str) {
        self.end_rests(|kind| kind == FailureKind::Loop);
        if self.base_url == base_url {
            return;
        }
        base_url.clone_into(&mut self.base_url);
        self.end_rests(|kind| {
            !matches!(kind, FailureKind::RateLimited | FailureKind::QuotaSpent | FailureKind::NoMoney)
        });
        self.breaker = Breaker::default();
        self.refusals = Refusals::default();
        self.trouble = Trouble::default();
        self.streak = 0;
        self.latency = None;
        self.proven = None;
        for model in &mut self.models {
            model.refusals = Refusals::default();
            model.prompt = Ceiling::default();
            model.output = Ceiling::default();
            model.first_byte = None;
            model.reliability = Reliability::default();
            model.proven = None;
        }
        for pair in self.keys.iter_mut().flat_map(KeySlot::pairs_mut) {
            pair.prompt = Ceiling::default();
        }
    }

    fn end_rests(&mut self, pick: impl Fn(FailureKind) -> bool) {
        self.cooldown.clear_if(&pick);
        for model in &mut self.models {
            model.cooldown.clear_if(&pick);
        }
        for key in &mut self.keys {
            key.cooldown.clear_if(&pick);
            for pair in key.pairs_mut() {
                pair.cooldown.clear_if(&pick);
                pair.suspect.clear_if(&pick);
            }
        }
    }
}

/// Whether something has worked so lately that a claim of its end is doubtful.
pub(super) fn lately(proven: Option<Millis>, now: Millis) -> bool {
    proven.is_some_and(|at| now < at.after(PROVEN_WITHIN))
}

/// All slots.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) providers: Vec<ProviderSlot>,
    index: BTreeMap<String, usize>,
}

impl Slots {
    /// Finds or makes the slots of a pool's members, and sheds what need not be known of keys that went.
    pub(super) fn enlist(&mut self, now: Millis, pool: Pool) -> Roster {
        let slots: Vec<_> = pool.members.iter().map(|member| self.enlist_member(member)).collect();
        let mut stays: Vec<Vec<bool>> = self.providers.iter().map(|p| vec![false; p.keys.len()]).collect();
        for member in &slots {
            for &key in &member.keys {
                stays[member.provider][key] = true;
            }
        }
        for (provider, stays) in self.providers.iter_mut().zip(stays) {
            let gone = provider.keys.iter_mut().zip(stays).filter(|(_, stays)| !stays);
            gone.for_each(|(key, _)| key.shed(now));
        }
        Roster { pool, slots }
    }

    /// A roster with one more model at one member; `None` when callers have named too many of them.
    pub(super) fn with_model(&mut self, roster: &Roster, member: usize, model: PoolModel) -> Option<Roster> {
        let (mut pool, mut slots) = (roster.pool.clone(), roster.slots.clone());
        let provider = &mut self.providers[slots[member].provider];
        if provider.models.len() >= MAX_MODELS && !provider.model_index.contains_key(&model.id) {
            return None;
        }
        slots[member].models.push(provider.model_slot(&model.id));
        slots[member].model_names.push(name_of(&model.id));
        pool.members[member].models.push(model);
        Some(Roster { pool, slots })
    }

    fn enlist_member(&mut self, member: &Member) -> MemberSlots {
        let id = &member.provider.id;
        let slot = match self.index.get(id) {
            Some(&slot) => slot,
            None => {
                self.providers.push(ProviderSlot::new(id, &member.base_url));
                self.index.insert(id.clone(), self.providers.len() - 1);
                self.providers.len() - 1
            }
        };
        let provider = &mut self.providers[slot];
        provider.move_to(&member.base_url);
        provider.ledger.publish(&member.provider.limits);
        let keys: Vec<usize> = member.keys.iter().map(|key| provider.key_slot(key)).collect();
        let places = keys.iter().enumerate().map(|(place, slot)| (*slot, place));
        MemberSlots {
            provider: slot,
            places: Arc::new(places.collect()),
            keys,
            models: member.models.iter().map(|model| provider.model_slot(&model.id)).collect(),
            embed: provider.model_slot(member.embed_model.as_deref().unwrap_or_default()),
            name: name_of(id),
            model_names: member.models.iter().map(|model| name_of(&model.id)).collect(),
            embed_name: name_of(member.embed_model.as_deref().unwrap_or_default()),
        }
    }
}
