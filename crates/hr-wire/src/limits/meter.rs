//! From the headers of one bucket to a reading.

use hr_core::catalog::{LimitSpan, LimitUnit, Metering, OwnerScope};
use hr_core::quota::{Reach, Reading, Source};

use super::MAX_READINGS;
use super::draft::{self, Item};
use super::family::{Family, Field, Place};
use super::when::Clock;

/// All of a plan, of which only percentages are told.
const WHOLE_PLAN: f64 = 100.0;
/// Minutes of a second, for spans that are told in minutes.
const SECONDS_A_MINUTE: f64 = 60.0;

/// The headers of one reply that speak of limits, those of a bucket together. Nothing is allocated before the first.
#[derive(Debug, Default)]
pub(super) struct Board<'h> {
    meters: Vec<Meter<'h>>,
    policies: Vec<Item<'h>>,
    drafts: Vec<Item<'h>>,
    active: Option<&'h str>,
}

/// What was said of one bucket, unread.
#[derive(Debug)]
struct Meter<'h> {
    family: Family,
    bucket: &'h str,
    limit: Option<&'h str>,
    remaining: Option<&'h str>,
    reset: Option<&'h str>,
    reset_after: Option<&'h str>,
    used: Option<&'h str>,
    utilization: Option<&'h str>,
    minutes: Option<&'h str>,
    status: Option<&'h str>,
    name: Option<&'h str>,
}

impl<'h> Meter<'h> {
    fn new(family: Family, bucket: &'h str) -> Self {
        Self {
            family,
            bucket,
            limit: None,
            remaining: None,
            reset: None,
            reset_after: None,
            used: None,
            utilization: None,
            minutes: None,
            status: None,
            name: None,
        }
    }
}

impl<'h> Board<'h> {
    /// Puts a header where it belongs. The first of a name counts; an empty one says nothing.
    pub(super) fn note(&mut self, place: Place<'h>, value: &'h str) {
        if value.is_empty() {
            return;
        }
        match (place.family, place.field) {
            (Family::Draft, Field::Policy) => self.policies.extend(draft::items(value)),
            (Family::Draft, _) => self.drafts.extend(draft::items(value)),
            (_, Field::Active) => self.active = Some(value),
            _ => self.meter(place, value),
        }
    }

    fn meter(&mut self, place: Place<'h>, value: &'h str) {
        let known = |meter: &Meter<'_>| meter.family == place.family && meter.bucket == place.bucket;
        let at = match self.meters.iter().position(known) {
            Some(at) => at,
            None if self.meters.len() >= MAX_READINGS => return,
            None => {
                self.meters.push(Meter::new(place.family, place.bucket));
                self.meters.len() - 1
            }
        };
        let meter = &mut self.meters[at];
        let field = match place.field {
            Field::Limit => &mut meter.limit,
            Field::Remaining => &mut meter.remaining,
            Field::Reset => &mut meter.reset,
            Field::ResetAfter => &mut meter.reset_after,
            Field::Used => &mut meter.used,
            Field::Utilization => &mut meter.utilization,
            Field::Minutes => &mut meter.minutes,
            Field::Status => &mut meter.status,
            Field::Name => &mut meter.name,
            Field::Active | Field::Policy => return,
        };
        field.get_or_insert(value);
    }

    /// What all of it says.
    pub(super) fn readings(&self, metering: &Metering, reach: &Reach, clock: Clock) -> Vec<Reading> {
        if self.meters.is_empty() && self.policies.is_empty() && self.drafts.is_empty() {
            return Vec::new();
        }
        let blank = Reading {
            owner: metering.owner,
            reach: reach.clone(),
            unit: LimitUnit::Requests,
            span: None,
            limit: None,
            remaining: None,
            reset: None,
            source: Source::Header,
        };
        let mut readings: Vec<Reading> = self
            .meters
            .iter()
            .filter_map(|meter| match meter.family {
                Family::General | Family::Messages => self.bucket(meter, metering, blank.clone(), clock),
                Family::Plan => self.named_window(meter, blank.clone(), clock),
                Family::Windows => self.window(meter, blank.clone(), clock),
                Family::Trial => Some(Reading {
                    span: Some(LimitSpan::Minute),
                    remaining: Some(amount(meter.remaining?)?),
                    ..blank.clone()
                }),
                Family::Draft => None,
            })
            .collect();
        readings.extend(self.listed(metering, &blank, clock));
        readings.truncate(MAX_READINGS);
        readings
    }

