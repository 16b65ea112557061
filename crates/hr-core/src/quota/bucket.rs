//! One limit of one owner: how much there is, how much of it is used, and how sure that is.

use std::collections::VecDeque;
use std::time::Duration;

use super::claim::{Block, Claim, NEVER, kind_of};
use super::edge::Edge;
use super::models::ModelSet;
use super::reading::Source;
use super::sight::Sight;
use super::window::{Rolling, Window};
use crate::catalog::{LimitSpan, LimitUnit, OwnerScope};
use crate::failure::FailureKind;
use crate::time::Millis;

/// What is less than this is nothing, in any unit.
pub(super) const NOTHING: f64 = 1e-6;

/// A provider's word that contradicts what it does this often is not believed for [`DOUBTED_FOR`].
const MOST_LIES: u8 = 2;
const DOUBTED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Replies in a row without a header that used to be there, after which what it said is only remembered.
const SILENT_REPLIES: u16 = 8;

/// How long a model is left alone after it was said that nothing of it is allowed.
const FORBIDDEN_FOR: Duration = Duration::from_secs(24 * 3600);

/// How long to wait where nothing tells how long.
const UNKNOWN_WAIT: Duration = Duration::from_secs(60);

/// How long to wait for a place among calls that are made at the same time.
const PLACE_WAIT: Duration = Duration::from_secs(1);

/// How long to wait before a limit is tried that says nothing of when it is whole again.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Where doubling of that ends: a day's limit is asked after some times in its day.
const LONGEST_LOOK: Duration = Duration::from_secs(6 * 3600);

/// How many ends of calls are remembered.
const MOST_ENDED: usize = 64;

/// The part of a limit that is own use when our own count bears a refusal out.
const BORNE_OUT: f64 = 0.9;

/// How fast a limit grows while trials of it serve.
const GROWTH: f64 = 0.5;

/// How fast one grows at first whose span has no name: that may have ended instead. Twice as fast with each trial more.
const FIRST_GROWTH: f64 = 0.125;

/// The part of a span after which it may be over already, where its end was but supposed.
const NEARLY_OVER: f64 = 0.75;

/// Calls arrive some time after they are made: a use is held to have been this part of the span later.
const ARRIVAL: u32 = 200;
const LATEST_ARRIVAL: Duration = Duration::from_millis(500);

/// One limit of one owner.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) models: ModelSet,
    pub(super) unit: LimitUnit,
    pub(super) span: Option<LimitSpan>,
    pub(super) scope: Option<OwnerScope>,
    pub(super) window: Window,
    /// What calls have reserved that have not ended.
    pub(super) under_way: f64,
    /// By source.
    pub(super) limits: [Option<f64>; 4],
    /// The limit is what was used and what is left together: nobody has named one.
    pub(super) unnamed: bool,
    pub(super) said_at: Option<Millis>,
    /// When the call began whose reply said the newest.
    pub(super) newest: Millis,
    /// What somebody else has used, and until when that counts.
    pub(super) foreign: f64,
    pub(super) foreign_until: Millis,
    /// It was used by somebody else while we watched.
    pub(super) surprised: bool,
    pub(super) claim: Option<Claim>,
    /// When the calls ended that have ended last, and what each took.
    ended: VecDeque<(Millis, f64)>,
    /// Nobody has said when it is whole again: the end of its span is a guess, and the wait before that is tried.
    pub(super) guessed: Option<Duration>,
    /// By which part it grows with the next trial that serves, where its span has no name.
    growth: f64,
    silent: u16,
    pub(super) lies: u8,
    pub(super) doubted_until: Millis,
    /// From when one call may try whether the limit has grown; `None` while one does.
    pub(super) trial_from: Option<Millis>,
    pub(super) pace: super::heard::Pace,
    pub(super) edge: Edge,
    /// Good answers tell when it is whole again, not only refusals.
    pub(super) tells_end: bool,
    pub(super) sight: Option<Sight>,
}

impl Bucket {
    pub(super) fn new(
        models: ModelSet,
        unit: LimitUnit,
        span: Option<LimitSpan>,
        scope: Option<OwnerScope>,
        window: Window,
    ) -> Self {
        Self {
            models,
            unit,
            span,
            scope,
            window,
            under_way: 0.0,
            limits: [None; 4],
            unnamed: false,
            said_at: None,
            newest: Millis(0),
            foreign: 0.0,
            foreign_until: Millis(0),
            surprised: false,
            claim: None,
            ended: VecDeque::new(),
            guessed: None,
            growth: FIRST_GROWTH,
            silent: 0,
            lies: 0,
            doubted_until: Millis(0),
            trial_from: Some(Millis(0)),
            pace: super::heard::Pace::default(),
            edge: Edge::default(),
            tells_end: false,
            sight: None,
        }
    }

