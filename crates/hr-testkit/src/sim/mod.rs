//! A simulated pool on a virtual clock: providers with hidden limits, driven by the same `hr-core` as the gateway.
//!
//! A [`World`] is what the providers really do; a [`Contender`] decides where requests go: [`Routing`] is the
//! router, [`RoundRobin`] and [`Clairvoyant`] are what it is measured by. [`run()`] plays a [`Load`] through, a
//! [`judge`] says of each refusal whether it could have been foreseen, [`table()`] puts the outcomes side by side.
//! [`mixed`] is a pool as people have it. Nothing is left to chance, and no time passes: a day takes seconds.

pub mod calendar;
mod contender;
mod dice;
pub mod judge;
mod limit;
mod load;
pub mod mixed;
mod provider;
mod routing;
mod run;
mod table;
mod world;
mod yardsticks;

pub use contender::{Contender, Step, Visit};
pub use dice::Dice;
pub use judge::Foresight;
pub use limit::{HiddenLimit, Meter, Reset};
pub use load::{Load, Request};
pub use provider::{Owner, Spec, Telling, Voice, Words, pool};
pub use routing::Routing;
pub use run::{MAX_WAIT, Made, Report, run};
pub use table::{by_provider, table};
pub use world::{Change, Ending, Reply, World};
pub use yardsticks::{Clairvoyant, RoundRobin};
