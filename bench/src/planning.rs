//! What a plan costs, by how many keys the pool has: the core alone, without a gateway around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use hr_core::catalog::parse;
use hr_core::failure::{Failure, FailureKind};
use hr_core::pool::{Key, KeySource, Member, Pool, PoolModel, RouteRules};
use hr_core::quota::Said;
use hr_core::route::{Ask, Outcome, Roster, Router, Tried};
use hr_core::secret::{KeyId, Secret};
use hr_core::time::Millis;
use hr_core::usage::Usage;

use crate::report::{Row, median};

/// Keys of the pools, and how many microseconds a plan over them is at most to take.
const CURVE: [(usize, f64); 5] = [(10, 50.0), (100, 50.0), (1_000, 50.0), (10_000, 100.0), (100_000, 200.0)];

/// The keys are spread over so many providers.
const PROVIDERS: usize = 10;
/// Models of each provider, of different strength.
const MODELS: u8 = 3;
/// Requests that a pool has seen before it is measured, so that something is known of its keys.
const REQUESTS: u64 = 3_000;
/// One call of so many is refused for an hour.
const REFUSED: u64 = 20;
/// Plans that are timed together, since the clock is coarse.
const TOGETHER: u32 = 20;
/// How often they are.
const ROUNDS: usize = 101;

/// The rows of the curve.
pub fn rows() -> Result<Vec<Row>> {
    CURVE.iter().map(|(keys, most)| Ok(Row::absolute(name(*keys), "µs", None, plan(*keys)?, *most))).collect()
}

fn name(keys: usize) -> String {
    let digits = keys.to_string();
    let (head, tail) = digits.split_at(digits.len().saturating_sub(3));
    let shown = if head.is_empty() { tail.to_owned() } else { format!("{head},{tail}") };
    format!("plan over {shown} keys")
}

/// The median cost of a plan in microseconds.
fn plan(keys: usize) -> Result<f64> {
    let mut router = Router::new();
    let mut now = Millis(1_700_000_000_000);
    let members = (0..PROVIDERS).map(|index| member(index, keys / PROVIDERS)).collect::<Result<_>>()?;
    let roster = router.install(now, Pool { members, rules: RouteRules::default() });
    for number in 0..REQUESTS {
        now = now.after(Duration::from_millis(20));
        request(&mut router, &roster, now, number);
    }
    let ask = ask(7);
    let times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for draw in 0..TOGETHER {
                let plan = router.plan(now, &roster, &ask, &Tried::default(), u64::from(draw));
                std::hint::black_box(plan);
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(TOGETHER)
        })
        .collect();
    Ok(median(&times))
}

/// One request, served by the first choice or refused.
pub fn request(router: &mut Router, roster: &Arc<Roster>, now: Millis, number: u64) {
    router.arrives(now);
    let plan = router.plan(now, roster, &ask(number % 200), &Tried::default(), number);
    let Some(ticket) = plan.choices.first().and_then(|choice| router.begin(now, roster, choice).ok()) else {
        return;
    };
    let took = Duration::from_millis(300 + number * 37 % 1_000);
    let outcome = if number.is_multiple_of(REFUSED) {
        let hour = Some(Duration::from_secs(3_600));
        Outcome::Failure(Failure::new(FailureKind::QuotaSpent, "used up").retry_after(hour))
    } else {
        let usage = Usage { input: Some(1_500), output: Some(300), ..Usage::default() };
        Outcome::Success { first_byte: took, total: took, usage, said: Said::default() }
    };
    router.settle(now, ticket, outcome);
}

/// A request of a session.
pub fn ask(session: u64) -> Ask {
    let params = ["model", "messages", "stream", "tools"].map(str::to_owned).to_vec();
    Ask { prompt_tokens: 1_500, tools: true, stream: true, session: Some(session), params, ..Ask::default() }
}

/// A provider with so many keys.
pub fn member(index: usize, keys: usize) -> Result<Member> {
    let page = format!(
        "id = \"p{index}\"\nname = \"Provider {index}\"\norder = {index}\ndialect = \"openai_chat\"\nauth = \"bearer\"\n\
         base_url = \"https://p{index}.example/v1\"\nprefix = \"P{index}\"\nkey_vars = [\"P{index}_API_KEY\"]\n\
         spend = \"free\"\n"
    );
    let provider = Arc::new(parse(&page, "bench.toml").map_err(|problem| anyhow::anyhow!("{problem}"))?);
    let models = (1..=MODELS).map(|rating| PoolModel {
        rating,
        by_request: false,
        tools: Some(true),
        ..PoolModel::unlisted(&format!("model-{rating}"), &provider)
    });
    Ok(Member {
        base_url: provider.base_url.clone(),
        base_url_is_users: false,
        models: models.collect(),
        excluded: Vec::new(),
        keys: (0..keys).map(|key| self::key(&format!("p{index}-{key}"))).collect(),
        embed_model: None,
        skip_tokens_over: None,
        max_output_tokens: None,
        headers: Vec::new(),
        token_url: None,
        off: None,
        wishes: Default::default(),
        provider,
    })
}

fn key(name: &str) -> Key {
    Key {
        id: KeyId(name.to_owned()),
        secret: Some(Secret::new(name)),
        account: None,
        source: KeySource::AuthFile,
        owner: None,
    }
}
