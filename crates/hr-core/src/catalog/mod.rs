//! Who the providers are: one TOML file each, the same schema for ours (`catalog/`) and a user's
//! (`providers.d/`). Rust knows dialects and auth schemes, never companies.
//!
//! Here are the types of an entry, [`parse`] for one file, and [`builtin`] for the files that are compiled in.
//! Not here: what a user's settings make of an entry ([`crate::pool`]), and what its quirk functions do
//! (`hr-wire`).

mod builtin;
mod check;
mod discovery;
mod file;
mod limit;
#[cfg(test)]
mod page;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::{FailureKind, Scope};

pub use builtin::builtin;
pub use discovery::{Discovery, ListPlace, Tells};
pub use file::{MAX_FILE_BYTES, parse};
pub use limit::{Limit, LimitSpan, LimitUnit, Metering, OwnerScope, RefusedLimit, fits, reach};

/// The named functions that [`Quirks::functions`] may hold. `hr-wire` has them; its tests hold it to this list.
pub const QUIRK_FUNCTIONS: &[&str] = &[
    "developer_to_system",
    "strip_reasoning_history",
    "rename_reasoning_history",
    "tool_ids_nine_alphanumeric",
    "strip_extra_content",
    "strip_message_names",
    "flatten_text_content",
    "drop_empty_assistant",
    "fill_reasoning_beside_calls",
    "fill_thought_signatures",
    "tool_choice_required_to_any",
    "tool_choice_auto_only",
    "single_tool_calls",
    "one_max_tokens_field",
    "temperature_floor",
    "drop_nulls",
    "drop_text_response_format",
    "json_schema_to_json_object",
    "response_format_not_with_tools",
    "effort_none_with_tools",
    "no_sampling_while_reasoning",
    "effort_up_to_high",
    "effort_from_low",
    "effort_to_reasoning_object",
    "describe_tools",
    "strip_schema_keys",
    "openapi_schema_subset",
    "always_stream",
    "store_nothing",
    "instructions_present",
    "include_encrypted_reasoning",
    "no_choice_without_tools",
    "newest_web_search",
    "priority_tier_only",
    "drop_defaults",
    "drop_reasoning_summary",
    "input_as_items",
    "system_to_developer",
    "stateless_items",
    "strip_cache_breakpoints",
    "responses_lite",
    "thinking_by_budget",
    "thinking_adaptive",
    "thinking_always",
    "no_extra_high_effort",
    "no_thinking",
    "no_sampling",
    "one_sampling_field",
    "no_prefill",
    "no_output_format",
    "no_mid_system",
    "no_forced_tool_choice",
];

/// What is spoken on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI Chat Completions.
    OpenaiChat,
    /// OpenAI Responses.
    OpenaiResponses,
    /// Anthropic Messages.
    Anthropic,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenaiChat, Self::OpenaiResponses, Self::Anthropic];

    /// Its name in catalogue files, logs and headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
        }
    }
}

/// How a request is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone in a header of this name.
    Header(String),
    /// An OAuth account; its access token goes out as a bearer.
    Oauth,
    /// No credential is needed; one may be given and is sent as a bearer.
    None,
}

/// What a call costs its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpendClass {
    /// Nothing.
    Free,
    /// Nothing more: a subscription that is already paid.
    Included,
    /// Money for each call. An unknown price counts as this.
    Paid,
}

impl SpendClass {
    /// Its name, in files and for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Included => "included",
            Self::Paid => "paid",
        }
    }

    /// The class of this name, or of a word that stands for all that it allows.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "free" => Some(Self::Free),
            "included" | "subscription" => Some(Self::Included),
            "paid" | "all" => Some(Self::Paid),
            _ => None,
        }
    }
}

/// USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// For a million tokens of the prompt.
    pub input: f64,
    /// For a million tokens of the answer.
    pub output: f64,
    /// For a million tokens of the prompt that came from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<f64>,
}

