//! Requests of the hub, written for a provider of this dialect.
//!
//! What is written is what the newest models take; [`super::quirk`] brings it to those that want it otherwise,
//! for callers of this dialect too. No cache marks are added where the caller set none: writing to a cache costs
//! more than not having one.

use std::borrow::Cow;

use hr_core::catalog::Dialect;
use serde_json::{Value, json};

use super::blocks::{self, Written};
use super::format;
use super::prepare::LEAST_BUDGET;
use super::request::EFFORTS;
use super::tools;
use crate::dialect::{Encoded, Outgoing};
use crate::envelope::BadRequest;
use crate::hub::{
    Breakpoint, CONTINUES, Effort, Loss, Message, NameRules, Names, Part, Request, Role, Thinking,
    ToolChoice, repair,
};
use crate::neutral::is_neutral;

/// The most tokens of an answer where neither the caller nor the catalogue says how many: what even the smaller
/// models of the last generations give.
const DEFAULT_MAX_TOKENS: u64 = 32_000;
/// How many cache marks a request may have.
const MOST_MARKS: usize = 4;
/// The longest name of a tool.
const LONGEST_NAME: usize = 128;
/// The longest name of an end user.
const LONGEST_USER: usize = 512;
/// The least `top_p` beside reasoning.
const LEAST_TOP_P: f64 = 0.95;
/// What stands for a request of any JSON, which the API has no word for.
const ONLY_JSON: &str = "Respond with a single JSON object and nothing else.";

/// Messages of one speaker, as blocks.
struct Turn {
    role: &'static str,
    blocks: Vec<Written>,
}

/// A request being written.
struct Composer<'a> {
    outgoing: &'a Outgoing<'a>,
    names: Names,
    system: Vec<Written>,
    turns: Vec<Turn>,
    losses: Vec<Loss>,
    /// Something that the user gave and that is not taken here.
    left_out: Option<&'static str>,
}

/// Writes a request.
pub(super) fn encode(request: &Request, outgoing: &Outgoing<'_>) -> Encoded {
    let names =
        Names::of(&request.tools, NameRules { longest: LONGEST_NAME, namespaces: false, custom: false });
    let repaired = repair(request.messages.clone(), true);
    let mut composer = Composer {
        outgoing,
        names,
        system: Vec::new(),
        turns: Vec::new(),
        losses: repaired.losses,
        left_out: None,
    };
    composer.conversation(&repaired.messages);
    let said = composer.turns.iter().flat_map(|turn| &turn.blocks).any(|block| !block.says(CONTINUES));
    let refused = request
        .nothing_left(said, !composer.system.is_empty())
        .or_else(|| composer.left_out.map(cannot_be_left_out));
    if composer.turns.is_empty() {
        // Whoever sends nothing but instructions wants them followed; the API wants somebody who speaks.
        let words = std::mem::take(&mut composer.system);
        composer.say("user", words);
    }
    let body = composer.body(request);
    Encoded { body: body.into(), losses: composer.losses, names: composer.names, refused }
}

