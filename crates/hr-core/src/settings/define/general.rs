//! The settings of the router itself.

use super::{Group, Kind, Setting};

/// The least number of bytes that a request may be limited to: an empty conversation fits.
const LEAST_REQUEST_BYTES: u64 = 1024;
/// The most bytes of a request that may be allowed: it is held in memory.
const MOST_REQUEST_BYTES: u64 = 1024 * 1024 * 1024;
/// The longest wait that may be set, in seconds: a day.
const LONGEST_WAIT: f64 = 86_400.0;
/// The shortest wait that may be set, in seconds: less would fail on a healthy network.
const SHORTEST_WAIT: f64 = 0.05;
/// The most tokens that a setting may speak of.
/// More than anybody means by the price of one request.
const MOST_DOLLARS: f64 = 10_000.0;

pub(super) const MOST_TOKENS: u64 = 100_000_000;

/// What a setting is when it says nothing of these.
const PLAIN: Setting = Setting {
    name: "",
    group: Group::Server,
    kind: Kind::Text,
    default: "",
    example: None,
    summary: "",
    details: "",
    secret: false,
};

/// `PORT`
pub const PORT: Setting = Setting {
    name: "PORT",
    kind: Kind::Whole { unit: "", min: 0, max: 65_535 },
    default: "8319",
    summary: "The port that the router listens on.",
    details: "`0` takes any free port, which the first line of the log names.",
    ..PLAIN
};

/// `HOST`
pub const HOST: Setting = Setting {
    name: "HOST",
    kind: Kind::Host,
    default: "127.0.0.1",
    example: Some("0.0.0.0"),
    summary: "The address that the router listens on.",
    details: "The default can be reached from this machine only. `0.0.0.0` or `::` listen on every address of the \
              machine; then name those by which it is called in `ALLOWED_HOSTS`.",
    ..PLAIN
};

/// `ALLOWED_HOSTS`
pub const ALLOWED_HOSTS: Setting = Setting {
    name: "ALLOWED_HOSTS",
    kind: Kind::List,
    example: Some("router.example.com,192.168.1.20"),
    summary: "Names under which the router may be called, besides this machine's own and `HOST`.",
    details: "A request whose `Host` or `Origin` names anything else is refused, so that a web page cannot reach \
              the router by pointing its own name here.",
    ..PLAIN
};

/// `PROXY_API_KEYS`
pub const PROXY_API_KEYS: Setting = Setting {
    name: "PROXY_API_KEYS",
    kind: Kind::List,
    summary: "The access keys with which programs may call the router.",
    details: "With none set, the first start makes one and keeps it in `.env`; `hr config show --reveal` prints it. \
              The placeholder keys of old instructions (`sk-router-1`, `sk-my-router-key-1`) never count.",
    secret: true,
    ..PLAIN
};

/// `METRICS_REQUIRE_AUTH`
pub const METRICS_REQUIRE_AUTH: Setting = Setting {
    name: "METRICS_REQUIRE_AUTH",
    kind: Kind::Switch,
    default: "0",
    summary: "Whether `GET /metrics` asks for an access key.",
    ..PLAIN
};

/// `LOG_LEVEL`
pub const LOG_LEVEL: Setting = Setting {
    name: "LOG_LEVEL",
    kind: Kind::Choice(&[
        ("error", &["critical", "fatal"]),
        ("warn", &["warning"]),
        ("info", &[]),
        ("debug", &[]),
        ("trace", &[]),
        ("off", &["none"]),
    ]),
    default: "info",
    summary: "How much the log says, from little to much.",
    details: "Upper and lower case are the same. No level shows keys or the content of requests.",
    ..PLAIN
};

/// `HR_HOME`
pub const HR_HOME: Setting = Setting {
    name: "HR_HOME",
    group: Group::Files,
    kind: Kind::Path,
    example: Some("/srv/hermes-router"),
    summary: "One folder for settings, keys and state, instead of the folders that the system has for them.",
    details: "Read from the process environment only, because it says where `.env` is.",
    ..PLAIN
};

