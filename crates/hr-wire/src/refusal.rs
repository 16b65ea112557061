//! An error for a caller, before it has a dialect's shape.

use crate::envelope::BadRequest;

/// That a request is not served: what every dialect's error says in its own shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The HTTP status it is sent with; inside a stream, the one it would have been sent with.
    pub status: u16,
    /// The `type` in OpenAI's words, where the status alone does not tell it.
    pub kind: Option<&'a str>,
    /// A stable word for programs.
    pub code: Option<&'a str>,
    /// What is wrong, in words.
    pub message: &'a str,
    /// The parameter it is about.
    pub param: Option<&'a str>,
    /// The id of the request, in dialects whose errors name it.
    pub id: Option<&'a str>,
}

impl<'a> Refusal<'a> {
    /// A refusal of this status, in these words.
    #[must_use]
    pub fn new(status: u16, message: &'a str) -> Self {
        Self { status, kind: None, code: None, message, param: None, id: None }
    }

    /// Under this stable code.
    #[must_use]
    pub fn code(self, code: &'a str) -> Self {
        Self { code: Some(code), ..self }
    }
}

impl<'a> From<&'a BadRequest> for Refusal<'a> {
    fn from(bad: &'a BadRequest) -> Self {
        Self { code: bad.code, param: bad.param.as_deref(), ..Self::new(bad.status, &bad.message) }
    }
}
