//! Whose quotas are one. What people declare is so; what a refusal suggests is a guess that the next success ends.

use super::account::{Account, Name};
use super::bucket::Bucket;
use super::call::Lesson;
use super::ledger::{EVERYONE, Ledger};
use super::models::ModelSet;
use super::window::Window;
use crate::time::Millis;

/// The part of a limit that own use must stay below for a refusal to be a surprise.
const SURPRISE: f64 = 0.5;

/// The part of a limit that two owners must have used together to explain it.
const EXPLAINED: f64 = 0.5;

/// Owners that seem to be one.
#[derive(Debug, Default)]
pub(super) struct Union {
    /// Their accounts, and since and until when a success says that one does not belong.
    pub(super) members: Vec<(usize, Millis, Millis)>,
    /// What they have used together has come back from before a restart.
    kept: bool,
}

impl Union {
    /// The account with which is kept what they have used together: the same one after a restart.
    pub(super) fn keeper(&self, accounts: &[Account]) -> Option<usize> {
        let members = self.members.iter().map(|(member, ..)| *member);
        members.min_by_key(|member| &accounts[*member].name)
    }

    /// Whether the success of a call says that an account does not belong here.
    pub(super) fn is_disproved_by(&self, account: usize, begun: Millis, now: Millis) -> bool {
        let of = self.members.iter().find(|(member, ..)| *member == account);
        of.is_some_and(|(_, since, until)| begun > *since && now < *until)
    }
}

impl Ledger {
    /// Looks for another owner whose use explains a refusal that an owner's own does not, and joins the two; true when
    /// there is one.
    pub(super) fn join(
        &mut self,
        now: Millis,
        home: usize,
        models: &ModelSet,
        place: Option<usize>,
        lessons: &mut Vec<Lesson>,
    ) -> bool {
        let bucket = place.map(|place| &self.accounts[home].buckets[place]);
        let limit = bucket.and_then(|bucket| bucket.hard_limit(now));
        let own = bucket.map_or(0.0, |bucket| bucket.own(now));
        let surprising = match limit {
            Some(limit) => own < limit * SURPRISE,
            None => own < 1.0 && self.served(home, models) < 1.0,
        };
        if !surprising {
            return false;
        }
        let others = (0..self.accounts.len()).filter(|other| *other != home && *other != EVERYONE);
        let candidates = others.filter(|other| self.may_be_one(home, *other));
        let explains = candidates.filter_map(|other| Some((other, self.filled(now, other, models, bucket)?)));
        let Some((other, used)) = explains.max_by(|(_, one), (_, other)| one.total_cmp(other)) else {
            return false;
        };
        if limit.is_some_and(|limit| own + used < limit * EXPLAINED) {
            return false;
        }
        let until = self.accounts[home].holds.iter().filter(|held| held.models == *models);
        let until = until.map(|held| held.until).max().unwrap_or(now);
        self.unite(now, other, home, until);
        let name = self.told(home);
        lessons.push(Lesson::Told(format!("{name} seems to share its quota with {}", self.told(other))));
        true
    }

    fn may_be_one(&self, home: usize, other: usize) -> bool {
        let account = &self.accounts[other];
        let apart = account.joint.is_none() || account.joint != self.accounts[home].joint;
        // What people declare to be two owners is two.
        let declared = |account: &Account| matches!(account.name, Name::Owner(_));
        apart && account.name != Name::Joint && !(declared(account) && declared(&self.accounts[home]))
    }

    /// How much an owner has used of that which another was refused, if it has just used it up.
    fn filled(&self, now: Millis, other: usize, models: &ModelSet, bucket: Option<&Bucket>) -> Option<f64> {
        let account = &self.accounts[other];
        let held = account.holds.iter().any(|held| held.models == *models && now < held.until);
        match bucket {
            Some(wanted) => {
                let place = account.find(&wanted.models, wanted.unit, wanted.span)?;
                let bucket = &account.buckets[place];
                let full = bucket.hard_limit(now).is_some_and(|limit| bucket.taken(now) >= limit * 0.9);
                ((full || held) && bucket.own(now) >= 1.0).then(|| bucket.own(now))
            }
            None => {
                let served = self.served(other, models);
                (held && served >= 1.0).then_some(served)
            }
        }
    }

