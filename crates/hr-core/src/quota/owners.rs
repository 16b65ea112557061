//! Whose quotas are one. What people declare is so; what a refusal suggests is a guess that the next success ends.

use std::time::Duration;

use super::account::{Account, Name};
use super::bucket::Bucket;
use super::call::Lesson;
use super::ledger::{EVERYONE, Ledger};
use super::models::ModelSet;
use super::reading::{Reading, Source};
use super::window::Window;
use crate::catalog::LimitUnit;
use crate::time::Millis;

/// The part of a limit that own use must stay below for a refusal to be a surprise.
const SURPRISE: f64 = 0.5;

/// Likewise where use and limit are known exactly.
const SURPRISE_IF_EXACT: f64 = 0.9;

/// The part of a limit that two owners must have used together to explain it.
const EXPLAINED: f64 = 0.5;

/// Owners that have seemed to be one twice within this time are held to be one for as long, unless something
/// contradicts that.
const SURE_FOR: Duration = Duration::from_secs(24 * 3600);

/// How often it is tried whether owners that are held to be one are.
pub(super) const SURE_TRIED_EVERY: Duration = Duration::from_secs(3600);

/// For how long owners are not held to be one whose use was seen not to add up.
const APART_FOR: Duration = Duration::from_secs(6 * 3600);

/// The part of what owners have used together below which what a reply says to be used contradicts that.
const CONTRADICTED: f64 = 0.5;

/// How often in all that is borne.
const MOST_CONTRADICTIONS: u8 = 3;

/// How long after owners were joined their replies may still tell of before.
const SETTLES_IN: Duration = Duration::from_secs(90);

/// Ends of a span that are told are the same when they differ by no more.
const SAME_END: Duration = Duration::from_secs(2);

/// Of how many pairs of owners it is remembered how they have seemed to be one.
const MOST_PAIRS: usize = 4096;

/// How two owners have seemed to be one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair {
    /// When they did last.
    joined: Option<Millis>,
    /// Until when they are not.
    apart_until: Millis,
}

impl Pair {
    /// Whether nothing of it matters any more.
    fn is_forgotten(&self, now: Millis) -> bool {
        now >= self.apart_until && self.joined.is_none_or(|joined| now >= joined.after(SURE_FOR))
    }
}

/// Owners that seem to be one.
#[derive(Debug, Default)]
pub(super) struct Union {
    /// Their accounts, and since and until when a success says that one does not belong.
    pub(super) members: Vec<(usize, Millis, Millis)>,
    /// What they have used together has come back from before a restart.
    kept: bool,
    /// How often what they used did not add up.
    contradictions: u8,
}

impl Union {
    /// The account with which is kept what they have used together: the same one after a restart.
    pub(super) fn keeper(&self, accounts: &[Account]) -> Option<usize> {
        let members = self.members.iter().map(|(member, ..)| *member);
        members.min_by_key(|member| &accounts[*member].name)
    }

