//! The styles in which providers say "come back later", each as headers and body of a 429.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::refusal::Refusal;

/// How a 429 says when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Not at all: a title without detail.
    Bare,
    /// `retry-after: 20`, rounded up.
    RetryAfterSeconds,
    /// `retry-after: 1.500`.
    RetryAfterFloat,
    /// `retry-after: Sun, 06 Nov 1994 08:49:37 GMT`, rounded up.
    RetryAfterDate,
    /// `retry-after-ms: 250`.
    RetryAfterMillis,
    /// `x-ratelimit-reset-requests: 1m26.4s` beside `x-ratelimit-remaining-requests: 0`.
    ResetDurations,
    /// `x-ratelimit-reset-requests-minute: 12.5` with a flat error body.
    ResetSeconds,
    /// A `RetryInfo` detail with the wait, beside a quota id per minute.
    RetryInfoMinute,
    /// A `RetryInfo` detail that means nothing, beside a quota id per day.
    RetryInfoDay,
    /// A reset in Unix milliseconds, as a header that is written inside the JSON body.
    MetadataMillis,
    /// "Please try again in 23m51.216s." in the message only.
    Prose,
    /// `anthropic-ratelimit-requests-reset: 2026-01-01T00:00:20Z` beside `retry-after: 20`, both rounded up.
    AnthropicReset,
    /// A subscription's limit: `resets_at` in Unix seconds, rounded up, in the body only.
    UsageLimit,
    /// A code of digits in a string, and no time at all: `1302` pace, `1304` day, `1113` money, `1305` overload.
    Code(&'static str),
}

/// What [`Hint::RetryInfoDay`] claims, whatever the wait: providers send such a delay for daily quotas too.
const MISLEADING_DELAY: Duration = Duration::from_secs(38);

/// A 429 in the making.
pub(crate) struct Hinted {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Value,
    /// The wait as the answer states it.
    pub(crate) told: Option<Duration>,
}

impl Hint {
    /// Headers and body of a 429 that asks for this wait.
    pub(crate) fn write(self, dialect: Dialect, wait: Duration, model: &str) -> Hinted {
        let mut hinted = self.plain(wait, model);
        if dialect == Dialect::Anthropic && hinted.body["error"].is_object() {
            hinted.body = dialect.envelope(429, &hinted.body["error"]);
        }
        hinted
    }

    /// The same in the envelope of chat.
    fn plain(self, wait: Duration, model: &str) -> Hinted {
        let whole = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        let plain = error("Rate limit reached, slow down", "rate_limit_exceeded");
        match self {
            Hint::Bare => Hinted {
                headers: Vec::new(),
                body: json!({"status": 429, "title": "Too Many Requests"}),
                told: None,
            },
            Hint::RetryAfterSeconds => Hinted {
                headers: vec![("retry-after", whole.as_secs().to_string())],
                body: plain,
                told: Some(whole),
            },
            Hint::RetryAfterFloat => Hinted {
                headers: vec![("retry-after", format!("{:.3}", wait.as_secs_f64()))],
                body: plain,
                told: Some(wait),
            },
            Hint::RetryAfterDate => Hinted {
                headers: vec![("retry-after", http_date(SystemTime::now() + whole))],
                body: plain,
                // The date has whole seconds: it may state up to one second less.
                told: Some(whole.saturating_sub(Duration::from_secs(1))),
            },
            Hint::RetryAfterMillis => Hinted {
                headers: vec![("retry-after-ms", wait.as_millis().to_string())],
                body: plain,
                told: Some(Duration::from_millis(wait.as_millis().try_into().unwrap_or(u64::MAX))),
            },
            Hint::ResetDurations => Hinted {
                headers: vec![
                    ("x-ratelimit-limit-requests", "60".into()),
                    ("x-ratelimit-remaining-requests", "0".into()),
                    ("x-ratelimit-reset-requests", duration(wait)),
                    ("x-ratelimit-limit-tokens", "60000".into()),
                    ("x-ratelimit-remaining-tokens", "41000".into()),
                    ("x-ratelimit-reset-tokens", "12ms".into()),
                ],
                body: plain,
                told: Some(wait),
            },
            Hint::ResetSeconds => Hinted {
                headers: vec![
                    ("x-ratelimit-limit-requests-minute", "5".into()),
                    ("x-ratelimit-remaining-requests-minute", "0".into()),
                    ("x-ratelimit-reset-requests-minute", format!("{:.3}", wait.as_secs_f64())),
                ],
                body: json!({
                    "message": "Requests per minute limit exceeded - too many requests sent.",
                    "type": "too_many_requests_error",
                    "param": "quota",
                    "code": "request_quota_exceeded",
                }),
                told: Some(wait),
            },
            Hint::RetryInfoMinute => Hinted {
                headers: Vec::new(),
                body: retry_info("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", wait, model),
                told: Some(wait),
            },
            Hint::RetryInfoDay => Hinted {
                headers: Vec::new(),
                body: retry_info(
                    "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
                    MISLEADING_DELAY,
                    model,
                ),
                told: Some(MISLEADING_DELAY),
            },
            Hint::MetadataMillis => Hinted {
                headers: Vec::new(),
                body: json!({"error": {
                    "code": 429,
                    "message": "Rate limit exceeded: free-models-per-min.",
                    "metadata": {"headers": {
                        "X-RateLimit-Limit": "20",
                        "X-RateLimit-Remaining": "0",
                        "X-RateLimit-Reset": (unix(SystemTime::now()) + wait).as_millis().to_string(),
                    }},
                }}),
                told: Some(wait),
            },
            Hint::Prose => Hinted {
                headers: Vec::new(),
                body: error(
                    &format!(
                        "Rate limit reached for model `{model}` in organization `org_1` on requests per minute (RPM): \
                         Limit 30, Used 30, Requested 1. Please try again in {}. Need more? Upgrade.",
                        duration(wait)
                    ),
                    "rate_limit_exceeded",
                ),
                told: Some(wait),
            },
            Hint::AnthropicReset => {
                let reset = unix(SystemTime::now() + whole);
                Hinted {
                    headers: vec![
                        ("retry-after", whole.as_secs().to_string()),
                        ("anthropic-ratelimit-requests-limit", "50".into()),
                        ("anthropic-ratelimit-requests-remaining", "0".into()),
                        ("anthropic-ratelimit-requests-reset", timestamp(reset.as_secs())),
                    ],
                    body: plain,
                    told: Some(whole),
                }
            }
            Hint::UsageLimit => {
                let refusal = Refusal::usage_limit("plus", SystemTime::now() + whole);
                // The instant has whole seconds: it may state up to one second less.
                let told = Some(whole.saturating_sub(Duration::from_secs(1)));
                Hinted { headers: Vec::new(), body: json!({"error": refusal.error(None)}), told }
            }
            Hint::Code(code) => Hinted {
                headers: Vec::new(),
                body: json!({"error": {"code": code, "message": code_text(code)}}),
                told: None,
            },
        }
    }
}

