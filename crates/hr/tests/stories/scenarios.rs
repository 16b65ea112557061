//! Sixteen ways to fail, each with what a router must make of it, over the whole gateway: every caller's dialect, whole
//! and streamed, over providers of two dialects. The table in the output has the marks.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hr_core::failure::{Failure, FailureKind};
use hr_core::route::{Ask, Outcome, Router, Tried};
use hr_core::time::Millis;
use hr_core::usage::Usage;
use hr_testkit::{Answer, Behaviour, Call, Dialect, Ending, Fake, Hint, Match, Refusal, Script};
use serde_json::json;
use tokio::task::JoinSet;

use crate::caller::Got;
use crate::dialects::{CLIENTS, Client, speaking};
use crate::house::House;

/// How many scenarios run at the same time: most of them only wait.
const AT_ONCE: usize = 24;

/// The one good answer: sixty words.
fn text() -> String {
    (1..=60).map(|number| format!("word{number}")).collect::<Vec<_>>().join(" ")
}

fn good() -> Answer {
    Answer::text(text()).chunks(60)
}

/// Nothing against a scenario, or what.
type Check = Result<(), String>;

/// What the caller got in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// All that it should.
    Full,
    /// An answer that was cut short and says so.
    Honest,
}

/// How a scenario ended.
type Mark = Result<Worth, String>;

