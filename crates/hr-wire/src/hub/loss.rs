//! What could not be carried from one side to the other.

use serde::Serialize;

/// Something the caller sent that the provider does not get as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Where it was: `logit_bias`, `messages[].name`.
    pub what: String,
    /// What became of it; `None` when it was left out.
    pub became: Option<String>,
}

impl Loss {
    /// It was left out.
    #[must_use]
    pub fn dropped(what: &str) -> Self {
        Self { what: what.to_owned(), became: None }
    }

    /// It was changed.
    #[must_use]
    pub fn changed(what: &str, became: impl Into<String>) -> Self {
        Self { what: what.to_owned(), became: Some(became.into()) }
    }
}
