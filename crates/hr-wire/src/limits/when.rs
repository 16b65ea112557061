//! Instants and durations, in the many forms in which providers write them, and the clock that they mean.

use std::time::Duration;

use hr_core::time::Millis;

/// The most by which the clock of a server is believed to differ from ours.
const MAX_SKEW: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest wait that means something: no span that providers count over is longer than a month.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(32 * 24 * 60 * 60);

/// The present, as we and the server have it. Servers mean instants by their own clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    now: Millis,
    told: Option<Millis>,
}

impl Clock {
    /// With what the server says of its clock (`Date`), where that can be true.
    pub(crate) fn new(date: Option<&str>, now: Millis) -> Self {
        let told = date.and_then(http_date);
        Self { now, told: told.filter(|told| told.until(now).max(now.until(*told)) <= MAX_SKEW) }
    }

    /// The present by our clock.
    pub(crate) fn now(self) -> Millis {
        self.now
    }

    /// An instant of the server's clock by ours; never in the past.
    pub(crate) fn ours(self, instant: Millis) -> Millis {
        self.now.after(self.server().until(instant).min(LONGEST_WAIT))
    }

    /// What the server's clock showed.
    pub(crate) fn told(self) -> Option<Millis> {
        self.told
    }

    /// The present by the server's clock; by ours where it does not tell.
    pub(crate) fn server(self) -> Millis {
        self.told.unwrap_or(self.now)
    }

    /// When something ends that was written in any of the forms, by our clock.
    pub(crate) fn end(self, text: &str) -> Option<Millis> {
        instant_or_wait(text, self.server()).map(|wait| self.now.after(wait.min(LONGEST_WAIT)))
    }
}

/// A number of seconds, an instant, a duration with units, or a date: how long it is until then.
pub(crate) fn instant_or_wait(text: &str, now: Millis) -> Option<Duration> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return by_magnitude(number, now);
    }
    if let Some(wait) = duration(text) {
        return Some(wait);
    }
    let instant = rfc3339(text).or_else(|| http_date(text))?;
    Some(now.until(instant))
}

/// Large numbers are instants, in milliseconds or seconds; small ones are seconds from now.
pub(crate) fn by_magnitude(number: f64, now: Millis) -> Option<Duration> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "large and positive by the guard"
    )]
    let until = |milliseconds: f64| Some(now.until(Millis(milliseconds as u64)));
    match number {
        _ if number > 1e12 => until(number),
        _ if number > 1e9 => until(number * 1000.0),
        _ => wait(number),
    }
}

/// Seconds as a duration; negative ones and nonsense are none.
pub(crate) fn wait(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT))
}

/// `1h2m3.5s`, `370ms`, `38.2s`, `6 minutes`, `1 hour 5 min`: numbers with units, as far as they go.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut found = false;
    let mut rest = text;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..digits].trim_end_matches('.').parse::<f64>() else { break };
        let after = rest[digits..].trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let Some(unit) = unit(&after[..letters]) else { break };
        seconds += number * unit;
        found = true;
        rest = after[letters..].trim_start().trim_start_matches("and ");
    }
    found.then(|| wait(seconds)).flatten()
}

/// Seconds of a unit of time.
fn unit(word: &str) -> Option<f64> {
    const UNITS: [(f64, &[&str]); 5] = [
        (0.001, &["ms", "millisecond", "milliseconds"]),
        (1.0, &["s", "sec", "secs", "second", "seconds"]),
        (60.0, &["m", "min", "mins", "minute", "minutes"]),
        (3600.0, &["h", "hr", "hrs", "hour", "hours"]),
        (86_400.0, &["d", "day", "days"]),
    ];
    let known = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    UNITS.iter().find(|(_, words)| known(words)).map(|(seconds, _)| *seconds)
}

