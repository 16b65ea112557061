//! Finds out what models can do, in the background, and never at anybody's cost.
//!
//! One task a router. At the start, when the configuration has changed, and every hour it looks at what is missing:
//! [`lists`] fetches the providers' lists of models, [`question`] asks a model one tiny thing where nobody has told
//! whether it calls tools ([`call`] is one such exchange), [`view`] shows what is known. What comes of it goes to the router's facts, and the pool is put in force anew with them.
//! Whom to ask decides [`hr_core::capability`]; a call goes through the router like any other, so that every quota
//! counts it. What fails is given up quietly: a request is never worse off than without.

pub mod call;
pub mod lists;
mod question;
pub mod view;

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hr_core::capability::{Ability, Fact, Source, Witness, place, probe};
use hr_core::failure::Failure;
use hr_core::route::Candidate;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::gate::{Gate, Live};

/// How often it looks whether something has grown old.
const ROUND: Duration = Duration::from_secs(3600);
/// How long a burst of changed files is waited out.
const SETTLE: Duration = Duration::from_millis(200);
/// How many questions wait for their answers at the same time.
const AT_ONCE: usize = 4;
/// The most questions of one minute; the first [`AT_ONCE`] of a round go out at once.
const A_MINUTE: u32 = 30;

/// Begins to find out. The task ends with the gateway.
pub fn spawn(gate: &Arc<Gate>) {
    let bell = Arc::clone(&gate.bell);
    let gate = Arc::downgrade(gate);
    tokio::spawn(async move {
        loop {
            // What was kept from earlier runs, or was learned from a request, takes effect first.
            let Some(here) = gate.upgrade() else { return };
            here.refine();
            drop(here);
            round(&gate).await;
            let _ = tokio::time::timeout(ROUND, bell.notified()).await;
            sleep(SETTLE).await;
        }
    });
}

/// One look at everything that is not known, or not any more.
async fn round(gate: &Weak<Gate>) {
    let Some(here) = gate.upgrade() else { return };
    if lists::fetch_due(&here).await {
        here.changed();
        here.refine();
        if lists::look_up_added(&here) {
            here.changed();
            here.refine();
        }
    }
    drop(here);
    ask_due(gate).await;
}

/// Asks every model that is to be asked, at a measured pace.
async fn ask_due(gate: &Weak<Gate>) {
    let mut tried = HashSet::new();
    let mut asking = JoinSet::new();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut next = Instant::now();
    loop {
        let Ok(seat) = Arc::clone(&places).acquire_owned().await else { return };
        if tried.len() >= AT_ONCE {
            sleep_until(next).await;
        }
        let Some(here) = gate.upgrade().filter(|gate| !gate.is_closing()) else { return };
        let live = here.live();
        let Some((member, model)) = next_due(&here, &live, &tried) else { break };
        tried.insert(name(&live, member, model));
        next = Instant::now() + pause(here.chance.draw());
        asking.spawn(ask(here, live, member, model, seat));
    }
    while asking.join_next().await.is_some() {}
}

/// From half to one and a half of the usual distance between two questions.
fn pause(draw: u64) -> Duration {
    let distance = Duration::from_secs(60) / A_MINUTE;
    distance / 2 + distance * u32::try_from(draw % 1024).unwrap_or(0) / 1024
}

fn name(live: &Live, member: usize, model: usize) -> (String, String) {
    let member = &live.roster.pool.members[member];
    (member.provider.id.clone(), member.models[model].id.clone())
}

/// The next model to be asked that was not tried in this round.
fn next_due(gate: &Gate, live: &Live, tried: &HashSet<(String, String)>) -> Option<(usize, usize)> {
    let (now, settings) = (gate.clock.now(), gate.beliefs(live));
    let due = probe::due(&live.roster.pool, gate.router().facts(), &settings, now);
    due.into_iter().find(|&(member, model)| !tried.contains(&name(live, member, model)))
}

/// Asks one model and takes note of what it answers.
async fn ask(gate: Arc<Gate>, live: Arc<Live>, member: usize, model: usize, _seat: OwnedSemaphorePermit) {
    let Some(seen) = question::ask(&gate, &live, member, model).await else { return };
    let (provider, model) = name(&live, member, model);
    let place = place(&live.roster.pool.members[member].base_url);
    let (now, believed) = (gate.clock.now(), gate.beliefs(&live).believed);
    let mut router = gate.router();
    let facts = router.facts_mut();
    facts.asks(now, &provider, &place, &model);
    let mut news = false;
    for (ability, value) in seen {
        let fact = Fact { value, source: Source::Probed, at: now };
        news |= facts.note(&provider, &place, &model, ability, fact, believed);
    }
    drop(router);
    gate.changed();
    if news {
        gate.refine();
    }
}

/// Takes note of what the failure of a real request says that a model cannot do.
pub fn learn(gate: &Gate, live: &Live, candidate: Candidate, failure: &Failure) {
    if let Some(ability) = probe::denied(failure) {
        note(gate, live, candidate, ability, false);
    }
}

/// Takes note of what a real request has shown of a model. One that only its caller named is nobody else's.
pub fn note(gate: &Gate, live: &Live, candidate: Candidate, ability: Ability, can: bool) {
    let member = live.roster.member(candidate);
    let Some(model) = member.models.get(candidate.model) else { return };
    let source = if can { Source::Served } else { Source::Refusal };
    if ability == Ability::Tools
        && model.evidence.tools.is_some_and(|Witness { source: by, .. }| by == source)
    {
        return;
    }
    let fact = Fact { value: can, source, at: gate.clock.now() };
    let (place, believed) = (place(&member.base_url), gate.beliefs(live).believed);
    let provider = &member.provider.id;
    let news = gate.router().facts_mut().note(provider, &place, &model.id, ability, fact, believed);
    if news {
        gate.changed();
        gate.bell.notify_one();
    }
}
