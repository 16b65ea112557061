//! The plan of a request: gates, then scores, then turns; and every exclusion with its reason.

use serde::Serialize;

use super::ask::{Ask, Target, Work};
use super::gate::{Exclusion, Gate, Gatekeeper, key_rest, lost};
use super::merits::{Assessor, Brief, Merits};
use super::score::{self, Terms};
use super::slots::{MemberSlots, ProviderSlot, Roster, Slots};
use super::spend::Permit;
use super::tried::{Memory, Tried};
use crate::pool::{Member, Rotation};
use crate::quota::{Headroom, Need, Seat};
use crate::time::Millis;

/// A candidate that failed this often in a row is known to be bad; one failure may be chance.
pub const KNOWN_BAD_STRIKES: u8 = 2;

/// A provider whose last attempts failed this often in a row, whatever the key, is not just unlucky: behind
/// its open breaker all candidates are known to be bad, else those that failed themselves.
pub const DEAD_STREAK: u32 = 4;

/// Provider, model and key, by index into the roster's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Candidate {
    /// The member of the pool.
    pub member: usize,
    /// The member's model, or [`Candidate::EMBED`].
    pub model: usize,
    /// The member's key.
    pub key: usize,
}

impl Candidate {
    /// Stands as a model's index for the member's embedding model.
    pub const EMBED: usize = usize::MAX;
}

/// Somebody to ask.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// Who.
    pub candidate: Candidate,
    /// It is failing, as far as is known, or has failed this very request: asking it costs of a small budget.
    pub known_bad: bool,
    /// Why it stands where it stands.
    pub terms: Terms,
    /// That the call may cost what it costs.
    #[serde(skip)]
    pub permit: Permit,
    /// What the call is expected to take of its quotas.
    #[serde(skip)]
    pub(super) need: Need,
    /// It tests a claim that its quota is used up.
    #[serde(skip)]
    pub(super) test: bool,
    /// It is offered in spite of its provider's open breaker.
    #[serde(skip)]
    pub(super) last_resort: bool,
    /// The size of the prompt, to learn from a refusal.
    #[serde(skip)]
    pub(super) prompt: u64,
    /// The size of the answer that is asked for, likewise.
    #[serde(skip)]
    pub(super) output: Option<u64>,
}

/// Who may be asked, best first, and who may not.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// Best first.
    pub choices: Vec<Choice>,
    /// Everybody else, with the reason.
    pub exclusions: Vec<Exclusion>,
    /// Refused parameters behind [`Gate::Refuses`].
    #[serde(skip)]
    pub(super) refused: Vec<String>,
    /// What would be lost behind [`Gate::Loss`].
    #[serde(skip)]
    pub(super) lost: Vec<String>,
}

impl Plan {
    /// When the first of those who rest can be asked again.
    #[must_use]
    pub fn earliest(&self) -> Option<Millis> {
        self.exclusions.iter().filter_map(|exclusion| exclusion.until).min()
    }
}

/// A model of a member that passed its gates; its candidates share everything but the key.
#[derive(Clone)]
struct Group<'a> {
    member: usize,
    model: usize,
    merits: Merits,
    terms: Terms,
    permit: Permit,
    need: Need,
    output: Option<u64>,
    slots: &'a MemberSlots,
    provider: &'a ProviderSlot,
    /// Usable keys of the member, as a range of [`Planner::keys`].
    keys: std::ops::Range<usize>,
    /// Whether these keys issued what the conversation holds: how long ago the first of them did, in turns of
    /// issuers. They stand in their own order.
    issued: Option<usize>,
}

/// What making one plan needs.
pub(super) struct Planner<'a> {
    now: Millis,
    ask: &'a Ask,
    tried: &'a Tried,
    draw: u64,
    gates: Gatekeeper<'a>,
    brief: Brief,
    assessor: Assessor<'a>,
    rotation: Rotation,
    /// Usable keys of all members that have a group, one after the other.
    keys: Vec<usize>,
    plan: Plan,
}

