//! What the router wants to know of a request, found while it is checked.

use bytes::Bytes;
use hr_core::route::ask::Effort;

use super::check;
use super::messages::{self, Told};
use super::request::{Display, wish};
use crate::check::{missing, model, present};
use crate::difficulty::difficulty;
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::hub;

/// Tokens that an image is taken for. The API counts up to about 1,600, by its area.
pub const TOKENS_OF_AN_IMAGE: u64 = 1000;

/// Tokens that a message costs beside its text.
const TOKENS_OF_A_MESSAGE: u64 = 4;

/// Budgets of reasoning up to these many tokens are a little and some; more is much.
const LOW_BUDGET: u64 = 4096;
const MEDIUM_BUDGET: u64 = 8192;

/// Parameters that say nothing about what a provider must be able to do.
const UNREMARKABLE: [&str; 6] = ["model", "messages", "stream", "max_tokens", "system", "metadata"];

/// Reads a request: checks it and finds its facts in one walk over its body. A request to count tokens needs no
/// limit of the answer.
pub(super) fn read(body: Bytes, needs_limit: bool) -> Result<(Envelope, ChatFacts), BadRequest> {
    let mut told = None;
    let envelope = Envelope::read_with(body, |key, cursor| {
        if key == "messages" {
            let mut ahead = cursor.clone();
            let read = messages::read(&mut ahead);
            if read.is_ok() {
                *cursor = ahead;
            }
            told = Some(read);
        }
    })?;
    let facts = facts(&envelope, told, needs_limit)?;
    Ok((envelope, facts))
}

fn facts(
    envelope: &Envelope,
    told: Option<Result<Told, BadRequest>>,
    needs_limit: bool,
) -> Result<ChatFacts, BadRequest> {
    let model = model(envelope)?;
    let offered = check::parameters(envelope, needs_limit)?;
    let system = match present(envelope, "system") {
        Some(system) => messages::system(system).map_err(|bad| bad.within("system"))?,
        None => 0,
    };
    let told = told.ok_or_else(|| missing("messages"))??;

    let prompt_tokens = (told.bytes + system + offered.bytes as u64) / 4
        + told.images * TOKENS_OF_AN_IMAGE
        + told.document_tokens
        + told.messages * TOKENS_OF_A_MESSAGE;
    Ok(ChatFacts {
        model,
        stream: present(envelope, "stream") == Some("true"),
        include_usage: true,
        prompt_tokens,
        max_output: present(envelope, "max_tokens").and_then(|value| value.parse().ok()),
        difficulty: difficulty(&told.last_turn, told.last_turn_bytes / 4, prompt_tokens),
        tools: offered.tools,
        vision: told.images > 0,
        structured: offered.structured,
        effort: effort(envelope),
        shows_reasoning: Display::of(envelope) == Display::Whole,
        opaque: told.opaque,
        params: envelope.keys().filter(|key| !UNREMARKABLE.contains(key)).map(str::to_owned).collect(),
        ..ChatFacts::default()
    })
}

/// The effort asked for. Effort alone does not switch reasoning on.
fn effort(envelope: &Envelope) -> Effort {
    let wish = wish(envelope);
    match (wish.thinking, wish.effort, wish.budget) {
        (None | Some(hub::Thinking::Off), _, _) => Effort::Unsaid,
        (_, Some(hub::Effort::Low), _) => Effort::Low,
        (_, Some(hub::Effort::Medium), _) => Effort::Medium,
        (_, Some(hub::Effort::High | hub::Effort::ExtraHigh | hub::Effort::Max), _) => Effort::High,
        (_, _, Some(..=LOW_BUDGET)) => Effort::Low,
        (_, _, Some(..=MEDIUM_BUDGET)) => Effort::Medium,
        (_, _, Some(_)) => Effort::High,
        (Some(_), _, None) => Effort::Medium,
    }
}
