//! When to come back: the many ways in which providers say it.

use std::time::Duration;

use hr_core::time::Millis;
use serde_json::Value;

use crate::limits::when::{Clock, by_magnitude, duration, instant_or_wait, wait};

/// The longest wait that is believed: the longest window that providers count in, a week. What lasts longer is
/// asked again after this, so that a wrong hint never benches a key for good. The policy of routing may believe
/// less, by what has happened.
pub const LONGEST_HINT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How deep a body is searched for a hint.
const SEARCH_DEPTH: usize = 8;

/// Buckets that are reported as `x-ratelimit-remaining-<bucket>` with `x-ratelimit-reset-<bucket>`.
const BUCKETS: &[&str] = &[
    "requests",
    "tokens",
    "project-tokens",
    "requests-minute",
    "requests-hour",
    "requests-day",
    "tokens-minute",
    "tokens-hour",
    "tokens-day",
];

/// Buckets that are reported as `anthropic-ratelimit-<bucket>-remaining` with `-reset`: the header family of
/// the Messages dialect, which compatible endpoints send too.
const PREFIXED_BUCKETS: &[&str] = &["requests", "tokens", "input-tokens", "output-tokens"];

fn clock<'h>(header: &dyn Fn(&str) -> Option<&'h str>, now: Millis) -> Millis {
    Clock::new(header("date"), now).server()
}

/// The hint in the headers: milliseconds first, then seconds or a date, then the reset of a bucket that is
/// empty.
pub(crate) fn in_headers<'h>(header: &dyn Fn(&str) -> Option<&'h str>, now: Millis) -> Option<Duration> {
    let now = clock(header, now);
    let milliseconds = header("retry-after-ms").and_then(|value| value.trim().parse::<f64>().ok());
    milliseconds
        .and_then(|value| wait(value / 1000.0))
        .or_else(|| header("retry-after").and_then(|value| instant_or_wait(value, now)))
        .or_else(|| empty_bucket(header, now))
        .map(bounded)
}

/// The hint in a JSON body, by the name of its field.
pub(crate) fn in_body(body: &Value, now: Millis) -> Option<Duration> {
    search(body, now, SEARCH_DEPTH).map(bounded)
}

/// The hint in prose, in lower case: only after words that announce it.
pub(crate) fn in_prose(words: &str) -> Option<Duration> {
    const ANCHORS: &[&str] =
        &["try again in ", "retry in ", "try again after ", "retry after ", "retrying in "];
    ANCHORS
        .iter()
        .find_map(|anchor| {
            let at = words.find(anchor)?;
            duration(words[at + anchor.len()..].trim_start())
        })
        .map(bounded)
}

fn bounded(wait: Duration) -> Duration {
    wait.min(LONGEST_HINT)
}

fn empty_bucket<'h>(header: &dyn Fn(&str) -> Option<&'h str>, now: Millis) -> Option<Duration> {
    let plain = std::iter::once((String::from("x-ratelimit-remaining"), String::from("x-ratelimit-reset")));
    let named = BUCKETS
        .iter()
        .map(|bucket| (format!("x-ratelimit-remaining-{bucket}"), format!("x-ratelimit-reset-{bucket}")));
    let prefixed = PREFIXED_BUCKETS.iter().map(|bucket| {
        (format!("anthropic-ratelimit-{bucket}-remaining"), format!("anthropic-ratelimit-{bucket}-reset"))
    });
    plain
        .chain(named)
        .chain(prefixed)
        .filter(|(remaining, _)| {
            header(remaining)
                .and_then(|value| value.trim().parse::<f64>().ok())
                .is_some_and(|left| left <= 0.0)
        })
        .filter_map(|(_, reset)| header(&reset).and_then(|value| instant_or_wait(value, now)))
        .max()
}

/// When the last of the windows that are used up is over. They come in a header family of their own: how much
/// of each is used, in percent, and when it ends, which may be the empty string. Which of the two is the longer
/// one differs by plan.
pub(crate) fn full_window<'h>(header: &dyn Fn(&str) -> Option<&'h str>, now: Millis) -> Option<Duration> {
    const FULL: f64 = 100.0;
    let now = clock(header, now);
    const WINDOWS: [(&str, [&str; 2]); 2] = [
        ("x-codex-primary-used-percent", ["x-codex-primary-reset-at", "x-codex-primary-reset-after-seconds"]),
        (
            "x-codex-secondary-used-percent",
            ["x-codex-secondary-reset-at", "x-codex-secondary-reset-after-seconds"],
        ),
    ];
    WINDOWS
        .iter()
        .filter(|(used, _)| {
            let used = header(used);
            used.and_then(|used| used.trim().parse::<f64>().ok()).is_some_and(|used| used >= FULL)
        })
        .filter_map(|(_, ends)| ends.iter().find_map(|end| instant_or_wait(header(end)?, now)))
        .max()
        .map(bounded)
}

