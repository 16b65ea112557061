//! All that is counted against one owner of quotas, as far as we know who that is.

use std::time::Duration;

use super::bare::AtOnce;
use super::bucket::Bucket;
use super::call::Headroom;
use super::claim::{Block, FIRST_TEST, NEVER};
use super::gauge::{Amounts, Blocks, Gauge};
use super::habit::Habit;
use super::held::Held;
use super::models::ModelSet;
use super::reading::Source;
use crate::catalog::{LimitSpan, LimitUnit};
use crate::time::Millis;

/// The most buckets of one owner; what would be one more is passed over.
pub(super) const MAX_BUCKETS: usize = 512;

/// Who the quotas belong to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Whoever calls from this address, with any key.
    Everyone,
    /// A declared owner.
    Owner(String),
    /// Whoever one key belongs to.
    Key(String),
    /// Owners that seem to be one.
    Joint,
}

/// All that is counted against one owner.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: Name,
    pub(super) keys: Vec<usize>,
    pub(super) buckets: Vec<Bucket>,
    pub(super) holds: Vec<Held>,
    pub(super) habits: Vec<Habit>,
    pub(super) at_once: AtOnce,
    /// When a claim was last tested.
    pub(super) tested: Option<Millis>,
    /// The account of those that seem to be one with this.
    pub(super) joint: Option<usize>,
    /// Until when it is not tried whether those are one, where that was shown twice.
    pub(super) sure_until: Millis,
    /// By model, the place of its gauge plus one.
    places: Vec<u16>,
    gauges: Vec<(u32, Gauge)>,
    /// The gauge of models that no call was made to.
    others: Gauge,
    /// Some of those have limits of their own.
    others_differ: bool,
    pub(super) changed: bool,
}

impl Account {
    pub(super) fn new(name: Name) -> Self {
        Self {
            name,
            keys: Vec::new(),
            buckets: Vec::new(),
            holds: Vec::new(),
            habits: Vec::new(),
            at_once: AtOnce::default(),
            tested: None,
            joint: None,
            sure_until: Millis(0),
            places: Vec::new(),
            gauges: Vec::new(),
            others: Gauge::default(),
            others_differ: false,
            changed: false,
        }
    }

    /// Whether nothing is counted against it.
    pub(super) fn is_blank(&self) -> bool {
        self.buckets.is_empty() && self.holds.is_empty()
    }

    /// Whether there is room for a call.
    pub(super) fn look(&self, now: Millis, model: u32, amounts: &Amounts) -> Headroom {
        let gauge = match self.places.get(model as usize) {
            Some(&place) if place > 0 => Some(&self.gauges[usize::from(place) - 1].1),
            _ => (!self.others_differ).then_some(&self.others),
        };
        match gauge.and_then(|gauge| gauge.read(now, amounts)) {
            Some(headroom) => headroom,
            None => self.work_out(now, model, amounts),
        }
    }

    #[cold]
    fn work_out(&self, now: Millis, model: u32, amounts: &Amounts) -> Headroom {
        let mut blocks = Blocks::default();
        for (_, block) in self.blocks(now, model, amounts) {
            blocks.add(now, block);
        }
        match blocks.answer() {
            Some((headroom, _)) => headroom,
            None => Headroom::Open(self.gauge(now, Some(model)).outlook(now)),
        }
    }