/// A model that a provider offers. `None` means not known, which never counts as no.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The id on the wire.
    pub id: String,
    /// Tokens that prompt and answer share.
    pub context: Option<u64>,
    /// The most tokens of one answer.
    pub max_output: Option<u64>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it sees images.
    pub vision: Option<bool>,
    /// Whether it reasons before it answers.
    pub reasoning: Option<bool>,
    /// Strength from 1 (outstanding) to 5 (basic); `None` is rated by its name.
    pub rating: Option<u8>,
    /// What it costs here when paid.
    pub price: Option<Price>,
    /// Its class here, when it differs from the provider's.
    pub spend: Option<SpendClass>,
    /// Named functions of the dialect for this model alone, applied after the provider's.
    pub quirks: Vec<String>,
    /// Where the facts come from.
    pub source: Option<String>,
    /// The day of the facts, `YYYY-MM-DD` or `YYYY-MM`.
    pub date: Option<String>,
    /// Whether it belongs to the defaults (true) or is known but used only when asked for (false).
    pub default: bool,
}

/// What models have in common whose ids begin alike, for those that are not listed one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// What their ids begin with, in lower case.
    pub prefix: String,
    /// The most tokens of one answer.
    pub max_output: Option<u64>,
    /// Named functions of the dialect for them, applied after the provider's.
    pub quirks: Vec<String>,
}

/// How a provider deviates from its dialect: four verbs on top-level fields, and named functions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quirks {
    /// Fields that are left out.
    pub drop: Vec<String>,
    /// Fields sent under another name, old to new.
    pub rename: Vec<(String, String)>,
    /// Number fields kept within bounds.
    pub clamp: Vec<(String, f64, f64)>,
    /// Fields set to this value whatever the caller sent.
    pub force: Vec<(String, serde_json::Value)>,
    /// Named functions of the dialect, applied in this order (see `hr-wire`).
    pub functions: Vec<String>,
}

/// One row of a provider's error table: when all given conditions hold, this is what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorRow {
    /// The HTTP status.
    pub status: Option<u16>,
    /// The `code` or `type` in the body, exactly.
    pub code: Option<String>,
    /// Words in the body, in lower case.
    pub contains: Option<String>,
    /// What happened.
    pub kind: FailureKind,
    /// Whose limit it is, when the kind's own scope does not fit.
    pub scope: Option<Scope>,
    /// How long to stay away when the answer does not say.
    pub wait: Option<Duration>,
    /// The limit that was met, where one was.
    pub limit: Option<RefusedLimit>,
    /// What its user can do about it.
    pub hint: Option<String>,
}

/// A program of the user's own machine that speaks for this provider, where it usually listens.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalServer {
    /// The program's name, for people.
    pub name: String,
    /// Its usual address on this machine, without a trailing slash.
    pub base_url: String,
    /// A path that only this program answers, by which it is told from others at the same address.
    pub told_by: Option<String>,
    /// The path of its own list of models, for versions that have no other.
    pub lists_at: Option<String>,
}

/// The embedding model of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// The id on the wire.
    pub model: String,
    /// The length of a vector, where it is known.
    pub dimensions: Option<u32>,
}

/// That a provider ended its service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retired {
    /// The day it ended.
    pub date: String,
    /// What to tell the user.
    pub note: String,
}

/// How accounts of a provider are signed in to and stay so; with [`AuthScheme::Oauth`].
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// The client that its tokens are made for.
    pub client: String,
    /// Where tokens are renewed.
    pub token_url: String,
    /// Variables that name another place for that; the earlier wins.
    pub token_url_vars: Vec<String>,
    /// The header that names the account.
    pub account_header: String,
    /// The provider's own program, which signs in when it is called with `login`.
    pub program: String,
    /// How that program is installed.
    pub install: String,
    /// The variable that names the folder in which it keeps its login.
    pub home_var: String,
    /// That folder under the user's own, when the variable is not set.
    pub home: String,
    /// What whoever signs in must have read.
    pub warning: String,
}

/// Keys that may not be used here, although the provider gives them out.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedKey {
    /// What they begin with.
    pub prefix: String,
    /// Why they are refused.
    pub reason: String,
}