/// `ROUTER_AUTH_FILE`
pub const ROUTER_AUTH_FILE: Setting = Setting {
    name: "ROUTER_AUTH_FILE",
    group: Group::Files,
    kind: Kind::Path,
    example: Some("/srv/hermes-router/auth.json"),
    summary: "The file with the keys that `hr auth add` stores, when it is not `auth.json` beside `.env`.",
    ..PLAIN
};

/// `ROUTER_STATE_FILE`
pub const ROUTER_STATE_FILE: Setting = Setting {
    name: "ROUTER_STATE_FILE",
    group: Group::Files,
    kind: Kind::Path,
    example: Some("/srv/hermes-router/state.db"),
    summary: "The file in which the router keeps what it has learned, when it is not `state.db` in the state folder.",
    details: "An SQLite database: quotas, rests, the health of keys, what models can do, and why requests went where \
              they went. It holds no prompt and no key. A state file of the original product found there is read, \
              and kept under another name. Only one router may use it at a time.",
    ..PLAIN
};

/// `ROUTER_MODEL_ID`
pub const ROUTER_MODEL_ID: Setting = Setting {
    name: "ROUTER_MODEL_ID",
    group: Group::Routing,
    default: "hermes-router",
    summary: "The model name under which programs ask for whatever model fits.",
    details: "With `:fast`, `:best` or `:frugal` behind it, it asks by that preference.",
    ..PLAIN
};

/// `STRICT_MODELS`
pub const STRICT_MODELS: Setting = Setting {
    name: "STRICT_MODELS",
    group: Group::Routing,
    kind: Kind::Switch,
    default: "0",
    summary: "Whether an unknown model name is refused with a 404.",
    details: "Off, a request for an unknown name is routed like one for `ROUTER_MODEL_ID`, so that programs with a \
              fixed model name work unchanged.",
    ..PLAIN
};

/// `ROTATION_MODE`
pub const ROTATION_MODE: Setting = Setting {
    name: "ROTATION_MODE",
    group: Group::Routing,
    kind: Kind::Choice(&[("round-robin", &["rr", "roundrobin", "round_robin"]), ("sequential", &["seq"])]),
    default: "round-robin",
    summary: "How the keys of a provider take turns.",
    details: "`round-robin` spreads requests over all keys; `sequential` uses one until it runs dry. \
              `rr`, `roundrobin`, `round_robin` and `seq` are understood too.",
    ..PLAIN
};

/// `FAST_ROUTE_THRESHOLD`
pub const FAST_ROUTE_THRESHOLD: Setting = Setting {
    name: "FAST_ROUTE_THRESHOLD",
    group: Group::Routing,
    kind: Kind::Whole { unit: "tokens", min: 0, max: MOST_TOKENS },
    default: "0",
    example: Some("200"),
    summary: "Prompts estimated below this size prefer providers that are known to answer quickly.",
    details: "`0` switches the preference off.",
    ..PLAIN
};

/// `REASONING_TOKEN_RESERVE`
pub const REASONING_TOKEN_RESERVE: Setting = Setting {
    name: "REASONING_TOKEN_RESERVE",
    group: Group::Routing,
    kind: Kind::Whole { unit: "tokens", min: 0, max: 1_000_000 },
    default: "4096",
    summary: "Output tokens added to a request's own limit for a model that reasons before it answers.",
    details: "Without them the reasoning could use up the limit and leave no answer. `0` adds none.",
    ..PLAIN
};

/// `BREAKER_WINDOW`
pub const BREAKER_WINDOW: Setting = Setting {
    name: "BREAKER_WINDOW",
    group: Group::Routing,
    kind: Kind::Whole { unit: "results", min: 1, max: 1000 },
    default: "8",
    summary: "How many of a provider's last results decide whether it is left alone for a while.",
    ..PLAIN
};

