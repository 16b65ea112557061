//! What the simulations share.

use hr_core::time::Millis;
use hr_testkit::sim::{Change, Report, Request, Routing, Spec, World, pool, run};

/// 2026-11-16, a Monday, 00:00 UTC.
pub const START: Millis = Millis(1_794_787_200_000);
/// A second, in milliseconds.
pub const SECOND: u64 = 1000;

/// The instant of this text.
pub fn at(text: &str) -> Millis {
    Millis::from_rfc3339(text).unwrap()
}

/// Small requests, one every so many milliseconds.
pub fn every(gap: u64, from: Millis, until: Millis) -> Vec<Request> {
    let count = (until.0 - from.0) / gap;
    (0..count).map(|number| Request::small(Millis(from.0 + number * gap), number)).collect()
}

/// The router over these providers.
pub fn routed(specs: &[Spec], requests: &[Request], changes: &[(Millis, usize, Change)]) -> Report {
    let start = requests[0].at;
    run(World::new(specs, start), &mut Routing::new(start, pool(specs)), requests, changes)
}

/// Calls within a time: how many served, and how many were refused for a limit.
pub fn within(report: &Report, from: Millis, until: Millis) -> (usize, usize) {
    let own = || report.calls.iter().filter(|call| call.at >= from && call.at < until);
    (own().filter(|call| call.served).count(), own().filter(|call| call.refused.is_some()).count())
}