/// A provider: an entry of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The id in settings, commands and headers: lower case, digits, `_`, `-`.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Other names that commands understand.
    pub aliases: Vec<String>,
    /// Place in lists, and priority for embeddings; lower is earlier.
    pub order: u32,
    /// What it speaks.
    pub dialect: Dialect,
    /// Where it is, without a trailing slash.
    pub base_url: String,
    /// How requests are signed.
    pub auth: AuthScheme,
    /// The prefix of its settings: `GROQ` in `GROQ_MODEL`.
    pub prefix: String,
    /// Base names of its key variables; each is also read in its plural and numbered forms.
    pub key_vars: Vec<String>,
    /// Keys that may not be used.
    pub refused_keys: Vec<RefusedKey>,
    /// How accounts sign in.
    pub login: Option<Login>,
    /// Variables that switch it on when no key is needed.
    pub enabled_by: Vec<String>,
    /// What its calls cost unless a model says otherwise.
    pub spend: SpendClass,
    /// Whether it runs on the user's own machine.
    pub local: bool,
    /// Whether it is known for a quick first token.
    pub fast: bool,
    /// Where to get a key.
    pub sign_up: Option<String>,
    /// A sentence on its terms or its free tier.
    pub note: Option<String>,
    /// Headers sent with each request.
    pub headers: BTreeMap<String, String>,
    /// Headers whose value a variable gives: header name to (variable, default).
    pub header_vars: BTreeMap<String, (String, String)>,
    /// What the `User-Agent` of a caller begins with that is passed on instead of ours: the provider serves
    /// coding agents and wants to know which.
    pub pass_user_agent: Vec<String>,
    /// Hosts of the same provider where every call costs money, whatever is said of `base_url`.
    pub paid_hosts: Vec<String>,
    /// Programs that may run for it on the user's own machine.
    pub servers: Vec<LocalServer>,
    /// That it ended; it is called only when its `_BASE_URL` is set.
    pub retired: Option<Retired>,
    /// Why it cannot be called yet, when its dialect or login has not landed.
    pub unavailable: Option<String>,
    /// The longest wait for the first byte, when it differs from the general one.
    pub first_byte_timeout: Option<Duration>,
    /// Prompts estimated above this many tokens are not sent here; `None` sends all.
    pub skip_tokens_over: Option<u64>,
    /// Answers are asked for at most this long; `None` does not bound them.
    pub max_output_tokens: Option<u64>,
    /// Models, defaults first.
    pub models: Vec<Model>,
    /// What is known of models that are not listed.
    pub families: Vec<Family>,
    /// The embedding model.
    pub embedding: Option<Embedding>,
    /// How its models are found out about.
    pub discovery: Discovery,
    /// Published or measured limits.
    pub limits: Vec<Limit>,
    /// What its words on limits mean.
    pub metering: Metering,
    /// Deviations from the dialect.
    pub quirks: Quirks,
    /// Error rows, tried in order before the dialect's own reading.
    pub errors: Vec<ErrorRow>,
    /// The file it was read from.
    pub file: String,
    /// Stands for the text of that file.
    pub digest: [u8; 8],
}

impl Provider {
    /// The family of a model that is not listed: the one whose ids are most like its own.
    #[must_use]
    pub fn family(&self, model: &str) -> Option<&Family> {
        let model = model.to_ascii_lowercase();
        let alike = self.families.iter().filter(|family| model.starts_with(&family.prefix));
        alike.max_by_key(|family| family.prefix.len())
    }
}

impl Provider {
    /// What its user can do about a failure of this kind, where its error table knows.
    #[must_use]
    pub fn hint(&self, kind: FailureKind) -> Option<&str> {
        self.errors.iter().filter(|row| row.kind == kind).find_map(|row| row.hint.as_deref())
    }
}

/// How much of the hash of all files is their version: enough to tell a person's versions apart.
const VERSION_BYTES: usize = 6;

/// All providers, in order.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The providers, by [`Provider::order`], a user's own ones last.
    pub providers: Vec<Arc<Provider>>,
}

impl Catalog {
    /// The provider of this id or alias, whatever the case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<Provider>> {
        let name = name.trim().to_lowercase();
        self.providers
            .iter()
            .find(|provider| provider.id == name)
            .or_else(|| self.providers.iter().find(|provider| provider.aliases.contains(&name)))
    }

    /// Stands for the files that were read: the same for the same texts, else another.
    #[must_use]
    pub fn version(&self) -> String {
        let mut hash = Sha256::new();
        self.providers.iter().for_each(|provider| hash.update(provider.digest));
        hash.finalize()[..VERSION_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Ids and aliases of all providers, for "did you mean".
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.providers
            .iter()
            .flat_map(|p| std::iter::once(p.id.as_str()).chain(p.aliases.iter().map(String::as_str)))
    }
}