    /// Whether it is the one for such uses of these models.
    pub(super) fn is(&self, models: &ModelSet, unit: LimitUnit, span: Option<LimitSpan>) -> bool {
        self.unit == unit && self.span == span && self.models == *models
    }

    /// The limit that counts, and where it is known from.
    pub(super) fn limit(&self, now: Millis) -> Option<(f64, Source)> {
        const SOURCES: [Source; 4] = [Source::Header, Source::Body, Source::Refusals, Source::Catalog];
        let doubted = now < self.doubted_until || self.unnamed && self.lapses() <= now;
        let facts = SOURCES.into_iter().zip(self.limits);
        let believed = facts.filter(|(source, _)| !doubted || *source > Source::Body);
        believed.filter_map(|(source, limit)| Some((limit?, source))).next()
    }

    /// When what was said to be left, of nobody knows how much, says nothing any more.
    fn lapses(&self) -> Millis {
        let since = self.said_at.unwrap_or(Millis(0));
        let end = match &self.window {
            // It was said of a span that is over.
            Window::Fixed(fixed) if fixed.began > since => Some(fixed.began),
            Window::Fixed(fixed) => fixed.ends,
            _ => None,
        };
        end.unwrap_or(since.after(self.length().unwrap_or(UNKNOWN_WAIT)))
    }

    /// The limit, unless only the catalogue knows it.
    pub(super) fn hard_limit(&self, now: Millis) -> Option<f64> {
        self.limit(now).filter(|(_, source)| *source != Source::Catalog).map(|(limit, _)| limit)
    }

    pub(super) fn set_limit(&mut self, source: Source, limit: Option<f64>) {
        self.limits[source as usize] = limit;
    }

    /// What is used up, calls under way included.
    pub(super) fn taken(&self, now: Millis) -> f64 {
        match self.unit {
            LimitUnit::Requests | LimitUnit::Percent => self.window.used(now),
            LimitUnit::Concurrent => self.under_way,
            _ => self.window.used(now) + self.under_way,
        }
    }

    /// What is used up by calls that have ended.
    pub(super) fn settled(&self, now: Millis) -> f64 {
        match self.unit {
            LimitUnit::Requests => (self.window.used(now) - self.under_way).max(0.0),
            LimitUnit::Concurrent => 0.0,
            _ => self.window.used(now),
        }
    }

    /// What our own calls have used, as we counted it.
    pub(super) fn own(&self, now: Millis) -> f64 {
        let foreign = if now < self.foreign_until { self.foreign } else { 0.0 };
        (self.taken(now) - foreign).max(0.0)
    }

    /// How long its span is, as far as is known.
    pub(super) fn length(&self) -> Option<Duration> {
        self.window.length().or_else(|| self.span.and_then(super::calendar::length))
    }

    /// When a use counts that is made now.
    pub(super) fn arrival(&self, now: Millis) -> Millis {
        let late = self.window.length().map_or(Duration::ZERO, |length| length / ARRIVAL);
        now.after(late.min(LATEST_ARRIVAL))
    }

    /// Whether a call that was made then may have arrived when there was room again. Where spans have no name they are
    /// short, and their ends less certain.
    pub(super) fn is_late(&self, begun: Millis) -> bool {
        let rolls = matches!(self.window, Window::Rolling(_));
        (!rolls || self.span.is_none()) && self.window.is_late(begun, self.arrival(begun))
    }

    /// A call is made that is expected to take so much.
    pub(super) fn reserve(&mut self, now: Millis, amount: f64) {
        if self.unit == LimitUnit::Percent {
            return;
        }
        self.under_way += amount;
        if self.unit == LimitUnit::Requests {
            if self.span.is_none() && self.window.has_ended(now) {
                self.edge.pass(now, self.length());
            }
            self.edge.send();
            self.window.add(now, self.arrival(now), amount);
        }
    }

