//! From what is written to what is in force. All problems are found at once, each with its file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::address::Address;
use super::define::{self, Kind, Setting, Template};
use super::layers::{Found, Layers, Trust};
use super::value::{self, list};
use super::{Discovery, Origin, Settings, Timeouts};
use crate::catalog::{Catalog, Provider, SpendClass};
use crate::pool::{BreakerRules, Rotation, RouteRules, Spending};
use crate::problem::Problem;
use crate::route::Allowance;
use crate::secret::Secret;

/// Access keys that old instructions printed: everybody knows them, so they open nothing.
pub const PLACEHOLDER_KEYS: [&str; 2] = ["sk-router-1", "sk-my-router-key-1"];

/// What is in force.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings of the router itself.
    pub settings: Settings,
    /// What is set for each provider of the catalogue, by its id.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Every setting of the router, and every one of a provider that is set, for people.
    pub values: Vec<Value>,
    /// What looks like a mistake and does not stop anything.
    pub warnings: Vec<Problem>,
}

/// A setting as people see it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// The value in force, masked where it is secret; empty when nothing is set and there is no default.
    /// [`Layers::get`] has a secret one unmasked.
    pub shown: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it is the default.
    pub default: bool,
    /// Whether it has an effect already.
    pub used: bool,
}

/// What is set for one provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProviderSettings {
    /// `<P>_BASE_URL`.
    pub base_url: Option<BaseUrl>,
    /// Where the tokens of its accounts are renewed, when a variable says so.
    pub token_url: Option<BaseUrl>,
    /// `<P>_MODEL`; empty takes the defaults.
    pub models: Vec<String>,
    /// `<P>_EXCLUDE_MODELS`, in lower case.
    pub excluded: Vec<String>,
    /// `<P>_EMBED_MODEL`.
    pub embed_model: Option<String>,
    /// `<P>_AUTO_DISCOVER_MODELS`.
    pub discover: Option<bool>,
    /// `<P>_SUPPORTS_TOOLS`.
    pub supports_tools: Option<bool>,
    /// `<P>_REASONING`.
    pub reasoning: Option<bool>,
    /// `<P>_<MODEL>_SUPPORTS_TOOLS`, by the id of the model.
    pub model_supports_tools: BTreeMap<String, bool>,
    /// `<P>_<MODEL>_REASONING`, by the id of the model.
    pub model_reasoning: BTreeMap<String, bool>,
    /// `<P>_SKIP_TOKENS_OVER`; 0 sends all.
    pub skip_tokens_over: Option<u64>,
    /// `<P>_MAX_OUTPUT_TOKENS`; 0 does not bound answers.
    pub max_output_tokens: Option<u64>,
    /// The headers whose value a variable gives, by the name of the header; only those that are set.
    pub headers: BTreeMap<String, String>,
}

/// An address of a provider that a user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// The address.
    pub address: Address,
    /// The name of its variable.
    pub variable: String,
    /// Where it is written.
    pub origin: Origin,
    /// Whose word it is.
    pub trust: Trust,
}

/// Puts the layers over the defaults.
///
/// # Errors
///
/// Every value that cannot be what it should be. Then nothing is in force: the caller keeps what it had.
pub fn resolve(layers: &Layers, catalog: &Catalog) -> Result<Resolved, Vec<Problem>> {
    let mut reader = Reader { layers, problems: Vec::new() };
    let settings = reader.settings();
    let providers =
        catalog.providers.iter().map(|provider| (provider.id.clone(), reader.provider(provider))).collect();
    if !reader.problems.is_empty() {
        return Err(reader.problems);
    }
    Ok(Resolved {
        providers,
        values: super::show::values(layers, catalog),
        warnings: super::show::warnings(layers, catalog, &settings),
        settings,
    })
}