    /// Calls to these models that were served since their last reset.
    fn served(&self, account: usize, models: &ModelSet) -> f64 {
        let habits = self.accounts[account].habits.iter();
        let within = habits.filter(|habit| match (&habit.models, models) {
            (_, ModelSet::All) => true,
            (ModelSet::One(model), models) => models.covers(*model),
            (one, other) => one == other,
        });
        within.map(|habit| habit.calls).sum()
    }

    fn told(&self, account: usize) -> String {
        match &self.accounts[account].name {
            Name::Owner(name) => format!("`{name}`"),
            Name::Key(id) => format!("key `{id}`"),
            Name::Everyone | Name::Joint => "several keys".to_owned(),
        }
    }

    /// Makes an account a part of the union of another.
    pub(super) fn unite(&mut self, now: Millis, first: usize, other: usize, until: Millis) {
        let union = match self.accounts[first].joint {
            Some(union) => union,
            None => {
                let union = self.new_union();
                self.enter(now, union, first, Millis(0));
                union
            }
        };
        if self.accounts[other].joint.is_some() {
            self.leave(now, other);
        }
        self.enter(now, union, other, until);
    }

    fn new_union(&mut self) -> usize {
        self.accounts.push(Account::new(Name::Joint));
        let union = self.accounts.len() - 1;
        self.unions.insert(union, Union::default());
        union
    }

    /// Makes accounts one again that seemed so before a restart; what they have used together comes back by itself.
    pub(super) fn reunite(&mut self, now: Millis, account: usize, others: Vec<usize>, until: Millis) {
        let known = others.iter().chain([&account]).find_map(|member| self.accounts[*member].joint);
        let joint = known.unwrap_or_else(|| self.new_union());
        let Some(union) = self.unions.get_mut(&joint) else { return };
        for member in others.into_iter().chain([account]) {
            if self.accounts[member].joint.is_none() {
                self.accounts[member].joint = Some(joint);
                union.members.push((member, now, Millis(0)));
            }
        }
        // Each tells its own.
        for (_, _, end) in union.members.iter_mut().filter(|(member, ..)| *member == account) {
            *end = until;
        }
    }

    fn enter(&mut self, now: Millis, union: usize, member: usize, until: Millis) {
        self.accounts[member].joint = Some(union);
        self.accounts[member].changed = true;
        if let Some(union) = self.unions.get_mut(&union) {
            union.members.push((member, now, until));
        }
        self.pour(now, member, union);
    }

    /// Counts what one account has used in another as well.
    fn pour(&mut self, now: Millis, from: usize, into: usize) {
        for place in 0..self.accounts[from].buckets.len() {
            let bucket = self.accounts[from].buckets[place].clone();
            match self.accounts[into].find(&bucket.models, bucket.unit, bucket.span) {
                Some(found) => self.accounts[into].buckets[found].take_in(now, &bucket),
                None => {
                    let mut bucket = bucket;
                    bucket.claim = None;
                    bucket.trial_from = Some(now);
                    self.accounts[into].buckets.push(bucket);
                }
            }
        }
        for model in 0..u32::try_from(self.models.len()).unwrap_or(0) {
            if self.accounts[from].is_watched(model) {
                self.accounts[into].watch(model);
            }
        }
        let buckets = &mut self.accounts[into].buckets;
        buckets.iter_mut().for_each(|bucket| {
            bucket.observe(now);
        });
        self.accounts[into].refresh(now, None);
    }

