//! Who is tried next, and why.
//!
//! [`Router`] is the whole routing state behind one short lock, never held across an await:
//! `plan` orders candidates and explains every exclusion, `begin` admits one attempt, `settle` learns from
//! its end, `next_wakeup` says when something changes by itself. Time and chance are arguments.

pub mod ask;
