//! A running script: what it has left, what its quotas have counted, and what it decides for one call.

use std::time::Instant;

use parking_lot::Mutex;
use serde_json::Value;

use crate::answer::Answer;
use crate::behaviour::Behaviour;
use crate::call::Call;
use crate::dialect::Endpoint;
use crate::quota::{Meter, Place};
use crate::refusal::Refusal;
use crate::script::{Facts, Match, Script};
use crate::serve::{ACCOUNT_HEADER, World};
use crate::strict::Inspected;
use crate::windows::Windows;

/// A running script.
pub(crate) struct State {
    running: Mutex<Running>,
}

struct Running {
    script: Script,
    /// How many rules were pushed before those of the script.
    urgent: usize,
    meters: Vec<(Match, Meter)>,
}

impl Running {
    fn new(script: Script) -> Running {
        let meters =
            script.quotas.iter().map(|(matching, quota)| (matching.clone(), Meter::new(quota.clone())));
        Running { meters: meters.collect(), urgent: 0, script }
    }
}

/// Names and values of headers.
pub(crate) type Headers = Vec<(String, String)>;

/// What is done with a call.
pub(crate) enum Decision {
    /// This status and body.
    Json(u16, Value),
    /// This, holding these places until it ends.
    Play(Behaviour, Vec<Place>, Headers),
}

impl State {
    pub(crate) fn new(script: Script) -> State {
        State { running: Mutex::new(Running::new(script)) }
    }

    pub(crate) fn set(&self, script: Script) {
        *self.running.lock() = Running::new(script);
    }

    pub(crate) fn push(&self, matching: Match, behaviour: Behaviour) {
        let mut running = self.running.lock();
        let Running { script, urgent, .. } = &mut *running;
        script.push(urgent, matching, behaviour);
    }

    /// The length of vectors.
    pub(crate) fn dimensions(&self) -> usize {
        self.running.lock().script.dimensions
    }

    /// The headers of every reply.
    pub(crate) fn headers(&self) -> Headers {
        self.running.lock().script.headers.clone()
    }

    /// Decides about a call that is in the log.
    pub(crate) fn decide(&self, world: &World, call: &Call, endpoint: Endpoint, sequence: usize) -> Decision {
        let mut running = self.running.lock();
        let Running { script, meters, .. } = &mut *running;
        let facts = Facts::of(call, endpoint);
        let (key, model) = (facts.key, facts.model);
        let stranger = script.keys.as_ref().is_some_and(|keys| !keys.iter().any(|known| known == key));
        if stranger && endpoint != Endpoint::Token {
            return Decision::Play(world.dialect.unknown_key().into(), Vec::new(), Headers::new());
        }
        if let Some(accounts) = &script.accounts
            && endpoint != Endpoint::Token
            && let Some(refusal) = accounts.refusal(bearer(call), account(call))
        {
            return Decision::Play(refusal.into(), Vec::new(), Headers::new());
        }
        if let Some(strictness) = &script.strictness {
            let inspected = Inspected {
                dialect: world.dialect,
                endpoint,
                headers: &call.headers,
                body: &call.body,
                owner: key,
                issued: Some(&world.issued),
            };
            let wrong = strictness.check(&inspected);
            if let Some(refusal) = strictness.refusal(world.dialect, &wrong) {
                world.log.violated(sequence, wrong.into_iter().map(|fault| fault.message).collect());
                return Decision::Play(refusal.into(), Vec::new(), Headers::new());
            }
        }
        let now = Instant::now();
        let mut applying: Vec<&mut Meter> = meters
            .iter_mut()
            .filter(|(matching, _)| matching.holds(&facts))
            .map(|(_, meter)| meter)
            .collect();
        let refused = applying
            .iter_mut()
            .filter_map(|meter| meter.refusal(key, model, now))
            .max_by_key(|(_, wait)| *wait);
        if let Some((hint, wait)) = refused {
            let told = applying.iter_mut().flat_map(|meter| meter.headers(key, model, now)).collect();
            return Decision::Play(Behaviour::rate_limited(hint, wait), Vec::new(), told);
        }
        let behaviour = match script.next(&facts) {
            Some(behaviour) => behaviour.decided(&facts.body, sequence),
            None if endpoint == Endpoint::Models => {
                return Decision::Json(200, world.dialect.models(&script.models));
            }
            None if endpoint == Endpoint::Usage => return Decision::Json(200, Windows::used(0.0).body()),
            None if endpoint == Endpoint::Token => match &script.accounts {
                Some(accounts) => accounts.renew(content_type(call), &call.body),
                None => Refusal::new(404, "invalid_request_error", "", "there are no accounts").into(),
            },
            None => Answer::empty().into(),
        };
        let tokens = tokens(&behaviour, call.body.len());
        let places = applying.iter_mut().map(|meter| meter.charge(key, model, tokens)).collect();
        let told = applying.into_iter().flat_map(|meter| meter.headers(key, model, now)).collect();
        Decision::Play(behaviour, places, told)
    }
}

fn header<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.headers.get(name).and_then(|value| value.to_str().ok())
}

/// The account that a call is for.
fn account(call: &Call) -> Option<&str> {
    header(call, ACCOUNT_HEADER)
}

/// The token that a call is signed with.
fn bearer(call: &Call) -> &str {
    header(call, "authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

fn content_type(call: &Call) -> &str {
    header(call, "content-type").unwrap_or_default()
}

/// The tokens that a behaviour costs: those of its answer.
fn tokens(behaviour: &Behaviour, request_bytes: usize) -> u64 {
    match behaviour {
        Behaviour::Answer(answer) => {
            let used = answer.used(request_bytes);
            used.prompt + used.completion
        }
        Behaviour::Delayed(_, inner) | Behaviour::Gated(_, inner) => tokens(inner, request_bytes),
        _ => 0,
    }
}
