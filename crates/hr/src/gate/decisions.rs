//! `GET /v1/decisions/{id}` and `GET /v1/explain`: what was decided for a request, and what would be for one.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use hr_core::route::record::{Asked, Draft, Name, Planned, RULES, Subject};
use hr_core::route::{self, Ask, Roster, Router, Tried};
use hr_core::time::Millis;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::answer::{self, Answer, Refusal};
use super::endpoint::Endpoint;
use super::wishes::Wishes;
use super::{Gate, Live, models, verdict};
use crate::watch::diary::Entry;
use crate::watch::events::Early;

/// Stands for the id of the request that ended last.
pub const LAST: &str = "last";

/// The most candidates that a plan is explained with.
const MAX_EXPLAINED: usize = 1_000;

/// The id of the decision about a request, in its answer.
pub const DECISION: HeaderName = HeaderName::from_static("x-hermes-decision");

/// The record of a request.
///
/// # Errors
/// 404 for an id that is not kept, 503 when the store cannot be read.
pub async fn show(gate: &Arc<Gate>, id: &str) -> Result<Answer, Refusal> {
    let wanted = (id != LAST).then(|| id.to_owned());
    let diary = Arc::clone(&gate.diary);
    let read = tokio::task::spawn_blocking(move || diary.find(wanted.as_deref())).await;
    let found = read.ok().and_then(Result::ok).ok_or_else(unreadable)?;
    found.map(|record| answer::whole(StatusCode::OK, "application/json", record)).ok_or_else(|| {
        let words = match id {
            LAST => "no request has been decided yet",
            _ => "no decision of this id is kept; a response has its id in `X-Hermes-Decision`",
        };
        Refusal::new(StatusCode::NOT_FOUND, words).code("decision_not_found")
    })
}

fn unreadable() -> Refusal {
    let words = "the store of decisions cannot be read; the log says why it cannot be used";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words).code("store_unreadable")
}

/// What is kept of a request that was refused before anything was planned for it.
pub struct Bare<'a> {
    /// The gateway.
    pub gate: &'a Gate,
    /// The snapshot that it began with.
    pub live: &'a Live,
    /// Its id.
    pub id: &'a Name,
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// When it came.
    pub at: Millis,
    /// What has become of it.
    pub early: Arc<Early>,
}

impl Bare<'_> {
    /// Puts the id of the decision into what is answered, and sees that there is a decision of that id.
    pub fn mark(self, answered: Result<Answer, Refusal>) -> Result<Answer, Refusal> {
        let id = HeaderValue::from_str(self.id).ok();
        match answered {
            Ok(mut answer) => {
                answer.headers_mut().extend(id.map(|id| (DECISION, id)));
                Ok(answer)
            }
            Err(mut refusal) => {
                let Self { gate, live, id: name, endpoint, at, early } = self;
                if !early.is_written() {
                    let version = live.catalog_version.clone();
                    let draft = Draft::new(name.clone(), at, endpoint.name(), version);
                    Entry::new(Arc::clone(&gate.diary), draft, Instant::now())
                        .close(refusal.status().as_u16(), "well");
                }
                refusal.headers_mut().extend(id.map(|id| (DECISION, id)));
                Err(refusal)
            }
        }
    }
}

/// What would be done with a request like this, by the state of this moment.
///
/// # Errors
/// A refusal of a query that cannot be understood, or of a model that is not called.
pub fn explain(
    gate: &Gate,
    live: &Live,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    let wondering = Wondering::read(query.unwrap_or_default())?;
    let ask = wondering.ask(&live.roster, Wishes::read(headers)?)?;
    let (now, draw) = (gate.clock.now(), gate.chance.draw());
    let explained = explained(&mut gate.router(), &live.roster, &wondering, &ask, (now, draw))?;
    let body = serde_json::to_value(Explained { state: State::Live, ..explained }).unwrap_or_default();
    Ok(answer::json(StatusCode::OK, &body))
}

/// The same by the files alone, for when no router runs.
///
/// # Errors
/// The same.
pub fn explain_files(
    pool: hr_core::pool::Pool,
    wondering: &Wondering,
    now: Millis,
) -> Result<Explained, Refusal> {
    let mut router = Router::new();
    let roster = router.install(now, pool);
    let ask = wondering.ask(&roster, Wishes::default())?;
    explained(&mut router, &roster, wondering, &ask, (now, 0))
}

