//! What is left of each quota, by what providers publish, say, and do.
//!
//! A [`reading`] is one thing that a provider said of one limit; the [`ledger`] keeps the buckets of one provider: a
//! [`call`] is reserved in every bucket that applies before it is made, and settled to what it took; [`view`] is what
//! people are shown. Times are arguments. Who is called is decided in [`crate::route`], which asks the ledger.
//!
//! An `account` has `bucket`s (each with a `window` of use, by a `calendar` where it has one) and is `held` after a
//! refusal. `owners` tells whose accounts are one, `claim` and `trials` when a provider's word is put to the test,
//! `habit`, `sight`, `edge` and `estimate` what its deeds teach; a `gauge` is the answer to the planner, worked out beforehand.

mod account;
mod bare;
mod bucket;
mod calendar;
pub mod call;
mod claim;
mod edge;
mod estimate;
mod gauge;
mod habit;
mod heard;
mod held;
pub mod ledger;
mod models;
mod owners;
pub mod reading;
mod refusal;
mod saved;
mod settle;
mod sight;
mod trials;
pub mod view;
mod window;

pub use calendar::next_reset;
pub use call::{End, Headroom, Hold, Lesson, Need, Outlook, Reservation, Seat, Trial};
pub use ledger::Ledger;
pub use reading::{Reach, Reading, Said, Source};
pub use view::{BucketView, Confidence, HoldView, OwnerQuota};
