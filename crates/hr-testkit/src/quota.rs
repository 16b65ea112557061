//! Quotas that a fake enforces and never reveals beyond what it is told to say of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::hint::{Hint, duration, timestamp};

/// What a quota is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Each key by itself.
    PerKey,
    /// Each model of each key by itself.
    PerKeyAndModel,
    /// All calls together, as keys of one project are.
    Together,
}

/// How headers tell of a quota of requests, with good answers and refusals alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// `x-ratelimit-reset-requests: 1m26.4s`
    Durations,
    /// `x-ratelimit-reset-requests: 12.500`, in seconds.
    Seconds,
    /// `anthropic-ratelimit-requests-reset: 2026-01-01T00:00:20Z`, rounded up.
    Dates,
    /// `x-ratelimit-reset: 1788825600`, in seconds since 1970, rounded up.
    Unix,
    /// No word on when it is whole again.
    Counts,
}

impl Told {
    /// The headers that say that so much is left of a limit, which is whole again after this.
    fn headers(self, (limit, left): (u64, u64), wait: Duration) -> Vec<(String, String)> {
        let unix = (SystemTime::now() + wait).duration_since(UNIX_EPOCH).unwrap_or_default();
        let whole = unix.as_secs() + u64::from(unix.subsec_nanos() > 0);
        let (names, reset) = match self {
            Self::Durations => ("x-ratelimit-*-requests", Some(duration(wait))),
            Self::Seconds => ("x-ratelimit-*-requests", Some(format!("{:.3}", wait.as_secs_f64()))),
            Self::Dates => ("anthropic-ratelimit-requests-*", Some(timestamp(whole))),
            Self::Unix => ("x-ratelimit-*", Some(whole.to_string())),
            Self::Counts => ("x-ratelimit-*-requests", None),
        };
        let name = |what| names.replace('*', what);
        let mut headers = vec![(name("limit"), limit.to_string()), (name("remaining"), left.to_string())];
        headers.extend(reset.map(|reset| (name("reset"), reset)));
        headers
    }
}

/// How much a fake serves before it answers 429. A window opens with the first call and closes after its span.
#[derive(Clone, Debug)]
pub struct Quota {
    requests: Option<(u64, Duration)>,
    tokens: Option<(u64, Duration)>,
    concurrent: Option<usize>,
    hint: Hint,
    counted: Counted,
    owners: Vec<Vec<String>>,
    told: Option<Told>,
}

/// The wait that is stated when too many calls run at once: nobody knows when one of them ends.
const CONCURRENT_WAIT: Duration = Duration::from_secs(1);

impl Quota {
    /// No limit yet, each key by itself, refusals with this hint.
    #[must_use]
    pub fn new(hint: Hint) -> Quota {
        Quota {
            requests: None,
            tokens: None,
            concurrent: None,
            hint,
            counted: Counted::PerKey,
            owners: Vec::new(),
            told: None,
        }
    }

    /// At most so many answers in a span.
    #[must_use]
    pub fn requests(mut self, amount: u64, span: Duration) -> Quota {
        self.requests = Some((amount, span));
        self
    }

    /// At most so many tokens in a span; the answer that crosses the line is still given.
    #[must_use]
    pub fn tokens(mut self, amount: u64, span: Duration) -> Quota {
        self.tokens = Some((amount, span));
        self
    }

    /// At most so many calls at the same time.
    #[must_use]
    pub fn concurrent(mut self, amount: usize) -> Quota {
        self.concurrent = Some(amount);
        self
    }

    /// Counted against something else.
    #[must_use]
    pub fn counted(mut self, counted: Counted) -> Quota {
        self.counted = counted;
        self
    }

    /// Keys of one owner, who are counted as one.
    #[must_use]
    pub fn owner<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Quota {
        self.owners.push(keys.into_iter().map(Into::into).collect());
        self
    }

    /// What headers tell of its requests, with every reply.
    #[must_use]
    pub fn told(mut self, told: Told) -> Quota {
        self.told = Some(told);
        self
    }
}

/// A place among the concurrent calls; free again when dropped.
pub(crate) type Place = Arc<()>;

/// A quota and what was used of it.
pub(crate) struct Meter {
    quota: Quota,
    used: HashMap<(String, String), Used>,
}

#[derive(Default)]
struct Used {
    requests: Window,
    tokens: Window,
    places: Place,
}

#[derive(Default)]
struct Window {
    opened: Option<Instant>,
    amount: u64,
}

impl Window {
    /// How long until there is room again; `None` when there is.
    fn wait(&mut self, limit: Option<(u64, Duration)>, now: Instant) -> Option<Duration> {
        let (amount, span) = limit?;
        let opened = *self.opened.get_or_insert(now);
        let passed = now.saturating_duration_since(opened);
        if passed >= span {
            *self = Window { opened: Some(now), amount: 0 };
        }
        (self.amount >= amount).then(|| span.saturating_sub(passed))
    }
}