    /// Whether somebody has joined of whom old replies may still come.
    fn has_just_grown(&self, now: Millis) -> bool {
        self.members.iter().any(|(_, since, _)| now < since.after(SETTLES_IN))
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
        (place, unexpected): (Option<usize>, bool),
        lessons: &mut Vec<Lesson>,
    ) -> bool {
        // Whose it is with is known well enough; that somebody is missing shows when they are refused.
        if self.sure_joint(home).is_some() {
            return false;
        }
        let bucket = place.map(|place| &self.accounts[home].buckets[place]);
        let limit = bucket.and_then(|bucket| bucket.hard_limit(now));
        let own = bucket.map_or(0.0, |bucket| bucket.own(now));
        // Calls are counted exactly, where the limit is known from the provider itself.
        let exact = bucket.is_some_and(|bucket| {
            let named = bucket.limit(now).is_some_and(|(_, source)| source <= Source::Body);
            named && !bucket.unnamed && bucket.unit == LimitUnit::Requests
        });
        let lately = if exact { self.served(now, home, models) } else { 0.0 };
        let own = own.max(lately);
        let surprising = unexpected
            || match limit {
                Some(limit) if exact => own < limit * SURPRISE_IF_EXACT,
                Some(limit) => own < limit * SURPRISE,
                None => own < 1.0 && self.served(now, home, models) < 1.0,
            };
        if !surprising {
            return false;
        }
        let others = (0..self.accounts.len()).filter(|other| *other != home && *other != EVERYONE);
        let candidates = others.filter(|other| self.may_be_one(now, home, *other));
        let explains = candidates
            .filter_map(|other| {
                Some((other, self.filled(now, other, models, (bucket, unexpected || exact))?))
            })
            .filter(|(_, used)| limit.is_none_or(|limit| own + used >= limit * EXPLAINED));
        // Who is one has used just the limit together; where that is not known, who has used the most.
        let misfit = |used: f64| limit.map_or(-used, |limit| (own + used - limit).abs());
        // Both see that somebody else uses it: whoever sees nothing of the kind is less likely.
        let blind = |other: usize| {
            bucket.filter(|bucket| bucket.surprised).is_some_and(|bucket| {
                let same = self.accounts[other].find(&bucket.models, bucket.unit, bucket.span);
                !same.is_some_and(|place| self.accounts[other].buckets[place].surprised)
            })
        };
        // Whoever declares an owner names all of their keys.
        let declared = |other: usize| matches!(self.accounts[other].name, Name::Owner(_));
        let unlikely = |other: usize| (declared(other), blind(other));
        let best = explains.min_by(|(one, ones), (other, others)| {
            unlikely(*one).cmp(&unlikely(*other)).then(misfit(*ones).total_cmp(&misfit(*others)))
        });
        let Some((other, _)) = best else {
            return false;
        };
        self.bind(now, home, other, models, lessons);
        true
    }

    /// Joins two owners who seem to be one.
    pub(super) fn bind(
        &mut self,
        now: Millis,
        home: usize,
        other: usize,
        models: &ModelSet,
        lessons: &mut Vec<Lesson>,
    ) {
        let until = self.accounts[home].holds.iter().filter(|held| held.models == *models);
        let until = until.map(|held| held.until).max().unwrap_or(now);
        // What has come twice will come again.
        let pair = self.pair(now, home, other);
        let sure = pair.joined.replace(now).is_some_and(|before| now < before.after(SURE_FOR));
        // Who is only supposed to belong to them does not come along.
        if sure && self.sure_joint(other).is_none() {
            self.leave(now, other);
        }
        self.unite(now, other, home, if sure { Millis(0) } else { until });
        if let Some(joint) = self.accounts[home].joint.filter(|_| sure) {
            self.accounts[joint].sure_until = now.after(SURE_TRIED_EVERY);
            self.accounts[joint].refresh(now, None);
        }
        let name = self.told(home);
        lessons.push(Lesson::Told(format!("{name} seems to share its quota with {}", self.told(other))));
    }

    /// What two owners have seemed to be, to be noted anew.
    fn pair(&mut self, now: Millis, one: usize, other: usize) -> &mut Pair {
        let both = (one.min(other), one.max(other));
        if self.pairs.len() >= MOST_PAIRS && !self.pairs.contains_key(&both) {
            self.pairs.retain(|_, pair| !pair.is_forgotten(now));
            if self.pairs.len() >= MOST_PAIRS {
                self.pairs.pop_first();
            }
        }
        self.pairs.entry(both).or_default()
    }

    /// Takes note of a test of an owner, and so of all that are held to be one with them.
    pub(super) fn note_test(&mut self, now: Millis, home: usize) {
        let Some(joint) = self.sure_joint(home) else { return };
        let members = self.unions.get(&joint).map(|union| union.members.clone()).unwrap_or_default();
        for account in members.into_iter().map(|(member, ..)| member).chain([joint]) {
            self.accounts[account].tested = Some(now);
            self.accounts[account].refresh(now, None);
        }
    }

    /// The account of those that are held to be one with an account.
    pub(super) fn sure_joint(&self, home: usize) -> Option<usize> {
        self.accounts[home].joint.filter(|joint| self.accounts[*joint].sure_until > Millis(0))
    }

