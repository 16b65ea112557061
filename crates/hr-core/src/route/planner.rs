//! How a plan is made: gates, then scores, then turns.
//!
//! Members and their models are looked at first, whatever the keys ([`Group`]s), and put in order. Then the keys of the
//! best are, one after the other as their turns are, until there are choices enough: so a plan over very many keys
//! costs little more than one over a few. Keys of one group that differ in what they are worth part into [`Lot`]s.

use super::affinity::Home;
use super::ask::{Ask, Target, Work};
use super::breaker::BreakerPhase;
use super::gate::{Exclusion, Gate, Gatekeeper, key_rest, lost};
use super::merits::{Assessor, Brief, Merits, Tier};
use super::plan::{CHOICES, Candidate, Choice, DEAD_STREAK, EXCLUSIONS, KNOWN_BAD_STRIKES, Plan};
use super::score::{self, Rank, Terms};
use super::slots::{MemberSlots, ModelSlot, ProviderSlot, Roster, Slots};
use super::spend::{Allowance, Permit, cost_of, may_have_cost, worst_cost};
use super::tried::{Memory, Tried};
use super::turns::Turns;
use crate::pool::{Member, PoolModel, Rotation};
use crate::quota::{Headroom, Need, Outlook, Seat, Trial};
use crate::time::Millis;

/// Tokens of an answer of a model that has not answered yet, as far as can be guessed.
const GUESSED_ANSWER: u64 = 512;

/// What a plan is made from.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) now: Millis,
    pub(super) roster: &'a Roster,
    pub(super) slots: &'a Slots,
    pub(super) ask: &'a Ask,
    pub(super) tried: &'a Tried,
    pub(super) draw: u64,
    /// Where the conversation is at home.
    pub(super) home: Option<Home>,
    /// Whether failing candidates may be called once more.
    pub(super) retries: bool,
}

/// A model of a member that passed its gates, whatever the key.
struct Group<'a> {
    member: usize,
    model: usize,
    slots: &'a MemberSlots,
    provider: &'a ProviderSlot,
    /// The number of the model's slot.
    slot: usize,
    permit: Permit,
    need: Need,
    output: Option<u64>,
    /// What its best key can be worth.
    merits: Merits,
    rank: Rank,
    /// The key where the conversation is at home.
    home: Option<usize>,
    /// Keys that issued what the conversation holds, as a range of [`Planner::issuers`].
    issuers: std::ops::Range<usize>,
}

impl Group<'_> {
    fn state(&self) -> &ModelSlot {
        &self.provider.models[self.slot]
    }
}

/// Keys of a group that are worth the same.
struct Lot {
    group: usize,
    merits: Merits,
    terms: Terms,
    rank: Rank,
}

/// A key that may be asked.
struct Found {
    lot: usize,
    key: usize,
    outlook: Outlook,
    known_bad: bool,
    test: bool,
    retry: bool,
}

/// Where the keys of a group are being looked at.
struct Walk {
    /// The first of the group's lots.
    lots: usize,
    /// The first of the exclusions that stand for more than one key.
    merged: usize,
    /// Exclusions told one by one.
    told: u32,
    touched: bool,
    shut: bool,
    dead: bool,
}

/// What making one plan needs.
pub(super) struct Planner<'a> {
    scene: Scene<'a>,
    gates: Gatekeeper<'a>,
    brief: Brief,
    assessor: Assessor<'a>,
    allowance: Allowance,
    rotation: Rotation,
    groups: Vec<Group<'a>>,
    /// Keys that issued what the conversation holds and how long ago, member after member.
    issuers: Vec<(usize, u32)>,
    lots: Vec<Lot>,
    found: Vec<Found>,
    /// How many of those found nothing speaks against.
    open: usize,
    plan: Plan,
}