impl Meter {
    pub(crate) fn new(quota: Quota) -> Meter {
        Meter { quota, used: HashMap::new() }
    }

    fn used(&mut self, key: &str, model: &str) -> &mut Used {
        let owner = self.quota.owners.iter().find(|keys| keys.iter().any(|known| known == key));
        let key = owner.and_then(|keys| keys.first()).map_or(key, String::as_str);
        let counted = match self.quota.counted {
            Counted::PerKey => (key, ""),
            Counted::PerKeyAndModel => (key, model),
            Counted::Together => ("", ""),
        };
        self.used.entry((counted.0.to_owned(), counted.1.to_owned())).or_default()
    }

    /// The refusal of a call that has no room: its hint and its wait. Counts nothing.
    pub(crate) fn refusal(&mut self, key: &str, model: &str, now: Instant) -> Option<(Hint, Duration)> {
        let quota = self.quota.clone();
        let used = self.used(key, model);
        let requests = used.requests.wait(quota.requests, now);
        let tokens = used.tokens.wait(quota.tokens, now);
        let running = Arc::strong_count(&used.places) - 1;
        let concurrent = quota.concurrent.filter(|most| running >= *most).map(|_| CONCURRENT_WAIT);
        [requests, tokens, concurrent].into_iter().flatten().max().map(|wait| (quota.hint, wait))
    }

    /// What headers tell of it.
    pub(crate) fn headers(&mut self, key: &str, model: &str, now: Instant) -> Vec<(String, String)> {
        let (Some(told), Some((limit, span))) = (self.quota.told, self.quota.requests) else {
            return Vec::new();
        };
        let window = &mut self.used(key, model).requests;
        window.wait(Some((limit, span)), now);
        let passed = window.opened.map_or(Duration::ZERO, |opened| now.saturating_duration_since(opened));
        told.headers((limit, limit.saturating_sub(window.amount)), span.saturating_sub(passed))
    }

    /// Counts a call that will be answered.
    pub(crate) fn charge(&mut self, key: &str, model: &str, tokens: u64) -> Place {
        let used = self.used(key, model);
        used.requests.amount += 1;
        used.tokens.amount += tokens;
        used.places.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(10);

    #[test]
    fn requests_come_back_when_the_window_closes() {
        let mut meter = Meter::new(Quota::new(Hint::Bare).requests(2, SPAN));
        let start = Instant::now();
        for _ in 0..2 {
            assert_eq!(meter.refusal("a", "m", start), None);
            meter.charge("a", "m", 5);
        }
        let later = start + Duration::from_secs(4);
        assert_eq!(meter.refusal("a", "m", later), Some((Hint::Bare, Duration::from_secs(6))));
        assert_eq!(meter.refusal("b", "m", later), None, "another key has its own window");
        assert_eq!(meter.refusal("a", "m", start + SPAN), None);
    }

    #[test]
    fn keys_of_an_owner_are_one_and_headers_tell_what_is_left() {
        let quota = Quota::new(Hint::Bare).requests(3, SPAN).owner(["a", "b"]).told(Told::Durations);
        let mut meter = Meter::new(quota);
        let start = Instant::now();
        meter.charge("a", "m", 1);
        meter.charge("b", "m", 1);
        let header = |meter: &mut Meter, name: &str| {
            let headers = meter.headers("b", "m", start);
            headers.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
        };
        assert_eq!(header(&mut meter, "x-ratelimit-remaining-requests").as_deref(), Some("1"));
        assert_eq!(header(&mut meter, "x-ratelimit-limit-requests").as_deref(), Some("3"));
        assert_eq!(header(&mut meter, "x-ratelimit-reset-requests").as_deref(), Some("10s"));
        meter.charge("a", "m", 1);
        assert_eq!(meter.refusal("b", "m", start), Some((Hint::Bare, SPAN)));
    }

    #[test]
    fn tokens_and_places_are_counted_too() {
        let start = Instant::now();
        let mut tokens = Meter::new(Quota::new(Hint::Prose).tokens(10, SPAN).counted(Counted::Together));
        assert_eq!(tokens.refusal("a", "m", start), None);
        tokens.charge("a", "m", 11);
        assert_eq!(tokens.refusal("b", "m", start), Some((Hint::Prose, SPAN)));

        let mut places = Meter::new(Quota::new(Hint::Bare).concurrent(1).counted(Counted::PerKeyAndModel));
        let place = places.charge("a", "m", 0);
        assert_eq!(places.refusal("a", "m", start), Some((Hint::Bare, CONCURRENT_WAIT)));
        assert_eq!(places.refusal("a", "n", start), None);
        drop(place);
        assert_eq!(places.refusal("a", "m", start), None);
    }
}