    pub(super) fn may_be_one(&self, now: Millis, home: usize, other: usize) -> bool {
        let pair = self.pairs.get(&(home.min(other), home.max(other)));
        if pair.is_some_and(|pair| now < pair.apart_until) {
            return false;
        }
        let account = &self.accounts[other];
        let apart = account.joint.is_none() || account.joint != self.accounts[home].joint;
        // What people declare to be two owners is two.
        let declared = |account: &Account| matches!(account.name, Name::Owner(_));
        apart && account.name != Name::Joint && !(declared(account) && declared(&self.accounts[home]))
    }

    /// How much an owner has used of that which another was refused, if it has just used it up.
    fn filled(
        &self,
        now: Millis,
        other: usize,
        models: &ModelSet,
        (bucket, unexpected): (Option<&Bucket>, bool),
    ) -> Option<f64> {
        let account = &self.accounts[other];
        let held = account.holds.iter().any(|held| held.models == *models && now < held.until);
        match bucket {
            Some(wanted) => {
                let same = account.find(&wanted.models, wanted.unit, wanted.span);
                let bucket = same.map(|place| &account.buckets[place]);
                let is_full = |bucket: &Bucket| {
                    bucket.hard_limit(now).is_some_and(|limit| bucket.taken(now) >= limit * 0.9)
                };
                let own = bucket.map_or(0.0, |bucket| bucket.own(now));
                if own >= 1.0 {
                    return (bucket.is_some_and(is_full) || held || unexpected).then_some(own);
                }
                // Its bucket may have been made when its calls had been served, or be named in another way.
                let served = self.served(now, other, models);
                let full = || {
                    let alike = account.buckets.iter().filter(|bucket| bucket.unit == wanted.unit);
                    alike.filter(|bucket| bucket.models == wanted.models).any(is_full)
                };
                (wanted.unit == LimitUnit::Requests && served >= 1.0 && (held || full())).then_some(served)
            }
            None => {
                let served = self.served(now, other, models);
                let full = account.buckets.iter().any(|bucket| {
                    let taught = matches!(bucket.limit(now), Some((_, Source::Refusals)));
                    taught && bucket.models == *models && bucket.block(now, 1.0).is_some()
                });
                ((held || full) && served >= 1.0).then_some(served)
            }
        }
    }

    /// Calls to these models that were served in the last minute.
    fn served(&self, now: Millis, account: usize, models: &ModelSet) -> f64 {
        let habits = self.accounts[account].habits.iter();
        let within = habits.filter(|habit| match (&habit.models, models) {
            (_, ModelSet::All) => true,
            (ModelSet::One(model), models) => models.covers(*model),
            (one, other) => one == other,
        });
        within.map(|habit| habit.lately(now).len() as f64).sum()
    }

    fn told(&self, account: usize) -> String {
        match &self.accounts[account].name {
            Name::Owner(name) => format!("`{name}`"),
            Name::Key(id) => format!("key `{id}`"),
            Name::Everyone | Name::Joint => "several keys".to_owned(),
        }
    }

    /// Whether a reply says that much less is used than owners that seem to be one have used together.
    pub(super) fn contradicts(now: Millis, joint: &Bucket, reading: &Reading) -> bool {
        let (Some(limit), Some(left)) = (reading.limit, reading.remaining) else { return false };
        let same_span = match (&joint.window, reading.reset) {
            (Window::Draining(_), _) => true,
            (window, Some(reset)) => window
                .ends(now)
                .is_some_and(|ends| ends.until(reset) < SAME_END && reset.until(ends) < SAME_END),
            (_, None) => false,
        };
        let counted = joint.unit == LimitUnit::Requests && reading.source == Source::Header;
        let together = joint.settled(now);
        counted && same_span && limit - left + 1.0 < together * CONTRADICTED
    }