/// `2026-12-01T00:00:00Z`; without an offset it is taken for UTC.
pub(crate) fn rfc3339(text: &str) -> Option<Millis> {
    Millis::from_rfc3339(text).or_else(|| Millis::from_rfc3339(&format!("{text}Z")))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`. Every reply has one, so it is read in place.
pub(crate) fn http_date(text: &str) -> Option<Millis> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (day, month, year, time) = match words_of_usual_date(text) {
        Some(words) => words,
        None => {
            let mut words = text.split_once(", ")?.1.split([' ', '-']);
            (words.next()?, words.next()?, words.next()?, words.next()?)
        }
    };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
    let mut text = *b"0000-00-00T00:00:00Z";
    let mut put = |at: usize, wide: usize, word: &str| {
        let from = wide.checked_sub(word.len())?;
        text.get_mut(at + from..at + wide)?.copy_from_slice(word.as_bytes());
        Some(())
    };
    put(0, 4, (year.len() == 4).then_some(year)?)?;
    put(8, 2, day)?;
    put(11, 8, (time.len() == 8).then_some(time)?)?;
    text[5] += u8::from(month >= 10);
    text[6] += u8::try_from(month % 10).ok()?;
    Millis::from_rfc3339(std::str::from_utf8(&text).ok()?)
}

/// Day, month, year and time of a date in the form that nearly all have: each stands in its place.
fn words_of_usual_date(text: &str) -> Option<(&str, &str, &str, &str)> {
    const USUAL: &[u8; 29] = b"___, __ ___ ____ ________ GMT";
    let fits = |(usual, byte): (&u8, u8)| *usual == b'_' || *usual == byte;
    if text.len() != USUAL.len() || !USUAL.iter().zip(text.bytes()).all(fits) {
        return None;
    }
    Some((text.get(5..7)?, text.get(8..11)?, text.get(12..16)?, text.get(17..25)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_788_800_000_000);

    #[test]
    fn durations_and_dates_are_read() {
        let seconds = |text| duration(text).map(|wait| wait.as_secs_f64());
        assert_eq!(seconds("2m59.56s"), Some(179.56));
        assert_eq!(seconds("370ms"), Some(0.37));
        assert_eq!(seconds("1h2m3.5s"), Some(3723.5));
        assert_eq!(seconds("6 Minutes and 5 seconds."), Some(365.0));
        assert_eq!(seconds("12 elephants"), None);
        assert_eq!(rfc3339("1970-01-02T00:00:00Z"), Some(Millis(86_400_000)));
        assert_eq!(rfc3339("1970-01-02T01:00:00.5+01:00"), Some(Millis(86_400_500)));
        assert_eq!(rfc3339("1970-01-02T00:00:00"), Some(Millis(86_400_000)));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Millis(784_111_777_000)));
        assert_eq!(http_date("Sun, 6 Nov 1994 08:49:37 GMT"), Some(Millis(784_111_777_000)));
        for wrong in ["Sun, 06 Nov 94 08:49:37 GMT", "Sun, 006 Nov 1994 08:49:37 GMT", "06 Nov", "é, é é é é"]
        {
            assert_eq!(http_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn instants_are_meant_by_the_clock_of_the_server() {
        let slow = Clock::new(Some("Mon, 07 Sep 2026 15:53:20 GMT"), NOW);
        assert_eq!(slow.told(), Some(Millis(NOW.0 - 3_600_000)));
        assert_eq!(slow.end("2026-09-07T15:54:20Z"), Some(Millis(NOW.0 + 60_000)));
        assert_eq!(slow.end("1m"), Some(Millis(NOW.0 + 60_000)));
        assert_eq!(slow.end("1788796460000"), Some(Millis(NOW.0 + 60_000)));
        let odd = Clock::new(Some("Mon, 07 Sep 2020 15:53:20 GMT"), NOW);
        assert_eq!((odd.told(), odd.end("60")), (None, Some(Millis(NOW.0 + 60_000))));
        assert_eq!(odd.end(""), None);
        assert_eq!(odd.end("1e9"), Some(NOW.after(LONGEST_WAIT)));
    }
}
