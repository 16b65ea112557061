//! What replies say of limits: in their headers, good ones too, and in the words of refusals.
//!
//! [`read`] walks the headers of a reply once; `family` knows which headers speak of limits, `meter` what each of them
//! means, `draft` the fields that are being standardised. `prose` finds limits in words; `when` reads instants and
//! durations. What the provider does not say itself (whom it counts, over which span) its file does
//! ([`hr_core::catalog::Metering`]). Nothing here is believed or judged: that is the ledger's.

mod draft;
mod family;
mod meter;
pub(crate) mod prose;
pub(crate) mod when;

use hr_core::catalog::{Metering, fits, reach};
use hr_core::quota::{Reach, Reading, Said, Source};
use hr_core::time::Millis;

use self::family::Speaker;
use self::meter::Board;
use self::when::Clock;

/// The most limits that are read from one reply; what comes after them is left out.
pub const MAX_READINGS: usize = 32;

/// What the headers of a reply say of limits. Names are in lower case. `model` is the one that was called.
#[must_use]
pub fn read<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
    metering: &Metering,
    model: &str,
    now: Millis,
) -> Said {
    let mut date = None;
    let mut board = Board::default();
    for (name, value) in headers {
        let Some(speaker) = family::speaker(name) else { continue };
        let Ok(value) = std::str::from_utf8(value) else { continue };
        match speaker {
            Speaker::Date => date = Some(value),
            Speaker::Limit(place) => board.note(place, value.trim()),
        }
    }
    let clock = Clock::new(date, now);
    Said { readings: board.readings(metering, &shared(metering, model), clock), clock: clock.told() }
}

/// What a refusal says in its body, beside what the headers of the same reply say: a header goes before.
#[must_use]
pub fn joined(mut headers: Said, body: Said) -> Said {
    for said in body.readings {
        let same = headers.readings.iter_mut().find(|known| {
            let spent = known.remaining.is_some_and(|left| left <= 0.0);
            known.unit == said.unit && (known.span == said.span || (said.span.is_none() && spent))
        });
        match same {
            Some(known) => {
                known.owner = known.owner.or(said.owner);
                known.limit = known.limit.or(said.limit);
                known.remaining = known.remaining.or(said.remaining);
                known.reset = known.reset.or(said.reset);
            }
            None => headers.readings.push(said),
        }
    }
    headers.clock = headers.clock.or(body.clock);
    headers
}

/// Fills in whom a provider counts, where a reply did not say.
pub fn own(said: &mut Said, metering: &Metering) {
    for reading in &mut said.readings {
        reading.owner = reading.owner.or(metering.owner);
    }
}

/// Headers that are quoted in the body of a refusal.
pub(crate) fn quoted<'h>(
    headers: impl Iterator<Item = (&'h str, &'h str)>,
    metering: &Metering,
    clock: Clock,
) -> Vec<Reading> {
    let mut board = Board::default();
    for (name, value) in headers {
        if let Some(Speaker::Limit(place)) = family::speaker(name) {
            board.note(place, value.trim());
        }
    }
    let mut readings = board.readings(metering, &reach(&metering.models), clock);
    for reading in &mut readings {
        reading.source = Source::Body;
    }
    readings
}

/// Which models share what a header says of a call to this one.
fn shared(metering: &Metering, model: &str) -> Reach {
    match reach(&metering.models) {
        Reach::Models(models) if !models.iter().any(|pattern| fits(pattern, model)) => Reach::ThisModel,
        reach => reach,
    }
}
