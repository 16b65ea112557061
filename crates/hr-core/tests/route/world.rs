//! A pool of made-up providers, and a router over it with a clock that is moved by hand.

use std::sync::Arc;
use std::time::Duration;

use hr_core::capability::{Evidence, Wishes};
use hr_core::catalog::{SpendClass, parse};
use hr_core::failure::{Failure, FailureKind, Scope};
use hr_core::pool::{Key, KeySource, Member, Pool, PoolModel, RouteRules};
use hr_core::quota::Said;
use hr_core::route::{
    Ask, Choice, Exclusion, MemberState, Outcome, Plan, Roster, Router, Settled, Ticket, Tried,
};
use hr_core::secret::{KeyId, Secret};
use hr_core::time::Millis;
use hr_core::usage::Usage;

/// Every kind of failure.
pub const KINDS: [FailureKind; 20] = {
    use FailureKind::*;
    [
        CallerMistake,
        ContentRefused,
        BadKey,
        NoMoney,
        ModelForbidden,
        ModelMissing,
        ModelGone,
        ProviderGone,
        TooLarge,
        Unsupported,
        RateLimited,
        QuotaSpent,
        Overloaded,
        ServerError,
        Network,
        Timeout,
        Malformed,
        Empty,
        Cut,
        Loop,
    ]
};

/// A free model of this strength of which all is known to be well.
pub fn model(id: &str, rating: u8) -> PoolModel {
    PoolModel {
        id: id.to_owned(),
        rating,
        quality: 100,
        context: Some(100_000),
        max_output: None,
        tools: Some(true),
        vision: Some(true),
        structured: None,
        reasoning: Some(false),
        evidence: Evidence::default(),
        price: None,
        spend: SpendClass::Free,
        quirks: Vec::new(),
        by_request: false,
    }
}

/// A key; its id and its secret are its name.
pub fn key(name: &str) -> Key {
    Key {
        id: KeyId(name.to_owned()),
        secret: Some(Secret::new(name)),
        account: None,
        source: KeySource::AuthFile,
        owner: None,
    }
}

/// A member with these models and as many keys, named `<id>-0` and so on.
pub fn member(id: &str, models: Vec<PoolModel>, keys: usize) -> Member {
    let prefix = id.to_uppercase().replace('-', "_");
    let page = format!(
        "id = \"{id}\"\nname = \"{id}\"\norder = 1\ndialect = \"openai_chat\"\nauth = \"bearer\"\n\
         base_url = \"https://{id}.example/v1\"\nprefix = \"{prefix}\"\nkey_vars = [\"{prefix}_API_KEY\"]\nspend = \"free\"\n",
    );
    let provider = parse(&page, "made-up.toml").unwrap_or_else(|problem| panic!("{problem}"));
    Member {
        base_url: provider.base_url.clone(),
        provider: Arc::new(provider),
        base_url_is_users: false,
        models,
        excluded: Vec::new(),
        keys: (0..keys).map(|index| key(&format!("{id}-{index}"))).collect(),
        embed_model: None,
        skip_tokens_over: None,
        max_output_tokens: None,
        headers: Vec::new(),
        token_url: None,
        off: None,
        wishes: Wishes::default(),
    }
}

/// A pool under the default rules.
pub fn pool(members: Vec<Member>) -> Pool {
    Pool { members, rules: RouteRules::default() }
}

/// A failure of this kind about which nothing else is known.
pub fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "made up")
}

/// A failure of this kind with a stated wait in seconds.
pub fn because(kind: FailureKind, wait: u64) -> Failure {
    failure(kind).retry_after(Some(Duration::from_secs(wait)))
}

/// A failure of this kind and scope.
pub fn scoped(kind: FailureKind, scope: Scope) -> Failure {
    Failure { scope: Some(scope), ..failure(kind) }
}

/// A success that took this long.
pub fn success(millis: u64) -> Outcome {
    let took = Duration::from_millis(millis);
    Outcome::Success { first_byte: took, total: took, usage: Usage::default(), said: Said::default() }
}

/// A plain request.
pub fn ask() -> Ask {
    Ask::default()
}

