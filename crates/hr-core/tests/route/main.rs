//! The routing core over made-up providers, on a clock that is moved by hand: scenes, each a small pool and what
//! must follow; laws over random pools; a virtual day.

mod world;

mod abilities;
mod affinity;
mod breaker;
mod health;
mod hints;
mod issuers;
mod kept;
mod large;
mod losses;
mod outage;
mod own_machine;
mod preferences;
mod records;
mod reloads;
mod rests;
mod spend;
mod tried;
mod turns;

mod laws;
mod sim;
mod target;