    /// `x-ratelimit-*`: the name of the bucket tells the unit, and often the span.
    fn bucket(
        &self,
        meter: &Meter<'_>,
        metering: &Metering,
        blank: Reading,
        clock: Clock,
    ) -> Option<Reading> {
        let words = Words::read(meter.bucket)?;
        let limit = meter.limit.and_then(first_amount);
        let remaining = left(meter.remaining, meter.limit)?;
        if limit.is_none() && remaining.is_none() {
            return None;
        }
        let fixed = words.span.or_else(|| self.policy_span(meter));
        let usual = match words.unit {
            LimitUnit::Requests => metering.requests,
            LimitUnit::Concurrent => Some(LimitSpan::Now),
            _ => metering.tokens,
        };
        let usual = usual.or((meter.family == Family::Messages).then_some(LimitSpan::Minute));
        Some(Reading {
            owner: words.owner.or(blank.owner),
            unit: words.unit,
            span: fixed.or(usual),
            limit,
            remaining,
            reset: meter.reset.and_then(|reset| clock.end(reset)),
            ..blank
        })
    }

    /// The window of a bucket without a name, as its limit or the policy beside it tells.
    fn policy_span(&self, meter: &Meter<'_>) -> Option<LimitSpan> {
        if !meter.bucket.is_empty() {
            return None;
        }
        let limit = meter.limit?;
        let own = draft::items(limit).into_iter().find_map(|item| item.window);
        let same =
            |item: &&Item<'_>| item.quota.is_some() && item.quota.and_then(amount) == first_amount(limit);
        let beside = || self.policies.iter().find(same).or(self.policies.first())?.window;
        own.or_else(beside).and_then(draft::span)
    }

    /// The windows of a plan by their names: whether each lets calls through, and how much of it is used.
    fn named_window(&self, meter: &Meter<'_>, blank: Reading, clock: Clock) -> Option<Reading> {
        const REJECTED: &str = "rejected";
        let rejected = meter.status == Some(REJECTED);
        let span = match meter.bucket.split('_').next().unwrap_or_default() {
            "5h" => Some(LimitSpan::FiveHours),
            "7d" => Some(LimitSpan::Week),
            // The verdict on all of them; that on the window it is about says more.
            "" if rejected && !self.rejects_a_window() => None,
            _ => return None,
        };
        let used = meter.utilization.and_then(amount);
        let remaining = match used {
            _ if rejected => 0.0,
            Some(used) => ((1.0 - used) * WHOLE_PLAN).max(0.0),
            None => return None,
        };
        // A window that is named beyond its length counts some models only.
        let reach = if meter.bucket.contains('_') { Reach::ThisModel } else { Reach::AllModels };
        Some(Reading {
            reach,
            unit: LimitUnit::Percent,
            span,
            limit: Some(WHOLE_PLAN),
            remaining: Some(remaining),
            reset: meter.reset.and_then(|reset| clock.end(reset)),
            ..blank
        })
    }

    fn rejects_a_window(&self) -> bool {
        self.meters.iter().any(|meter| {
            meter.family == Family::Plan && !meter.bucket.is_empty() && meter.status == Some("rejected")
        })
    }

    /// The windows of a plan by how much of each is used. Which of the two is the longer one differs by plan, so its
    /// minutes tell; one that has none is not in force.
    fn window(&self, meter: &Meter<'_>, blank: Reading, clock: Clock) -> Option<Reading> {
        let used = amount(meter.used?)?;
        let minutes = meter.minutes.and_then(amount).filter(|minutes| *minutes > 0.0);
        if minutes.is_none() && used <= 0.0 {
            return None;
        }
        let reset = [meter.reset, meter.reset_after].into_iter().flatten().find_map(|text| clock.end(text));
        Some(Reading {
            reach: self.counted(meter.bucket)?,
            unit: LimitUnit::Percent,
            span: minutes.and_then(|minutes| draft::span(minutes * SECONDS_A_MINUTE)),
            limit: Some(WHOLE_PLAN),
            remaining: Some((WHOLE_PLAN - used).max(0.0)),
            reset,
            ..blank
        })
    }