/// `BREAKER_MIN_SAMPLES`
pub const BREAKER_MIN_SAMPLES: Setting = Setting {
    name: "BREAKER_MIN_SAMPLES",
    group: Group::Routing,
    kind: Kind::Whole { unit: "results", min: 1, max: 1000 },
    default: "4",
    summary: "How many results there must be before a provider may be left alone.",
    details: "More than `BREAKER_WINDOW` would mean never.",
    ..PLAIN
};

/// `BREAKER_ERROR_RATE`
pub const BREAKER_ERROR_RATE: Setting = Setting {
    name: "BREAKER_ERROR_RATE",
    group: Group::Routing,
    kind: Kind::Share { min: 0.01, max: 1.0 },
    default: "0.5",
    summary: "The share of failures among those results at which a provider is left alone.",
    ..PLAIN
};

/// `BREAKER_COOLDOWN`
pub const BREAKER_COOLDOWN: Setting = Setting {
    name: "BREAKER_COOLDOWN",
    group: Group::Routing,
    kind: Kind::Seconds { min: SHORTEST_WAIT, max: LONGEST_WAIT },
    default: "60",
    summary: "How long at most such a provider is left alone before one request tries it again.",
    details: "A quarter of it at first, then a third of the time that the provider has been away.",
    ..PLAIN
};

/// The words for classes of spending.
const CLASSES: Kind = Kind::Choice(&[("free", &[]), ("included", &["subscription"]), ("paid", &["all"])]);

/// `SPEND`
pub const SPEND: Setting = Setting {
    name: "SPEND",
    group: Group::Spending,
    kind: CLASSES,
    default: "paid",
    summary: "What calls to providers may cost.",
    details: "`free` makes calls that cost nothing; `included` also those that a subscription covers; `paid` also those \
              that cost money, after all others: a key that you gave is the permit. A request may ask for less with \
              the header `X-Hermes-Spend`, never for more.",
    ..PLAIN
};

/// `SPEND_FAST`
pub const SPEND_FAST: Setting = Setting {
    name: "SPEND_FAST",
    group: Group::Spending,
    kind: CLASSES,
    example: Some("free"),
    summary: "The same for requests of the profile `fast`, when it is less than `SPEND`.",
    ..PLAIN
};

/// `SPEND_BEST`
pub const SPEND_BEST: Setting = Setting {
    name: "SPEND_BEST",
    group: Group::Spending,
    kind: CLASSES,
    example: Some("included"),
    summary: "The same for requests of the profile `best`, when it is less than `SPEND`.",
    ..PLAIN
};

/// `SPEND_FRUGAL`
pub const SPEND_FRUGAL: Setting = Setting {
    name: "SPEND_FRUGAL",
    group: Group::Spending,
    kind: CLASSES,
    example: Some("free"),
    summary: "The same for requests of the profile `frugal`, when it is less than `SPEND`.",
    ..PLAIN
};

/// `MAX_COST_PER_REQUEST`
pub const MAX_COST_PER_REQUEST: Setting = Setting {
    name: "MAX_COST_PER_REQUEST",
    group: Group::Spending,
    kind: Kind::Dollars { min: 0.0, max: MOST_DOLLARS },
    example: Some("0.05"),
    summary: "The most that one request may cost, all its calls together.",
    details: "Reckoned beforehand, from the prompt, the longest answer that is asked for and the prices of the \
              catalogue; a paid model whose price is not known is not called then. Unset, there is no such bound. \
              A request may ask for less with the header `X-Hermes-Max-Cost`.",
    ..PLAIN
};

/// `PROBE_AT_START`
pub const PROBE_AT_START: Setting = Setting {
    name: "PROBE_AT_START",
    group: Group::Discovery,
    kind: Kind::Switch,
    default: "1",
    summary: "Whether models of which something is not known are asked one tiny question at the start.",
    details: "In the background, and again when keys are added. It never costs money. Off, the router learns only from \
              lists of models and from real requests.",
    ..PLAIN
};