fn hold(holds: bool, otherwise: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
struct Way {
    client: usize,
    stream: bool,
    upstream: Dialect,
}

impl Way {
    fn client(self) -> Client {
        CLIENTS[self.client]
    }
}

/// A house with one who fails and one who does not.
struct Stage {
    way: Way,
    primary: Fake,
    fallback: Fake,
    house: House,
}

impl Stage {
    async fn set(way: Way, primary: Script, settings: &str) -> Self {
        let primary = Fake::speaking(way.upstream, primary).await.unwrap();
        let fallback = Fake::speaking(way.upstream, Script::new().otherwise(good())).await.unwrap();
        let guests = [speaking("primary", &primary), speaking("fallback", &fallback)];
        let house = House::open(&guests, settings).await;
        Self { way, primary, fallback, house }
    }

    /// The same with nobody to fall back to.
    async fn alone(way: Way, primary: Script) -> Self {
        let stage = Self::set(way, primary, "").await;
        stage.house.change(&[speaking("primary", &stage.primary)], "");
        stage
    }

    /// Asks the primary's model first.
    async fn ask(&self) -> (Got, Duration) {
        let Way { stream, .. } = self.way;
        let mut body = self.way.client().question("what is 2 + 2?", stream);
        body["model"] = json!("primary-model");
        if stream && self.way.client() == Client::Chat {
            body["stream_options"] = json!({ "include_usage": true });
        }
        let began = Instant::now();
        let got = self.house.caller().post(self.way.client().path(), &body).await;
        (got, began.elapsed())
    }

    /// What a caller takes for a whole answer.
    fn answer(&self, got: &Got) -> Option<String> {
        let client = self.way.client();
        if got.status != 200 {
            return None;
        }
        if !self.way.stream {
            return Some(client.text(&got.json()));
        }
        client.is_whole(got.text()).then(|| client.streamed(&got.events()))
    }

    fn is_complete(&self, got: &Got) -> Check {
        hold(self.answer(got) == Some(text()), || format!("{}: {}", got.status, head(got.text())))
    }

    fn calls(&self) -> (usize, usize) {
        (self.primary.calls().len(), self.fallback.calls().len())
    }

    fn made(&self, primary: impl Fn(usize) -> bool, fallback: usize) -> Check {
        let calls = self.calls();
        hold(primary(calls.0) && calls.1 == fallback, || format!("{calls:?} calls"))
    }

    /// That it goes on serving.
    async fn is_alive(&self) -> Check {
        self.primary.set(Script::new().otherwise(good()));
        let (got, _) = self.ask().await;
        self.is_complete(&got).map_err(|why| format!("afterwards {why}"))
    }
}

fn head(text: &str) -> String {
    text.chars().take(300).collect()
}

fn within(calls: &[Call], time: Duration) -> usize {
    let first = calls.first().map(|call| call.received);
    calls.iter().filter(|call| first.is_some_and(|first| call.received < first + time)).count()
}

async fn told_to_wait_once(way: Way) -> Check {
    let limited = Behaviour::rate_limited(Hint::RetryAfterSeconds, Duration::from_secs(2));
    let stage = Stage::alone(way, Script::new().once(Match::any(), [limited]).otherwise(good())).await;
    let (got, _) = stage.ask().await;
    stage.is_complete(&got)?;
    let calls = stage.primary.calls();
    let apart = calls[calls.len() - 1].received - calls[0].received;
    hold(calls.len() == 2 && apart >= Duration::from_millis(1800), || {
        format!("{} calls, {apart:?}", calls.len())
    })
}

async fn limited_without_a_word(way: Way) -> Check {
    let limited = Behaviour::rate_limited(Hint::Bare, Duration::ZERO);
    let stage = Stage::set(way, Script::new().otherwise(limited), "").await;
    let (got, _) = stage.ask().await;
    stage.is_complete(&got)?;
    hold(within(&stage.primary.calls(), Duration::from_secs(3)) <= 4, || "a storm".to_owned())?;
    stage.made(|calls| calls <= 6, 1)
}

async fn an_error_once(way: Way) -> Check {
    let script = Script::new().once(Match::any(), [Refusal::server_error()]).otherwise(good());
    let stage = Stage::alone(way, script).await;
    let (got, _) = stage.ask().await;
    stage.is_complete(&got)?;
    stage.made(|calls| calls == 2, 0)
}

async fn down(way: Way) -> Check {
    let stage = Stage::set(way, Script::new().otherwise(Refusal::unavailable()), "").await;
    let (got, _) = stage.ask().await;
    stage.is_complete(&got)?;
    stage.made(|calls| calls <= 6, 1)
}

async fn a_reset_once(way: Way) -> Check {
    let script = Script::new().once(Match::any(), [Behaviour::ResetBeforeHeaders]).otherwise(good());
    let stage = Stage::set(way, script, "").await;
    stage.is_complete(&stage.ask().await.0)
}

async fn silence(way: Way) -> Check {
    // A stream has twelve seconds for its beginning, a whole answer as many as the user sets.
    let settings = if way.stream { "" } else { "UPSTREAM_FIRST_BYTE_TIMEOUT=2" };
    let stage = Stage::set(way, Script::new().otherwise(Behaviour::HangBeforeHeaders), settings).await;
    let (got, took) = stage.ask().await;
    stage.is_complete(&got)?;
    hold(took < Duration::from_secs(100), || format!("took {took:?}"))?;
    stage.made(|calls| calls == 1, 1)
}

async fn a_late_first_token(way: Way) -> Check {
    let late = Behaviour::from(good()).after(Duration::from_secs(20));
    let stage = Stage::set(way, Script::new().otherwise(late), "").await;
    let (got, took) = stage.ask().await;
    stage.is_complete(&got)?;
    hold(took <= Duration::from_secs(15), || format!("took {took:?}"))
}

/// That nothing cut short is passed off as whole; a stream that ends in an error is honest.
async fn honest(stage: &Stage) -> Mark {
    let (got, took) = stage.ask().await;
    hold(took < Duration::from_secs(45), || format!("took {took:?}"))?;
    let whole = stage.answer(&got);
    hold(whole.as_ref().is_none_or(|said| *said == text()), || format!("cut short: {whole:?}"))?;
    let worth = if whole.is_some() { Worth::Full } else { Worth::Honest };
    if worth == Worth::Honest {
        let events = if stage.way.stream { got.events() } else { Vec::new() };
        hold(stage.way.client().is_broken(&events), || format!("no error: {}", head(got.text())))?;
    }
    stage.is_alive().await.map(|()| worth)
}

async fn cut(way: Way) -> Mark {
    let stage = Stage::set(way, Script::new().otherwise(good().ending(Ending::Cut(40))), "").await;
    honest(&stage).await
}

async fn stall(way: Way) -> Mark {
    let settings = "STREAM_IDLE_TIMEOUT=1\nUPSTREAM_FIRST_BYTE_TIMEOUT=2";
    let stage = Stage::set(way, Script::new().otherwise(good().ending(Ending::Hang(20))), settings).await;
    honest(&stage).await
}

async fn a_broken_event(way: Way) -> Check {
    let stage = Stage::set(way, Script::new().otherwise(good().bad_events(1)), "").await;
    let (got, _) = stage.ask().await;
    stage.is_complete(&got)?;
    stage.made(|calls| calls == 1, 0)
}

/// Whether an answer says what it used.
fn has_usage(got: &Got, way: Way) -> bool {
    let answers = if way.stream { got.events() } else { vec![got.json()] };
    let tokens = |usage: &serde_json::Value| {
        ["completion_tokens", "output_tokens"].iter().any(|name| usage[name].as_u64().is_some_and(|n| n > 0))
    };
    answers.iter().any(|answer| tokens(&answer["usage"]) || tokens(&answer["response"]["usage"]))
}

async fn no_end_mark(way: Way) -> Mark {
    let stage = Stage::set(way, Script::new().otherwise(good().ending(Ending::NoDone)), "").await;
    if way.upstream == Dialect::Responses {
        // Its end mark is the answer itself, with its status and its usage.
        return honest(&stage).await;
    }
    let (got, took) = stage.ask().await;
    stage.is_complete(&got)?;
    hold(took < Duration::from_secs(8), || format!("took {took:?}"))?;
    hold(has_usage(&got, way), || "no usage".to_owned()).map(|()| Worth::Full)
}

async fn too_long(way: Way) -> Check {
    let stage = Stage::set(way, Script::new().otherwise(Refusal::context_exceeded()), "").await;
    let (got, _) = stage.ask().await;
    stage.is_complete(&got)?;
    stage.made(|calls| calls == 1, 1)
}

async fn against_the_rules(way: Way) -> Check {
    let words = "This request has been flagged for violating the usage policies.";
    let refusal = Refusal::new(400, "invalid_request_error", "content_policy_violation", words);
    let stage = Stage::set(way, Script::new().otherwise(refusal), "").await;
    let (got, _) = stage.ask().await;
    hold(got.status == 400 && got.text().contains(words), || {
        format!("{}: {}", got.status, head(got.text()))
    })?;
    hold(way.client().is_error(&got.json()), || head(got.text()))?;
    stage.made(|calls| calls == 1, 0)
}

async fn cut_before_a_picky_one(way: Way) -> Mark {
    let stage = Stage::set(way, Script::new().otherwise(good().ending(Ending::Cut(40))), "").await;
    let picky = Refusal::new(400, "invalid_request_error", "", "the last message must be the user's");
    stage.fallback.set(Script::new().always(Match::any().and_saying("word40"), picky).otherwise(good()));
    let worth = honest(&stage).await?;
    let refused = stage.fallback.calls().iter().any(|call| call.status == Some(400));
    hold(!refused, || "a half answer was sent on".to_owned()).map(|()| worth)
}

async fn an_outage(way: Way) -> Check {
    // A twentieth of the time: three seconds, five requests a second, back in use within one and a half.
    let stage = Stage::set(way, Script::new().otherwise(Refusal::unavailable()), "BREAKER_COOLDOWN=3").await;
    let (outage, step) = (Duration::from_secs(3), Duration::from_millis(200));
    let began = Instant::now();
    let mut beat = tokio::time::interval(step);
    let mut recovered = None;
    loop {
        beat.tick().await;
        if recovered.is_none() && began.elapsed() >= outage {
            stage.primary.set(Script::new().otherwise(good()));
            recovered = Some(Instant::now());
        }
        let (got, _) = stage.ask().await;
        stage.is_complete(&got)?;
        let since = recovered.map_or(Duration::ZERO, |recovered| recovered.elapsed());
        if got.header("x-provider") == "primary" {
            return hold(recovered.is_some(), || "served by one who is down".to_owned());
        }
        hold(since <= Duration::from_millis(1500), || format!("not used {since:?} after it was back"))?;
    }
}

async fn named_after_who_answered(way: Way) -> Check {
    let stage = Stage::set(way, Script::new().otherwise(Refusal::unavailable()), "").await;
    let (got, _) = stage.ask().await;
    stage.is_complete(&got)?;
    let true_name = got.header("x-hermes-model");
    hold(true_name == "fallback-model", || format!("the header says `{true_name}`"))?;
    // Claude Code wants to see the name that it asked for.
    let answers = if way.stream { got.events() } else { vec![got.json()] };
    let named = |answer: &serde_json::Value| answer["model"] == "fallback-model";
    let names = way.client() != Client::Chat || answers.iter().any(named);
    hold(names, || format!("not named: {}", head(got.text())))?;
    hold(has_usage(&got, way), || "no usage".to_owned())
}

/// A scenario by its number.
async fn run(number: u8, way: Way) -> Mark {
    let checked = match number {
        1 => told_to_wait_once(way).await,
        2 => limited_without_a_word(way).await,
        3 => an_error_once(way).await,
        4 => down(way).await,
        5 => a_reset_once(way).await,
        6 => silence(way).await,
        7 => a_late_first_token(way).await,
        8 => return cut(way).await,
        9 => return stall(way).await,
        10 => a_broken_event(way).await,
        11 => return no_end_mark(way).await,
        12 => too_long(way).await,
        13 => against_the_rules(way).await,
        14 => return cut_before_a_picky_one(way).await,
        15 => an_outage(way).await,
        _ => named_after_who_answered(way).await,
    };
    checked.map(|()| Worth::Full)
}

/// What each is about, and whether it is about streams only.
const SCENARIOS: [(&str, bool); 16] = [
    ("429 once, Retry-After 2, nobody else", false),
    ("429 always, without a word", false),
    ("500 once, nobody else", false),
    ("503 always", false),
    ("connection reset once", false),
    ("silence", false),
    ("first token after 20 s", true),
    ("cut after 40 of 60 words", false),
    ("stalled after 20 words", false),
    ("one event is broken", true),
    ("no end mark", true),
    ("400 too long for this model", false),
    ("400 against the rules", false),
    ("cut, and the fallback is picky", false),
    ("503 for a while, then back", false),
    ("503, and who answered is named", false),
];

/// The longest first, so that the others run beside them.
const ORDER: [u8; 16] = [7, 6, 15, 9, 1, 2, 3, 4, 5, 8, 10, 11, 12, 13, 14, 16];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_ways_to_fail() {
    let mut ways = Vec::new();
    for (client, upstreams) in [
        [Dialect::Chat, Dialect::Anthropic],
        [Dialect::Chat, Dialect::Anthropic],
        [Dialect::Chat, Dialect::Responses],
    ]
    .into_iter()
    .enumerate()
    {
        for upstream in upstreams {
            ways.extend([false, true].map(|stream| Way { client, stream, upstream }));
        }
    }
    let mut left = ORDER.into_iter().flat_map(|number| {
        let streams_only = SCENARIOS[usize::from(number) - 1].1;
        ways.iter().filter(move |way| way.stream || !streams_only).map(move |way| (number, *way))
    });
    let mut running = JoinSet::new();
    let mut marks: Vec<(u8, Way, Mark)> = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((number, way)) = left.next()
        {
            running.spawn(async move { (number, way, run(number, way).await) });
        }
        let Some(ended) = running.join_next().await else { break };
        marks.push(ended.unwrap());
    }
    let mut table = "     full  honest    of\n".to_owned();
    for (number, (name, _)) in (1..).zip(SCENARIOS) {
        let of: Vec<_> = marks.iter().filter(|(scenario, ..)| *scenario == number).collect();
        let count = |worth| of.iter().filter(|(.., mark)| *mark == Ok(worth)).count();
        let (full, honest) = (count(Worth::Full), count(Worth::Honest));
        writeln!(table, "S{number:02}  {full:>4}  {honest:>6}  {:>4}  {name}", of.len()).unwrap();
    }
    println!("{table}");
    let failed: Vec<_> = marks.iter().filter(|(.., mark)| mark.is_err()).collect();
    assert!(failed.is_empty(), "{failed:#?}\n{table}");
}