    /// Which models a window counts: all, but for the families that are metered by themselves.
    fn counted(&self, bucket: &str) -> Option<Reach> {
        let Some((family, _)) = bucket.rsplit_once('-') else { return Some(Reach::AllModels) };
        let name = self
            .meters
            .iter()
            .find(|meter| meter.family == Family::Windows && meter.bucket == family)
            .and_then(|meter| meter.name);
        if self.active.is_some_and(|active| active == family || Some(active) == name) {
            return Some(Reach::ThisModel);
        }
        // Such a family is called after its model.
        name.map(|name| Reach::Models(vec![name.to_ascii_lowercase().replace(' ', "-")]))
    }

    /// The limits of the draft standard's lists.
    fn listed(&self, metering: &Metering, blank: &Reading, clock: Clock) -> Vec<Reading> {
        let lone = self.drafts.is_empty() && !self.meters.iter().any(|meter| meter.bucket.is_empty());
        let told: &[Item<'_>] = if lone { &self.policies } else { &self.drafts };
        told.iter()
            .filter_map(|item| {
                let policy = self.policies.iter().find(|policy| policy.name == item.name);
                let policy = policy.or_else(|| self.policies.first().filter(|_| told.len() == 1));
                let quota = item.quota.or(policy.and_then(|policy| policy.quota));
                let window = item.window.or(policy.and_then(|policy| policy.window));
                let unit = policy.map_or(item.unit, |policy| policy.unit)?;
                let limit = quota.and_then(amount);
                let remaining = left(item.left, quota)?;
                if limit.is_none() && remaining.is_none() {
                    return None;
                }
                Some(Reading {
                    unit,
                    span: window.and_then(draft::span).or(metering.requests.filter(|_| window.is_none())),
                    limit,
                    remaining,
                    reset: item.reset.and_then(|reset| clock.end(reset)),
                    ..blank.clone()
                })
            })
            .collect()
    }
}

/// What the name of a bucket tells.
struct Words {
    unit: LimitUnit,
    span: Option<LimitSpan>,
    owner: Option<OwnerScope>,
}

impl Words {
    /// Reads `project-input-tokens-minute`; `None` where a word is not known: it may count pictures.
    fn read(bucket: &str) -> Option<Self> {
        let (mut tokens, mut concurrent) = (None, false);
        let (mut span, mut owner) = (None, None);
        for word in bucket.split(['-', '_']).filter(|word| !word.is_empty()) {
            match word {
                "requests" | "request" | "req" | "calls" | "call" => {}
                "tokens" | "token" => {
                    tokens.get_or_insert(LimitUnit::Tokens);
                }
                "input" | "prompt" => tokens = Some(LimitUnit::InputTokens),
                "output" | "completion" | "generated" => tokens = Some(LimitUnit::OutputTokens),
                "concurrent" | "concurrency" => concurrent = true,
                "project" => owner = Some(OwnerScope::Project),
                "organization" | "organisation" | "org" => owner = Some(OwnerScope::Organisation),
                "account" | "user" => owner = Some(OwnerScope::Account),
                "ip" => owner = Some(OwnerScope::Address),
                word => span = Some(super::prose::span(word)?),
            }
        }
        let unit = match tokens {
            _ if concurrent => LimitUnit::Concurrent,
            Some(unit) => unit,
            None => LimitUnit::Requests,
        };
        Some(Self { unit, span: span.or(concurrent.then_some(LimitSpan::Now)), owner })
    }
}

/// What is left, when it is told; the outer `None` where there is no end to it, which some say with a negative limit.
fn left(remaining: Option<&str>, limit: Option<&str>) -> Option<Option<f64>> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    if limit.and_then(number).is_some_and(|limit| limit < 0.0) {
        return None;
    }
    Some(remaining.and_then(number).filter(|left| *left >= 0.0 || limit.is_some()).map(|left| left.max(0.0)))
}

/// A number of something.
fn amount(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// The first number of a list.
fn first_amount(text: &str) -> Option<f64> {
    amount(text.split([',', ';']).next()?.trim())
}