/// `ROUTER_STATE_TTL_HOURS`
pub const ROUTER_STATE_TTL_HOURS: Setting = Setting {
    name: "ROUTER_STATE_TTL_HOURS",
    group: Group::Discovery,
    kind: Kind::Whole { unit: "hours", min: 0, max: 8760 },
    default: "24",
    summary: "How long is believed what was found out about models.",
    details: "`0` asks anew at each start.",
    ..PLAIN
};

/// `AUTO_DISCOVER_MODELS`
pub const AUTO_DISCOVER_MODELS: Setting = Setting {
    name: "AUTO_DISCOVER_MODELS",
    group: Group::Discovery,
    kind: Kind::Switch,
    default: "0",
    summary: "Whether models are added from the lists that providers publish.",
    details: "A list counts for `ROUTER_STATE_TTL_HOURS`, over restarts too, and is read anew when keys change. Providers \
              that charge are left out unless their own `<P>_AUTO_DISCOVER_MODELS` is on; where a list has free and \
              paid models, only free ones are taken.",
    ..PLAIN
};

/// `AUTO_DISCOVER_MODEL_LIMIT`
pub const AUTO_DISCOVER_MODEL_LIMIT: Setting = Setting {
    name: "AUTO_DISCOVER_MODEL_LIMIT",
    group: Group::Discovery,
    kind: Kind::Whole { unit: "models", min: 1, max: 256 },
    default: "8",
    summary: "The most models that a provider has when some were added.",
    ..PLAIN
};

/// `MAX_WAIT`
pub const MAX_WAIT: Setting = Setting {
    name: "MAX_WAIT",
    group: Group::Bounds,
    kind: Kind::Seconds { min: 0.0, max: LONGEST_WAIT },
    default: "5",
    summary: "How long a request that nobody can serve now may wait for a quota to come back.",
    details: "When none comes back in that time, it is refused at once, with the earliest time at which one does. A \
              request may say otherwise with the header `X-Hermes-Max-Wait`, up to `REQUEST_DEADLINE`. `0` never waits.",
    ..PLAIN
};

/// `MAX_REQUEST_BYTES`
pub const MAX_REQUEST_BYTES: Setting = Setting {
    name: "MAX_REQUEST_BYTES",
    group: Group::Bounds,
    kind: Kind::Whole { unit: "bytes", min: LEAST_REQUEST_BYTES, max: MOST_REQUEST_BYTES },
    default: "10485760",
    summary: "The largest request that is accepted; a larger one gets a 413.",
    ..PLAIN
};

/// `MAX_ATTEMPTS`
pub const MAX_ATTEMPTS: Setting = Setting {
    name: "MAX_ATTEMPTS",
    group: Group::Bounds,
    kind: Kind::Whole { unit: "calls", min: 1, max: 1000 },
    default: "64",
    summary: "The most calls to providers that one request may lead to.",
    ..PLAIN
};

/// `REQUEST_DEADLINE`
pub const REQUEST_DEADLINE: Setting = Setting {
    name: "REQUEST_DEADLINE",
    group: Group::Bounds,
    kind: Kind::Seconds { min: SHORTEST_WAIT, max: LONGEST_WAIT },
    default: "300",
    summary: "How long a request may look for an answer, all attempts together.",
    details: "It ends when the answer begins: a long stream is not cut.",
    ..PLAIN
};

/// `UPSTREAM_CONNECT_TIMEOUT`
pub const UPSTREAM_CONNECT_TIMEOUT: Setting = Setting {
    name: "UPSTREAM_CONNECT_TIMEOUT",
    group: Group::Bounds,
    kind: Kind::Seconds { min: SHORTEST_WAIT, max: LONGEST_WAIT },
    default: "5",
    summary: "How long a connection to a provider may take, TLS included.",
    ..PLAIN
};

