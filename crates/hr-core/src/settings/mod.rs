//! What may be set, and what it means.
//!
//! Each setting is defined once, in [`define`]; the manual, the example file ([`describe`]) and `hr config show`
//! are walks over that definition. [`layers`] says which source wins, [`resolve()`] makes [`Settings`] of it or
//! names every mistake at once. Nothing here reads a file or the environment.

pub mod address;
pub mod define;
pub mod describe;
pub mod dotenv;
pub mod layers;
pub mod resolve;
mod show;
pub(crate) mod value;

use std::time::Duration;

use crate::pool::RouteRules;
use crate::secret::Secret;

pub use address::OwnAddresses;
pub use layers::{EnvFile, Layers, Trust};
pub use resolve::{ProviderSettings, Resolved, Value, resolve};

/// Where a value came from; the earlier wins.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A command-line flag.
    Flag,
    /// The process environment.
    Environment,
    /// A `.env` file: its path as shown to people, and the line.
    EnvFile(String, usize),
    /// Nothing was set.
    Default,
}

/// How long to wait for what, in one place. All bounds are on the upstream side.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the first event of a streamed reply or the whole of another; `None` adapts (see [`FirstByte`]).
    pub first_byte: Option<Duration>,
    /// Between two chunks of a stream.
    pub stream_idle: Duration,
    /// For a request until its commit point.
    pub request_deadline: Duration,
    /// Until the caller of a stream gets its status, whoever may answer.
    pub hold: Duration,
    /// For a quota to come back, when nobody else can serve a request.
    pub quota: Duration,
    /// For requests in flight when the router stops.
    pub shutdown: Duration,
}

/// The waits for a first byte when `UPSTREAM_FIRST_BYTE_TIMEOUT` is not set.
pub struct FirstByte;

impl FirstByte {
    /// A streamed reply's first event while another candidate remains.
    pub const OTHERS_REMAIN: Duration = Duration::from_secs(12);
    /// A streamed reply's first event when much reasoning was asked for.
    pub const MUCH_REASONING: Duration = Duration::from_secs(30);
    /// A streamed reply's first event from the last candidate.
    pub const LAST: Duration = Duration::from_secs(60);
    /// Anything from a server on the user's own machine, which may have to load the model first.
    pub const LOCAL: Duration = Duration::from_secs(300);
    /// A whole reply while another candidate remains.
    pub const WHOLE_OTHERS_REMAIN: Duration = Duration::from_secs(80);
    /// A whole reply from the last candidate.
    pub const WHOLE: Duration = Duration::from_secs(120);
}

/// What is found out about models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// `PROBE_AT_START`: whether tiny questions are asked.
    pub probe: bool,
    /// `ROUTER_STATE_TTL_HOURS`: how long the answers are believed.
    pub believed: Duration,
    /// `AUTO_DISCOVER_MODELS`: whether models are added from lists.
    pub add_models: bool,
    /// `AUTO_DISCOVER_MODEL_LIMIT`: the most models that a provider has then.
    pub most_models: usize,
}

/// The settings in force, nothing optional that merely stands for a default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `PORT`.
    pub port: u16,
    /// `HOST`.
    pub host: String,
    /// `ALLOWED_HOSTS`: names under which the router may be addressed, besides loopback and `HOST`.
    pub allowed_hosts: Vec<String>,
    /// `PROXY_API_KEYS`: the access keys of callers; known placeholders are left out.
    pub proxy_api_keys: Vec<Secret>,
    /// `ROUTER_AUTH_FILE`, when set.
    pub auth_file: Option<String>,
    /// `ROUTER_STATE_FILE`, when set: names the store.
    pub state_file: Option<String>,
    /// `MAX_REQUEST_BYTES`.
    pub max_request_bytes: usize,
    /// `MAX_ATTEMPTS`: upstream calls for one request at most.
    pub max_attempts: u32,
    /// `METRICS_REQUIRE_AUTH`.
    pub metrics_require_auth: bool,
    /// `LOG_LEVEL`, lower case.
    pub log_level: String,
    /// Waits.
    pub timeouts: Timeouts,
    /// What is found out about models.
    pub discovery: Discovery,
    /// What routing looks at: `ROTATION_MODE`, `BREAKER_*`, `FAST_ROUTE_THRESHOLD`, …
    pub rules: RouteRules,
}
