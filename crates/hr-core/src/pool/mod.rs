//! Settings, catalogue and credentials put together: who can be called, with what, under which rules.
//!
//! A pool never changes; a reload makes a new one, and a request keeps the one it began with. [`resolve()`] makes
//! it, [`rating`] guesses how strong a model is whose file does not say. Nothing here knows who is well and who
//! rests: that is [`crate::route`].

pub mod rating;
mod resolve;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::capability::{Evidence, Wishes};
use crate::catalog::{Price, Provider, SpendClass};
use crate::credentials::Account;
use crate::route::{Allowance, Profile};
use crate::secret::{KeyId, Secret};

pub use resolve::resolve;

/// Where a key was found, for people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// The credentials file.
    AuthFile,
    /// A variable of the process environment, by name.
    Environment(String),
    /// A variable of a `.env` file, by name.
    EnvFile(String),
    /// No key is needed.
    Keyless,
}

/// A credential of ours at a provider.
#[derive(Clone, Debug)]
pub struct Key {
    /// The stable name under which its state is kept.
    pub id: KeyId,
    /// What goes into the request; `None` sends no credential.
    pub secret: Option<Secret>,
    /// The account that signs instead of a secret of its own, as it was when the file was read.
    pub account: Option<Arc<Account>>,
    /// Where it was found.
    pub source: KeySource,
    /// The owner that the user declared for it.
    pub owner: Option<String>,
}

/// A model as the pool offers it: the catalogue's facts under the user's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolModel {
    /// The id on the wire.
    pub id: String,
    /// Strength from 1 (outstanding) to 5 (basic).
    pub rating: u8,
    /// Tie-break among equals: lower is better.
    pub quality: u32,
    /// Tokens that prompt and answer share.
    pub context: Option<u64>,
    /// The most tokens of one answer.
    pub max_output: Option<u64>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it sees images.
    pub vision: Option<bool>,
    /// Whether it keeps to a JSON schema.
    pub structured: Option<bool>,
    /// Whether it reasons.
    pub reasoning: Option<bool>,
    /// What these facts are known from.
    pub evidence: Evidence,
    /// What it costs here.
    pub price: Option<Price>,
    /// Its spend class here.
    pub spend: SpendClass,
    /// Named functions of the dialect for this model alone.
    pub quirks: Vec<String>,
    /// Whether it is used only for requests that name it.
    pub by_request: bool,
}

impl PoolModel {
    /// A model of which nothing is known but its name, for a request that names it.
    #[must_use]
    pub fn unlisted(id: &str, provider: &Provider) -> Self {
        resolve::unlisted(provider, id)
    }

    /// A model of a member as its provider's list names it, under the user's settings for all of its models.
    #[must_use]
    pub fn found(member: &Member, id: &str) -> Self {
        resolve::found(member, id)
    }
}

/// A provider as the pool offers it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its entry of the catalogue.
    pub provider: Arc<Provider>,
    /// The address in force, without a trailing slash.
    pub base_url: String,
    /// Whether the user set the address.
    pub base_url_is_users: bool,
    /// Models that may be used, in the user's order. Empty: stays visible, is never a candidate.
    pub models: Vec<PoolModel>,
    /// Ids of models that may not be used, also for those who name them; in lower case.
    pub excluded: Vec<String>,
    /// Keys, in order.
    pub keys: Vec<Key>,
    /// The embedding model in force.
    pub embed_model: Option<String>,
    /// Prompts estimated above this many tokens are not sent here.
    pub skip_tokens_over: Option<u64>,
    /// Answers are asked for at most this long.
    pub max_output_tokens: Option<u64>,
    /// Headers sent with each request, variables resolved.
    pub headers: Vec<(String, String)>,
    /// Where the tokens of its accounts are renewed; only with accounts.
    pub token_url: Option<String>,
    /// Why it is not called although it has a key: retired, dialect not there yet.
    pub off: Option<String>,
    /// What the user has set for models that are found later.
    pub wishes: Wishes,
}

/// How keys of a provider take turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// Spread over all keys.
    #[default]
    RoundRobin,
    /// Drain one key before the next is touched.
    Sequential,
}

/// When a provider's circuit opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerRules {
    /// How many of the last results are looked at.
    pub window: usize,
    /// How many results must be there before it may open.
    pub min_samples: usize,
    /// The share of failures that opens it.
    pub error_rate: f64,
    /// How long at most it stays open before one probe is let through.
    pub cooldown: Duration,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { window: 8, min_samples: 4, error_rate: 0.5, cooldown: Duration::from_secs(60) }
    }
}

/// What calls may cost, by the profile of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spending {
    /// `SPEND` and `MAX_COST_PER_REQUEST`: for every request.
    pub any: Allowance,
    /// `SPEND_FAST`.
    pub fast: Option<SpendClass>,
    /// `SPEND_BEST`.
    pub best: Option<SpendClass>,
    /// `SPEND_FRUGAL`.
    pub frugal: Option<SpendClass>,
}

impl Spending {
    /// What calls for a request of this profile may cost.
    #[must_use]
    pub fn of(&self, profile: Profile) -> Allowance {
        let own = match profile {
            Profile::Balanced => None,
            Profile::Fast => self.fast,
            Profile::Best => self.best,
            Profile::Frugal => self.frugal,
        };
        Allowance { most: own.map_or(self.any.most, |own| own.min(self.any.most)), ..self.any }
    }
}

/// The settings that routing looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteRules {
    /// How keys take turns.
    pub rotation: Rotation,
    /// When circuits open.
    pub breaker: BreakerRules,
    /// Prompts estimated below this many tokens prefer fast providers; 0 is off.
    pub fast_route_threshold: u64,
    /// Output tokens added for a model that reasons.
    pub reasoning_reserve: u64,
    /// The name under which the pool itself is asked for.
    pub router_model: String,
    /// Whether an unknown model name is refused.
    pub strict_models: bool,
    /// What calls may cost.
    pub spending: Spending,
}

impl Default for RouteRules {
    fn default() -> Self {
        Self {
            rotation: Rotation::RoundRobin,
            breaker: BreakerRules::default(),
            fast_route_threshold: 0,
            reasoning_reserve: 4096,
            router_model: "hermes-router".to_owned(),
            strict_models: false,
            spending: Spending::default(),
        }
    }
}

/// Everything that a request may be sent to.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Providers that have a key or need none, in catalogue order.
    pub members: Vec<Member>,
    /// The settings that routing looks at.
    pub rules: RouteRules,
}

impl Pool {
    /// Ids of all models that can be asked for, each once, sorted.
    #[must_use]
    pub fn model_ids(&self) -> BTreeSet<&str> {
        self.members
            .iter()
            .filter(|member| member.off.is_none())
            .flat_map(|member| member.models.iter().map(|model| model.id.as_str()))
            .collect()
    }
}
