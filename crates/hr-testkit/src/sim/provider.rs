//! A simulated provider: its keys and their owners, its models, its hidden limits, and what it says of them.

use std::fmt::Write as _;
use std::sync::Arc;

use hr_core::catalog::{LimitSpan, LimitUnit, OwnerScope, SpendClass, parse};
use hr_core::pool::{Key, KeySource, Member, Pool, PoolModel, RouteRules};
use hr_core::secret::KeyId;

use super::limit::HiddenLimit;

/// How much headers tell of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Nothing.
    Nothing,
    /// How much there is and what is left.
    Left,
    /// That, and when all is there again.
    LeftAndReset,
}

/// What the body of a refusal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// That it is a refusal.
    Bare,
    /// Whether the limit is one of a day or longer, and no more.
    Pace,
    /// When to come again.
    Wait,
    /// Which limit it was.
    Limit,
    /// Which limit it was, and when to come again.
    LimitAndWait,
}

/// What a provider says of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// The headers of its good answers.
    pub good: Telling,
    /// The headers of its refusals.
    pub refusal: Telling,
    /// The bodies of its refusals.
    pub words: Words,
    /// Whether it says over which span a limit counts, and whom it counts.
    pub names: bool,
}

impl Voice {
    /// One that says nothing but that it refuses.
    pub const SILENT: Self =
        Self { good: Telling::Nothing, refusal: Telling::Nothing, words: Words::Bare, names: true };
    /// One whose refusals say when to come again, and nothing else.
    pub const RETRY_AFTER: Self = Self { words: Words::Wait, ..Self::SILENT };
    /// One whose headers tell everything all the time.
    pub const OPEN: Self = Self {
        good: Telling::LeftAndReset,
        refusal: Telling::LeftAndReset,
        words: Words::LimitAndWait,
        names: true,
    };
}

/// Somebody whom a provider counts, and the keys that belong to them.
#[derive(Clone, Debug)]
pub struct Owner {
    /// How many keys.
    pub keys: usize,
    /// Whether the router is told that they belong together.
    pub declared: bool,
    /// What each limit is times for this one.
    pub share: f64,
}

impl Owner {
    /// One of these keys whom nobody declared.
    #[must_use]
    pub fn of(keys: usize) -> Self {
        Self { keys, declared: false, share: 1.0 }
    }

    /// Declared to be one.
    #[must_use]
    pub fn declared(mut self) -> Self {
        self.declared = true;
        self
    }

    /// With limits that are this many times the others'.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }
}

/// A simulated provider.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its id in the pool.
    pub id: String,
    /// Its models, each with the tokens of its window.
    pub models: Vec<(String, u64)>,
    /// Its owners, and with them its keys, in order.
    pub owners: Vec<Owner>,
    /// Whom it counts.
    pub scope: OwnerScope,
    /// Its limits, for each owner.
    pub limits: Vec<HiddenLimit>,
    /// The part of a limit that its owners have used already when the simulation begins.
    pub used: f64,
    /// What it says of them.
    pub voice: Voice,
    /// How long its calls take, in milliseconds, least and most.
    pub takes: (f64, f64),
    /// The part of its calls that fail for reasons of their own.
    pub faults: f64,
    /// What its calls cost.
    pub spend: SpendClass,
    /// How far its clock is from ours, in milliseconds.
    pub clock_off: i64,
    /// What the catalogue says a limit is, times what it is; `None` publishes nothing.
    pub published: Option<f64>,
}

impl Spec {
    /// A provider with one model and one undeclared owner of one key, and no limit.
    #[must_use]
    pub fn new(id: &str, voice: Voice) -> Self {
        Self {
            id: id.to_owned(),
            models: vec![(format!("{id}-model"), 131_072)],
            owners: vec![Owner::of(1)],
            scope: OwnerScope::Key,
            limits: Vec::new(),
            used: 0.0,
            voice,
            takes: (800.0, 4000.0),
            faults: 0.0,
            spend: SpendClass::Free,
            clock_off: 0,
            published: None,
        }
    }

    /// With this limit.
    #[must_use]
    pub fn limit(mut self, limit: HiddenLimit) -> Self {
        self.limits.push(limit);
        self
    }

    /// With these owners, counted by this.
    #[must_use]
    pub fn owners(mut self, scope: OwnerScope, owners: Vec<Owner>) -> Self {
        self.scope = scope;
        self.owners = owners;
        self
    }

    /// With these models, each with the tokens of its window.
    #[must_use]
    pub fn models(mut self, models: &[(&str, u64)]) -> Self {
        self.models = models.iter().map(|(id, window)| ((*id).to_owned(), *window)).collect();
        self
    }

    /// With calls that fail for reasons of their own.
    #[must_use]
    pub fn faults(mut self, share: f64) -> Self {
        self.faults = share;
        self
    }