fn search(value: &Value, now: Millis, depth: usize) -> Option<Duration> {
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Array(items) => items.iter().find_map(|item| search(item, now, depth)),
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let found = match key.to_ascii_lowercase().as_str() {
                "retry_after_ms" => value.as_f64().and_then(|ms| wait(ms / 1000.0)),
                "retrydelay"
                | "retry_after"
                | "retryafter"
                | "retry-after"
                | "retry_after_seconds"
                | "resets_in_seconds"
                | "resets_at"
                | "x-ratelimit-reset" => match value {
                    Value::String(text) => instant_or_wait(text, now),
                    Value::Number(number) => number.as_f64().and_then(|number| by_magnitude(number, now)),
                    _ => None,
                },
                _ => None,
            };
            found.or_else(|| search(value, now, depth))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_788_800_000_000);

    fn header_hint(name: &'static str, value: &'static str) -> Option<f64> {
        in_headers(&|asked| (asked == name).then_some(value), NOW).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        assert_eq!(header_hint("retry-after-ms", "250"), Some(0.25));
        assert_eq!(header_hint("retry-after", "30"), Some(30.0));
        assert_eq!(header_hint("retry-after", "1.5"), Some(1.5));
        assert_eq!(header_hint("retry-after", "-5"), None);
        assert_eq!(header_hint("retry-after", "99999999999"), Some(604_800.0));
        assert_eq!(header_hint("retry-after", "Mon, 07 Sep 2026 13:35:00 GMT"), Some(0.0));
        assert_eq!(header_hint("retry-after", "Mon, 07 Sep 2026 16:54:20 GMT"), Some(60.0));
        assert_eq!(header_hint("retry-after", "soon"), None);
    }

    #[test]
    fn instants_are_meant_by_the_clock_of_the_server() {
        let by = |date: &'static str| {
            let header = move |name: &str| match name {
                "date" => Some(date),
                "retry-after" => Some("Mon, 07 Sep 2026 17:00:00 GMT"),
                _ => None,
            };
            in_headers(&header, NOW).map(|wait| wait.as_secs())
        };
        assert_eq!(by("Mon, 07 Sep 2026 16:53:20 GMT"), Some(400));
        assert_eq!(by("Mon, 07 Sep 2026 15:00:00 GMT"), Some(7200));
        assert_eq!(by("Mon, 07 Sep 2026 18:00:00 GMT"), Some(0));
        assert_eq!(by("Mon, 07 Sep 1970 15:00:00 GMT"), Some(400));
        assert_eq!(by("yesterday"), Some(400));
    }

    #[test]
    fn only_an_empty_bucket_speaks() {
        fn header(name: &str) -> Option<&'static str> {
            match name {
                "x-ratelimit-remaining-requests" => Some("0"),
                "x-ratelimit-reset-requests" => Some("2m59.56s"),
                "x-ratelimit-remaining-tokens" => Some("77"),
                "x-ratelimit-reset-tokens" => Some("9h"),
                _ => None,
            }
        }
        assert_eq!(in_headers(&header, NOW), Some(Duration::from_millis(179_560)));
    }

    #[test]
    fn only_a_full_window_speaks_whichever_it_is() {
        fn header(name: &str) -> Option<&'static str> {
            match name {
                "x-codex-primary-used-percent" => Some("100.0"),
                "x-codex-primary-window-minutes" => Some("10080"),
                "x-codex-primary-reset-at" => Some("1789232000"),
                "x-codex-secondary-used-percent" => Some("0"),
                "x-codex-secondary-reset-at" => Some(""),
                "x-codex-credits-unlimited" => Some("False"),
                _ => None,
            }
        }
        assert_eq!(full_window(&header, NOW), Some(Duration::from_secs(432_000)));
        let empty = |name: &str| (name == "x-codex-primary-used-percent").then_some("99.9");
        assert_eq!(full_window(&empty, NOW), None);
        fn seconds(name: &str) -> Option<&'static str> {
            match name {
                "x-codex-secondary-used-percent" => Some("100"),
                "x-codex-secondary-reset-at" => Some(""),
                "x-codex-secondary-reset-after-seconds" => Some("90"),
                _ => None,
            }
        }
        assert_eq!(full_window(&seconds, NOW), Some(Duration::from_secs(90)));
    }

    #[test]
    fn prose_needs_its_anchor_and_its_unit() {
        assert_eq!(
            in_prose("please try again in 23m51.216s. need more?"),
            Some(Duration::from_millis(1_431_216))
        );
        assert_eq!(in_prose("limit 20, please retry in 37.5s."), Some(Duration::from_millis(37_500)));
        assert_eq!(in_prose("try again in 5 or so"), None);
        assert_eq!(in_prose("used 30s of compute"), None);
    }
}
