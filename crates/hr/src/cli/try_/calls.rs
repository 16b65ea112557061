//! The calls of `hr try`: all keys at the same time, the models of a key one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hr_core::capability::{Ability, Listing, Source, Witness, probe};
use hr_core::catalog::SpendClass;
use hr_core::failure::{Failure, FailureKind};
use hr_core::pool::{Member, PoolModel};
use hr_core::route::{Candidate, Permit};
use hr_core::secret::Secret;
use http::HeaderMap;
use indicatif::ProgressBar;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::finding::{Can, Ending, Finding, Tried};
use super::words;
use crate::gate::{Gate, Live};
use crate::scout::call::{self, Heard, Tiny};
use crate::scout::lists;

/// The most tokens of answers that one key may be made to write, all its calls together.
const MAX_TOKENS_A_KEY: u64 = 32;
/// A generous estimate of a question's tokens, its tool included.
pub(super) const PROMPT_TOKENS: u64 = 120;
/// How long one answer is waited for.
const WAIT: Duration = Duration::from_secs(12);
/// How long [`KEYS_A_TURN`] keys may take together. What is not known by then stays unknown.
const TURN: Duration = Duration::from_secs(18);
/// Keys that are tried at the same time.
const KEYS_A_TURN: usize = 32;
/// Between the first calls with two keys of one provider, which may count by the second.
const STAGGER: Duration = Duration::from_millis(60);
/// A refusal for speed is waited out once, when it takes no longer.
const SHORT_REST: Duration = Duration::from_secs(2);
/// The most characters of what a header tells of the account.
const MAX_ACCOUNT_CHARS: usize = 80;
/// Parts of the names of headers that tell whose key it is.
const ACCOUNT_WORDS: [&str; 5] = ["organization", "project", "workspace", "account", "plan-type"];

/// What became of one call: whose it was by member and key, what it showed, and whose key it is.
type Message = (usize, usize, Finding, BTreeMap<String, String>);

/// The most tokens of one answer, when a key is tried with so many models.
pub(super) fn share(models: usize) -> u64 {
    let models = u64::try_from(models).unwrap_or(u64::MAX).clamp(1, MAX_TOKENS_A_KEY);
    MAX_TOKENS_A_KEY / models
}

/// Tries every key of the pool with every model of its provider.
pub async fn try_all(gate: &Arc<Gate>, bar: &ProgressBar) -> Vec<Tried> {
    let live = gate.live();
    let mut tried: Vec<(usize, usize, Tried)> = Vec::new();
    for (at, member) in live.roster.pool.members.iter().enumerate() {
        tried.extend(member.keys.iter().enumerate().map(|(key, _)| (at, key, untried(member, key))));
        let calls = member.keys.len() * member.models.len();
        bar.inc_length(u64::try_from(calls).unwrap_or(0));
    }
    let turns = u32::try_from(tried.len().div_ceil(KEYS_A_TURN)).unwrap_or(u32::MAX);
    let deadline = Instant::now() + TURN.saturating_mul(turns);
    let (tell, mut told) = mpsc::channel(KEYS_A_TURN);
    let places = Arc::new(Semaphore::new(KEYS_A_TURN));
    let mut working = JoinSet::new();
    for &(member, key, _) in &tried {
        let trial = Trial { gate: Arc::clone(gate), live: Arc::clone(&live), member, key };
        let (tell, places) = (tell.clone(), Arc::clone(&places));
        working.spawn(async move {
            let Ok(_place) = places.acquire_owned().await else { return };
            trial.run(&tell).await;
        });
    }
    drop(tell);
    let mut listing = JoinSet::new();
    for member in 0..live.roster.pool.members.len() {
        let live = Arc::clone(&live);
        listing.spawn(async move { (member, lists::fetch(&live, member).await) });
    }
    while let Ok(Some((member, key, finding, account))) = timeout_at(deadline, told.recv()).await {
        bar.inc(1);
        if let Some((.., tried)) = tried.iter_mut().find(|(at, its, _)| (*at, *its) == (member, key)) {
            tried.account.extend(account);
            tried.models.push(finding);
        }
    }
    working.abort_all();
    let mut lists = BTreeMap::new();
    // They were asked at the same time; who has not answered by now is not waited for.
    while let Ok(Some(Ok((member, list)))) =
        timeout_at(deadline.min(Instant::now() + SHORT_REST), listing.join_next()).await
    {
        lists.extend(list.map(|list| (member, list)));
    }
    let close = |(member, _, mut tried): (usize, usize, Tried)| {
        complete(&live.roster.pool.members[member], lists.get(&member), &mut tried);
        tried
    };
    tried.into_iter().map(close).collect()
}

