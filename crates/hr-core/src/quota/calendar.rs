//! When the spans of limits end that are counted by a calendar, by the clock of whoever counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::LimitSpan;
use crate::time::{Millis, SECONDS_A_DAY, date_of, days_before};

/// The longest span of a limit that we follow: a calendar month, and a day for the difference of clocks.
pub(super) const LONGEST: Duration = Duration::from_secs(32 * 24 * 3600);

/// How far Pacific standard time is behind UTC, in seconds; an hour less in summer.
const PACIFIC_STANDARD: i64 = 8 * 3600;
const PACIFIC_SUMMER: i64 = 7 * 3600;

/// A calendar that spans end by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cycle {
    /// At midnight, UTC.
    UtcDay,
    /// At midnight on the Pacific coast of the United States, which keeps summer time.
    PacificDay,
    /// On the first of each month, UTC.
    Month,
}

impl Cycle {
    /// The calendar of a catalogue entry; `None` for a rolling span.
    pub(super) fn named(reset: &str) -> Option<Self> {
        match reset {
            "utc-midnight" => Some(Self::UtcDay),
            "pacific-midnight" => Some(Self::PacificDay),
            "calendar-month" => Some(Self::Month),
            _ => None,
        }
    }

    /// The first end after an instant.
    pub(super) fn next(self, now: Millis) -> Millis {
        let seconds = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX / 4);
        let today = seconds.div_euclid(SECONDS_A_DAY);
        let end = match self {
            Self::UtcDay => (today + 1) * SECONDS_A_DAY,
            Self::PacificDay => {
                let midnights = (today - 1..).map(pacific_midnight);
                midnights.take(4).find(|at| *at > seconds).unwrap_or((today + 1) * SECONDS_A_DAY)
            }
            Self::Month => {
                let (year, month, _) = date_of(today);
                let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                days_before(year, month, 1) * SECONDS_A_DAY
            }
        };
        Millis(u64::try_from(end).unwrap_or(0).saturating_mul(1000))
    }
}

/// The next end of a span by the calendar that a provider's file names; `None` for one that rolls.
#[must_use]
pub fn next_reset(reset: &str, now: Millis) -> Option<Millis> {
    Cycle::named(reset).map(|cycle| cycle.next(now))
}

/// When a day begins on the Pacific coast, in seconds since 1970. Clocks change at two in the morning, so that the day
/// of a change still begins by the old time: summer time is from the second Sunday of March to the first of November.
fn pacific_midnight(day: i64) -> i64 {
    let (year, ..) = date_of(day);
    let summer = sunday(year, 3, 2) < day && day <= sunday(year, 11, 1);
    day * SECONDS_A_DAY + if summer { PACIFIC_SUMMER } else { PACIFIC_STANDARD }
}

/// The day of a month's first, second … Sunday. 1970 began on a Thursday.
fn sunday(year: i64, month: i64, count: i64) -> i64 {
    let first = days_before(year, month, 1);
    let weekday = (first + 4).rem_euclid(7);
    first + (7 - weekday) % 7 + 7 * (count - 1)
}

/// How long a span lasts; at most, where months differ. `None` for what is counted at the same time.
pub(super) fn length(span: LimitSpan) -> Option<Duration> {
    const HOUR: u64 = 3600;
    let seconds = match span {
        LimitSpan::Now => return None,
        LimitSpan::Second => 1,
        LimitSpan::Minute => 60,
        LimitSpan::Hour => HOUR,
        LimitSpan::FiveHours => 5 * HOUR,
        LimitSpan::Day => 24 * HOUR,
        LimitSpan::Week => 7 * 24 * HOUR,
        LimitSpan::Month => 31 * 24 * HOUR,
    };
    Some(Duration::from_secs(seconds))
}

/// The span that lasts about so long, if one does.
pub(super) fn span_of(lasts: Duration) -> Option<LimitSpan> {
    use LimitSpan as S;
    let near = |span: &S| {
        let wanted = length(*span).unwrap_or_default().as_secs_f64();
        (lasts.as_secs_f64() - wanted).abs() <= wanted * 0.1
    };
    [S::Second, S::Minute, S::Hour, S::FiveHours, S::Day, S::Week, S::Month].into_iter().find(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis::from_rfc3339(text).unwrap()
    }

    #[test]
    fn days_end_at_midnight_of_their_place() {
        for (now, utc, pacific, month) in [
            ("2026-11-23T06:00:00Z", "2026-11-24T00:00:00Z", "2026-11-23T08:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z", "2027-01-01T08:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-07-01T07:00:00Z", "2026-07-02T00:00:00Z", "2026-07-02T07:00:00Z", "2026-08-01T00:00:00Z"),
            // Summer time begins on 8 March 2026 and ends on 1 November.
            ("2026-03-08T07:59:59Z", "2026-03-09T00:00:00Z", "2026-03-08T08:00:00Z", "2026-04-01T00:00:00Z"),
            ("2026-03-08T08:00:00Z", "2026-03-09T00:00:00Z", "2026-03-09T07:00:00Z", "2026-04-01T00:00:00Z"),
            ("2026-11-01T06:59:59Z", "2026-11-02T00:00:00Z", "2026-11-01T07:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-11-01T07:00:00Z", "2026-11-02T00:00:00Z", "2026-11-02T08:00:00Z", "2026-12-01T00:00:00Z"),
            ("2027-03-14T09:00:00Z", "2027-03-15T00:00:00Z", "2027-03-15T07:00:00Z", "2027-04-01T00:00:00Z"),
        ] {
            assert_eq!(Cycle::UtcDay.next(at(now)), at(utc), "{now}");
            assert_eq!(Cycle::PacificDay.next(at(now)), at(pacific), "{now}");
            assert_eq!(Cycle::Month.next(at(now)), at(month), "{now}");
        }
    }

    #[test]
    fn only_lengths_that_are_near_have_a_name() {
        assert_eq!(span_of(Duration::from_secs(62)), Some(LimitSpan::Minute));
        assert_eq!(span_of(Duration::from_secs(90)), None);
        assert_eq!(span_of(Duration::from_secs(86_000)), Some(LimitSpan::Day));
    }
}