    /// What a call has to wait for, with the place of the bucket that it is about.
    pub(super) fn blocks<'a>(
        &'a self,
        now: Millis,
        model: u32,
        amounts: &'a Amounts,
    ) -> impl Iterator<Item = (Option<usize>, Block)> + 'a {
        let holds = self.holds.iter().filter(move |held| held.models.covers(model));
        let holds = holds.filter_map(move |held| Some((None, held.block(now)?)));
        let buckets = self.buckets.iter().enumerate();
        let buckets = buckets.filter(move |(_, bucket)| bucket.models.covers(model));
        let buckets = buckets.filter_map(move |(place, bucket)| {
            let block = bucket.block(now, amounts.of(bucket.unit))?;
            (!self.is_overruled(now, bucket, model)).then_some((Some(place), block))
        });
        let joint = self.name == Name::Joint;
        holds.chain(buckets).map(move |(place, mut block)| {
            if let Some(tested) = self.tested {
                block.test_from = block.test_from.max(tested.after(FIRST_TEST));
            }
            // That they are one is no more than a guess.
            if joint && let Some(place) = place {
                let from = self.buckets[place].union_trial_from(now).max(self.sure_until);
                block.trial_from = block.trial_from.min(from);
            }
            (place, block)
        })
    }

    /// Whether something better is known of the same limit of this model.
    fn is_overruled(&self, now: Millis, bucket: &Bucket, model: u32) -> bool {
        let weak = |source: Source| source >= Source::Refusals;
        if bucket.span.is_none() || bucket.limit(now).is_none_or(|(_, source)| !weak(source)) {
            return false;
        }
        self.buckets.iter().any(|other| {
            other.unit == bucket.unit
                && other.span == bucket.span
                && other.models.covers(model)
                && other.models != bucket.models
                && other.limit(now).is_some_and(|(_, source)| !weak(source))
        })
    }

    /// The gauge of a model, or of models that have nothing of their own.
    fn gauge(&self, now: Millis, model: Option<u32>) -> Gauge {
        let covers = |set: &ModelSet| match model {
            Some(model) => set.covers(model),
            None => matches!(set, ModelSet::All),
        };
        let mut gauge = Gauge::default();
        let mut blocks = Blocks::default();
        // No model is numbered so: only what is true of all models covers it.
        for (_, block) in self.blocks(now, model.unwrap_or(u32::MAX), &Amounts::LEAST) {
            blocks.add(now, block);
        }
        gauge.shut = blocks.answer();
        // Where it is shut, the room that is kept is the one that there will be.
        let now = blocks.end().unwrap_or(now);
        if gauge.shut.is_some() {
            let later = self.blocks(now, model.unwrap_or(u32::MAX), &Amounts::LEAST).next();
            gauge.opens = if later.is_some() { NEVER } else { now };
        }
        for bucket in self.buckets.iter().filter(|bucket| covers(&bucket.models)) {
            let Some((limit, source)) = bucket.limit(now) else { continue };
            if model.is_some_and(|model| self.is_overruled(now, bucket, model)) {
                continue;
            }
            let left = (limit - bucket.taken(now)).max(0.0);
            if source == Source::Catalog {
                let full = if bucket.unit == LimitUnit::Requests { left < 1.0 } else { left <= 0.0 };
                if full && bucket.unit != LimitUnit::Concurrent {
                    let until = bucket.window.frees(now, 1.0).unwrap_or(now);
                    gauge.likely_spent_until = gauge.likely_spent_until.max(until);
                }
            } else {
                gauge.room.bound(bucket.unit, left);
            }
            if let Some(ends) = bucket.window.ends(now).filter(|_| limit > 0.0 && !bucket.unnamed)
                && gauge.lapsing.is_none_or(|(_, at)| ends < at)
            {
                gauge.lapsing = Some(((left / limit) as f32, ends));
            }
            let long = bucket.length().is_some_and(|length| length >= Duration::from_secs(24 * 3600));
            if long && bucket.unit == LimitUnit::Requests {
                let left = left as u32;
                gauge.scarce = Some(gauge.scarce.map_or(left, |scarce| scarce.min(left)));
            }
        }
        gauge
    }

    /// Makes sure that a model has its gauge.
    pub(super) fn watch(&mut self, model: u32) {
        let place = model as usize;
        if self.places.len() <= place {
            self.places.resize(place + 1, 0);
        }
        if self.places[place] == 0
            && let Ok(next) = u16::try_from(self.gauges.len() + 1)
        {
            self.gauges.push((model, Gauge::default()));
            self.places[place] = next;
        }
    }

    pub(super) fn is_watched(&self, model: u32) -> bool {
        self.places.get(model as usize).is_some_and(|place| *place > 0)
    }

    /// Works the gauges out anew, after something of `model` has changed, or of any.
    pub(super) fn refresh(&mut self, now: Millis, model: Option<u32>) {
        self.changed = true;
        let alone = |set: &ModelSet| matches!(set, ModelSet::One(_));
        let all = model.is_none()
            || !self.buckets.iter().all(|bucket| alone(&bucket.models))
            || !self.holds.iter().all(|held| alone(&held.models));
        for place in 0..self.gauges.len() {
            let own = self.gauges[place].0;
            if all || Some(own) == model {
                self.gauges[place].1 = self.gauge(now, Some(own));
            }
        }
        if all {
            let some = |set: &ModelSet| matches!(set, ModelSet::Some { .. });
            self.others_differ = self.buckets.iter().any(|bucket| some(&bucket.models))
                || self.holds.iter().any(|held| some(&held.models));
            self.others = self.gauge(now, None);
        }
    }

    /// The place of a bucket.
    pub(super) fn find(&self, models: &ModelSet, unit: LimitUnit, span: Option<LimitSpan>) -> Option<usize> {
        self.buckets.iter().position(|bucket| bucket.is(models, unit, span))
    }

    /// The hold on these models.
    pub(super) fn held_mut(&mut self, models: &ModelSet) -> Option<&mut Held> {
        self.holds.iter_mut().find(|held| held.models == *models)
    }

    /// When the first thing frees that a call waits for, or may be tested.
    pub(super) fn wakes(&self, now: Millis) -> Option<Millis> {
        let tested = self.tested.map_or(Millis(0), |at| at.after(FIRST_TEST));
        let blocks = self.holds.iter().filter_map(|held| held.block(now));
        let buckets = self.buckets.iter();
        let buckets = buckets.filter_map(|bucket| bucket.block(now, Amounts::LEAST.of(bucket.unit)));
        let ends = blocks.chain(buckets).map(|block| {
            let test = block.test_from.max(tested);
            if test > now { block.until.min(test) } else { block.until }
        });
        ends.filter(|at| *at > now && *at < NEVER).min()
    }
}
