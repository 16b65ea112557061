//! The buckets of one provider, and the questions that are asked of them.
//!
//! A key belongs to an account: that of its declared owner, or one of its own. What is counted against an address
//! belongs to everybody's account, and owners that seem to be one have a joint one besides their own. A call counts in
//! all of those.

use std::collections::BTreeMap;

use super::account::{Account, MAX_BUCKETS, Name};
use super::bucket::Bucket;
use super::calendar::{Cycle, length};
use super::call::{Headroom, Hold, Need, Reservation, Seat, Trial};
use super::estimate::Estimate;
use super::gauge::{Amounts, both};
use super::models::{ModelSet, Models};
use super::owners::{Pair, SURE_TRIED_EVERY, Union};
use super::reading::{Reach, Source};
use super::trials::Trials;
use super::window::{Rolling, Window};
use crate::catalog::{Limit, LimitSpan, LimitUnit, OwnerScope};
use crate::secret::KeyId;
use crate::time::Millis;

/// Everybody's account.
pub(super) const EVERYONE: usize = 0;

/// A call that was reserved and has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay {
    pub(super) key: usize,
    pub(super) model: u32,
    pub(super) amounts: Amounts,
    /// When it was begun.
    pub(super) at: Millis,
    /// It puts something to the test.
    pub(super) trial: Option<Trial>,
}

/// The buckets of one provider.
#[derive(Debug)]
pub struct Ledger {
    pub(super) accounts: Vec<Account>,
    pub(super) names: BTreeMap<Name, usize>,
    /// By the key's number: its id and its account.
    pub(super) keys: Vec<(KeyId, usize)>,
    /// Likewise, where a plan looks.
    pub(super) homes: Vec<u32>,
    pub(super) models: Models,
    /// By our number of the model.
    pub(super) estimates: Vec<Estimate>,
    pub(super) published: Vec<Limit>,
    pub(super) under_way: Vec<Option<UnderWay>>,
    vacant: Vec<usize>,
    pub(super) trials: Trials,
    /// By joint account.
    pub(super) unions: BTreeMap<usize, Union>,
    /// By two accounts.
    pub(super) pairs: BTreeMap<(usize, usize), Pair>,
    /// By how many milliseconds the provider's clock is ahead of ours.
    pub(super) ahead: i64,
    /// Models whose estimates have changed since they were last kept.
    pub(super) learned: Vec<u32>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            accounts: vec![Account::new(Name::Everyone)],
            names: BTreeMap::from([(Name::Everyone, EVERYONE)]),
            keys: Vec::new(),
            homes: Vec::new(),
            models: Models::default(),
            estimates: Vec::new(),
            published: Vec::new(),
            under_way: Vec::new(),
            vacant: Vec::new(),
            trials: Trials::default(),
            unions: BTreeMap::new(),
            pairs: BTreeMap::new(),
            ahead: 0,
            learned: Vec::new(),
        }
    }
}

impl Ledger {
    /// Makes a key known under this number, or notes that its declared owner changed.
    pub fn key(&mut self, number: usize, id: &KeyId, owner: Option<&str>) {
        let name = match owner {
            Some(owner) => Name::Owner(owner.to_owned()),
            None => Name::Key(id.0.clone()),
        };
        let account = self.account(name);
        while self.keys.len() <= number {
            self.keys.push((KeyId(String::new()), EVERYONE));
            self.homes.push(0);
        }
        let before = std::mem::replace(&mut self.keys[number], (id.clone(), account));
        self.homes[number] = u32::try_from(account).unwrap_or(0);
        if before.1 == account {
            return;
        }
        self.accounts[account].keys.push(number);
        // What the key used by itself before somebody said whose it is counts for them.
        let own = self.names.get(&Name::Key(id.0.clone())).copied();
        for from in [Some(before.1), own].into_iter().flatten() {
            if from != EVERYONE && from != account {
                self.accounts[from].keys.retain(|key| *key != number);
                self.move_use(from, account);
            }
        }
    }

    /// Makes a model known under this number.
    pub fn model(&mut self, number: usize, id: &str) {
        self.models.number(number, id);
        let model = self.models.own(number);
        self.meet(model);
    }

    /// Takes note of what is published in the catalogue.
    pub fn publish(&mut self, limits: &[Limit]) {
        if self.published == limits {
            return;
        }
        self.published = limits.to_vec();
        for account in &mut self.accounts {
            for bucket in &mut account.buckets {
                bucket.set_limit(Source::Catalog, None);
            }
        }
    }

