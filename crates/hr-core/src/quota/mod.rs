//! What is left of each quota, by what providers publish, say, and do.
//!
//! [`reading`] is one thing that a provider said of one limit; [`ledger`] keeps the buckets of one provider: a call
//! is reserved in every bucket that applies before it is made, and settled to what it took; [`view`] is what people
//! are shown. Times are arguments. Who is called is decided in [`crate::route`], which asks the ledger.

pub mod ledger;
pub mod reading;
pub mod view;

pub use ledger::{End, Headroom, Hold, Ledger, Lesson, Need, Outlook, Reservation, Seat, Trial};
pub use reading::{Reach, Reading, Said, Source};
pub use view::{BucketView, Confidence, OwnerQuota};
