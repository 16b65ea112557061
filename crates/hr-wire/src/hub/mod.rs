//! The canonical form between dialects: what a request, a reply and a stream mean, whoever speaks.
//!
//! Used only where the two ends speak different dialects, or where a whole reply has to become a stream. A
//! request and a reply are ordered blocks; a stream is events ([`Event`]) whose [`fold`] is the reply. What
//! only one dialect knows travels in [`Extras`], and what cannot travel is named by a [`Loss`].

pub mod carrier;
mod event;
mod id;
mod loss;
pub mod names;
mod opaque;
mod repair;
mod reply;
mod request;

pub use event::{Event, Start, fold, unfold};
pub use id::{LONGEST_ID, legal_id};
pub use loss::Loss;
pub use names::{NameRules, Names, Restorer};
pub use opaque::{Fingerprint, Opaque, OpaqueKind};
pub(crate) use repair::CONTINUES;
pub use repair::{Repaired, repair};
pub use reply::{Block, Finish, FinishKind, Reply};
pub use request::{
    Breakpoint, CallKind, Document, DocumentSource, Effort, Format, ImageSource, Message, Part, RawJson,
    Reasoning, ReasoningWish, Request, Role, Thinking, Tool, ToolCall, ToolChoice, ToolKind, ToolOutput,
};

use hr_core::catalog::Dialect;
use serde_json::{Map, Value};

/// Fields that only one dialect knows, kept for the way back to that dialect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// The dialect they come from.
    pub origin: Option<Dialect>,
    /// The fields, in order.
    pub fields: Map<String, Value>,
}

impl Extras {
    /// Extras of a dialect.
    #[must_use]
    pub fn of(origin: Dialect, fields: Map<String, Value>) -> Self {
        Self { origin: (!fields.is_empty()).then_some(origin), fields }
    }

    /// The fields, if this dialect is the one that knows them.
    #[must_use]
    pub fn for_dialect(&self, dialect: Dialect) -> Option<&Map<String, Value>> {
        (self.origin == Some(dialect)).then_some(&self.fields)
    }
}