    /// Ends the guess that an account is one with others.
    pub(super) fn part(&mut self, now: Millis, member: usize, lessons: &mut Vec<Lesson>) {
        let name = self.told(member);
        self.leave(now, member);
        lessons.push(Lesson::Told(format!("{name} has a quota of its own after all")));
    }

    fn leave(&mut self, now: Millis, member: usize) {
        let Some(place) = self.accounts[member].joint.take() else { return };
        self.accounts[member].changed = true;
        let Some(union) = self.unions.get_mut(&place) else { return };
        union.members.retain(|(other, ..)| *other != member);
        let left: Vec<usize> = union.members.iter().map(|(other, ..)| *other).collect();
        if left.len() < 2 {
            self.accounts[place].buckets.clear();
            self.unions.remove(&place);
            for other in left {
                self.accounts[other].joint = None;
                self.accounts[other].changed = true;
            }
            self.accounts[place].refresh(now, None);
            return;
        }
        // What it used counts no more with the others.
        self.begin_union_anew(now, place);
    }

    /// Adds up anew what the members of a union have used.
    pub(super) fn begin_union_anew(&mut self, now: Millis, joint: usize) {
        self.accounts[joint].buckets.clear();
        let members = self.unions.get(&joint).map(|union| union.members.clone()).unwrap_or_default();
        for (member, ..) in members {
            self.pour(now, member, joint);
        }
    }

    /// Takes back what the members of a union have used together, or adds up what came back of each.
    pub(super) fn fill_union(&mut self, now: Millis, joint: usize, together: Vec<Bucket>) {
        let Some(union) = self.unions.get_mut(&joint) else { return };
        if !together.is_empty() {
            union.kept = true;
            self.accounts[joint].buckets = together;
        } else if !union.kept {
            self.begin_union_anew(now, joint);
        }
        let members = self.unions.get(&joint).map(|union| union.members.clone()).unwrap_or_default();
        for model in 0..u32::try_from(self.models.len()).unwrap_or(0) {
            if members.iter().any(|(member, ..)| self.accounts[*member].is_watched(model)) {
                self.accounts[joint].watch(model);
            }
        }
        self.accounts[joint].refresh(now, None);
        self.accounts[joint].changed = false;
    }

    /// Counts what an account has used at another from now on, since all its keys have gone there.
    pub(super) fn move_use(&mut self, from: usize, into: usize) {
        if !self.accounts[from].keys.is_empty() || matches!(self.accounts[from].name, Name::Owner(_)) {
            return;
        }
        let now = Millis(0);
        if self.accounts[from].joint.is_some() {
            self.leave(now, from);
        }
        self.pour(now, from, into);
        let blank = Account::new(self.accounts[from].name.clone());
        let old = std::mem::replace(&mut self.accounts[from], blank);
        self.accounts[from].changed = true;
        self.accounts[into].holds.extend(old.holds);
        self.accounts[into].habits.extend(old.habits);
        self.accounts[into].changed = true;
    }
}

impl Bucket {
    /// What calls of ours have used that is in the window.
    fn own_window(&self, now: Millis) -> f64 {
        let foreign = self.taken(now) - self.own(now);
        (self.window.used(now) - foreign).max(0.0)
    }

    /// Counts what was used in another bucket of the same limit as well.
    fn take_in(&mut self, now: Millis, other: &Self) {
        // What each heard to be used is of the same quota: together it is at least that.
        let together = self.own_window(now) + other.own_window(now);
        let wanted = together.max(self.window.used(now)).max(other.window.used(now));
        if let Window::Rolling(rolling) = &other.window {
            let entries: Vec<_> = rolling.entries().collect();
            entries.into_iter().for_each(|(at, amount)| self.window.add(now, at, amount));
        }
        self.window.set(now, wanted);
        self.under_way += other.under_way;
        for (limit, theirs) in self.limits.iter_mut().zip(other.limits) {
            *limit = match (*limit, theirs) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }
}