/// Reads single settings and gathers what is wrong with them.
struct Reader<'a> {
    layers: &'a Layers,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn settings(&mut self) -> Settings {
        use define::general::*;
        Settings {
            port: self.whole(&PORT),
            host: self.read(&HOST, value::host).unwrap_or_default(),
            allowed_hosts: self.list(&ALLOWED_HOSTS, value::host),
            proxy_api_keys: self
                .list(&PROXY_API_KEYS, |key| value::printable(key).map(str::to_owned))
                .into_iter()
                .filter(|key| !PLACEHOLDER_KEYS.contains(&key.as_str()))
                .map(Secret::new)
                .collect(),
            auth_file: self.read(&ROUTER_AUTH_FILE, |path| Ok(path.to_owned())),
            state_file: self.read(&ROUTER_STATE_FILE, |path| Ok(path.to_owned())),
            max_request_bytes: self.whole(&MAX_REQUEST_BYTES),
            max_attempts: self.whole(&MAX_ATTEMPTS),
            metrics_require_auth: self.switch(&METRICS_REQUIRE_AUTH),
            log_level: self.choice(&LOG_LEVEL).to_owned(),
            timeouts: Timeouts {
                connect: self.seconds(&UPSTREAM_CONNECT_TIMEOUT),
                first_byte: self.optional_seconds(&UPSTREAM_FIRST_BYTE_TIMEOUT),
                stream_idle: self.seconds(&STREAM_IDLE_TIMEOUT),
                request_deadline: self.seconds(&REQUEST_DEADLINE),
                hold: self.seconds(&HOLD_LIMIT),
                quota: self.seconds(&MAX_WAIT),
                shutdown: self.seconds(&SHUTDOWN_TIMEOUT),
            },
            discovery: Discovery {
                probe: self.switch(&PROBE_AT_START),
                believed: Duration::from_secs(3600 * self.whole::<u64>(&ROUTER_STATE_TTL_HOURS)),
                add_models: self.switch(&AUTO_DISCOVER_MODELS),
                most_models: self.whole(&AUTO_DISCOVER_MODEL_LIMIT),
            },
            rules: RouteRules {
                rotation: match self.choice(&ROTATION_MODE) {
                    "sequential" => Rotation::Sequential,
                    _ => Rotation::RoundRobin,
                },
                breaker: BreakerRules {
                    window: self.whole(&BREAKER_WINDOW),
                    min_samples: self.whole(&BREAKER_MIN_SAMPLES),
                    error_rate: self.share(&BREAKER_ERROR_RATE),
                    cooldown: self.seconds(&BREAKER_COOLDOWN),
                },
                fast_route_threshold: self.whole(&FAST_ROUTE_THRESHOLD),
                reasoning_reserve: self.whole(&REASONING_TOKEN_RESERVE),
                router_model: self
                    .read(&ROUTER_MODEL_ID, |name| value::model_name(name).map(str::to_owned))
                    .unwrap_or_default(),
                strict_models: self.switch(&STRICT_MODELS),
                spending: Spending {
                    any: Allowance {
                        most: self.class(&SPEND).unwrap_or(SpendClass::Paid),
                        per_request: self.dollars(&MAX_COST_PER_REQUEST),
                    },
                    fast: self.class(&SPEND_FAST),
                    best: self.class(&SPEND_BEST),
                    frugal: self.class(&SPEND_FRUGAL),
                },
            },
        }
    }

    fn provider(&mut self, provider: &Provider) -> ProviderSettings {
        use define::provider::*;
        let name = |template: &Template| template.of(provider);
        let models = self.model_names(&name(&MODEL));
        let ids: Vec<&str> = if models.is_empty() {
            provider.models.iter().map(|model| model.id.as_str()).collect()
        } else {
            models.iter().map(String::as_str).collect()
        };
        let mut of_models = |template: &Template| -> BTreeMap<String, bool> {
            let switch = |id: &&str| {
                let on = self.named(&template.of_model(provider, id), value::switch)?;
                Some(((*id).to_owned(), on))
            };
            ids.iter().filter_map(switch).collect()
        };
        let (model_supports_tools, model_reasoning) =
            (of_models(&MODEL_SUPPORTS_TOOLS), of_models(&MODEL_REASONING));
        let headers = provider
            .header_vars
            .iter()
            .filter_map(|(header, (variable, _))| {
                let given = self.named(variable, |text| value::printable(text).map(str::to_owned))?;
                Some((header.clone(), given))
            })
            .collect();
        let mut token_urls = provider.login.iter().flat_map(|login| &login.token_url_vars);
        ProviderSettings {
            base_url: self.base_url(&name(&BASE_URL)),
            token_url: token_urls.find_map(|variable| self.base_url(variable)),
            excluded: self
                .model_names(&name(&EXCLUDE_MODELS))
                .into_iter()
                .map(|model| model.to_lowercase())
                .collect(),
            embed_model: self.named(&name(&EMBED_MODEL), |model| value::model_name(model).map(str::to_owned)),
            discover: self.named(&name(&AUTO_DISCOVER_MODELS), value::switch),
            supports_tools: self.named(&name(&SUPPORTS_TOOLS), value::switch),
            reasoning: self.named(&name(&REASONING), value::switch),
            skip_tokens_over: self.tokens(&SKIP_TOKENS_OVER, provider),
            max_output_tokens: self.tokens(&MAX_OUTPUT_TOKENS, provider),
            models,
            model_supports_tools,
            model_reasoning,
            headers,
        }
    }

    fn base_url(&mut self, variable: &str) -> Option<BaseUrl> {
        let Found { origin, trust, .. } = self.layers.get(variable)?;
        let address = self.named(variable, Address::parse)?;
        Some(BaseUrl { address, variable: variable.to_owned(), origin, trust })
    }

    fn model_names(&mut self, variable: &str) -> Vec<String> {
        let words = self.named(variable, |text| {
            list(text).into_iter().map(|word| value::model_name(word).map(str::to_owned)).collect()
        });
        words.unwrap_or_default()
    }

    fn tokens(&mut self, template: &Template, provider: &Provider) -> Option<u64> {
        let Kind::Whole { unit, min, max } = template.kind else {
            unreachable!("`{}` counts", template.name)
        };
        self.named(&template.of(provider), |text| value::whole(text, unit, min, max))
    }

    fn whole<T: TryFrom<u64> + Default>(&mut self, setting: &Setting) -> T {
        let Kind::Whole { unit, min, max } = setting.kind else { unreachable!("`{}` counts", setting.name) };
        self.read(setting, |text| {
            let number = value::whole(text, unit, min, max)?;
            T::try_from(number).map_err(|_| format!("`{number}` is too large for this machine"))
        })
        .unwrap_or_default()
    }

    fn optional_seconds(&mut self, setting: &Setting) -> Option<Duration> {
        let Kind::Seconds { min, max } = setting.kind else { unreachable!("`{}` waits", setting.name) };
        self.read(setting, |text| value::seconds(text, min, max))
    }

    fn seconds(&mut self, setting: &Setting) -> Duration {
        self.optional_seconds(setting).unwrap_or_default()
    }

    fn share(&mut self, setting: &Setting) -> f64 {
        let Kind::Share { min, max } = setting.kind else { unreachable!("`{}` is a share", setting.name) };
        self.read(setting, |text| value::share(text, min, max)).unwrap_or_default()
    }

    fn dollars(&mut self, setting: &Setting) -> Option<f64> {
        let Kind::Dollars { min, max } = setting.kind else { unreachable!("`{}` costs", setting.name) };
        self.read(setting, |text| value::dollars(text, min, max))
    }

    fn class(&mut self, setting: &Setting) -> Option<SpendClass> {
        let Kind::Choice(words) = setting.kind else { unreachable!("`{}` is a choice", setting.name) };
        SpendClass::read(self.read(setting, |text| value::choice(text, words))?)
    }

    fn switch(&mut self, setting: &Setting) -> bool {
        self.read(setting, value::switch).unwrap_or_default()
    }

    fn choice(&mut self, setting: &Setting) -> &'static str {
        let Kind::Choice(words) = setting.kind else { unreachable!("`{}` is a choice", setting.name) };
        self.read(setting, |text| value::choice(text, words)).unwrap_or_default()
    }

    fn list(&mut self, setting: &Setting, read: impl Fn(&str) -> Result<String, String>) -> Vec<String> {
        let words =
            self.read(setting, |text| list(text).into_iter().map(&read).collect::<Result<Vec<_>, _>>());
        let mut words = words.unwrap_or_default();
        // Two spellings may mean one.
        let mut seen = BTreeSet::new();
        words.retain(|word| seen.insert(word.clone()));
        words
    }

    /// A setting of the router: what is written, else its default, else nothing.
    fn read<T>(&mut self, setting: &Setting, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        if self.layers.get(setting.name).is_some() {
            return self.named(setting.name, read);
        }
        // A default that cannot be read is a mistake of the table, which a test refuses.
        Some(setting.default).filter(|default| !default.is_empty()).and_then(|default| read(default).ok())
    }

    /// What is written under a name; what is wrong with it is noted.
    fn named<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let found = self.layers.get(name)?;
        match read(found.value) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.problems.push(found.problem(format!("`{name}`: {reason}")));
                None
            }
        }
    }
}
