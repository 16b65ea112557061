//! The way to the providers: [`client`] opens connections and sends, [`sign`] puts the credential into the
//! headers, [`body`] reads what comes back, inflating it where a provider compressed it unasked. Where accounts
//! sign, [`account`] knows the token in force and [`refresh`] renews it.
//!
//! Nothing here decides: who is called is the plan's business, what an answer means is the dialect's.

pub mod account;
pub mod body;
pub mod client;
mod known;
pub mod refresh;
pub mod sign;
