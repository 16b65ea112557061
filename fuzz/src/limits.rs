//! What replies say of limits: whatever it is, it is read, within bounds, and no number in it is absurd.

use std::sync::LazyLock;

use hr_core::catalog::{Catalog, builtin};
use hr_core::quota::Said;
use hr_core::time::Millis;
use hr_wire::complaint::{LONGEST_HINT, read_error};
use hr_wire::limits::{self, MAX_READINGS};

/// Some instant, in milliseconds.
const NOW: Millis = Millis(1_800_000_000_000);
/// The statuses that speak of limits, and two that rather do not.
const STATUSES: [u16; 6] = [429, 403, 402, 503, 529, 400];

static CATALOG: LazyLock<Catalog> = LazyLock::new(builtin);

/// Reads the input as headers, a line each, and as the body of a refusal, as each provider's file tells to.
pub fn check(input: &[u8]) {
    let headers: Vec<(&str, &[u8])> = input.split(|byte| *byte == b'\n').filter_map(field).collect();
    let status = STATUSES[input.len() % STATUSES.len()];
    let header = |name: &str| {
        let (_, value) = headers.iter().find(|(known, _)| *known == name)?;
        std::str::from_utf8(value).ok()
    };
    for provider in &CATALOG.providers {
        let model = provider.models.first().map_or("", |model| model.id.as_str());
        let said = limits::read(headers.iter().copied(), &provider.metering, model, NOW);
        judge(&said);
        let failure = read_error(status, &header, input, &provider.errors, NOW);
        assert!(failure.retry_after.is_none_or(|wait| wait <= LONGEST_HINT), "{:?}", failure.retry_after);
        judge(&failure.said);
        let mut all = limits::joined(said, failure.said);
        limits::own(&mut all, &provider.metering);
    }
}

/// `name: value`, also as JSON writes it, so that recorded answers are good seeds as they are.
fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let line = std::str::from_utf8(line).ok()?;
    let (name, value) = line.split_once(':')?;
    let bare = |text| str::trim_matches(text, [' ', '"', ',']);
    Some((bare(name), bare(value).as_bytes()))
}

fn judge(said: &Said) {
    assert!(said.readings.len() <= MAX_READINGS, "{} readings", said.readings.len());
    for reading in &said.readings {
        for number in [reading.limit, reading.remaining].into_iter().flatten() {
            assert!(number.is_finite() && number >= 0.0, "{number} of something: {reading:?}");
        }
    }
}
