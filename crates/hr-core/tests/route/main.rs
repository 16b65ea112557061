//! The routing core over made-up providers, on a clock that is moved by hand: scenes, each a small pool and what
//! must follow; laws over random pools; a virtual day.

mod world;

mod abilities;
mod breaker;
mod issuers;
mod losses;
mod own_machine;
mod preferences;
mod reloads;
mod rests;
mod tried;
mod turns;

mod laws;
mod sim;
mod target;