    /// A call that was made `at` and expected to take `reserved` has ended and took `used`.
    pub(super) fn settle(&mut self, now: Millis, at: Millis, reserved: f64, used: f64) {
        if self.unit == LimitUnit::Percent {
            return;
        }
        self.under_way = (self.under_way - reserved).max(0.0);
        if used > 0.0 {
            if self.ended.len() == MOST_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back((now, used));
        }
        match self.unit {
            LimitUnit::Concurrent => {}
            LimitUnit::Requests if used < reserved && at >= self.window.began(now) => {
                self.window.take_back(now, reserved - used);
            }
            LimitUnit::Requests => {}
            _ if used > 0.0 => self.window.add(now, now, used),
            _ => {}
        }
    }

    /// Takes the end of a span for a guess whose length nobody has told: where an end is told, a length is.
    pub(super) fn guess_end(&mut self) {
        if matches!(&self.window, Window::Fixed(fixed) if fixed.length.is_none() && fixed.cycle.is_none()) {
            self.guessed = self.window.is_going().then_some(FIRST_LOOK);
        }
    }

    /// What those calls took that had not ended at this instant but have now, as far as that is remembered.
    pub(super) fn ended_since(&self, at: Millis) -> f64 {
        if self.ended.len() == MOST_ENDED && self.ended.front().is_some_and(|(end, _)| *end >= at) {
            return f64::INFINITY;
        }
        self.ended.iter().filter(|(end, _)| *end >= at).map(|(_, used)| used).sum()
    }

    /// The kind of refusal that it ends in.
    pub(super) fn kind(&self) -> FailureKind {
        match self.length() {
            Some(length) => kind_of(length),
            None if self.unit == LimitUnit::Percent => FailureKind::QuotaSpent,
            None => FailureKind::RateLimited,
        }
    }

    /// Why a call that takes so much has to wait, if it has to. What only the catalogue says keeps nobody waiting.
    pub(super) fn block(&self, now: Millis, amount: f64) -> Option<Block> {
        let (limit, source) = self.limit(now)?;
        if source == Source::Catalog {
            return None;
        }
        let forbidden = limit <= NOTHING && !self.unnamed;
        let taken = self.taken(now);
        let excess = match self.unit {
            LimitUnit::Percent => taken - limit + 2.0 * NOTHING,
            _ if self.unnamed => taken + amount - limit,
            // What is larger than the whole is let through when the whole is there: it may be an estimate's fault.
            _ => taken + amount.min(limit) - limit,
        };
        if excess <= NOTHING && !forbidden {
            return self.narrow(now);
        }
        let until = if forbidden {
            self.said_at.unwrap_or(now).after(FORBIDDEN_FOR)
        } else if self.unnamed {
            self.lapses()
        } else {
            let wait = match self.unit {
                LimitUnit::Concurrent => PLACE_WAIT,
                _ => self.length().unwrap_or(UNKNOWN_WAIT),
            };
            self.window.frees(now, excess).unwrap_or(now.after(wait))
        };
        (until > now).then(|| Block {
            until,
            because: if forbidden { FailureKind::QuotaSpent } else { self.kind() },
            test_from: self.claim.map_or(NEVER, |claim| claim.test_from),
            trial_from: if forbidden { NEVER } else { self.may_have_grown(now, limit, source) },
        })
    }

    /// Why a call has to wait that is one of many at the beginning of a span that may be none.
    fn narrow(&self, now: Millis) -> Option<Block> {
        let fixed = matches!(self.window, Window::Fixed(_)) && !self.window.has_ended(now);
        if self.unit != LimitUnit::Requests || !fixed {
            return None;
        }
        let until = self.edge.narrow(now).filter(|until| *until > now)?;
        Some(Block { until, because: self.kind(), test_from: NEVER, trial_from: NEVER })
    }

    /// How much there is, where the provider itself has named that.
    pub(super) fn named(&self, now: Millis) -> Option<f64> {
        self.limit(now).filter(|(_, source)| *source <= Source::Body && !self.unnamed).map(|(limit, _)| limit)
    }

    /// Whether there will be room when calls that are under way have not taken it.
    fn fills_by_calls_under_way(&self, now: Millis, limit: f64) -> bool {
        let fixed = matches!(self.window, Window::Fixed(_));
        fixed && self.unit == LimitUnit::Requests && self.settled(now) + NOTHING < limit
    }

    /// From when one call may try whether owners that seem to be one are.
    pub(super) fn union_trial_from(&self, now: Millis) -> Millis {
        let full = self.hard_limit(now).is_some_and(|limit| !self.fills_by_calls_under_way(now, limit));
        self.trial_from.filter(|_| full).unwrap_or(NEVER)
    }