fn error(message: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": "requests", "param": null, "code": code}})
}

fn code_text(code: &str) -> &'static str {
    match code {
        "1113" => "Insufficient balance or no resource package. Please recharge.",
        "1304" => "The daily call limit of this API has been reached",
        "1305" => "The service may be temporarily overloaded, please try again later",
        "1309" => "Your plan has expired",
        "1310" => "Weekly or monthly limit exhausted",
        "1311" => "Your plan does not include this model",
        _ => "Rate limit reached for requests",
    }
}

fn retry_info(quota: &str, delay: Duration, model: &str) -> Value {
    let seconds = delay.as_secs_f64();
    json!({"error": {
        "code": 429,
        "message": format!(
            "You exceeded your current quota, please check your plan and billing details. \
             * Quota exceeded for metric: generate_content_free_tier_requests, limit: 20, model: {model}\n\
             Please retry in {seconds}s."
        ),
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{
                "quotaMetric": "generate_content_free_tier_requests",
                "quotaId": quota,
                "quotaDimensions": {"location": "global", "model": model},
                "quotaValue": "20",
            }]},
            {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")},
        ],
    }})
}

/// A duration with units, smallest part in fractions: `1h2m3.5s`, `370ms`.
pub(crate) fn duration(wait: Duration) -> String {
    if wait < Duration::from_secs(1) {
        return format!("{}ms", wait.as_millis());
    }
    let (hours, minutes) = (wait.as_secs() / 3600, wait.as_secs() / 60 % 60);
    let seconds = (wait - Duration::from_secs(hours * 3600 + minutes * 60)).as_secs_f64();
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn unix(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A day as the calendar names it.
struct Day {
    year: u64,
    month: usize,
    day: u64,
}

/// The day that is so many days after the first of January 1970.
fn calendar(days: u64) -> Day {
    let mut year = 1970;
    let mut day = days;
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    Day { year, month, day: day + 1 }
}

/// A date as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = unix(time).as_secs();
    let days = seconds / 86_400;
    let Day { year, month, day } = calendar(days);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month],
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// An instant as RFC 3339 writes it.
pub(crate) fn timestamp(seconds: u64) -> String {
    let Day { year, month, day } = calendar(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_does() {
        let at = |seconds| http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(at(1_704_067_199), "Sun, 31 Dec 2023 23:59:59 GMT");
        assert_eq!(timestamp(1_704_067_199), "2023-12-31T23:59:59Z");
    }

    #[test]
    fn durations_are_written_with_units() {
        assert_eq!(duration(Duration::from_millis(370)), "370ms");
        assert_eq!(duration(Duration::from_millis(1_431_216)), "23m51.216s");
        assert_eq!(duration(Duration::from_millis(3_723_500)), "1h2m3.5s");
        assert_eq!(duration(Duration::from_secs(20)), "20s");
    }

    #[test]
    fn each_style_states_its_wait_where_it_belongs() {
        let wait = Duration::from_millis(1500);
        let header = |hint: Hint, name| {
            let hinted = hint.plain(wait, "m");
            hinted.headers.into_iter().find(|(header, _)| *header == name).map(|(_, value)| value)
        };
        assert_eq!(header(Hint::RetryAfterSeconds, "retry-after").as_deref(), Some("2"));
        assert_eq!(header(Hint::RetryAfterFloat, "retry-after").as_deref(), Some("1.500"));
        assert_eq!(header(Hint::RetryAfterMillis, "retry-after-ms").as_deref(), Some("1500"));
        assert_eq!(header(Hint::ResetDurations, "x-ratelimit-reset-requests").as_deref(), Some("1.5s"));
        assert_eq!(header(Hint::ResetSeconds, "x-ratelimit-reset-requests-minute").as_deref(), Some("1.500"));
        assert_eq!(Hint::RetryInfoMinute.plain(wait, "m").body["error"]["details"][2]["retryDelay"], "1.5s");
        assert_eq!(Hint::RetryInfoDay.plain(wait, "m").told, Some(MISLEADING_DELAY));
        let prose = Hint::Prose.plain(wait, "m").body;
        assert!(prose["error"]["message"].as_str().is_some_and(|text| text.contains("try again in 1.5s.")));
        assert_eq!(Hint::Code("1302").plain(wait, "m").body["error"]["code"], "1302");
        assert_eq!(Hint::Bare.plain(wait, "m").told, None);
    }
}
