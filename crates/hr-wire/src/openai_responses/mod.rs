//! OpenAI Responses: the dialect of items, which the newest coding agents speak.
//!
//! Client half: [`facts`] checks a request and finds its facts, [`request`] brings it to the hub, [`encoder`]
//! writes replies in the whole grammar of events. Upstream half: [`stream`] and [`reply`] read replies, and what
//! passes natively is watched. [`error`] holds the words for the caller.

mod check;
mod compose;
pub mod encoder;
pub mod error;
pub mod facts;
mod file;
mod glance;
mod halves;
mod input;
mod item;
mod kept;
mod prepare;
mod quirk;
pub mod reply;
pub mod request;
mod response;
pub mod stream;
pub mod types;
mod watch;
mod whole;

pub use halves::OpenaiResponses;
pub use quirk::{quirk_exists, quirk_names};
pub use stream::MAX_ITEMS;
pub use watch::Watch;
pub use whole::{read_whole, to_stream, to_whole};
