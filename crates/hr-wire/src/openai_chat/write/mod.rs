//! Requests, from the hub. What one provider takes and another refuses is not known here: everything that the
//! dialect has a word for is written, and the provider's quirks take out what it does not want.

mod messages;
mod tools;

use std::borrow::Cow;

use bytes::Bytes;
use hr_core::catalog::Dialect;
use serde_json::{Value, json};

use super::request::EFFORTS;
use super::types::{WireFormat, WireSchema};
use crate::dialect::{Encoded, Outgoing};
use crate::envelope::{Edit, Envelope};
use crate::hub::{
    Effort, Fingerprint, Format, LONGEST_ID, Loss, NameRules, Names, ReasoningWish, Repaired, Request,
    Thinking, legal_id, repair,
};
use crate::neutral::is_neutral;

const RULES: NameRules = NameRules { longest: 64, namespaces: false, custom: false };

/// The most stop words.
const MAX_STOPS: usize = 4;
/// The longest name of an end user that is sent as it is.
const LONGEST_USER: usize = 64;

/// Writes a request. What the caller did not say stays unsaid.
#[must_use]
pub(super) fn encode(request: &Request, outgoing: &Outgoing<'_>) -> Encoded {
    let Repaired { messages, losses } = repair(request.messages.clone(), false);
    let mut writer = Writer { outgoing, names: Names::of(&request.tools, RULES), losses };
    let messages = writer.messages(messages);
    let said = messages
        .iter()
        .any(|wire| !matches!(wire.role.as_str(), "system" | "developer") && !messages::says_nothing(wire));
    let refused = request.nothing_left(said, !messages.is_empty());
    let tools = writer.tools(request);
    let mut fields: Vec<(&str, String)> =
        vec![("model", Value::from(request.model.as_str()).to_string()), ("messages", written(&messages))];
    if !tools.is_empty() {
        fields.push(("tools", written(&tools)));
        let choice = request.tool_choice.as_ref().map(|choice| writer.choice(choice).to_string());
        fields.extend(choice.map(|choice| ("tool_choice", choice)));
        let parallel = request.parallel_tool_calls.map(|parallel| parallel.to_string());
        fields.extend(parallel.map(|parallel| ("parallel_tool_calls", parallel)));
    }
    fields.extend(request.format.as_ref().map(|format| ("response_format", written(&wire_format(format)))));
    let plain = [
        ("verbosity", request.verbosity.as_deref().map(Value::from)),
        ("reasoning_effort", effort(&request.reasoning).map(Value::from)),
        ("max_completion_tokens", request.max_output.map(Value::from)),
        ("temperature", request.temperature.map(Value::from)),
        ("top_p", request.top_p.map(Value::from)),
        ("top_k", request.top_k.map(Value::from)),
        ("stop", writer.stop(request)),
        ("user", request.user.as_deref().map(|user| Value::from(&*pseudonym(user)))),
        (
            "prompt_cache_key",
            request.cache_key.as_deref().map(|key| Value::from(&*legal_id(key, LONGEST_ID))),
        ),
        ("service_tier", writer.tier(request.service_tier.as_deref())),
        ("stream", outgoing.stream.then(|| Value::from(true))),
        (
            "stream_options",
            (outgoing.stream && request.include_usage).then(|| json!({"include_usage": true})),
        ),
    ];
    fields.extend(plain.into_iter().filter_map(|(key, value)| Some((key, value?.to_string()))));
    match request.extras.for_dialect(Dialect::OpenaiChat) {
        Some(ours) => fields.extend(ours.iter().map(|(key, value)| (key.as_str(), value.to_string()))),
        None => {
            let said = request.extras.fields.iter().filter(|(key, value)| !is_neutral(key, value));
            writer.losses.extend(said.map(|(key, _)| Loss::dropped(key)));
        }
    }
    Encoded { body: body(&fields), losses: writer.losses, names: writer.names, refused }
}

fn body(fields: &[(&str, String)]) -> Bytes {
    let Ok(empty) = Envelope::read(Bytes::from_static(b"{}")) else { return Bytes::new() };
    let edits: Vec<Edit<'_>> =
        fields.iter().map(|(key, value)| Edit::Set { key, value_json: Cow::from(value) }).collect();
    empty.splice(&edits)
}

/// A wire shape as JSON text. Its keys are strings and its numbers finite, so it cannot fail.
fn written(wire: &impl serde::Serialize) -> String {
    serde_json::to_string(wire).unwrap_or_default()
}

/// A request being written.
struct Writer<'a> {
    outgoing: &'a Outgoing<'a>,
    names: Names,
    losses: Vec<Loss>,
}

impl Writer<'_> {
    fn lose(&mut self, loss: Loss) {
        if !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }

    fn stop(&mut self, request: &Request) -> Option<Value> {
        if request.stop.len() > MAX_STOPS {
            self.lose(Loss::dropped("stop[4..]"));
        }
        let words: Vec<&String> = request.stop.iter().take(MAX_STOPS).collect();
        (!words.is_empty()).then(|| json!(words))
    }

    /// The tier in the words of this dialect.
    fn tier(&mut self, tier: Option<&str>) -> Option<Value> {
        match tier? {
            word @ ("auto" | "default" | "flex" | "priority" | "scale") => Some(word.into()),
            "standard_only" => Some("default".into()),
            _ => {
                self.lose(Loss::dropped("service_tier"));
                None
            }
        }
    }
}

/// The effort in the word of this dialect. A budget is as good as an effort; thinking that is switched off or
/// left to the model says nothing.
fn effort(wish: &ReasoningWish) -> Option<&'static str> {
    let of_budget = |budget: u64| match budget {
        0..=1024 => Effort::Low,
        1025..=8192 => Effort::Medium,
        8193..=24_576 => Effort::High,
        _ => Effort::ExtraHigh,
    };
    let wanted = match (wish.thinking, wish.effort) {
        (Some(Thinking::Off), effort) => effort.filter(|effort| *effort == Effort::None)?,
        (_, Some(effort)) => effort,
        (Some(Thinking::On), None) => wish.budget.map_or(Effort::Medium, of_budget),
        (_, None) => of_budget(wish.budget?),
    };
    EFFORTS.iter().find(|(_, effort)| *effort == wanted).map(|(word, _)| *word)
}

/// Who the end user is, without what others should not know: some clients write whole records there.
fn pseudonym(user: &str) -> Cow<'_, str> {
    let plain = |letter: char| letter.is_alphanumeric() || "_-.@:|".contains(letter);
    if user.len() <= LONGEST_USER && user.chars().all(plain) {
        return Cow::Borrowed(user);
    }
    Cow::Owned(format!("user_{:016x}", Fingerprint::of(user).0))
}

fn wire_format(format: &Format) -> WireFormat {
    match format {
        Format::Text => WireFormat { kind: "text".into(), json_schema: None },
        Format::Json => WireFormat { kind: "json_object".into(), json_schema: None },
        Format::Schema { name, description, schema, strict } => WireFormat {
            kind: "json_schema".into(),
            json_schema: Some(WireSchema {
                name: name.clone(),
                description: description.clone(),
                schema: schema.clone().map(|raw| raw.0),
                strict: *strict,
            }),
        },
    }
}
