//! What each model really can do, as far as anybody has told.
//!
//! A [`Fact`] is a value with the [`Source`] that it is known from and when; [`Facts`] keeps those of every model
//! and is what survives a restart. [`overlay()`] puts them over a pool: the user's own settings win, the catalogue
//! gives way. [`Listing`] is what a provider's list of models says, [`discover`] which of them are taken into use,
//! [`probe`] who is asked a tiny question because nobody has told. What is unknown never excludes anybody.

mod discover;
mod fact;
mod facts;
mod listing;
mod overlay;
pub mod probe;

pub use discover::{Wishes, is_for_chat, is_free};
pub use fact::{Evidence, Fact, Known, Source, Witness};
pub use facts::{Abilities, Ability, Facts, MAX_MODELS, keyring, place};
pub use listing::{ListedModel, Listing, MAX_LISTED};
pub use overlay::overlay;
