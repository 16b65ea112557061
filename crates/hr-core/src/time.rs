//! An instant as milliseconds, so that state can be saved, replayed and simulated.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since the Unix epoch. The shell reads the clock; this crate is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// The instant `wait` after this one; saturates.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long from this instant until `later`; zero when `later` has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }

    /// The instant of an RFC 3339 text with an offset (`2026-11-01T08:00:00Z`); its fraction of a second may
    /// have any length. `None` for what is none, or lies before 1970.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.is_ascii() || text.len() < "2026-11-01T08:00:00Z".len() {
            return None;
        }
        let (date_and_time, rest) = text.split_at("2026-11-01T08:00:00".len());
        let number = |from: usize, to: usize| -> Option<i64> {
            let digits = date_and_time.get(from..to)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let marks = date_and_time.as_bytes();
        let marked = marks[4] == b'-' && marks[7] == b'-' && marks[13] == b':' && marks[16] == b':';
        if !marked || !matches!(marks[10], b'T' | b't' | b' ') {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let real = (1..=12).contains(&month) && (1..=31).contains(&day);
        if !real || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let zone = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let millis = fraction_in_millis(&rest[..zone])?;
        let offset = offset_in_seconds(&rest[zone..])?;
        let seconds =
            days_before(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second - offset;
        u64::try_from(seconds * 1000 + millis).ok().map(Self)
    }

    /// The instant as `2026-11-01T08:00:00Z`; what is below a second is left out.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let seconds = i64::try_from(self.0 / 1000).unwrap_or(i64::MAX);
        let (year, month, day) = date_of(seconds.div_euclid(SECONDS_A_DAY));
        let of_day = seconds.rem_euclid(SECONDS_A_DAY);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

pub(crate) const SECONDS_A_DAY: i64 = 86_400;
/// Days from the first of March of the year 0 to the first of January 1970.
const EPOCH_DAYS: i64 = 719_468;
/// Days of four hundred years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

/// `.25` is 250; nothing is 0.
fn fraction_in_millis(text: &str) -> Option<i64> {
    let Some(digits) = text.strip_prefix('.') else { return text.is_empty().then_some(0) };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<3}").get(..3)?.parse().ok()
}

/// `Z`, `+02:00`.
fn offset_in_seconds(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let two_digits = |part: &str| -> Option<i64> {
        (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?
    };
    Some(sign * (two_digits(hours)? * 3600 + two_digits(minutes)? * 60))
}

/// Days from 1970 to a date. The year is taken to begin in March, so that a leap day is its last one.
pub(crate) fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS
}

/// The date so many days after the first of January 1970.
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_instants_tell_the_same() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:30:15Z", 951_827_415),
            ("2026-11-23T03:04:05Z", 1_795_403_045),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(Millis::from_rfc3339(text), Some(Millis(seconds * 1000)), "{text}");
            assert_eq!(Millis(seconds * 1000).to_rfc3339(), text);
        }
        assert_eq!(Millis::from_rfc3339("1970-01-01T02:00:01.25+02:00"), Some(Millis(1250)));
        assert_eq!(Millis::from_rfc3339("1970-01-01 00:00:00.123456789-00:30"), Some(Millis(1_800_123)));
        for wrong in [
            "",
            "2026-11-23",
            "2026-11-23T03:04:05",
            "2026-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-23T03:04:05.Z",
            "2026-11-23T03:04:05+2",
            "é026-11-23T03:04:05Z",
            "2026-11-23T+3:04:05Z",
        ] {
            assert_eq!(Millis::from_rfc3339(wrong), None, "{wrong}");
        }
    }
}