impl Composer<'_> {
    fn lose(&mut self, loss: Loss) {
        if !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }

    fn conversation(&mut self, messages: &[Message]) {
        let is_system = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
        let leading = messages.iter().take_while(is_system).count();
        for message in messages {
            self.lose_fields(message);
        }
        for message in &messages[..leading] {
            let blocks = self.blocks(message);
            self.system.extend(blocks);
        }
        for (place, message) in messages.iter().enumerate().skip(leading) {
            let blocks = self.blocks(message);
            match message.role {
                Role::Assistant => self.say("assistant", blocks),
                Role::User | Role::Tool => self.say("user", blocks),
                Role::System | Role::Developer => {
                    let before = self.turns.last().is_some_and(|turn| turn.role == "user");
                    let after = messages.get(place + 1).is_none_or(|next| next.role == Role::Assistant);
                    match before && after {
                        true => self.say("system", blocks),
                        false => self.say("user", blocks.into_iter().map(Written::into_reminder).collect()),
                    }
                }
            }
        }
        if let Some(Turn { role: "assistant", blocks }) = self.turns.last_mut()
            && let Some(last) = blocks.last_mut()
        {
            last.trim_end();
        }
    }

    /// Names what a message says of itself and has no place here.
    fn lose_fields(&mut self, message: &Message) {
        if message.name.is_some() {
            self.lose(Loss::dropped("messages[].name"));
        }
        if message.extras.origin.is_some_and(|origin| origin != Dialect::Anthropic) {
            for key in message.extras.fields.keys() {
                self.lose(Loss::dropped(&format!("messages[].{key}")));
            }
        }
    }

    fn blocks(&mut self, message: &Message) -> Vec<Written> {
        let only_text = matches!(message.role, Role::System | Role::Developer);
        let mut written: Vec<Written> = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            match part {
                Part::Breakpoint(mark) => {
                    if let Some(last) = written.last_mut() {
                        last.mark = Some(mark.clone());
                    }
                }
                Part::Text(_) | Part::Refusal(_) => {}
                _ if only_text => {
                    self.lose(Loss::dropped("messages[].content"));
                    continue;
                }
                _ => {}
            }
            let block = blocks::write(part, &self.names, self.outgoing, &mut self.losses);
            if message.role == Role::User {
                self.left_out = self.left_out.or(block.as_ref().and_then(|block| block.left_out));
            }
            written.extend(block);
        }
        written
    }

    fn say(&mut self, role: &'static str, mut blocks: Vec<Written>) {
        if blocks.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.blocks.append(&mut blocks),
            _ => self.turns.push(Turn { role, blocks }),
        }
    }

    fn body(&mut self, request: &Request) -> String {
        let mut fields: Vec<(Cow<'_, str>, String)> = Vec::with_capacity(16);
        let mut put = |key: &'static str, value: String| fields.push((key.into(), value));
        put("model", json!(self.outgoing.model).to_string());
        let mut tools =
            tools::encode(&request.tools, request.tool_choice.as_ref(), &self.names, &mut self.losses);
        let choice = if tools.is_empty() { None } else { self.choice(request) };
        let forced =
            choice.as_ref().is_some_and(|choice| matches!(choice["type"].as_str(), Some("any" | "tool")));
        let (mut thinking, effort) = self.thinking(request, forced);
        put("max_tokens", self.limit(request, &mut thinking).to_string());
        let thinks = thinking.as_ref().is_some_and(|thinking| thinking["type"] != "disabled");
        let shape = request.format.as_ref().map(|wanted| format::output(wanted, &mut self.losses));
        if let Some(format::Output::AnyJson) = shape {
            self.system.push(Written::text(ONLY_JSON));
        }
        self.drop_marks(&mut tools);
        if !self.system.is_empty() {
            put("system", joined(self.system.iter().map(Written::finish)));
        }
        let turns = self.turns.iter().map(|turn| {
            format!(
                "{{\"role\":\"{}\",\"content\":{}}}",
                turn.role,
                joined(turn.blocks.iter().map(Written::finish))
            )
        });
        put("messages", joined(turns));
        if !tools.is_empty() {
            let marked = tools.into_iter().map(|(text, mark)| Written::of(text).marked(mark).finish());
            put("tools", joined(marked));
        }
        for (key, value) in [("tool_choice", choice), ("thinking", thinking)] {
            if let Some(value) = value {
                put(key, value.to_string());
            }
        }
        let schema = match shape {
            Some(format::Output::Schema(schema)) => Some(schema),
            _ => None,
        };
        let mut config: Vec<String> =
            effort.map(|word| format!("\"effort\":\"{word}\"")).into_iter().collect();
        config.extend(
            schema.map(|schema| format!("\"format\":{{\"type\":\"json_schema\",\"schema\":{schema}}}")),
        );
        if !config.is_empty() {
            put("output_config", format!("{{{}}}", config.join(",")));
        }
        for (key, value) in self.sampling(request, thinks) {
            put(key, value);
        }
        let stop: Vec<&String> = request.stop.iter().filter(|word| !word.trim().is_empty()).collect();
        if stop.len() < request.stop.len() {
            self.lose(Loss::dropped("stop"));
        }
        if !stop.is_empty() {
            put("stop_sequences", json!(stop).to_string());
        }
        if request.stream {
            put("stream", "true".into());
        }
        if let Some(user) = &request.user {
            let user: String = user.chars().take(LONGEST_USER).collect();
            put("metadata", json!({ "user_id": user }).to_string());
        }
        if let Some(tier) = self.tier(request) {
            put("service_tier", json!(tier).to_string());
        }
        self.extras(request, &mut fields);
        let fields = fields.into_iter().map(|(key, value)| format!("{}:{value}", json!(key)));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    }

    fn choice(&mut self, request: &Request) -> Option<Value> {
        let mut choice = match &request.tool_choice {
            None => None,
            Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => {
                Some(json!({"type": "auto"}))
            }
            Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => {
                Some(json!({"type": "any"}))
            }
            Some(ToolChoice::None) => return Some(json!({"type": "none"})),
            Some(ToolChoice::Named { name, namespace }) => {
                Some(json!({"type": "tool", "name": self.names.wire(namespace.as_deref(), name)}))
            }
        };
        if request.parallel_tool_calls == Some(false) {
            choice.get_or_insert_with(|| json!({"type": "auto"}))["disable_parallel_tool_use"] = json!(true);
        }
        choice
    }

    /// How reasoning is switched, and the word for its effort.
    fn thinking(&mut self, request: &Request, forced: bool) -> (Option<Value>, Option<&'static str>) {
        let wish = &request.reasoning;
        let word = |wanted: Effort| match wanted {
            Effort::None => None,
            Effort::Minimal => Some("low"),
            other => EFFORTS.iter().find(|(_, effort)| *effort == other).map(|(word, _)| *word),
        };
        let effort = wish.effort.and_then(word);
        let wanted = match (wish.thinking, wish.effort) {
            (Some(Thinking::Off), _) | (None, Some(Effort::None)) => {
                return (Some(json!({"type": "disabled"})), None);
            }
            (None, None) => wish.budget.is_some(),
            (Some(_), _) | (None, Some(_)) => true,
        };
        if !wanted {
            return (None, None);
        }
        if forced {
            // The API refuses both together, and the tool is what the caller insists on.
            self.lose(Loss::changed("reasoning", "off, since a tool is forced"));
            return (Some(json!({"type": "disabled"})), None);
        }
        let mut thinking = match wish.budget {
            Some(budget) if wish.effort.is_none() => {
                json!({"type": "enabled", "budget_tokens": budget.max(LEAST_BUDGET)})
            }
            _ => json!({"type": "adaptive"}),
        };
        match wish.summary.as_deref() {
            Some("omitted") => thinking["display"] = json!("omitted"),
            Some("auto" | "concise" | "detailed" | "summarized") => thinking["display"] = json!("summarized"),
            _ => {}
        }
        (Some(thinking), effort)
    }

    /// The most tokens of the answer: room for it beside the budget of the reasoning, which stays below.
    fn limit(&mut self, request: &Request, thinking: &mut Option<Value>) -> u64 {
        let cap = self.outgoing.max_output_cap;
        let wanted = request.max_output.or(cap).unwrap_or(DEFAULT_MAX_TOKENS);
        let budget = thinking.as_ref().and_then(|thinking| thinking["budget_tokens"].as_u64());
        let grown = match budget {
            Some(budget) if budget >= wanted => wanted.saturating_add(budget),
            _ => wanted,
        };
        let limit = grown.min(cap.unwrap_or(u64::MAX)).max(1);
        match budget {
            Some(budget) if budget < limit => {}
            None => {}
            Some(_) if limit > LEAST_BUDGET => {
                self.lose(Loss::changed(
                    "reasoning",
                    "its budget was lowered to the most tokens of the answer",
                ));
                if let Some(thinking) = thinking {
                    thinking["budget_tokens"] = json!(limit - 1);
                }
            }
            Some(_) => {
                self.lose(Loss::dropped("reasoning"));
                *thinking = None;
            }
        }
        limit
    }

    /// The numbers that steer the choice of words, as far as they are taken.
    fn sampling(&mut self, request: &Request, thinks: bool) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        match request.temperature {
            // What is drawn as usual while it thinks.
            Some(1.0) if thinks => {}
            Some(_) if thinks => self.lose(Loss::dropped("temperature")),
            Some(high) if high > 1.0 => {
                self.lose(Loss::changed("temperature", format!("`{high}` became `1`")));
                fields.push(("temperature", "1".to_owned()));
            }
            Some(temperature) => fields.push(("temperature", json!(temperature).to_string())),
            None => {}
        }
        match request.top_p {
            Some(top_p) if thinks && top_p < LEAST_TOP_P => self.lose(Loss::dropped("top_p")),
            Some(top_p) => fields.push(("top_p", json!(top_p).to_string())),
            None => {}
        }
        match request.top_k {
            Some(_) if thinks => self.lose(Loss::dropped("top_k")),
            Some(top_k) => fields.push(("top_k", top_k.to_string())),
            None => {}
        }
        fields
    }

    fn tier(&mut self, request: &Request) -> Option<&'static str> {
        match request.service_tier.as_deref()? {
            "default" | "standard_only" => Some("standard_only"),
            "auto" | "priority" => Some("auto"),
            _ => {
                self.lose(Loss::dropped("service_tier"));
                None
            }
        }
    }

    fn extras<'f>(&mut self, request: &'f Request, fields: &mut Vec<(Cow<'f, str>, String)>) {
        if request.verbosity.as_deref().is_some_and(|word| word != "medium") {
            self.lose(Loss::dropped("verbosity"));
        }
        let own = request.extras.origin == Some(Dialect::Anthropic);
        for (key, value) in &request.extras.fields {
            match own {
                true => fields.push((key.into(), value.to_string())),
                false if is_neutral(key, value) => {}
                false => self.lose(Loss::dropped(key)),
            }
        }
    }

    /// Takes out the marks that are too many: the first two and the last two stay, since what stands first
    /// changes least and what stands last is longest.
    fn drop_marks(&mut self, tools: &mut [(String, Option<Breakpoint>)]) {
        const HALF: usize = MOST_MARKS / 2;
        let of_tools = tools.iter_mut().map(|(_, mark)| mark);
        let blocks = self.system.iter_mut().chain(self.turns.iter_mut().flat_map(|turn| &mut turn.blocks));
        let marks = of_tools.chain(blocks.map(|block| &mut block.mark));
        let mut marked: Vec<&mut Option<Breakpoint>> = marks.filter(|mark| mark.is_some()).collect();
        let count = marked.len();
        if count <= MOST_MARKS {
            return;
        }
        for mark in &mut marked[HALF..count - HALF] {
            **mark = None;
        }
        self.lose(Loss::changed("cache_control", format!("of more marks {MOST_MARKS} stayed")));
    }
}

/// The model would answer without what it was asked about, and nobody would know. In what tools gave it is only
/// noted: without it the conversation still makes sense.
fn cannot_be_left_out(what: &str) -> BadRequest {
    let words = format!("the {what} cannot be bridged to a model that does not take it");
    BadRequest { status: 422, ..BadRequest::new(words) }.code("unsupported_content")
}

fn joined(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}
