//! When days and months begin, reckoned without the code under test.

use hr_core::time::Millis;

/// A minute, in milliseconds.
pub const MINUTE: u64 = 60_000;
/// An hour, in milliseconds.
pub const HOUR: u64 = 60 * MINUTE;
/// A day, in milliseconds.
pub const DAY: u64 = 24 * HOUR;

/// The day before or at this instant on which the US Pacific coast's day began, as an instant.
#[must_use]
pub fn pacific_midnight(now: Millis) -> Millis {
    // Midnight has an offset of its own: on the day of a change it is not that of the noon.
    let mut day = (now.0 - 8 * HOUR) / DAY + 1;
    loop {
        let standard = Millis(day * DAY + 8 * HOUR);
        let midnight =
            if is_summer(Millis(standard.0 - HOUR)) { Millis(standard.0 - HOUR) } else { standard };
        if midnight <= now {
            return midnight;
        }
        day -= 1;
    }
}

/// The next such instant.
#[must_use]
pub fn next_pacific_midnight(now: Millis) -> Millis {
    // A day has 25 hours at most; whatever lies 26 hours on belongs to the next or the one after.
    let later = pacific_midnight(Millis(pacific_midnight(now).0 + 26 * HOUR));
    debug_assert!(later > now);
    later
}

/// Whether the US Pacific coast has summer time: from the second Sunday of March, 10:00 UTC, to the first Sunday of
/// November, 09:00 UTC.
#[must_use]
pub fn is_summer(now: Millis) -> bool {
    let year = 1970 + now.0 / DAY * 400 / 146_097;
    let starts = sunday_from(days_before(year, 3, 8)) * DAY + 10 * HOUR;
    let ends = sunday_from(days_before(year, 11, 1)) * DAY + 9 * HOUR;
    (starts..ends).contains(&now.0)
}

/// The instant at which the calendar month after this instant begins, UTC.
#[must_use]
pub fn next_month(now: Millis) -> Millis {
    let year = 1970 + now.0 / DAY * 400 / 146_097;
    let months = (0..=12).map(|month| days_before(year, month + 1, 1) * DAY);
    Millis(months.chain([days_before(year + 1, 1, 1) * DAY]).find(|start| *start > now.0).unwrap_or(u64::MAX))
}

/// The first Sunday at or after a day; the first of January 1970 was a Thursday.
fn sunday_from(day: u64) -> u64 {
    day + (10 - day % 7) % 7
}

/// Days from the first of January 1970 to this one; a thirteenth month is the next year's first.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 12 { (year + 1, month - 12) } else { (year, month) };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let past = year - 1;
    let years = (past * 365 + past / 4 - past / 100 + past / 400) - 719_162;
    let lengths = [31, 28 + u64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: u64 = lengths.iter().take(usize::try_from(month - 1).unwrap_or(0)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis::from_rfc3339(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn midnights_of_the_pacific_follow_its_summer() {
        for (now, midnight, next) in [
            ("2026-11-16T07:59:59Z", "2026-11-15T08:00:00Z", "2026-11-16T08:00:00Z"),
            ("2026-11-16T08:00:00Z", "2026-11-16T08:00:00Z", "2026-11-17T08:00:00Z"),
            ("2026-07-01T07:00:00Z", "2026-07-01T07:00:00Z", "2026-07-02T07:00:00Z"),
            ("2026-03-08T12:00:00Z", "2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-11-01T12:00:00Z", "2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
        ] {
            assert_eq!(pacific_midnight(at(now)), at(midnight), "{now}");
            assert_eq!(next_pacific_midnight(at(now)), at(next), "{now}");
        }
    }

    #[test]
    fn months_begin_on_their_first() {
        assert_eq!(next_month(at("2026-11-16T07:59:59Z")), at("2026-12-01T00:00:00Z"));
        assert_eq!(next_month(at("2026-12-31T23:59:59Z")), at("2027-01-01T00:00:00Z"));
        assert_eq!(next_month(at("2028-02-01T00:00:00Z")), at("2028-03-01T00:00:00Z"));
    }
}
