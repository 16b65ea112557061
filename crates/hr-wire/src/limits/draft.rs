//! The `RateLimit` fields of the draft standard, in the forms that its versions had:
//! `"default";r=50;t=30` beside `"default";q=100;w=60`, `limit=100, remaining=50, reset=30`, and `100, 100;w=60`.

use std::time::Duration;

use hr_core::catalog::{LimitSpan, LimitUnit};

/// One limit of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Item<'h> {
    /// What it is called, or its quota where that stands for a name.
    pub name: &'h str,
    /// How much there is.
    pub quota: Option<&'h str>,
    /// How much is left.
    pub left: Option<&'h str>,
    /// Seconds until it is whole.
    pub reset: Option<&'h str>,
    /// Seconds that it counts over.
    pub window: Option<f64>,
    /// What it counts; `None` for something that we do not know.
    pub unit: Option<LimitUnit>,
}

/// The limits of a list.
pub(super) fn items(value: &str) -> Vec<Item<'_>> {
    if value.trim_start().starts_with("limit=") {
        return vec![together(value)];
    }
    value.split(',').map(item).filter(|item| !item.name.is_empty()).take(super::MAX_READINGS).collect()
}

fn item(text: &str) -> Item<'_> {
    let mut parts = text.split(';');
    let name = bare(parts.next().unwrap_or_default());
    let mut item = Item { name, unit: Some(LimitUnit::Requests), ..Item::default() };
    if name.parse::<f64>().is_ok() {
        item.quota = Some(name);
    }
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = bare(value);
        match key.trim() {
            "q" => item.quota = Some(value),
            "r" => item.left = Some(value),
            "t" => item.reset = Some(value),
            "w" => item.window = value.parse().ok(),
            "qu" => item.unit = unit(value),
            _ => {}
        }
    }
    item
}

/// The version that lists the fields of one limit.
fn together(value: &str) -> Item<'_> {
    let mut item = Item { unit: Some(LimitUnit::Requests), ..Item::default() };
    for (key, value) in value.split(',').filter_map(|part| part.split_once('=')) {
        let value = bare(value);
        match key.trim() {
            "limit" => item.quota = Some(value),
            "remaining" => item.left = Some(value),
            "reset" => item.reset = Some(value),
            _ => {}
        }
    }
    item
}

fn unit(word: &str) -> Option<LimitUnit> {
    match word {
        "requests" => Some(LimitUnit::Requests),
        "concurrent-requests" => Some(LimitUnit::Concurrent),
        "tokens" => Some(LimitUnit::Tokens),
        _ => None,
    }
}

fn bare(text: &str) -> &str {
    text.trim().trim_matches('"')
}

/// The span of so many seconds, where we have a word for it.
pub(super) fn span(seconds: f64) -> Option<LimitSpan> {
    const DAY: u64 = 24 * 60 * 60;
    match Duration::try_from_secs_f64(seconds).ok()?.as_secs() {
        1 => Some(LimitSpan::Second),
        60 => Some(LimitSpan::Minute),
        3600 => Some(LimitSpan::Hour),
        18_000 => Some(LimitSpan::FiveHours),
        DAY => Some(LimitSpan::Day),
        seconds if seconds == 7 * DAY => Some(LimitSpan::Week),
        seconds if (28 * DAY..=31 * DAY).contains(&seconds) => Some(LimitSpan::Month),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_read() {
        let named = items(r#""a";r=50;t=30, "b";r=9"#);
        assert_eq!((named[0].name, named[0].left, named[0].reset), ("a", Some("50"), Some("30")));
        assert_eq!((named[1].name, named[1].left, named[1].reset), ("b", Some("9"), None));
        let policy = items(r#""a";q=100;w=60;qu="tokens", "c";q=5;qu="content-bytes""#);
        assert_eq!((policy[0].quota, policy[0].window), (Some("100"), Some(60.0)));
        assert_eq!((policy[0].unit, policy[1].unit), (Some(LimitUnit::Tokens), None));
        let old = items("limit=100, remaining=50, reset=30");
        assert_eq!((old[0].quota, old[0].left, old[0].reset), (Some("100"), Some("50"), Some("30")));
        let oldest = items("100, 100;w=60");
        assert_eq!((oldest.len(), oldest[1].quota, oldest[1].window), (2, Some("100"), Some(60.0)));
        assert!(items(" , ;;, ").is_empty());
    }

    #[test]
    fn seconds_are_spans_where_there_is_a_word() {
        assert_eq!(span(60.0), Some(LimitSpan::Minute));
        assert_eq!(span(2_592_000.0), Some(LimitSpan::Month));
        assert_eq!(span(61.0), None);
        assert_eq!(span(-1.0), None);
        assert_eq!(span(f64::NAN), None);
    }
}