impl<'a> Planner<'a> {
    pub(super) fn new(scene: Scene<'a>) -> Self {
        let Scene { now, roster, ask, tried, .. } = scene;
        let rules = &roster.pool.rules;
        let gates = Gatekeeper {
            now,
            ask,
            tried,
            reasoning_reserve: rules.reasoning_reserve,
            shorten: false,
            wordy: false,
        };
        let brief = Brief::new(ask, rules, scene.home.is_some());
        let mut planner = Self {
            scene,
            gates,
            brief,
            assessor: Assessor::new(now, ask, tried),
            allowance: ask.allowance,
            rotation: rules.rotation,
            groups: Vec::new(),
            issuers: Vec::new(),
            lots: Vec::new(),
            found: Vec::new(),
            open: 0,
            plan: Plan { brief, ..Plan::default() },
        };
        planner.allowance = ask.allowance.after(planner.spent());
        planner
    }

    /// Takes those in whose window the answer has less room than the caller allows, and those who may answer in
    /// words where tools are offered.
    pub(super) fn content_with(mut self, shorten: bool, wordy: bool) -> Self {
        (self.gates.shorten, self.gates.wordy) = (shorten, wordy);
        self
    }

    /// What the calls of this request may have cost so far, where that matters.
    fn spent(&self) -> f64 {
        let Scene { roster, ask, tried, .. } = self.scene;
        if ask.allowance.per_request.is_none() {
            return 0.0;
        }
        let costly = tried.calls().filter(|(_, kind)| may_have_cost(*kind));
        let costs = costly.map(|(candidate, _)| {
            let member = roster.member(candidate);
            cost_of(candidate, member, ask.prompt_tokens, |model| self.gates.longest(member, model))
        });
        costs.map(|cost| cost.unwrap_or(f64::INFINITY)).sum()
    }

    /// Makes the plan.
    pub(super) fn run(mut self) -> Plan {
        let Scene { roster, slots, .. } = self.scene;
        for (index, (member, own)) in roster.pool.members.iter().zip(&roster.slots).enumerate() {
            self.member((index, member), (&slots.providers[own.provider], own));
        }
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.sort_unstable_by_key(|at| self.groups[*at].rank);
        for at in order {
            self.expand(at);
        }
        self.choose();
        self.plan
    }