    /// From when one call may try whether there is more than we think.
    fn may_have_grown(&self, now: Millis, limit: f64, source: Source) -> Millis {
        let Some(from) = self.trial_from.filter(|_| self.unit != LimitUnit::Concurrent) else { return NEVER };
        match source {
            Source::Refusals => from,
            Source::Body => {
                let length = self.length().unwrap_or(UNKNOWN_WAIT);
                from.max(self.said_at.map_or(Millis(0), |at| at.after(length)))
            }
            Source::Header if self.guessed.is_some() => from,
            // Little of it is ours, and it is all gone: so it says.
            Source::Header if self.surprised && self.own(now) < limit * 0.5 => from,
            Source::Header | Source::Catalog => NEVER,
        }
    }

    /// Takes note of whether it is used up now, and since when; true when it has just become so.
    pub(super) fn observe(&mut self, now: Millis) -> bool {
        let Some(limit) = self.hard_limit(now) else {
            self.claim = None;
            return false;
        };
        let full = match self.unit {
            LimitUnit::Concurrent => false,
            LimitUnit::Percent => self.taken(now) + NOTHING >= limit,
            _ => self.settled(now) + NOTHING >= limit,
        };
        if !full {
            self.claim = None;
            return false;
        }
        if let Window::Fixed(fixed) = &mut self.window
            && fixed.ends.is_none()
        {
            fixed.ends = Some(now.after(UNKNOWN_WAIT));
            self.guessed = Some(FIRST_LOOK);
            self.trial_from = Some(now.after(FIRST_LOOK));
        }
        let fresh = self.claim.is_none();
        if fresh {
            self.claim = Some(Claim::new(now, self.borne_out(now)));
        }
        fresh
    }