/// Those who are asked only when there is nobody better, in the order in which they are then asked.
#[derive(Default)]
struct Reserve {
    /// Failing lately.
    suspects: Vec<Choice>,
    /// Behind an open breaker.
    behind_breaker: Vec<Choice>,
    /// Failing lately, and behind an open breaker.
    suspects_behind_breaker: Vec<Choice>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(now: Millis, roster: &Roster, ask: &'a Ask, tried: &'a Tried, draw: u64) -> Self {
        let rules = &roster.pool.rules;
        Self {
            now,
            ask,
            tried,
            draw,
            gates: Gatekeeper { now, ask, tried, reasoning_reserve: rules.reasoning_reserve, shorten: false },
            brief: Brief::new(ask, rules, false),
            assessor: Assessor::new(now, ask, tried),
            rotation: rules.rotation,
            keys: Vec::new(),
            plan: Plan::default(),
        }
    }

    /// Takes those in whose window the answer has less room than the caller allows.
    pub(super) fn shorten(mut self) -> Self {
        self.gates.shorten = true;
        self
    }

    /// Makes the plan.
    pub(super) fn run(mut self, slots: &'a Slots, roster: &'a Roster) -> Plan {
        let mut groups = Vec::new();
        for (index, (member, own)) in roster.pool.members.iter().zip(&roster.slots).enumerate() {
            self.member((index, member), (&slots.providers[own.provider], own), &mut groups);
        }
        groups
            .sort_unstable_by_key(|group: &Group<'_>| score::rank(&self.brief, &group.merits, &group.terms));
        let mut reserve = Reserve::default();
        self.plan.choices.reserve(groups.iter().map(|group| group.keys.len()).sum());
        for group in &groups {
            self.group(group, &mut reserve);
            if self.ask.work == Work::Embed {
                self.plan.choices.append(&mut reserve.suspects);
            }
        }
        self.plan.choices.append(&mut reserve.suspects);
        self.call_up(reserve, slots, roster);
        self.plan
    }

    /// Puts a member's models through the gates, then its keys.
    fn member(
        &mut self,
        (index, member): (usize, &'a Member),
        (provider, slots): (&'a ProviderSlot, &'a MemberSlots),
        groups: &mut Vec<Group<'a>>,
    ) {
        if let Target::Pin { provider: pinned, .. } = &self.ask.target
            && *pinned != member.provider.id
        {
            self.plan.exclusions.push(Exclusion::new(index, Gate::NotAsked));
            return;
        }
        if let Some(exclusion) = self.gates.member(index, member, provider) {
            if exclusion.gate == Gate::Loss {
                for what in lost(self.ask, member) {
                    note(&mut self.plan.lost, what);
                }
            }
            self.exclude(exclusion, provider, slots);
            return;
        }
        let first = groups.len();
        match self.ask.work {
            Work::Chat => self.chat_groups((index, member), (provider, slots), groups),
            Work::Embed => self.embed_group((index, member), (provider, slots), groups),
        }
        if groups.len() == first {
            return;
        }
        let start = self.keys.len();
        for key in 0..slots.keys.len() {
            match key_rest(self.now, provider, slots, key) {
                Some(rest) => self.plan.exclusions.push(Exclusion::cooling(index, rest).key(key)),
                None => self.keys.push(key),
            }
        }
        if self.ask.issuers.is_empty() {
            groups[first..].iter_mut().for_each(|group| group.keys = start..self.keys.len());
            return;
        }
        let ago = |key: &usize| self.ask.issuers.iter().rev().position(|id| *id == member.keys[*key].id);
        let keys = &mut self.keys[start..];
        keys.sort_by_key(|key| ago(key).unwrap_or(usize::MAX));
        let issued = keys.first().and_then(ago);
        let others = start + keys.iter().take_while(|key| ago(key).is_some()).count();
        for at in first..groups.len() {
            let group = &mut groups[at];
            group.keys = others..self.keys.len();
            let Some(ago) = issued else { continue };
            let merits = Merits { issued: u32::try_from(ago).ok(), ..group.merits };
            let terms = score::terms(&self.brief, &merits);
            let own = Group { keys: start..others, issued, merits, terms, ..group.clone() };
            groups.push(own);
        }
    }

    fn chat_groups(
        &mut self,
        (index, member): (usize, &'a Member),
        (provider, slots): (&'a ProviderSlot, &'a MemberSlots),
        groups: &mut Vec<Group<'a>>,
    ) {
        let mut asked = false;
        for (at, model) in member.models.iter().enumerate() {
            if let Target::Pin { model: pinned, .. } = &self.ask.target
                && *pinned != model.id
            {
                continue;
            }
            if model.by_request && !self.names(&model.id) {
                continue;
            }
            asked = true;
            let slot = &provider.models[slots.model(at)];
            if let Some(exclusion) = self.gates.model((index, member), (at, model), slot) {
                self.exclude(exclusion, provider, slots);
                continue;
            }
            let output = self.gates.output(member, model);
            let Some(permit) =
                self.ask.allowance.permit(model, self.ask.prompt_tokens, output.unwrap_or_default())
            else {
                self.plan.exclusions.push(Exclusion::new(index, Gate::Spend).model(at));
                continue;
            };
            let merits = self.assessor.chat((index, member), (at, model), (provider, slot));
            groups.push(Group {
                member: index,
                model: at,
                merits,
                permit,
                need: Need { input: self.ask.prompt_tokens, output: output.unwrap_or_default(), cost: 0.0 },
                terms: score::terms(&self.brief, &merits),
                output,
                slots,
                provider,
                keys: 0..0,
                issued: None,
            });
        }
        if !asked {
            self.plan.exclusions.push(Exclusion::new(index, Gate::Excluded));
        }
    }

    /// Whether the request names this model.
    fn names(&self, id: &str) -> bool {
        match &self.ask.target {
            Target::Profile(_) => false,
            Target::Prefer(model) | Target::Pin { model, .. } => model == id,
        }
    }

    fn embed_group(
        &mut self,
        (index, member): (usize, &'a Member),
        (provider, slots): (&'a ProviderSlot, &'a MemberSlots),
        groups: &mut Vec<Group<'a>>,
    ) {
        let id = member.embed_model.as_deref().unwrap_or_default();
        if let Target::Pin { model: pinned, .. } = &self.ask.target
            && pinned != id
        {
            self.plan.exclusions.push(Exclusion::new(index, Gate::Excluded));
            return;
        }
        let slot = &provider.models[slots.model(Candidate::EMBED)];
        if let Some(exclusion) = self.gates.state(index, Candidate::EMBED, slot) {
            self.exclude(exclusion, provider, slots);
            return;
        }
        let Some(permit) = self.ask.allowance.permit_embedding(&member.provider) else {
            self.plan.exclusions.push(Exclusion::new(index, Gate::Spend).model(Candidate::EMBED));
            return;
        };
        let merits = self.assessor.embed(index, id);
        groups.push(Group {
            member: index,
            model: Candidate::EMBED,
            merits,
            permit,
            need: Need { input: self.ask.prompt_tokens, output: 0, cost: 0.0 },
            terms: score::terms(&self.brief, &merits),
            output: None,
            slots,
            provider,
            keys: 0..0,
            issued: None,
        });
    }

    /// Orders a group's keys by their turn and sorts them into choices, reserve and exclusions.
    fn group(&mut self, group: &Group<'a>, reserve: &mut Reserve) {
        let slot = group.slots.model(group.model);
        let touched = self.tried.touches(group.member, group.model);
        let shut = group.provider.breaker.blocks(self.now);
        let dead = group.provider.streak >= DEAD_STREAK;
        let start = self.first_turn(group, slot);
        let count = group.keys.len();
        for turn in 0..count {
            let key = self.keys[group.keys.start + (start + turn) % count];
            let candidate = Candidate { member: group.member, model: group.model, key };
            let pair = group.provider.keys[group.slots.keys[key]].pair(slot);
            if let Some(pair) = pair {
                let rest = pair.cooldown.active(self.now).map(|rest| Exclusion::cooling(group.member, rest));
                let full = || pair.prompt.refuses(self.now, self.ask.prompt_tokens);
                let out = rest.or_else(|| full().then(|| Exclusion::new(group.member, Gate::Context)));
                if let Some(exclusion) = out {
                    self.plan.exclusions.push(exclusion.model(group.model).key(key));
                    continue;
                }
            }
            let seat = Seat { key: group.slots.keys[key], model: slot };
            let test = match group.provider.ledger.headroom(self.now, seat, group.need) {
                Headroom::Open(_) => false,
                Headroom::Test(..) => true,
                Headroom::Spent(hold) => {
                    let exclusion = Exclusion::quota(group.member, hold);
                    self.plan.exclusions.push(exclusion.model(group.model).key(key));
                    continue;
                }
            };
            let memory = if touched { self.tried.memory(candidate) } else { Memory::Fresh };
            if let Memory::Spent(kind) = memory {
                let exclusion =
                    Exclusion { because: Some(kind), ..Exclusion::new(group.member, Gate::Tried) };
                self.plan.exclusions.push(exclusion.model(group.model).key(key));
                continue;
            }
            let forgiven = memory == Memory::Forgiven;
            let suspect = forgiven || pair.is_some_and(|pair| pair.suspect.holds(self.now));
            let strikes = pair.map_or(0, |pair| pair.suspect.strikes());
            let failing = if shut { dead || strikes > 0 } else { suspect && strikes >= KNOWN_BAD_STRIKES };
            let choice = Choice {
                candidate,
                known_bad: forgiven || failing,
                terms: group.terms,
                permit: group.permit,
                need: group.need,
                test,
                last_resort: shut,
                prompt: self.ask.prompt_tokens,
                output: group.output,
            };
            let place = match (shut, suspect) {
                (true, true) => &mut reserve.suspects_behind_breaker,
                (true, false) => &mut reserve.behind_breaker,
                (false, true) => &mut reserve.suspects,
                (false, false) => &mut self.plan.choices,
            };
            place.push(choice);
        }
    }

    /// Where in a group's keys the turn begins.
    fn first_turn(&self, group: &Group<'_>, slot: usize) -> usize {
        let keys = &self.keys[group.keys.clone()];
        if group.issued.is_some() {
            return 0;
        }
        match (self.rotation, group.provider.models[slot].last_key) {
            (Rotation::Sequential, _) => 0,
            (Rotation::RoundRobin, Some(last)) => {
                // The keys in the user's order, beginning after the one whose turn was last.
                let after = group.slots.keys.iter().position(|key| *key == last).map_or(0, |at| at + 1);
                keys.iter().position(|key| *key >= after).unwrap_or(0)
            }
            (Rotation::RoundRobin, None) => {
                let count = u64::try_from(keys.len()).unwrap_or(u64::MAX).max(1);
                usize::try_from(self.draw % count).unwrap_or(0)
            }
        }
    }

    /// Calls up the reserve when nobody else is left; else says what keeps it back.
    fn call_up(&mut self, mut reserve: Reserve, slots: &Slots, roster: &Roster) {
        if self.plan.choices.is_empty() {
            self.plan.choices.append(&mut reserve.behind_breaker);
            self.plan.choices.append(&mut reserve.suspects_behind_breaker);
            return;
        }
        let mut shut: Vec<usize> = reserve
            .behind_breaker
            .iter()
            .chain(&reserve.suspects_behind_breaker)
            .map(|choice| choice.candidate.member)
            .collect();
        shut.sort_unstable();
        shut.dedup();
        for member in shut {
            let provider = &slots.providers[roster.slots[member].provider];
            self.plan.exclusions.push(Exclusion::breaker(member, provider, self.now));
        }
    }

    /// Notes an exclusion, and which parameter is behind it.
    fn exclude(&mut self, exclusion: Exclusion, provider: &ProviderSlot, slots: &MemberSlots) {
        if exclusion.gate == Gate::Refuses {
            let refusals = match exclusion.model {
                Some(model) => &provider.models[slots.model(model)].refusals,
                None => &provider.refusals,
            };
            if let Some(param) = refusals.hit(self.now, self.ask) {
                note(&mut self.plan.refused, param.to_owned());
            }
        }
        self.plan.exclusions.push(exclusion);
    }
}

/// Notes a word once.
fn note(words: &mut Vec<String>, word: String) {
    if !words.contains(&word) {
        words.push(word);
    }
}
