//! What the router wants to know of a request, found while it is checked.

use bytes::Bytes;
use hr_core::route::ask::Effort;

use super::check;
use super::input::{self, Told};
use crate::check::{missing, model, present};
use crate::difficulty::difficulty;
use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::patch;

/// Tokens that an image is taken for. Providers count between 85 and 1,600.
const TOKENS_OF_AN_IMAGE: u64 = 800;

/// Tokens that an item costs beside its text.
const TOKENS_OF_AN_ITEM: u64 = 4;

/// Reads a request: checks it and finds its facts in one walk over its body.
///
/// # Errors
/// A refusal that points at what is wrong.
pub fn read(body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest> {
    let mut told = None;
    let envelope = Envelope::read_with(body, |key, cursor| {
        if key == "input" {
            let mut ahead = cursor.clone();
            let read = input::read(&mut ahead);
            if read.is_ok() {
                *cursor = ahead;
            }
            told = Some(read);
        }
    })?;
    let facts = facts(&envelope, told)?;
    Ok((envelope, facts))
}

fn facts(envelope: &Envelope, told: Option<Result<Told, BadRequest>>) -> Result<ChatFacts, BadRequest> {
    let model = model(envelope)?;
    let offered = check::params(envelope)?;
    let previous = string(envelope, "previous_response_id");
    let told = match told {
        Some(told) => told?,
        // A turn may consist of nothing but what was said before, or of a stored prompt.
        None if previous.is_some() || present(envelope, "prompt").is_some() => Told::default(),
        None => return Err(missing("input")),
    };
    let instructions = present(envelope, "instructions").map_or(0, str::len) as u64;
    let prompt_tokens = (told.bytes + instructions + offered.bytes as u64) / 4
        + told.images * TOKENS_OF_AN_IMAGE
        + told.items * TOKENS_OF_AN_ITEM;
    const SAID_ELSEWHERE: [&str; 3] = ["model", "input", "stream"];
    Ok(ChatFacts {
        model,
        stream: present(envelope, "stream") == Some("true"),
        include_usage: true,
        prompt_tokens,
        max_output: present(envelope, "max_output_tokens").and_then(|value| value.parse().ok()),
        difficulty: difficulty(&told.last_turn, told.last_turn_bytes / 4, prompt_tokens),
        tools: offered.tools || told.tools,
        vision: told.images > 0,
        structured: offered.structured,
        effort: effort(envelope),
        shows_reasoning: true,
        opaque: told.opaque,
        previous,
        keep: present(envelope, "store") != Some("false"),
        params: envelope.keys().filter(|key| !SAID_ELSEWHERE.contains(key)).map(str::to_owned).collect(),
    })
}

fn string(envelope: &Envelope, key: &str) -> Option<String> {
    present(envelope, key).and_then(patch::string).map(std::borrow::Cow::into_owned)
}

fn effort(envelope: &Envelope) -> Effort {
    let word = present(envelope, "reasoning")
        .and_then(|reasoning| patch::field(reasoning, "effort"))
        .and_then(patch::string);
    match word.as_deref() {
        Some("minimal" | "low") => Effort::Low,
        Some("medium") => Effort::Medium,
        Some("high" | "xhigh" | "max" | "ultra" | "persistent") => Effort::High,
        _ => Effort::Unsaid,
    }
}
