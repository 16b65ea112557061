//! One question to one model: with which key, and what its answer shows.

use std::sync::Arc;
use std::time::Duration;

use hr_core::capability::{Ability, probe};
use hr_core::failure::{Failure, FailureKind};
use hr_core::route::{Ask, Candidate, Choice, Target, Ticket, Tried};
use tracing::debug;

use super::call::{self, Tiny};
use crate::gate::receipt::Receipt;
use crate::gate::{Gate, Live};

/// How long an answer is waited for.
const WAIT: Duration = Duration::from_secs(60);
/// A generous estimate of the question's tokens, its tool included.
const PROMPT_TOKENS: u64 = 120;

/// Asks a model whether it calls tools. `None` when nothing can be said of it, not even that it need not be asked
/// again soon: it could not be reached, or every key is bad.
pub(super) async fn ask(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    member: usize,
    model: usize,
) -> Option<Vec<(Ability, bool)>> {
    let mut tried = Tried::default();
    for _ in 0..probe::MAX_KEYS {
        let (choice, ticket) = admit(gate, live, member, model, &tried)?;
        let candidate = choice.candidate;
        let mut receipt = Receipt::new(Arc::clone(gate), Arc::clone(live), candidate, ticket);
        let tiny = Tiny { tool: true, max_tokens: probe::MAX_TOKENS, stream: false };
        let of = live.roster.member(candidate);
        let letter = call::letter(of, &of.models[model], tiny).ok()?;
        receipt.goes_out();
        let heard = call::call(live, candidate, choice.permit, letter, WAIT, gate.clock.now()).await;
        let usage = heard.usage();
        let failure = match heard.reply {
            Ok(reply) => {
                receipt.succeed(usage);
                return Some(probe::judge(call::look(&reply)));
            }
            Err(failure) => failure,
        };
        let (provider, kind) = (of.provider.id.as_str(), failure.kind);
        debug!(provider, ?kind, "a model did not say what it can do");
        tried.note(&live.roster, candidate, &failure);
        let (seen, keys_fault) = (probe::denied(&failure), probe::is_the_keys_fault(&failure));
        let answered = has_answered(&failure);
        receipt.fail(failure);
        match seen {
            Some(ability) => return Some(vec![(ability, false)]),
            None if keys_fault => {}
            None => return answered.then(Vec::new),
        }
    }
    None
}

/// Whether a failure is an answer all the same, so that there is no use in asking again soon.
fn has_answered(failure: &Failure) -> bool {
    !matches!(
        failure.kind,
        FailureKind::Network
            | FailureKind::Timeout
            | FailureKind::Overloaded
            | FailureKind::ServerError
            | FailureKind::Loop
    )
}

/// A key that may be asked with, admitted like any other attempt: it counts in every quota.
fn admit(gate: &Gate, live: &Live, member: usize, model: usize, tried: &Tried) -> Option<(Choice, Ticket)> {
    let roster = &live.roster;
    let named = Candidate { member, model, key: 0 };
    let ask = Ask {
        target: Target::Pin {
            provider: roster.provider(named).id.clone(),
            model: roster.model_id(named).to_owned(),
        },
        allowance: probe::ALLOWANCE,
        prompt_tokens: PROMPT_TOKENS,
        max_output: Some(probe::MAX_TOKENS),
        difficulty: 5,
        dialect: None,
        ..Ask::default()
    };
    let (now, draw) = (gate.clock.now(), gate.chance.draw());
    let mut router = gate.router();
    let quotas = router.quota(now, roster);
    let plan = router.plan(now, roster, &ask, tried, draw);
    let fits = |choice: &&Choice| {
        let Candidate { member: its_member, model: its_model, .. } = choice.candidate;
        (its_member, its_model) == (member, model)
            && !choice.known_bad
            && probe::may_ask(&quotas, &roster.pool, choice.candidate)
    };
    let fitting: Vec<Choice> = plan.choices.iter().filter(fits).cloned().collect();
    fitting.into_iter().find_map(|choice| {
        let ticket = router.begin(now, roster, &choice).ok()?;
        Some((choice, ticket))
    })
}