/// The same outage in its full length, over a virtual clock: 503 for a minute, a request every four seconds, whatever the
/// hour of the minute and however often the provider had failed before.
#[tokio::test]
async fn who_is_back_after_a_minute_is_in_use_within_half_a_minute() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(
        &[
            speaking("primary", &fake).model("primary-model", "rating = 5"),
            speaking("fallback", &fake).model("fallback-model", "rating = 1"),
        ],
        "",
    )
    .await;
    let pool = house.gate.live().roster.pool.clone();
    for shift in (0..60_000).step_by(500) {
        let mut router = Router::new();
        let roster = router.install(Millis(0), pool.clone());
        let ask =
            Ask { target: hr_core::route::Target::Prefer("primary-model".to_owned()), ..Ask::default() };
        let mut now = 1_000_000_u64;
        let back = now + 60_000 + shift;
        let used = loop {
            router.arrives(Millis(now));
            let mut tried = Tried::default();
            let served = loop {
                let plan = router.plan(Millis(now), &roster, &ask, &tried, 0);
                let choice = plan.choices.first().expect("the fallback is there").clone();
                let ticket = router.begin(Millis(now), &roster, &choice).expect("it was just planned");
                let provider = roster.provider(choice.candidate).id.clone();
                if provider == "primary" && now < back {
                    let failure = Failure::new(FailureKind::Overloaded, "503");
                    tried.note(&roster, choice.candidate, &failure);
                    router.settle(Millis(now), ticket, Outcome::Failure(failure));
                    continue;
                }
                let outcome = Outcome::Success {
                    first_byte: Duration::from_millis(300),
                    total: Duration::from_secs(1),
                    usage: Usage::default(),
                    said: hr_core::quota::Said::default(),
                };
                router.settle(Millis(now + 1_000), ticket, outcome);
                break provider;
            };
            if served == "primary" {
                break now;
            }
            now += 4_000;
        };
        // Its absence was up to two minutes here; of one minute it is within half of one.
        let most = if shift == 0 { 30_000 } else { 44_000 };
        assert!(
            used - back <= most,
            "away {} s: used after {} s",
            (back - 1_000_000) / 1_000,
            (used - back) / 1_000
        );
    }
}
