//! A running script: what it has left, what its quotas have counted, and what it decides for one call.

use std::time::Instant;

use parking_lot::Mutex;

use crate::behaviour::Behaviour;
use crate::call::{Call, Log};
use crate::quota::{Meter, Place};
use crate::refusal::Refusal;
use crate::script::{MODELS_PATH, Match, Script};

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

/// What is done with a call.
pub(crate) enum Decision {
    /// The list of models.
    Models(Vec<String>),
    /// This, holding these places until it ends.
    Play(Behaviour, Vec<Place>),
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

    /// Decides about a call that is in the log.
    pub(crate) fn decide(&self, call: &Call, sequence: usize, log: &Log) -> Decision {
        let mut running = self.running.lock();
        let Running { script, meters, .. } = &mut *running;
        let (key, model) =
            (call.key.as_deref().unwrap_or_default(), call.model.as_deref().unwrap_or_default());
        let path = call.path.as_str();
        if script.keys.as_ref().is_some_and(|keys| !keys.iter().any(|known| known == key)) {
            return Decision::Play(Refusal::bad_key().into(), Vec::new());
        }
        if let Some(strictness) = &script.strictness {
            let wrong = strictness.check(path, &call.headers, &call.body);
            if !wrong.is_empty() {
                let refusal = Refusal::new(
                    strictness.status(),
                    "invalid_request_error",
                    "wrong_api_format",
                    wrong.join("; "),
                );
                log.violated(sequence, wrong);
                return Decision::Play(refusal.into(), Vec::new());
            }
        }
        let now = Instant::now();
        let mut applying: Vec<&mut Meter> = meters
            .iter_mut()
            .filter(|(matching, _)| matching.holds(key, model, path))
            .map(|(_, meter)| meter)
            .collect();
        let refused = applying
            .iter_mut()
            .filter_map(|meter| meter.refusal(key, model, now))
            .max_by_key(|(_, wait)| *wait);
        if let Some((hint, wait)) = refused {
            return Decision::Play(Behaviour::rate_limited(hint, wait), Vec::new());
        }
        let Some(behaviour) = script.next(key, model, path) else {
            return Decision::Models(script.models.clone());
        };
        let tokens = tokens(&behaviour, call.body.len());
        let places = applying.into_iter().map(|meter| meter.charge(key, model, tokens)).collect();
        Decision::Play(behaviour, places)
    }
}

/// Whether this path is one of the dialect's.
pub(crate) fn is_known(method: &str, path: &str) -> bool {
    match method {
        "GET" => path.ends_with(MODELS_PATH),
        "POST" => path.ends_with("/chat/completions") || path.ends_with("/embeddings"),
        _ => false,
    }
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
