//! The health of providers, keys and models, for `/v1/status` and `hr status`.

use serde::Serialize;

use super::breaker::BreakerPhase;
use super::gate::{key_rest, resting};
use super::slots::{Address, Average, KeySlot, MemberSlots, ProviderSlot, Roster, Slots};
use crate::failure::FailureKind;
use crate::pool::Member;
use crate::quota::Seat;
use crate::secret::KeyId;
use crate::time::Millis;

/// The state of a member of the pool.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct MemberState {
    /// The provider's id.
    pub provider: String,
    /// Until when nobody of it can be called: the provider rests, or each of its keys with each model that the
    /// pool offers.
    pub cooling_until: Option<Millis>,
    /// Why it rests.
    pub because: Option<FailureKind>,
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// Its keys, in order.
    pub keys: Vec<KeyState>,
    /// Its models, in order.
    pub models: Vec<ModelState>,
    /// Attempts begun since the router started.
    pub requests: u64,
    /// Those that failed through no fault of the caller.
    pub errors: u64,
    /// How long a reply takes on average, while that is known.
    pub avg_latency_ms: Option<f64>,
}

/// The state of a breaker.
#[derive(Serialize, Clone, Copy, Debug, PartialEq)]
pub struct BreakerState {
    /// What it lets through.
    #[serde(rename = "state")]
    pub phase: BreakerPhase,
    /// Until when it is open.
    pub until: Option<Millis>,
    /// Failures among the last results.
    pub recent_failures: usize,
}

/// The state of a key.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct KeyState {
    /// The key's stable id.
    pub id: KeyId,
    /// Attempts begun with it.
    pub requests: u64,
    /// Attempts under way.
    pub in_flight: u32,
    /// Until when it rests on every model that the pool offers.
    pub cooling_until: Option<Millis>,
    /// Why it rests.
    pub because: Option<FailureKind>,
}

/// The state of a model.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct ModelState {
    /// The model's id.
    pub id: String,
    /// Until when it rests with every key.
    pub cooling_until: Option<Millis>,
    /// Why it rests.
    pub because: Option<FailureKind>,
    /// The wait for a first byte on average, while that is known.
    pub first_byte_ms: Option<f64>,
    /// Attempts begun.
    pub requests: u64,
    /// Those that failed through no fault of the caller.
    pub errors: u64,
}

/// The state of every member of the roster.
pub(super) fn snapshot(now: Millis, slots: &Slots, roster: &Roster) -> Vec<MemberState> {
    let members = roster.pool.members.iter().zip(&roster.slots);
    members.map(|(member, own)| member_state(now, member, own, &slots.providers[own.provider])).collect()
}

fn member_state(now: Millis, member: &Member, own: &MemberSlots, provider: &ProviderSlot) -> MemberState {
    let candidates = (0..own.keys.len()).flat_map(|key| offered(member).map(move |model| (key, model)));
    let rest = every_rest(now, own, provider, candidates);
    MemberState {
        provider: provider.id.clone(),
        cooling_until: rest.map(|(until, _)| until),
        because: rest.map(|(_, because)| because),
        breaker: BreakerState {
            phase: provider.breaker.phase(now),
            until: provider.breaker.open_until(now),
            recent_failures: provider.breaker.recent_failures(),
        },
        keys: (0..own.keys.len()).map(|index| key_state(now, member, own, provider, index)).collect(),
        models: (0..member.models.len()).map(|index| model_state(now, own, provider, index)).collect(),
        requests: provider.requests,
        errors: provider.errors,
        avg_latency_ms: Average::fresh(provider.latency, now),
    }
}

/// The models that the pool offers to whoever names none of them; where there are none, all.
fn offered(member: &Member) -> impl Iterator<Item = usize> + Clone {
    let all_by_request = member.models.iter().all(|model| model.by_request);
    let models = member.models.iter().enumerate();
    models.filter(move |(_, model)| all_by_request || !model.by_request).map(|(index, _)| index)
}

