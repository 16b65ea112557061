//! A request for a reply.

use std::borrow::Cow;

use hr_core::catalog::Dialect;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Extras, Opaque};
use crate::envelope::BadRequest;

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

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentSource {
    /// At an address.
    Url(String),
    /// Here, as bytes.
    Base64 {
        /// Its media type: `application/pdf`.
        media_type: String,
        /// The bytes in base64.
        data: String,
    },
    /// Here, as text.
    Text(String),
    /// Uploaded before, under this id, which only the provider that took it knows.
    File(String),
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where it is.
    pub source: DocumentSource,
    /// Its title or file name.
    pub title: Option<String>,
    /// What the sender says about it.
    pub context: Option<String>,
}

/// How a tool takes its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// As JSON of a schema.
    #[default]
    Function,
    /// As free text (the Responses API's custom tools).
    Custom,
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall {
    /// The id that its result names.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The namespace that the tool is in, where there are some.
    pub namespace: Option<String>,
    /// How the tool takes its input.
    pub kind: CallKind,
    /// The input exactly as it came: JSON text, or free text for [`CallKind::Custom`].
    pub arguments: String,
    /// What the provider wants back beside it.
    pub opaque: Option<Opaque>,
}

/// The result of a tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolOutput {
    /// The id of the call.
    pub call_id: String,
    /// How the tool takes its input, as far as the result tells.
    pub kind: CallKind,
    /// What came out: text, images, documents, and the names of tools that were found.
    pub content: Vec<Part>,
    /// Whether the tool failed.
    pub is_error: bool,
}

impl ToolOutput {
    /// What came out as text, for dialects whose results are nothing else: without pictures and the like, with
    /// the names of the tools that were found, and with a word where the tool failed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines: Vec<Cow<'_, str>> = Vec::new();
        let mut found: Vec<&str> = Vec::new();
        for part in &self.content {
            match part {
                Part::Text(text) | Part::Refusal(text) => lines.push(text.into()),
                Part::ToolReference(name) => found.push(name),
                _ => {}
            }
        }
        if !found.is_empty() {
            lines.push(format!("Tools now available: {}", found.join(", ")).into());
        }
        let text = lines.join("\n");
        let says_so = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
        if self.is_error && !says_so { format!("Error: {text}") } else { text }
    }
}

/// Reasoning of an earlier turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// What can be read of it; empty where it is hidden.
    pub text: String,
    /// What only its issuer can read.
    pub opaque: Option<Opaque>,
}

/// A mark up to which a provider is asked to cache the prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breakpoint {
    /// How long to keep it, in the words of the caller (`5m`, `1h`); unsaid is the provider's default.
    pub ttl: Option<String>,
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
        /// `low`, `high`, `auto` or `original`, when said.
        detail: Option<String>,
    },
    /// A document.
    Document(Document),
    /// Sound.
    Audio {
        /// `wav` or `mp3`.
        format: String,
        /// The bytes in base64.
        data: String,
    },
    /// Reasoning of an earlier turn.
    Reasoning(Reasoning),
    /// A refusal of an earlier turn.
    Refusal(String),
    /// A call of a tool.
    ToolCall(ToolCall),
    /// The result of a call.
    ToolOutput(ToolOutput),
    /// The name of a tool that was found by a search for tools; in results only.
    ToolReference(String),
    /// What came before it, in the message and in the conversation, is worth caching.
    Breakpoint(Breakpoint),
    /// A part that only one dialect knows, as it came.
    Other {
        /// The dialect.
        origin: Dialect,
        /// The part.
        value: Value,
    },
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

/// What a tool is.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind {
    /// It takes JSON.
    Function {
        /// The JSON schema of its arguments, as written.
        parameters: Option<RawJson>,
        /// Whether the schema binds strictly.
        strict: Option<bool>,
    },
    /// It takes free text.
    Custom {
        /// The grammar of the text, as written (`{"type":"grammar",…}`).
        format: Option<RawJson>,
    },
    /// One that the provider runs itself, or that only one dialect knows, as it came.
    Other {
        /// The dialect.
        origin: Dialect,
        /// The whole tool.
        value: RawJson,
    },
}

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name; for [`ToolKind::Other`] its `name` or `type`.
    pub name: String,
    /// The namespace that it is in.
    pub namespace: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it is.
    pub kind: ToolKind,
    /// Whether it is shown to the model only once it was searched for and found.
    pub deferred: bool,
    /// Whether the tools up to this one are worth caching.
    pub breakpoint: Option<Breakpoint>,
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
    Named {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: Option<String>,
    },
    /// Of these only.
    Allowed {
        /// Their names.
        names: Vec<String>,
        /// Whether at least one must be called.
        required: bool,
    },
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

/// How reasoning is switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Off.
    Off,
    /// On.
    On,
    /// As the model sees fit.
    Adaptive,
}

/// What is wanted of the model's reasoning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasoningWish {
    /// Whether to reason, where that was said apart from the effort.
    pub thinking: Option<Thinking>,
    /// How much.
    pub effort: Option<Effort>,
    /// The most tokens to spend on it.
    pub budget: Option<u64>,
    /// Which summary the caller wants to read, in its words (`auto`, `detailed`, `omitted`).
    pub summary: Option<String>,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The model.
    pub model: String,
    /// The conversation. Instructions that stand before it are its first messages.
    pub messages: Vec<Message>,
    /// Tools that may be called.
    pub tools: Vec<Tool>,
    /// Whether they are to be.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several may be called at once.
    pub parallel_tool_calls: Option<bool>,
    /// The shape of the answer.
    pub format: Option<Format>,
    /// How wordy the answer should be (`low`, `medium`, `high`).
    pub verbosity: Option<String>,
    /// What is wanted of its reasoning.
    pub reasoning: ReasoningWish,
    /// The most tokens of the answer, reasoning included.
    pub max_output: Option<u64>,
    /// Randomness.
    pub temperature: Option<f64>,
    /// The share of likely words that are considered.
    pub top_p: Option<f64>,
    /// The number of likely words that are considered.
    pub top_k: Option<u64>,
    /// Words that end the answer.
    pub stop: Vec<String>,
    /// Who the end user is, as the caller calls them.
    pub user: Option<String>,
    /// Requests with the same key share a beginning.
    pub cache_key: Option<String>,
    /// The tier of service, in the words of the dialect of origin.
    pub service_tier: Option<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether usage is wanted in the stream.
    pub include_usage: bool,
    /// Fields that only the dialect of origin knows.
    pub extras: Extras,
}

impl Request {
    /// Whether it is nothing but instructions, which some take for a conversation and others do not.
    fn is_only_instructions(&self) -> bool {
        self.messages.iter().all(|message| matches!(message.role, Role::System | Role::Developer))
    }

    /// Why nothing may be sent where nothing is left of the conversation. `said` tells whether words of it were
    /// written, `instructed` whether instructions were.
    pub(crate) fn nothing_left(&self, said: bool, instructed: bool) -> Option<BadRequest> {
        if said || (instructed && self.is_only_instructions()) {
            return None;
        }
        let words = "nothing of the conversation can be sent to a model of another API";
        Some(BadRequest::new(words).code("empty_conversation"))
    }
}