/// A request that somebody wonders about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wondering {
    /// What would stand in `model`.
    pub model: String,
    /// The profile.
    pub profile: Option<String>,
    /// The tokens of the prompt.
    pub tokens: u64,
    /// The most tokens of the answer.
    pub max_output: Option<u64>,
    /// Whether tools are offered.
    pub tools: bool,
    /// Whether an image is in it.
    pub vision: bool,
}

impl Wondering {
    /// Reads a query.
    fn read(query: &str) -> Result<Self, Refusal> {
        let mut wondering = Self { model: route::target::ROUTER_MODEL.to_owned(), ..Self::default() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "1"));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            let number = || value.parse().map_err(|_| refused(format!("`{name}` takes a number")));
            match name {
                "model" => wondering.model = value,
                "profile" => wondering.profile = Some(value),
                "tokens" => wondering.tokens = number()?,
                "max_output" => wondering.max_output = Some(number()?),
                "tools" => wondering.tools = yes_or_no(name, &value)?,
                "vision" => wondering.vision = yes_or_no(name, &value)?,
                _ => {
                    let known = "`model`, `profile`, `tokens`, `max_output`, `tools`, `vision`";
                    return Err(refused(format!("the query takes {known} and nothing else")));
                }
            }
        }
        Ok(wondering)
    }

    /// The path and query under which a router is asked.
    #[must_use]
    pub fn path(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut path = format!("/v1/explain?model={}&tokens={}", encoded(&self.model), self.tokens);
        // Writing to a string cannot fail.
        if let Some(profile) = &self.profile {
            let _ = write!(path, "&profile={}", encoded(profile));
        }
        if let Some(most) = self.max_output {
            let _ = write!(path, "&max_output={most}");
        }
        for (name, holds) in [("tools", self.tools), ("vision", self.vision)] {
            if holds {
                let _ = write!(path, "&{name}=1");
            }
        }
        path
    }

    fn ask(&self, roster: &Roster, wishes: Wishes) -> Result<Ask, Refusal> {
        let pool = &roster.pool;
        let (target, profile) =
            route::target(models::meant(&self.model, pool), self.profile.as_deref(), pool)
                .map_err(|_| verdict::unknown_model(&self.model))?;
        let mut ask = Ask {
            target,
            profile,
            prompt_tokens: self.tokens,
            max_output: self.max_output,
            tools: self.tools,
            vision: self.vision,
            ..Ask::default()
        };
        wishes.apply(&mut ask, pool)?;
        Ok(ask)
    }
}

fn yes_or_no(name: &str, value: &str) -> Result<bool, Refusal> {
    match value {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(refused(format!("`{name}` takes `1` or `0`"))),
    }
}

fn refused(words: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, words).code("invalid_query")
}

/// What a plan was explained by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All that a running router knows.
    Live,
    /// The files: nobody rests, no quota is used.
    Files,
}

/// What would be done with a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// What it was explained by.
    pub state: State,
    /// When.
    pub at: Millis,
    /// The rules that candidates are judged by.
    pub rules: u32,
    /// What is asked.
    pub ask: Asked,
    /// What would be planned.
    pub plan: Planned,
}

fn explained(
    router: &mut Router,
    roster: &Arc<Roster>,
    wondering: &Wondering,
    ask: &Ask,
    (now, draw): (Millis, u64),
) -> Result<Explained, Refusal> {
    let roster =
        router.roster_for(roster, &ask.target).ok_or_else(|| verdict::not_called(&wondering.model))?;
    let plan = router.plan(now, &roster, ask, &Tried::default(), draw);
    let subject = Subject { roster: &roster, ask, plan: &plan, made_up: false };
    Ok(Explained {
        state: State::Files,
        at: now,
        rules: RULES,
        ask: Asked::of(&subject),
        plan: Planned::of(&subject, 0, plan.choices.first(), MAX_EXPLAINED).and_excluded(&subject),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_as_a_query_reads_the_same() {
        let wondering = Wondering {
            model: "groq/llama 3+4&x=%41".to_owned(),
            profile: Some("best".to_owned()),
            tokens: 1234,
            max_output: Some(5),
            tools: true,
            vision: false,
        };
        let path = wondering.path();
        let (page, query) = path.split_once('?').unwrap();
        assert_eq!(page, "/v1/explain");
        assert_eq!(Wondering::read(query).unwrap(), wondering);
        assert_eq!(Wondering::read("").unwrap().model, "hermes-router");
        assert!(Wondering::read("tools").unwrap().tools);
        for wrong in ["tokens=many", "colour=red"] {
            assert_eq!(Wondering::read(wrong).unwrap_err().status(), StatusCode::BAD_REQUEST, "{wrong}");
        }
    }
}
