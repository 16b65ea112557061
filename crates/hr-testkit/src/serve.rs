//! One call from its first byte to the first byte of its reply.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;

use crate::behaviour::Behaviour;
use crate::call::{Call, End, Log};
use crate::dialect::{Dialect, Endpoint};
use crate::issued::Issued;
use crate::playback::{Broken, Playback, Receipt, ResetMark};
use crate::render::Asked;
use crate::stage::{self, Stage};
use crate::state::{Decision, State};

/// The most bytes of a request body that are read.
const MAX_BODY: usize = 256 * 1024 * 1024;

/// What every connection of a fake shares.
pub(crate) struct World {
    pub(crate) dialect: Dialect,
    pub(crate) issued: Issued,
    pub(crate) state: State,
    pub(crate) log: Arc<Log>,
}

/// Answers one call, or breaks its connection.
pub(crate) async fn serve(
    world: Arc<World>,
    reset: ResetMark,
    request: Request<Incoming>,
) -> Result<Response<Playback>, Broken> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| Broken)?.to_bytes();
    let json: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let call = call(world.dialect, head, body, &json);
    let sequence = world.log.open(call.clone());
    let receipt = Receipt { log: Arc::clone(&world.log), sequence, reset, places: Vec::new() };
    Performance { world: &world, call: &call, json: &json, sequence }.play(receipt).await
}

/// The header that names the account of a subscription.
pub(crate) const ACCOUNT_HEADER: &str = "chatgpt-account-id";

fn call(dialect: Dialect, head: Parts, body: Bytes, json: &Value) -> Call {
    Call {
        sequence: 0,
        received: Instant::now(),
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        key: key(dialect, &head.headers),
        model: json["model"].as_str().map(str::to_owned),
        stream: json["stream"] == true,
        headers: head.headers,
        body,
        status: None,
        told_to_wait: None,
        ended: None,
    }
}

/// The key of a call, in whichever header it came; where tokens are renewed it is the account, which stays.
fn key(dialect: Dialect, headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let account = (dialect == Dialect::Codex).then(|| text(ACCOUNT_HEADER)).flatten();
    let bearer = text("authorization").map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
    account.or(bearer).or_else(|| text("x-api-key")).or_else(|| text("api-key")).map(str::to_owned)
}

/// One call that is in the log, and what is needed to answer it.
struct Performance<'a> {
    world: &'a World,
    call: &'a Call,
    json: &'a Value,
    sequence: usize,
}

impl Performance<'_> {
    async fn play(&self, mut receipt: Receipt) -> Result<Response<Playback>, Broken> {
        let (method, path) = (self.call.method.as_str(), self.call.path.as_str());
        let Some(endpoint) = self.world.dialect.endpoint(method, path) else {
            let refusal = self.world.dialect.unknown_path(method, path);
            return self.reply(stage::refusal(&refusal, self.world.dialect, None), None, receipt);
        };
        let (mut behaviour, left) =
            match self.world.state.decide(self.world, self.call, endpoint, self.sequence) {
                Decision::Json(status, body) => {
                    return self.reply(
                        stage::plain(status, "application/json", body.to_string()),
                        None,
                        receipt,
                    );
                }
                Decision::Play(behaviour, places, left) => {
                    receipt.places = places;
                    (behaviour, left)
                }
            };
        loop {
            behaviour = match behaviour {
                Behaviour::Delayed(delay, then) => {
                    tokio::time::sleep(delay).await;
                    *then
                }
                Behaviour::Gated(gate, then) => {
                    gate.passed().await;
                    *then
                }
                Behaviour::HangBeforeHeaders => std::future::pending().await,
                Behaviour::ResetBeforeHeaders => {
                    receipt.reset.set();
                    receipt.close(End::Broken);
                    return Err(Broken);
                }
                Behaviour::CloseBeforeHeaders => {
                    receipt.close(End::Broken);
                    return Err(Broken);
                }
                spoken => {
                    let (mut stage, told) = self.stage(endpoint, &spoken);
                    stage.headers.extend(left);
                    return self.reply(stage, told, receipt);
                }
            }
        }
    }

    /// The reply of a behaviour that speaks, and the wait it states.
    fn stage(&self, endpoint: Endpoint, behaviour: &Behaviour) -> (Stage, Option<Duration>) {
        let dialect = self.world.dialect;
        let key = self.call.key.as_deref();
        let asked = Asked {
            dialect,
            endpoint,
            sequence: self.sequence,
            model: self.call.model.as_deref().unwrap_or_default(),
            key,
            owner: key.unwrap_or_default(),
            body: self.json,
            body_bytes: self.call.body.len(),
            dimensions: self.world.state.dimensions(),
            issued: &self.world.issued,
        };
        match behaviour {
            Behaviour::Answer(answer) => (stage::answer(answer, &asked, answer.used(asked.body_bytes)), None),
            Behaviour::RateLimited { hint, wait } => {
                let hinted = hint.write(dialect, *wait, asked.model);
                let mut stage = stage::plain(429, "application/json", hinted.body.to_string());
                stage
                    .headers
                    .extend(hinted.headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
                (stage, hinted.told)
            }
            Behaviour::Refuse(refusal) => (stage::refusal(refusal, dialect, key), refusal.retry_after),
            Behaviour::ErrorInside(refusal) => (stage::error_inside(refusal, &asked), None),
            Behaviour::Raw { status, content_type, body } => {
                (stage::plain(*status, content_type, body.clone()), None)
            }
            // The others were dealt with by the caller; silence is what is left of them.
            _ => (stage::silence(&asked), None),
        }
    }

    fn reply(
        &self,
        stage: Stage,
        told: Option<Duration>,
        receipt: Receipt,
    ) -> Result<Response<Playback>, Broken> {
        self.world.log.answered_with(self.sequence, stage.status, told);
        let body = Playback::new(stage.steps, stage.end, receipt);
        let length = body.length();
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(stage.status).map_err(|_| Broken)?;
        let headers = response.headers_mut();
        for (name, value) in self.world.state.headers().into_iter().chain(stage.headers) {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Broken)?;
            headers.append(name, HeaderValue::from_str(&value).map_err(|_| Broken)?);
        }
        if let Some(length) = length {
            headers.insert(hyper::header::CONTENT_LENGTH, length.into());
        }
        Ok(response)
    }
}
