//! The ledger of one provider on a clock that is moved by hand: laws over random calls, and providers whose limits
//! move, lie or vanish. Each scene says its figure.

mod world;

mod claims;
mod clocks;
mod kept;
mod laws;
mod learning;
mod owners;
mod readings;