fn untried(member: &Member, key: usize) -> Tried {
    let key = &member.keys[key];
    Tried {
        provider: member.provider.id.clone(),
        key_tail: key.secret.as_ref().map(Secret::tail),
        source: key.source.clone(),
        owner: key.owner.clone(),
        valid: None,
        works: None,
        account: BTreeMap::new(),
        models: Vec::new(),
    }
}

/// Says of what is missing that there was no time, and fills in what the provider's list tells.
fn complete(member: &Member, list: Option<&Listing>, tried: &mut Tried) {
    for model in &member.models {
        if tried.models.iter().all(|finding| finding.model != model.id) {
            let failure = Failure::new(FailureKind::Timeout, "there was no time left for it");
            tried.models.push(failed(member, model, &failure, failure.message.clone()));
        }
    }
    for finding in &mut tried.models {
        let Some(listed) = list.and_then(|list| list.find(&finding.model)) else { continue };
        let said = |value: Option<bool>| value.map(|value| Can { value, source: Source::Listed });
        let gives_way = |can: Option<Can>| can.is_none_or(|can| can.source == Source::Catalog);
        if gives_way(finding.tools) {
            finding.tools = said(listed.tools).or(finding.tools);
        }
        if gives_way(finding.vision) {
            finding.vision = said(listed.vision).or(finding.vision);
        }
    }
    tried.judge();
}

/// One key that is being tried.
struct Trial {
    gate: Arc<Gate>,
    live: Arc<Live>,
    member: usize,
    key: usize,
}

impl Trial {
    async fn run(&self, findings: &mpsc::Sender<Message>) {
        sleep(STAGGER * u32::try_from(self.key % KEYS_A_TURN).unwrap_or(0)).await;
        let member = &self.live.roster.pool.members[self.member];
        let most = share(member.models.len());
        let mut left = MAX_TOKENS_A_KEY;
        let mut hopeless = false;
        for (at, model) in member.models.iter().enumerate() {
            let skipped = |why: &str| (Finding::skipped(&model.id, model.spend, why), BTreeMap::new());
            let allowance = self.live.roster.pool.rules.spending.any;
            let (finding, account) = if hopeless {
                skipped("not called, since the key itself was refused")
            } else if left < most {
                skipped("not called: the key has written enough; name it with `--model`")
            } else if let Some(permit) = allowance.permit(model, PROMPT_TOKENS, most) {
                left -= most;
                self.call(Candidate { member: self.member, model: at, key: self.key }, permit, most).await
            } else {
                skipped(words::not_allowed(allowance, model.spend))
            };
            hopeless |= matches!(finding.kind, Some(FailureKind::BadKey | FailureKind::NoMoney));
            if findings.send((self.member, self.key, finding, account)).await.is_err() {
                return;
            }
        }
    }

    /// Calls a model; a tool is offered where nobody knows whether it calls any. A call that was refused has written
    /// nothing, so another may follow.
    async fn call(
        &self,
        candidate: Candidate,
        permit: Permit,
        max_tokens: u64,
    ) -> (Finding, BTreeMap<String, String>) {
        let member = self.live.roster.member(candidate);
        let model = &member.models[candidate.model];
        let mut tools = None;
        let mut heard =
            self.ask(candidate, permit, Tiny { tool: model.tools.is_none(), max_tokens, stream: true }).await;
        if let Err(failure) = &heard.reply
            && model.tools.is_none()
            && matches!(failure.kind, FailureKind::Unsupported | FailureKind::CallerMistake)
        {
            let refused = probe::denied(failure) == Some(Ability::Tools);
            tools = refused.then_some(Can { value: false, source: Source::Probed });
            heard = self.ask(candidate, permit, Tiny { tool: false, max_tokens, stream: true }).await;
        } else if let (Ok(reply), None) = (&heard.reply, model.tools) {
            let seen =
                probe::judge(call::look(reply)).into_iter().find(|(ability, _)| *ability == Ability::Tools);
            tools = seen.map(|(_, value)| Can { value, source: Source::Probed });
        }
        let account = account(&self.live, &heard.headers);
        let mut finding = match &heard.reply {
            Ok(_) => served(member, model),
            Err(failure) if is_answer(failure) => served(member, model),
            Err(failure) => failed(member, model, failure, scrubbed(&self.live, &failure.message)),
        };
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        finding.first_token_ms = heard.first.map(millis);
        finding.total_ms = Some(millis(heard.total));
        finding.tools = tools.or(finding.tools);
        finding.limits = std::mem::take(&mut heard.said.readings);
        (finding, account)
    }