    /// Whether our own count explains that it is used up, and the end of it is in line with its span.
    pub(super) fn borne_out(&self, now: Millis) -> bool {
        let Some((limit, source)) = self.limit(now) else { return false };
        let in_line = match (self.window.ends(now), self.length()) {
            (Some(ends), Some(length)) => now.until(ends) <= length.mul_f64(1.05),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let named = source <= Source::Body && !self.unnamed;
        named && in_line && limit > NOTHING && self.own(now) >= limit * BORNE_OUT
    }

    /// A call begun while it was used up has served: it was not.
    pub(super) fn disproved(&mut self, now: Millis) {
        let Some((limit, source)) = self.limit(now) else { return };
        match source {
            // Nobody ever said how much there is, only that it was gone.
            Source::Body if self.unnamed => {
                self.set_limit(Source::Body, None);
                self.unnamed = false;
            }
            Source::Header if self.guessed.is_some() => self.begin_anew(now, self.under_way + 1.0),
            Source::Header => {
                if !matches!(self.window, Window::Draining(_)) {
                    self.lie(now);
                }
                // What is left is not known, but there is something.
                let wanted = (limit * 0.5).min(self.own(now));
                self.window.set(now, wanted);
                self.foreign = 0.0;
            }
            Source::Body | Source::Refusals => {
                let growth = if self.span.is_some() { GROWTH } else { self.growth };
                let grown = (limit * (1.0 + growth)).max(limit + 1.0).max(self.taken(now) + 1.0);
                self.growth = (self.growth * 2.0).min(GROWTH);
                self.set_limit(Source::Body, None);
                self.set_limit(Source::Refusals, Some(grown));
                self.unnamed = false;
            }
            Source::Catalog => {}
        }
        self.claim = None;
        self.trial_from = Some(now);
    }

    /// Where the end of the span was but supposed, a call that serves near it is one of the next: it was shorter.
    pub(super) fn is_over_early(&mut self, now: Millis, begun: Millis) -> bool {
        let Some(length) = self.window.length().filter(|_| self.sight.is_some()) else { return false };
        let lasted = self.window.began(begun).until(begun);
        if !self.window.is_going() || lasted < length.mul_f64(NEARLY_OVER) {
            return false;
        }
        self.window = Window::fixed(Some(lasted), None, 0);
        self.window.add(begun, begun, self.under_way);
        self.edge.find(now, Some(lasted));
        self.claim = None;
        self.trial_from = Some(now.after(lasted));
        true
    }

    /// When the span began that was used last: one in which nothing has served may be none.
    pub(super) fn span_began(&self) -> Option<Millis> {
        let Window::Fixed(fixed) = &self.window else { return None };
        Some(if self.edge.is_barren() { fixed.before } else { fixed.began })
    }

    /// Its span has ended some time ago, and so much of the next is used.
    pub(super) fn begin_anew(&mut self, now: Millis, used: f64) {
        self.guessed = None;
        if self.span.is_none() {
            self.edge.find(now, self.window.length());
        }
        self.window = Window::fixed(self.window.length(), None, 0);
        self.window.add(now, now, used);
        self.foreign = 0.0;
    }

    /// More has been served than refusals had taught: there is at least that.
    pub(super) fn outgrow(&mut self, now: Millis, begun: Millis) {
        if self.is_late(begun) {
            return;
        }
        if let Some((limit, Source::Refusals)) = self.limit(now) {
            let served = self.settled(now).floor();
            if served > limit {
                self.set_limit(Source::Refusals, Some(served));
            }
        }
    }

    /// The provider has said one thing and done another.
    pub(super) fn lie(&mut self, now: Millis) {
        self.lies = self.lies.saturating_add(1);
        if self.lies >= MOST_LIES {
            self.lies = 0;
            self.doubted_until = now.after(DOUBTED_FOR);
        }
    }

    /// A refusal that nothing explains but this: no more than what was used is there.
    pub(super) fn refused(&mut self, now: Millis) {
        // Calls count when they are made; those that will be refused with this one lower it again.
        let used = if self.unit == LimitUnit::Requests { self.taken(now) } else { self.settled(now) };
        let used = used.floor().max(1.0);
        let Some((limit, source)) = self.limit(now) else {
            self.set_limit(Source::Refusals, Some(used));
            return;
        };
        let full = self.taken(now) >= limit * BORNE_OUT;
        match source {
            Source::Header if full => {}
            Source::Header => {
                self.lie(now);
                self.set_limit(Source::Refusals, Some(used));
            }
            Source::Body | Source::Refusals | Source::Catalog => {
                self.set_limit(Source::Body, None);
                self.set_limit(Source::Refusals, Some(used));
            }
        }
        self.trial_over(now);
    }

    /// Another call of a burst was refused: no more than the others was there.
    pub(super) fn refused_again(&mut self, now: Millis) {
        let Some((limit, Source::Refusals)) = self.limit(now) else { return };
        let used = self.taken(now).floor().max(1.0);
        if self.unit == LimitUnit::Requests && used < limit {
            self.set_limit(Source::Refusals, Some(used));
        }
    }

    /// No trial of it before the next span; none for long where what was said has proved true.
    pub(super) fn trial_over(&mut self, now: Millis) {
        self.growth = FIRST_GROWTH;
        if let Some(wait) = &mut self.guessed {
            *wait = wait.saturating_mul(2).min(LONGEST_LOOK);
            self.trial_from = Some(now.after(*wait));
            return;
        }
        let end = self.window.ends(now).unwrap_or(now.after(self.length().unwrap_or(UNKNOWN_WAIT)));
        let said = self.limit(now).is_some_and(|(_, source)| source == Source::Header);
        // Every other span is enough to follow a limit that moves.
        let later = end.after(self.length().unwrap_or(UNKNOWN_WAIT));
        self.trial_from = Some(if said { end.max(now.after(DOUBTED_FOR)) } else { later });
    }

    /// A reply said nothing of it. What a header said long ago is only remembered in the end.
    pub(super) fn unmentioned(&mut self, now: Millis) {
        let Some(limit) = self.limits[Source::Header as usize] else { return };
        self.silent = self.silent.saturating_add(1);
        let length = self.length().unwrap_or(UNKNOWN_WAIT);
        let long_ago = self.said_at.is_none_or(|at| at.after(length) <= now);
        if self.silent >= SILENT_REPLIES && long_ago {
            self.set_limit(Source::Header, None);
            if self.unnamed {
                self.unnamed = false;
            } else {
                self.limits[Source::Refusals as usize].get_or_insert(limit);
            }
        }
    }

    pub(super) fn mentioned(&mut self, now: Millis) {
        self.silent = 0;
        self.said_at = Some(now);
    }

    /// Makes the window one that rolls over a span, with what is used now as the last use.
    pub(super) fn roll_over(&mut self, now: Millis, length: Duration) {
        let used = self.window.used(now);
        self.window = Window::Rolling(Rolling::new(length));
        if used > 0.0 {
            self.window.add(now, now, used);
        }
    }
}
