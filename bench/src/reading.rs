//! What reading the limits in the headers of a reply costs: the core alone, without a gateway around it.

use std::time::Instant;

use hr_core::catalog::{LimitSpan, Metering};
use hr_core::time::Millis;
use hr_wire::limits;

use crate::report::{Row, median};

/// The headers of a good reply, those that speak of limits among the usual ones.
const HEADERS: [(&str, &str); 14] = [
    ("date", "Mon, 23 Nov 2026 07:00:00 GMT"),
    ("content-type", "application/json"),
    ("cache-control", "private, max-age=0, no-store"),
    ("vary", "Origin"),
    ("server", "cloudflare"),
    ("x-request-id", "req_01jbench0123456789abcdefgh"),
    ("x-ratelimit-limit-requests", "14400"),
    ("x-ratelimit-limit-tokens", "18000"),
    ("x-ratelimit-remaining-requests", "14370"),
    ("x-ratelimit-remaining-tokens", "17997"),
    ("x-ratelimit-reset-requests", "2m59.56s"),
    ("x-ratelimit-reset-tokens", "7.66s"),
    ("via", "1.1 google"),
    ("alt-svc", "h3=\":443\"; ma=86400"),
];
/// Replies that are timed together, since the clock is coarse.
const TOGETHER: u32 = 500;
/// How often they are.
const ROUNDS: usize = 101;
/// What a reply is to cost at most, in microseconds.
const MOST: f64 = 10.0;

/// The row.
pub fn row() -> Row {
    let (requests, tokens) = (Some(LimitSpan::Day), Some(LimitSpan::Minute));
    let metering = Metering { requests, tokens, ..Metering::default() };
    let now = Millis(1_795_417_200_000);
    let times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..TOGETHER {
                let headers = HEADERS.iter().map(|(name, value)| (*name, value.as_bytes()));
                std::hint::black_box(limits::read(headers, &metering, "a-model", now));
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(TOGETHER)
        })
        .collect();
    Row::absolute("reading the limits of a reply", "µs", None, median(&times), MOST)
}