    /// Takes note that what accounts use that seem to be one does not add up; when that is so again and again, they are
    /// not, or not all of them.
    pub(super) fn contradict(&mut self, now: Millis, member: usize, lessons: &mut Vec<Lesson>) {
        let Some(joint) = self.accounts[member].joint else { return };
        let union = self.unions.get_mut(&joint).filter(|union| !union.has_just_grown(now));
        let Some(union) = union else { return };
        union.contradictions += 1;
        if union.contradictions < MOST_CONTRADICTIONS {
            return;
        }
        let members: Vec<usize> = union.members.iter().map(|(member, ..)| *member).collect();
        // Of two it is those two; of more nobody can tell who it is that does not belong, and all begin anew.
        if let [one, other] = members[..] {
            *self.pair(now, one, other) = Pair { joined: None, apart_until: now.after(APART_FOR) };
        } else {
            self.pairs.retain(|(one, other), _| !(members.contains(one) && members.contains(other)));
        }
        self.dissolve(joint);
        self.part(now, member, lessons);
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
        // One that nobody is in any more is blank.
        let left =
            |place: &usize| self.accounts[*place].name == Name::Joint && !self.unions.contains_key(place);
        let union = (0..self.accounts.len()).find(left).unwrap_or_else(|| {
            self.accounts.push(Account::new(Name::Joint));
            self.accounts.len() - 1
        });
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
                    bucket.sight = None;
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
        if union.members.len() < 2 {
            return self.dissolve(place);
        }
        // What it used counts no more with the others.
        self.begin_union_anew(now, place);
    }

    /// Ends a union, with all that its members have used together.
    fn dissolve(&mut self, joint: usize) {
        let members = self.unions.remove(&joint).map(|union| union.members).unwrap_or_default();
        for (member, ..) in members {
            self.accounts[member].joint = None;
            self.accounts[member].changed = true;
        }
        self.accounts[joint] = Account::new(Name::Joint);
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
        let heard = |bucket: &Self| bucket.limits[Source::Header as usize].is_some();
        // What headers say to be used is all of it, whoever did.
        let together = if heard(self) && heard(other) { 0.0 } else { together };
        let wanted = together.max(self.window.used(now)).max(other.window.used(now));
        if let Window::Rolling(rolling) = &other.window {
            let entries: Vec<_> = rolling.entries().collect();
            entries.into_iter().for_each(|(at, amount)| self.window.add(now, at, amount));
        }
        self.window.set(now, wanted);
        if let (Window::Fixed(ours), Window::Fixed(theirs)) = (&mut self.window, &other.window) {
            ours.began = ours.began.min(theirs.began);
        }
        self.under_way += other.under_way;
        for (limit, theirs) in self.limits.iter_mut().zip(other.limits) {
            *limit = match (*limit, theirs) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::quota::held::Held;
    use crate::secret::KeyId;

    #[test]
    fn owners_that_join_and_part_again_and_again_leave_nothing_behind() {
        let mut ledger = Ledger::default();
        (0..3).for_each(|key| ledger.key(key, &KeyId(format!("k{key}")), None));
        for round in 0..100 {
            let (now, other) = (Millis(round), 2 + round as usize % 2);
            ledger.bind(now, 1, other, &ModelSet::All, &mut Vec::new());
            let joint = ledger.accounts[1].joint.unwrap();
            let held = Held::new(ModelSet::All, now, FailureKind::RateLimited);
            ledger.accounts[joint].holds.push(held);
            ledger.part(now, 1, &mut Vec::new());
            assert!(ledger.accounts[joint].is_blank());
        }
        assert_eq!(ledger.accounts.len(), 5, "everybody, three keys, and those that seemed to be one");
    }

    #[test]
    fn few_pairs_are_remembered() {
        let mut ledger = Ledger::default();
        let later = Millis(0).after(SURE_FOR);
        for one in 0..MOST_PAIRS + 9 {
            *ledger.pair(Millis(0), one, one + 1) = Pair { joined: Some(Millis(0)), apart_until: Millis(0) };
        }
        assert_eq!(ledger.pairs.len(), MOST_PAIRS);
        ledger.pair(later, 0, 1);
        assert_eq!(ledger.pairs.len(), 1);
    }
}
