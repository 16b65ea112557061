//! A request for a reply.

use serde_json::Value;
use serde_json::value::RawValue;

use super::Extras;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions of whoever runs the application.
    System,
    /// Instructions of whoever wrote the application.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool, with its results.
    Tool,
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// At an address.
    Url(String),
    /// Here.
    Base64 {
        /// Its media type: `image/png`.
        media_type: String,
        /// The bytes in base64.
        data: String,
    },
}

/// The result of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolOutput {
    /// The id of the call.
    pub call_id: String,
    /// What came out.
    pub content: Vec<Part>,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image, with the detail it should be seen in.
    Image {
        /// Where it is.
        source: ImageSource,
        /// `low`, `high` or `auto`, when said.
        detail: Option<String>,
    },
    /// Reasoning of an earlier turn.
    Reasoning(String),
    /// A refusal of an earlier turn.
    Refusal(String),
    /// A call of a tool.
    ToolCall {
        /// The id that its result names.
        id: String,
        /// The tool.
        name: String,
        /// The arguments as JSON text, exactly as they came.
        arguments: String,
    },
    /// The result of a call.
    ToolOutput(ToolOutput),
    /// A part that only the dialect of origin knows.
    Other(Value),
}

/// JSON text that is compared as written.
#[derive(Clone, Debug)]
pub struct RawJson(pub Box<RawValue>);

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The speaker's name, when there are several.
    pub name: Option<String>,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// Fields that only the dialect of origin knows.
    pub extras: Extras,
}

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The JSON schema of its arguments, as written.
    pub parameters: Option<RawJson>,
    /// Whether the schema binds strictly.
    pub strict: Option<bool>,
}

/// Whether tools are to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model sees fit.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// What shape the answer must have.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any.
    Text,
    /// JSON.
    Json,
    /// JSON of this schema.
    Schema {
        /// The schema's name.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The schema, as written.
        schema: Option<RawJson>,
        /// Whether it binds strictly.
        strict: Option<bool>,
    },
}

/// How much reasoning is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// None at all.
    None,
    /// As little as can be.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much.
    ExtraHigh,
    /// As much as there is.
    Max,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The model.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Tools that may be called.
    pub tools: Vec<Tool>,
    /// Whether they are to be.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several may be called at once.
    pub parallel_tool_calls: Option<bool>,
    /// The shape of the answer.
    pub format: Option<Format>,
    /// How much reasoning is wanted.
    pub effort: Option<Effort>,
    /// The most tokens of the answer.
    pub max_output: Option<u64>,
    /// Randomness.
    pub temperature: Option<f64>,
    /// The share of likely words that are considered.
    pub top_p: Option<f64>,
    /// Words that end the answer.
    pub stop: Vec<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether usage is wanted in the stream.
    pub include_usage: bool,
    /// Fields that only the dialect of origin knows.
    pub extras: Extras,
}