    async fn ask(&self, candidate: Candidate, permit: Permit, tiny: Tiny) -> Heard {
        let heard = self.ask_once(candidate, permit, tiny).await;
        let rest = match &heard.reply {
            Err(failure) if failure.kind == FailureKind::RateLimited => failure.retry_after,
            _ => None,
        };
        match rest.filter(|rest| *rest <= SHORT_REST) {
            Some(rest) => {
                sleep(rest).await;
                self.ask_once(candidate, permit, tiny).await
            }
            None => heard,
        }
    }

    async fn ask_once(&self, candidate: Candidate, permit: Permit, tiny: Tiny) -> Heard {
        let member = self.live.roster.member(candidate);
        match call::letter(member, &member.models[candidate.model], tiny) {
            Ok(letter) => {
                call::call(&self.live, candidate, permit, letter, WAIT, self.gate.clock.now()).await
            }
            Err(failure) => Heard::nothing(failure),
        }
    }
}

/// Whether it is an answer all the same: a few tokens may end before anything is said.
fn is_answer(failure: &Failure) -> bool {
    failure.status == Some(200) && matches!(failure.kind, FailureKind::Empty | FailureKind::Cut)
}

fn served(member: &Member, model: &PoolModel) -> Finding {
    let can = |value: Option<bool>, witness: Option<Witness>| {
        let source = witness.map_or(Source::Catalog, |witness| witness.source);
        value.map(|value| Can { value, source })
    };
    let advice = (model.spend == SpendClass::Paid).then(|| words::costs_money(member));
    Finding {
        ending: Ending::Served,
        message: None,
        tools: can(model.tools, model.evidence.tools),
        vision: can(model.vision, model.evidence.vision),
        advice,
        ..Finding::skipped(&model.id, model.spend, "")
    }
}

fn failed(member: &Member, model: &PoolModel, failure: &Failure, message: String) -> Finding {
    Finding {
        ending: Ending::Failed,
        kind: Some(failure.kind),
        status: failure.status,
        message: Some(message),
        retry_after_s: failure.retry_after.map(|wait| wait.as_secs()),
        advice: Some(words::advice(&member.provider, &model.id, failure)),
        ..served(member, model)
    }
}

/// What came from outside, without secrets and in one short line.
fn scrubbed(live: &Live, text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let clean = live.redact(text);
    let line: String = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect()
}

/// What the headers tell of whose key it is.
fn account(live: &Live, headers: &HeaderMap) -> BTreeMap<String, String> {
    // Limits are counted by projects and organisations too; they are told apart from names.
    let tells = |name: &str| !name.contains("limit") && ACCOUNT_WORDS.iter().any(|word| name.contains(word));
    let fields = headers.iter().filter(|(name, _)| tells(name.as_str()));
    fields
        .filter_map(|(name, value)| {
            let value: String =
                scrubbed(live, value.to_str().ok()?).chars().take(MAX_ACCOUNT_CHARS).collect();
            (!value.is_empty()).then(|| (name.as_str().to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_writes_more_than_its_share() {
        for models in 1..=100_usize {
            let calls = u64::try_from(models).unwrap().min(MAX_TOKENS_A_KEY / share(models));
            assert!(share(models) >= 1 && share(models) * calls <= MAX_TOKENS_A_KEY, "{models}");
        }
    }
}