/// The first end of the rests of these keys and models, when each of them rests.
fn every_rest(
    now: Millis,
    own: &MemberSlots,
    provider: &ProviderSlot,
    candidates: impl Iterator<Item = (usize, usize)>,
) -> Option<(Millis, FailureKind)> {
    let rests: Option<Vec<_>> =
        candidates.map(|(key, model)| waiting(now, provider, &own.address(key, model))).collect();
    rests?.into_iter().min_by_key(|(until, _)| *until)
}

/// Why a candidate must not be called now, looking at rests and quotas.
fn waiting(now: Millis, provider: &ProviderSlot, address: &Address) -> Option<(Millis, FailureKind)> {
    let quota = spent(now, provider, address.seat());
    resting(now, provider, address).into_iter().chain(quota).max_by_key(|(until, _)| *until)
}

fn key_state(
    now: Millis,
    member: &Member,
    own: &MemberSlots,
    provider: &ProviderSlot,
    index: usize,
) -> KeyState {
    let key = &provider.keys[own.keys[index]];
    let seats = offered(member).map(|model| own.address(index, model).seat());
    let rest = key_rest(now, provider, own, index).or_else(|| every_pair_rest(now, provider, key, seats));
    KeyState {
        id: key.id.clone(),
        requests: key.requests,
        in_flight: key.in_flight,
        cooling_until: rest.map(|(until, _)| until),
        because: rest.map(|(_, because)| because),
    }
}

/// The first end of the waits of a key that waits with each of these models.
fn every_pair_rest(
    now: Millis,
    provider: &ProviderSlot,
    key: &KeySlot,
    seats: impl Iterator<Item = Seat>,
) -> Option<(Millis, FailureKind)> {
    let rests = seats.map(|seat| {
        let rest = key.pair(seat.model).and_then(|pair| pair.cooldown.active(now));
        rest.into_iter().chain(spent(now, provider, seat)).max_by_key(|(until, _)| *until)
    });
    let rests: Option<Vec<_>> = rests.collect();
    rests?.into_iter().min_by_key(|(until, _)| *until)
}

/// Until when a quota is used up, and which kind of one.
fn spent(now: Millis, provider: &ProviderSlot, seat: Seat) -> Option<(Millis, FailureKind)> {
    provider.ledger.hold(now, seat).map(|hold| (hold.until, hold.because))
}

fn model_state(now: Millis, own: &MemberSlots, provider: &ProviderSlot, index: usize) -> ModelState {
    let model = &provider.models[own.model(index)];
    let candidates = (0..own.keys.len()).map(|key| (key, index));
    let rest = model.cooldown.active(now).or_else(|| every_rest(now, own, provider, candidates));
    ModelState {
        id: model.id.clone(),
        cooling_until: rest.map(|(until, _)| until),
        because: rest.map(|(_, because)| because),
        first_byte_ms: Average::fresh(model.first_byte, now),
        requests: model.requests,
        errors: model.errors,
    }
}

/// The next instant at which something ends by itself: a rest, or the time that a breaker stays open.
pub(super) fn next_wakeup(now: Millis, slots: &Slots) -> Option<Millis> {
    slots.providers.iter().filter_map(|provider| provider_wakeup(now, provider)).min()
}

fn provider_wakeup(now: Millis, provider: &ProviderSlot) -> Option<Millis> {
    let pairs = provider.keys.iter().flat_map(KeySlot::pairs).map(|pair| &pair.cooldown);
    let rests = [&provider.cooldown]
        .into_iter()
        .chain(provider.keys.iter().map(|key| &key.cooldown))
        .chain(provider.models.iter().map(|model| &model.cooldown))
        .chain(pairs)
        .filter_map(|cooldown| cooldown.active(now))
        .map(|(until, _)| until);
    rests.chain(provider.breaker.open_until(now)).chain(provider.ledger.next_wakeup(now)).min()
}