/// `UPSTREAM_FIRST_BYTE_TIMEOUT`
pub const UPSTREAM_FIRST_BYTE_TIMEOUT: Setting = Setting {
    name: "UPSTREAM_FIRST_BYTE_TIMEOUT",
    group: Group::Bounds,
    kind: Kind::Seconds { min: SHORTEST_WAIT, max: LONGEST_WAIT },
    example: Some("45"),
    summary: "How long a provider may take until its answer begins.",
    details: "What is learned of a model that begins quickly shortens it for streams while another candidate remains. Unset, it adapts. The first event of a stream: 12 seconds while another candidate remains, 30 when \
              much reasoning was asked for, else 60. A whole reply: 80 while another candidate remains, else \
              120. A server on this machine: 300, because it may have to load its model first.",
    ..PLAIN
};

/// `STREAM_IDLE_TIMEOUT`
pub const STREAM_IDLE_TIMEOUT: Setting = Setting {
    name: "STREAM_IDLE_TIMEOUT",
    group: Group::Bounds,
    kind: Kind::Seconds { min: SHORTEST_WAIT, max: LONGEST_WAIT },
    default: "30",
    summary: "How long a stream may be silent between two pieces before it counts as cut.",
    ..PLAIN
};

/// `HOLD_LIMIT`
pub const HOLD_LIMIT: Setting = Setting {
    name: "HOLD_LIMIT",
    group: Group::Bounds,
    kind: Kind::Seconds { min: SHORTEST_WAIT, max: LONGEST_WAIT },
    default: "15",
    summary: "How long the caller of a stream waits for its status while nobody has begun to answer.",
    details: "After that it gets its 200 and signs of life, and providers are tried behind them; should none answer, \
              the stream ends in an error.",
    ..PLAIN
};

/// `SHUTDOWN_TIMEOUT`
pub const SHUTDOWN_TIMEOUT: Setting = Setting {
    name: "SHUTDOWN_TIMEOUT",
    group: Group::Bounds,
    kind: Kind::Seconds { min: 0.0, max: LONGEST_WAIT },
    default: "30",
    summary: "How long requests in flight may take to end when the router stops.",
    ..PLAIN
};

/// All settings of the router itself, in the order of the manual.
pub const GENERAL: &[&Setting] = &[
    &PORT,
    &HOST,
    &ALLOWED_HOSTS,
    &PROXY_API_KEYS,
    &METRICS_REQUIRE_AUTH,
    &LOG_LEVEL,
    &HR_HOME,
    &ROUTER_AUTH_FILE,
    &ROUTER_STATE_FILE,
    &ROUTER_MODEL_ID,
    &STRICT_MODELS,
    &ROTATION_MODE,
    &FAST_ROUTE_THRESHOLD,
    &REASONING_TOKEN_RESERVE,
    &BREAKER_WINDOW,
    &BREAKER_MIN_SAMPLES,
    &BREAKER_ERROR_RATE,
    &BREAKER_COOLDOWN,
    &SPEND,
    &SPEND_FAST,
    &SPEND_BEST,
    &SPEND_FRUGAL,
    &MAX_COST_PER_REQUEST,
    &PROBE_AT_START,
    &ROUTER_STATE_TTL_HOURS,
    &AUTO_DISCOVER_MODELS,
    &AUTO_DISCOVER_MODEL_LIMIT,
    &MAX_WAIT,
    &MAX_REQUEST_BYTES,
    &MAX_ATTEMPTS,
    &REQUEST_DEADLINE,
    &UPSTREAM_CONNECT_TIMEOUT,
    &UPSTREAM_FIRST_BYTE_TIMEOUT,
    &STREAM_IDLE_TIMEOUT,
    &HOLD_LIMIT,
    &SHUTDOWN_TIMEOUT,
];