/// Two alike, `a` and `b`, with a model and two keys each.
pub fn two_providers() -> World {
    World::new(pool(vec![member("a", vec![model("m", 3)], 2), member("b", vec![model("m", 3)], 2)]))
}

/// One, `a`, with a model and so many keys.
pub fn one_provider(keys: usize) -> World {
    World::new(pool(vec![member("a", vec![model("m", 3)], keys)]))
}

/// A router, the roster in force, and the time.
pub struct World {
    pub router: Router,
    pub roster: Arc<Roster>,
    pub now: Millis,
}

impl World {
    /// A router over this pool, some time after the epoch.
    pub fn new(pool: Pool) -> Self {
        let now = Millis(1_000_000_000);
        let mut router = Router::new();
        let roster = router.install(now, pool);
        Self { router, roster, now }
    }

    /// Puts another pool in force.
    pub fn reload(&mut self, pool: Pool) {
        self.roster = self.router.install(self.now, pool);
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    /// The plan of a fresh request.
    pub fn plan(&self, ask: &Ask) -> Plan {
        self.replan(ask, &Tried::default())
    }

    /// The plan of a request that has tried some.
    pub fn replan(&self, ask: &Ask, tried: &Tried) -> Plan {
        self.router.plan(self.now, &self.roster, ask, tried, 0)
    }

    /// Who may be asked, best first, as `provider/model/key`.
    pub fn order(&self, ask: &Ask) -> Vec<String> {
        self.names(&self.plan(ask))
    }

    /// The choices of a plan as `provider/model/key`.
    pub fn names(&self, plan: &Plan) -> Vec<String> {
        plan.choices.iter().map(|choice| self.name(choice)).collect()
    }

    /// A choice as `provider/model/key`, the key by its place.
    pub fn name(&self, choice: &Choice) -> String {
        let (candidate, roster) = (choice.candidate, &self.roster);
        let (provider, model) = (&roster.provider(candidate).id, roster.model_id(candidate));
        format!("{provider}/{model}/{}", candidate.key)
    }

    /// The first choice for a request.
    pub fn first(&self, ask: &Ask) -> Choice {
        self.plan(ask).choices.into_iter().next().expect("somebody to ask")
    }

    /// Who is passed over, as `gate` with `provider`, once each.
    pub fn gates(&self, plan: &Plan) -> Vec<String> {
        let name = |exclusion: &Exclusion| {
            let provider = &self.roster.pool.members[exclusion.member].provider.id;
            format!("{provider}: {}", exclusion.gate.code())
        };
        let mut gates: Vec<_> = plan.exclusions.iter().map(name).collect();
        gates.dedup();
        gates
    }

    /// Begins an attempt.
    pub fn begin(&mut self, choice: &Choice) -> Result<Ticket, Exclusion> {
        self.router.begin(self.now, &self.roster, choice)
    }

    /// Ends an attempt.
    pub fn settle(&mut self, ticket: Ticket, outcome: Outcome) -> Settled {
        self.router.settle(self.now, ticket, outcome)
    }

    /// Begins and ends an attempt at this choice.
    pub fn run(&mut self, choice: &Choice, outcome: Outcome) -> Settled {
        let ticket = self.begin(choice).expect("the choice is open");
        self.settle(ticket, outcome)
    }

    /// Fails this choice.
    pub fn fail(&mut self, choice: &Choice, failure: Failure) -> Settled {
        self.run(choice, Outcome::Failure(failure))
    }

    /// Serves a request by the first choice, which is told as `provider/model/key`.
    pub fn serve(&mut self, ask: &Ask) -> String {
        let choice = self.first(ask);
        self.run(&choice, success(100));
        self.name(&choice)
    }

    /// The choice of this name.
    pub fn choice(&self, name: &str) -> Choice {
        let plan = self.plan(&Ask::default());
        plan.choices.into_iter().find(|choice| self.name(choice) == name).expect("a choice of that name")
    }

    /// The health of everybody.
    pub fn snapshot(&self) -> Vec<MemberState> {
        self.router.snapshot(self.now, &self.roster)
    }
}