    /// With calls that take so many milliseconds.
    #[must_use]
    pub fn takes(mut self, least: f64, most: f64) -> Self {
        self.takes = (least, most);
        self
    }

    /// With limits that the catalogue publishes, right or wrong by this factor.
    #[must_use]
    pub fn published(mut self, factor: f64) -> Self {
        self.published = Some(factor);
        self
    }

    /// How many keys it has.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.owners.iter().map(|owner| owner.keys).sum()
    }

    /// The owner of each key.
    #[must_use]
    pub fn owner_of_each_key(&self) -> Vec<usize> {
        let owners = self.owners.iter().enumerate();
        owners.flat_map(|(number, owner)| std::iter::repeat_n(number, owner.keys)).collect()
    }

    /// The provider as the router knows it: everything but what is hidden.
    fn member(&self) -> Member {
        let provider =
            Arc::new(parse(&self.page(), "simulated.toml").unwrap_or_else(|problem| panic!("{problem}")));
        let key = |(number, owner): (usize, usize)| Key {
            id: KeyId(format!("{}-{number}", self.id)),
            secret: None,
            account: None,
            source: KeySource::Keyless,
            owner: self.owners[owner].declared.then(|| format!("{}-owner-{owner}", self.id)),
        };
        let model = |(id, window): &(String, u64)| PoolModel {
            context: Some(*window),
            rating: 3,
            spend: self.spend,
            by_request: false,
            ..PoolModel::unlisted(id, &provider)
        };
        Member {
            base_url: provider.base_url.clone(),
            base_url_is_users: false,
            models: self.models.iter().map(model).collect(),
            excluded: Vec::new(),
            keys: self.owner_of_each_key().into_iter().enumerate().map(key).collect(),
            embed_model: None,
            skip_tokens_over: None,
            max_output_tokens: None,
            headers: Vec::new(),
            token_url: None,
            off: None,
            wishes: hr_core::capability::Wishes::default(),
            provider: Arc::clone(&provider),
        }
    }

    /// The provider's file in the catalogue.
    fn page(&self) -> String {
        let Self { id, .. } = self;
        let prefix = id.to_uppercase().replace('-', "_");
        let mut page = format!(
            "id = \"{id}\"\nname = \"{id}\"\norder = 1\ndialect = \"openai_chat\"\nauth = \"bearer\"\n\
             base_url = \"https://{id}.example/v1\"\nprefix = \"{prefix}\"\nkey_vars = [\"{prefix}_API_KEY\"]\n\
             spend = \"{}\"\n",
            self.spend.name()
        );
        let Some(factor) = self.published else { return page };
        for limit in &self.limits {
            let (unit, span) = (unit_name(limit.unit), span_name(limit.span));
            let reset = match limit.reset {
                super::limit::Reset::Pacific => "pacific-midnight",
                super::limit::Reset::Month => "calendar-month",
                super::limit::Reset::Aligned if limit.span == LimitSpan::Day => "utc-midnight",
                _ => "rolling",
            };
            let models: Vec<_> = self.models.iter().filter(|_| limit.shared).map(|(id, _)| id).collect();
            let _ = write!(
                page,
                "[[limit]]\nowner = \"{}\"\nmodels = {models:?}\nunit = \"{unit}\"\nper = \"{span}\"\n\
                 amount = {:.0}\nreset = \"{reset}\"\n",
                scope_name(self.scope),
                (limit.amount * factor).max(1.0),
            );
        }
        page
    }
}

/// The pool that the router is given.
#[must_use]
pub fn pool(specs: &[Spec]) -> Pool {
    Pool { members: specs.iter().map(Spec::member).collect(), rules: RouteRules::default() }
}

fn unit_name(unit: LimitUnit) -> &'static str {
    match unit {
        LimitUnit::Requests => "requests",
        LimitUnit::Tokens => "tokens",
        LimitUnit::InputTokens => "input_tokens",
        LimitUnit::OutputTokens => "output_tokens",
        LimitUnit::Concurrent => "concurrent",
        LimitUnit::Money => "money",
        LimitUnit::Percent => "percent",
    }
}

fn span_name(span: LimitSpan) -> &'static str {
    match span {
        LimitSpan::Now => "now",
        LimitSpan::Second => "second",
        LimitSpan::Minute => "minute",
        LimitSpan::Hour => "hour",
        LimitSpan::FiveHours => "five_hours",
        LimitSpan::Day => "day",
        LimitSpan::Week => "week",
        LimitSpan::Month => "month",
    }
}

fn scope_name(scope: OwnerScope) -> &'static str {
    match scope {
        OwnerScope::Key => "key",
        OwnerScope::Project => "project",
        OwnerScope::Organisation => "organisation",
        OwnerScope::Account => "account",
        OwnerScope::Address => "address",
    }
}