    /// Puts a member's models through the gates.
    fn member(
        &mut self,
        (index, member): (usize, &'a Member),
        (provider, slots): (&'a ProviderSlot, &'a MemberSlots),
    ) {
        let ask = self.scene.ask;
        if let Target::Pin { provider: pinned, .. } = &ask.target
            && *pinned != member.provider.id
        {
            self.plan.exclusions.push(Exclusion::new(index, Gate::NotAsked));
            return;
        }
        if let Some(exclusion) = self.gates.member(index, member, provider) {
            if exclusion.gate == Gate::Loss {
                for what in lost(ask, member) {
                    note(&mut self.plan.lost, what);
                }
            }
            self.exclude(exclusion, provider, slots);
            return;
        }
        let issuers = self.issuers.len();
        for (ago, id) in (0..).zip(ask.issuers.iter().rev()) {
            let key = provider.known_key(id).and_then(|slot| slots.place(slot));
            let new = |key: &usize| self.issuers[issuers..].iter().all(|(known, _)| known != key);
            if let Some(key) = key.filter(new) {
                self.issuers.push((key, ago));
            }
        }
        let issuers = issuers..self.issuers.len();
        match ask.work {
            Work::Chat => self.chat_groups((index, member), (provider, slots), &issuers),
            Work::Embed => self.embed_group((index, member), (provider, slots)),
        }
    }

    fn chat_groups(
        &mut self,
        (index, member): (usize, &'a Member),
        (provider, slots): (&'a ProviderSlot, &'a MemberSlots),
        issuers: &std::ops::Range<usize>,
    ) {
        let mut asked = false;
        for (at, model) in member.models.iter().enumerate() {
            if let Target::Pin { model: pinned, .. } = &self.scene.ask.target
                && *pinned != model.id
            {
                continue;
            }
            if model.by_request && !self.names(&model.id) {
                continue;
            }
            asked = true;
            let slot = slots.model(at);
            let state = &provider.models[slot];
            if let Some(exclusion) = self.gates.model((index, member), (at, model), state) {
                self.exclude(exclusion, provider, slots);
                continue;
            }
            let longest = self.gates.longest(member, model);
            let Some(permit) = self.allowance.permit(model, self.scene.ask.prompt_tokens, longest) else {
                self.plan.exclusions.push(Exclusion::new(index, Gate::Spend).model(at));
                continue;
            };
            let home = self.scene.home.filter(|home| home.provider == slots.provider && home.model == slot);
            let home = home.and_then(|home| slots.place(home.key));
            let merits = Merits {
                home: home.is_some(),
                issued: self.issuers.get(issuers.clone()).and_then(|keys| keys.first()).map(|(_, ago)| *ago),
                ..self.assessor.chat((index, member), (at, model), (provider, state))
            };
            let output = self.gates.output(member, model);
            let group = Group {
                member: index,
                model: at,
                slots,
                provider,
                slot,
                permit,
                need: self.need(model, state, output, longest),
                output,
                merits,
                rank: Rank::default(),
                home,
                issuers: issuers.clone(),
            };
            self.add(group);
        }
        if !asked {
            self.plan.exclusions.push(Exclusion::new(index, Gate::Excluded));
        }
    }

    /// What a call is expected to take.
    fn need(&self, model: &PoolModel, state: &ModelSlot, asked: Option<u64>, longest: u64) -> Need {
        let input = self.scene.ask.prompt_tokens;
        let usual = state.usual_answer().unwrap_or(GUESSED_ANSWER);
        let output = usual.min(asked.unwrap_or(u64::MAX)).min(longest);
        Need { input, output, cost: worst_cost(model, input, output).unwrap_or_default() }
    }

    /// Whether the request names this model.
    fn names(&self, id: &str) -> bool {
        match &self.scene.ask.target {
            Target::Profile(_) => false,
            Target::Prefer(model) | Target::Pin { model, .. } => model == id,
        }
    }

    fn embed_group(
        &mut self,
        (index, member): (usize, &'a Member),
        (provider, slots): (&'a ProviderSlot, &'a MemberSlots),
    ) {
        let ask = self.scene.ask;
        let id = member.embed_model.as_deref().unwrap_or_default();
        if let Target::Pin { model: pinned, .. } = &ask.target
            && pinned != id
        {
            self.plan.exclusions.push(Exclusion::new(index, Gate::Excluded));
            return;
        }
        let slot = slots.model(Candidate::EMBED);
        if let Some(exclusion) = self.gates.state(index, Candidate::EMBED, &provider.models[slot]) {
            self.exclude(exclusion, provider, slots);
            return;
        }
        let Some(permit) = self.allowance.permit_embedding(member, ask.prompt_tokens) else {
            self.plan.exclusions.push(Exclusion::new(index, Gate::Spend).model(Candidate::EMBED));
            return;
        };
        let group = Group {
            member: index,
            model: Candidate::EMBED,
            slots,
            provider,
            slot,
            permit,
            need: Need { input: ask.prompt_tokens, output: 0, cost: 0.0 },
            output: None,
            merits: self.assessor.embed(index, id),
            rank: Rank::default(),
            home: None,
            issuers: 0..0,
        };
        self.add(group);
    }

    fn add(&mut self, mut group: Group<'a>) {
        let shut = group.provider.breaker.blocks(self.scene.now);
        group.merits.tier = if shut { Tier::Shut } else { Tier::Open };
        group.rank = score::rank(&self.brief, &group.merits, &score::terms(&self.brief, &group.merits));
        self.groups.push(group);
    }

    /// Looks at the keys of a group, as far as they are needed.
    fn expand(&mut self, at: usize) {
        let group = &self.groups[at];
        let provider = group.provider;
        let shut = group.merits.tier.is_shut();
        if shut && self.found.iter().any(|found| !self.lots[found.lot].merits.tier.is_shut()) {
            let exclusion = Exclusion::breaker(group.member, provider, self.scene.now);
            if !self.plan.exclusions.contains(&exclusion) {
                self.plan.exclusions.push(exclusion);
            }
            return;
        }
        if self.open >= CHOICES {
            self.plan.more += group.slots.keys.len();
            return;
        }
        let walk = &mut Walk {
            lots: self.lots.len(),
            merged: usize::MAX,
            told: 0,
            touched: self.scene.tried.touches(group.member, group.model),
            shut,
            dead: provider.streak >= DEAD_STREAK,
        };
        let (home, issuers) = (group.home, group.issuers.clone());
        let order = self.turns(group).order();
        if let Some(key) = home {
            self.key(at, key, walk);
        }
        for place in issuers.clone() {
            let (key, _) = self.issuers[place];
            if home != Some(key) {
                self.key(at, key, walk);
            }
        }
        let is_special = |planner: &Self, key: usize| {
            home == Some(key) || planner.issuers[issuers.clone()].iter().any(|(issuer, _)| *issuer == key)
        };
        for key in order {
            if self.open >= CHOICES {
                self.plan.more += 1;
            } else if !is_special(self, key) {
                self.key(at, key, walk);
            }
        }
    }

    /// How the keys of a group take turns.
    fn turns(&self, group: &Group<'_>) -> Turns {
        Turns {
            rotation: self.rotation,
            keys: group.slots.keys.len(),
            last: group.state().last_key.and_then(|slot| group.slots.place(slot)),
            draw: self.scene.draw,
        }
    }

    /// Finds out whether a key may be asked, and what it is worth.
    fn key(&mut self, at: usize, key: usize, walk: &mut Walk) {
        let Scene { now, ask, tried, retries, .. } = self.scene;
        let group = &self.groups[at];
        let (member, provider) = (group.member, group.provider);
        if let Some(rest) = key_rest(now, provider, group.slots, key) {
            return self.pass_over(at, key, Exclusion::cooling(member, rest), walk);
        }
        let key_slot = group.slots.keys[key];
        let pair = provider.keys[key_slot].pair(group.slot);
        if let Some(pair) = pair {
            if let Some(rest) = pair.cooldown.active(now) {
                return self.pass_over(at, key, Exclusion::cooling(member, rest), walk);
            }
            if pair.prompt.refuses(now, ask.prompt_tokens) {
                return self.pass_over(at, key, Exclusion::new(member, Gate::Context), walk);
            }
        }
        let seat = Seat { key: key_slot, model: group.slot };
        let (outlook, trial) = match provider.ledger.headroom(now, seat, group.need) {
            Headroom::Open(outlook) => (outlook, None),
            Headroom::Test(_, trial) => (Outlook::default(), Some(trial)),
            Headroom::Spent(hold) => return self.pass_over(at, key, Exclusion::quota(member, hold), walk),
        };
        let candidate = Candidate { member, model: group.model, key };
        let memory = if walk.touched { tried.memory(candidate) } else { Memory::Fresh };
        if let Memory::Spent(kind) = memory {
            return self.pass_over(at, key, Exclusion::tried(member, kind), walk);
        }
        let forgiven = memory == Memory::Forgiven;
        let suspect = forgiven || pair.is_some_and(|pair| pair.suspect.holds(now));
        let strikes = pair.map_or(0, |pair| pair.suspect.strikes());
        let failing =
            if walk.shut { walk.dead || strikes > 0 } else { suspect && strikes >= KNOWN_BAD_STRIKES };
        let known_bad = forgiven || failing;
        // The probe of a half-open breaker is what finds out.
        let probe = !walk.shut && provider.breaker.phase(now) == BreakerPhase::HalfOpen;
        let retry = known_bad && !tried.is_empty() && !probe;
        if retry && !retries {
            return self.pass_over(at, key, Exclusion::new(member, Gate::Retries), walk);
        }
        let tier = match (walk.shut, suspect) {
            (true, true) => Tier::SuspectShut,
            (true, false) => Tier::Shut,
            (false, true) => Tier::Suspect,
            (false, false) if trial == Some(Trial::Limit) => Tier::Limit,
            (false, false) if outlook.likely_spent => Tier::Doubtful,
            (false, false) => Tier::Open,
        };
        let issued = &self.issuers[group.issuers.clone()];
        let merits = Merits {
            tier,
            home: group.home == Some(key),
            issued: issued.iter().find(|(issuer, _)| *issuer == key).map(|(_, ago)| *ago),
            ..group.merits.with_outlook(&outlook, self.rotation)
        };
        self.open += usize::from(tier == Tier::Open);
        let lot = self.lot(at, merits, walk.lots);
        self.found.push(Found { lot, key, outlook, known_bad, test: trial.is_some(), retry });
    }

    /// The lot of keys that are worth this.
    fn lot(&mut self, group: usize, merits: Merits, first: usize) -> usize {
        if let Some(lot) = self.lots[first..].iter().rposition(|lot| lot.merits == merits) {
            return first + lot;
        }
        let terms = score::terms(&self.brief, &merits);
        let rank = score::rank(&self.brief, &merits, &terms);
        self.lots.push(Lot { group, merits, terms, rank });
        self.lots.len() - 1
    }

    /// Notes why a key is passed over: one by one for the first keys of a group, else together with those of the same
    /// reason.
    fn pass_over(&mut self, at: usize, key: usize, exclusion: Exclusion, walk: &mut Walk) {
        let exclusions = &mut self.plan.exclusions;
        let exclusion = exclusion.model(self.groups[at].model).key(key);
        if walk.told < EXCLUSIONS {
            walk.told += 1;
            exclusions.push(exclusion);
            return;
        }
        walk.merged = walk.merged.min(exclusions.len());
        let alike =
            |other: &&mut Exclusion| other.gate == exclusion.gate && other.because == exclusion.because;
        match exclusions[walk.merged..].iter_mut().find(alike) {
            Some(first) => {
                first.until = first.until.min(exclusion.until);
                first.alike += 1;
            }
            None => exclusions.push(exclusion),
        }
    }

    /// Brings those found into their order.
    fn choose(&mut self) {
        let mut order: Vec<usize> = (0..self.lots.len()).collect();
        order.sort_by_key(|lot| self.lots[*lot].rank);
        let mut place = vec![0; order.len()];
        for (at, lot) in order.into_iter().enumerate() {
            place[lot] = at;
        }
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|found| place[found.lot]);
        self.plan.more += found.len().saturating_sub(CHOICES);
        self.plan.choices = found.iter().take(CHOICES).map(|found| self.choice(found)).collect();
    }

    fn choice(&self, found: &Found) -> Choice {
        let lot = &self.lots[found.lot];
        let group = &self.groups[lot.group];
        Choice {
            candidate: Candidate { member: group.member, model: group.model, key: found.key },
            known_bad: found.known_bad,
            terms: lot.terms,
            merits: lot.merits,
            outlook: found.outlook,
            turns: self.turns(group),
            permit: group.permit,
            need: group.need,
            test: found.test,
            retry: found.retry,
            session: self.scene.ask.session.filter(|_| self.scene.ask.work == Work::Chat),
            prompt: self.scene.ask.prompt_tokens,
            output: group.output,
        }
    }

    /// Notes an exclusion, and which parameter is behind it.
    fn exclude(&mut self, exclusion: Exclusion, provider: &ProviderSlot, slots: &MemberSlots) {
        if exclusion.gate == Gate::Refuses {
            let refusals = match exclusion.model {
                Some(model) => &provider.models[slots.model(model)].refusals,
                None => &provider.refusals,
            };
            if let Some(param) = refusals.hit(self.scene.now, self.scene.ask) {
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