    /// Whether there is room for a call.
    #[must_use]
    pub fn headroom(&self, now: Millis, seat: Seat, need: Need) -> Headroom {
        let model = self.models.own(seat.model);
        let amounts = self.amounts(model, &need);
        let home = self.homes.get(seat.key).map_or(EVERYONE, |home| *home as usize);
        let account = &self.accounts[home];
        let mut headroom = account.look(now, model, &amounts);
        if let Some(joint) = account.joint {
            headroom = both(headroom, self.accounts[joint].look(now, model, &amounts));
        }
        let everyone = &self.accounts[EVERYONE];
        if !everyone.is_blank() && home != EVERYONE {
            headroom = both(headroom, everyone.look(now, model, &amounts));
        }
        match headroom {
            Headroom::Test(hold, Trial::Limit) if !self.trials.are_left() => Headroom::Spent(hold),
            headroom => headroom,
        }
    }

    /// What calls of a seat have to wait for now, if anything.
    #[must_use]
    pub fn hold(&self, now: Millis, seat: Seat) -> Option<Hold> {
        match self.headroom(now, seat, Need { input: 1, ..Need::default() }) {
            Headroom::Open(_) => None,
            Headroom::Spent(hold) | Headroom::Test(hold, _) => Some(hold),
        }
    }

    /// Reserves a call in every bucket that applies, whether or not there is room.
    pub fn reserve(&mut self, now: Millis, seat: Seat, need: Need) -> Reservation {
        let trial = match self.headroom(now, seat, need) {
            Headroom::Test(_, trial) => Some(trial),
            _ => None,
        };
        let model = self.models.own(seat.model);
        let amounts = self.amounts(model, &need);
        self.trials.call();
        let mut counted = false;
        for account in self.accounts_of(seat.key) {
            self.lay_out(now, account, model);
            if let Some(trial) = trial {
                self.begin_trial(now, account, model, &amounts, trial);
            }
            let account = &mut self.accounts[account];
            for bucket in account.buckets.iter_mut().filter(|bucket| bucket.models.covers(model)) {
                bucket.observe(now);
                bucket.reserve(now, amounts.of(bucket.unit));
            }
            // A test of one model is one of the owner.
            if !account.is_blank() {
                account.refresh(now, Some(model).filter(|_| trial.is_none()));
                counted = true;
            }
        }
        match trial {
            Some(Trial::Limit) => self.trials.begin(),
            Some(Trial::Claim) => self.note_test(now, self.home(seat.key)),
            None => {}
        }
        let call = UnderWay { key: seat.key, model, amounts, at: now, trial };
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.under_way.push(None);
            self.under_way.len() - 1
        });
        self.under_way[place] = Some(call);
        Reservation { seat, at: now, need, test: trial.is_some(), counted, place }
    }

    /// The next instant at which a bucket frees something that calls wait for.
    #[must_use]
    pub fn next_wakeup(&self, now: Millis) -> Option<Millis> {
        self.accounts
            .iter()
            .filter(|account| !account.is_blank())
            .filter_map(|account| account.wakes(now))
            .min()
    }

    /// Takes a call off the list of those under way.
    pub(super) fn finish(&mut self, place: usize) -> Option<UnderWay> {
        let call = self.under_way.get_mut(place)?.take()?;
        self.vacant.push(place);
        Some(call)
    }

    /// What a call is expected to take, by what calls to its model have taken.
    pub(super) fn amounts(&self, model: u32, need: &Need) -> Amounts {
        let mut amounts = match self.estimates.get(model as usize) {
            Some(estimate) => estimate.amounts(need),
            None => Estimate::default().amounts(need),
        };
        amounts.input = amounts.input.max(Amounts::LEAST.input);
        amounts
    }

    /// The account of this name.
    pub(super) fn account(&mut self, name: Name) -> usize {
        if let Some(&account) = self.names.get(&name) {
            return account;
        }
        self.accounts.push(Account::new(name.clone()));
        self.names.insert(name, self.accounts.len() - 1);
        self.accounts.len() - 1
    }

    /// The accounts that a key's calls count in.
    pub(super) fn accounts_of(&self, key: usize) -> impl Iterator<Item = usize> + use<> {
        let home = self.home(key);
        let own = (home != EVERYONE).then_some(home);
        [own, self.accounts[home].joint, Some(EVERYONE)].into_iter().flatten()
    }

    /// The account that a key belongs to.
    pub(super) fn home(&self, key: usize) -> usize {
        self.homes.get(key).map_or(EVERYONE, |home| *home as usize)
    }

    /// Lets sets of models take in one that has become known.
    pub(super) fn meet(&mut self, model: u32) {
        let id = self.models.id(model).to_owned();
        for account in &mut self.accounts {
            account.buckets.iter_mut().for_each(|bucket| bucket.models.meet(model, &id));
            account.holds.iter_mut().for_each(|held| held.models.meet(model, &id));
        }
    }

    /// Makes the buckets of published limits for a model that is called for the first time.
    pub(super) fn lay_out(&mut self, now: Millis, account: usize, model: u32) {
        if account != EVERYONE {
            self.accounts[account].watch(model);
        }
        for index in 0..self.published.len() {
            let limit = &self.published[index];
            let everybodys = limit.owner == OwnerScope::Address;
            if everybodys != (account == EVERYONE) {
                continue;
            }
            let models = self.models.reached(&limit.reach(), model);
            if !models.covers(model) {
                continue;
            }
            let (unit, per, amount) = (limit.unit, limit.per, limit.amount);
            let place = match self.accounts[account].find(&models, unit, Some(per)) {
                Some(place) => place,
                None => match self.open(now, account, models, unit, Some(per), None) {
                    Some(place) => place,
                    None => continue,
                },
            };
            let bucket = &mut self.accounts[account].buckets[place];
            if bucket.limits[Source::Catalog as usize].is_none() && amount.is_finite() && amount >= 0.0 {
                bucket.set_limit(Source::Catalog, Some(amount));
            }
        }
        if account == EVERYONE && !self.accounts[account].is_blank() {
            self.accounts[account].watch(model);
        }
    }

    /// Makes a bucket in which the calls that are under way count; `None` when there are too many.
    pub(super) fn open(
        &mut self,
        now: Millis,
        account: usize,
        models: ModelSet,
        unit: LimitUnit,
        span: Option<LimitSpan>,
        scope: Option<OwnerScope>,
    ) -> Option<usize> {
        if self.accounts[account].buckets.len() >= MAX_BUCKETS {
            return None;
        }
        let published = self.published.iter().find(|limit| {
            let alike = limit.unit == unit && Some(limit.per) == span;
            alike && (limit.models.is_empty() || self.overlap(&limit.reach(), &models))
        });
        let cycle = published.and_then(|limit| limit.reset.as_deref()).and_then(Cycle::named);
        let scope = scope.or(published.map(|limit| limit.owner));
        let window = match (cycle, span.and_then(length)) {
            _ if unit == LimitUnit::Concurrent => Window::Still { used: 0.0 },
            (Some(cycle), length) => Window::fixed(length, Some(cycle), self.ahead),
            (None, Some(length)) if unit != LimitUnit::Percent => Window::Rolling(Rolling::new(length)),
            (None, length) => Window::fixed(length, None, self.ahead),
        };
        let mut bucket = Bucket::new(models, unit, span, scope, window);
        for call in self.under_way.iter().flatten() {
            let counts =
                bucket.models.covers(call.model) && self.accounts_of(call.key).any(|own| own == account);
            if counts {
                bucket.reserve(now, call.amounts.of(unit));
            }
        }
        self.accounts[account].buckets.push(bucket);
        Some(self.accounts[account].buckets.len() - 1)
    }

    fn overlap(&self, reach: &Reach, models: &ModelSet) -> bool {
        match (reach, models) {
            (Reach::Models(patterns), ModelSet::One(model)) => self.models.matching(patterns).covers(*model),
            (Reach::Models(patterns), ModelSet::Some { patterns: others, .. }) => patterns == others,
            (Reach::Models(_), ModelSet::All) => false,
            (Reach::AllModels | Reach::ThisModel, _) => true,
        }
    }

    /// Takes note of what a call puts to the test.
    fn begin_trial(&mut self, now: Millis, account: usize, model: u32, amounts: &Amounts, trial: Trial) {
        let account = &mut self.accounts[account];
        if account.name == Name::Joint && account.sure_until > Millis(0) {
            account.sure_until = now.after(SURE_TRIED_EVERY);
        }
        let blocks: Vec<_> = account.blocks(now, model, amounts).collect();
        let tested = blocks.iter().any(|(_, block)| block.test_from <= now);
        for (place, block) in blocks {
            let tests = block.test_from <= now;
            match place.map(|place| &mut account.buckets[place]) {
                Some(bucket) if tests => {
                    if let Some(claim) = &mut bucket.claim {
                        claim.tested(now);
                    }
                }
                Some(bucket) if trial == Trial::Limit => bucket.trial_from = None,
                _ => {}
            }
        }
        if tested {
            account.tested = Some(now);
            let holds = account.holds.iter_mut().filter(|held| held.models.covers(model));
            holds.filter(|held| held.block(now).is_some()).for_each(|held| held.claim.tested(now));
        }
    }
}
