//! Conversations brought into the order that providers insist on.
//!
//! Clients cut histories, lose results, repeat ids and slip words between a call and its result; most providers
//! answer that with a refusal. [`repair`] is run on the hub's messages before they are written for anybody. It
//! is a pure function that leaves a sound conversation as it is and, being applied from the front, gives the
//! same beginning on every turn, which keeps the caches of providers warm.

use std::collections::{BTreeMap, BTreeSet};

use super::{CallKind, Loss, Message, Part, Role, ToolCall, ToolOutput};

/// What stands for a result that never came.
const NO_RESULT: &str = "No result was recorded for this tool call.";
/// What stands before a result whose call is gone.
const ORPHAN: &str = "[result of an earlier tool call]";
/// What the person says where a conversation begins with the model and must not.
pub(crate) const CONTINUES: &str = "(conversation continues)";

/// A conversation in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repaired {
    /// The messages. Every call of an [`Role::Assistant`] has exactly one result, each in a [`Role::Tool`]
    /// message of its own, right after the calls and in their order.
    pub messages: Vec<Message>,
    /// What of the conversation is not in them as it was sent.
    pub losses: Vec<Loss>,
}

/// Brings a conversation into order: results right after their calls and before everything else, one for each
/// call; call ids that occur once; no neighbours of one role that say the same kind of thing; nothing empty.
///
/// `user_first` is for targets whose conversations must not begin with the model.
#[must_use]
pub fn repair(messages: Vec<Message>, user_first: bool) -> Repaired {
    let spare = messages.iter().rfind(|message| !is_system(message)).cloned();
    let mut bench = Bench::default();
    for message in messages {
        bench.take(message);
    }
    let Repaired { mut messages, losses } = bench.finish();
    if messages.iter().all(is_system) {
        // A conversation of nothing is for the provider to refuse, not for us to make.
        messages.extend(spare.filter(|message| message.role == Role::User));
    }
    let first = messages.iter().position(|message| !is_system(message));
    if let Some(first) = first.filter(|first| user_first && messages[*first].role == Role::Assistant) {
        messages.insert(first, plain(Role::User, vec![Part::Text(CONTINUES.into())]));
    }
    Repaired { messages, losses }
}

fn is_system(message: &Message) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

fn plain(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extras: Default::default() }
}

/// A call that was seen.
struct Called {
    /// Its id, once it is the only one that has it.
    id: String,
    /// The message that it is in, by its place.
    turn: usize,
    kind: CallKind,
    answer: Option<Message>,
}

/// The calls that the caller knows by one id, oldest first.
#[derive(Default)]
struct Known {
    calls: Vec<usize>,
    /// The place among them of the first that waits for a result, of those in the latest turn.
    next: usize,
}

/// A conversation being put in order.
#[derive(Default)]
struct Bench {
    /// What was said; results wait beside their calls.
    turns: Vec<Message>,
    calls: Vec<Called>,
    known: BTreeMap<String, Known>,
    /// The ids that calls have now.
    used: BTreeSet<String>,
    /// The latest turn with a result: nothing may join it any more.
    answered: Option<usize>,
    losses: Vec<Loss>,
}

impl Bench {
    fn take(&mut self, message: Message) {
        let Message { role, name, parts, extras } = message;
        let outputs = parts.iter().filter(|part| matches!(part, Part::ToolOutput(_))).count();
        if outputs == 0 && role != Role::Tool {
            return self.say(Message { role, name, parts, extras });
        }
        let (mut rest, mut strays) = (Vec::new(), Vec::new());
        // The call whose result was the last part: a cache mark after it is about it.
        let mut answered = None;
        for part in parts {
            match part {
                Part::ToolOutput(output) => {
                    answered = self.find(&output.call_id);
                    let Some(call) = answered else {
                        self.lose(Loss::changed(
                            "messages[].tool_call_id",
                            "a result without a call became text",
                        ));
                        strays.extend(orphan(output));
                        continue;
                    };
                    // What else a message of one result says about itself stays with it.
                    let own = role == Role::Tool && outputs == 1;
                    let (name, extras) =
                        if own { (name.clone(), extras.clone()) } else { (None, Default::default()) };
                    let parts = vec![Part::ToolOutput(output)];
                    self.answer(call, Message { role: Role::Tool, name, parts, extras });
                }
                Part::Breakpoint(mark) => match answered.and_then(|call| self.calls[call].answer.as_mut()) {
                    Some(answer) => answer.parts.push(Part::Breakpoint(mark)),
                    None => rest.push(Part::Breakpoint(mark)),
                },
                other => {
                    answered = None;
                    rest.push(other);
                }
            }
        }
        match role {
            Role::User | Role::Tool => {
                strays.extend(rest);
                let (name, extras) =
                    if role == Role::User { (name, extras) } else { (None, Default::default()) };
                self.say(Message { role: Role::User, name, parts: strays, extras });
            }
            _ => {
                self.say(Message { role, name, parts: rest, extras });
                self.say(plain(Role::User, strays));
            }
        }
    }

    /// The call that a result names: the latest of this id, and of several in one turn the first without a
    /// result.
    fn find(&mut self, id: &str) -> Option<usize> {
        let known = self.known.get_mut(id)?;
        let waiting = known.calls.get(known.next).copied();
        known.next += usize::from(waiting.is_some());
        waiting.or(known.calls.last().copied())
    }

    fn answer(&mut self, call: usize, mut answer: Message) {
        let called = &mut self.calls[call];
        if let Some(Part::ToolOutput(output)) = answer.parts.first_mut() {
            output.call_id.clone_from(&called.id);
            output.kind = called.kind;
        }
        self.answered = self.answered.max(Some(called.turn));
        if called.answer.replace(answer).is_some() {
            self.lose(Loss::changed(
                "messages[].tool_call_id",
                "of two results for one call the last stayed",
            ));
        }
    }

    /// Adds a message without results.
    fn say(&mut self, mut message: Message) {
        message.parts.retain(|part| !is_empty(part));
        let only_marks = message.parts.iter().all(|part| matches!(part, Part::Breakpoint(_)));
        if only_marks && message.extras.fields.is_empty() {
            return;
        }
        let turn = match self.turns.last() {
            Some(last) if self.may_join(last, &message) => self.turns.len() - 1,
            _ => self.turns.len(),
        };
        if message.role == Role::Assistant {
            for part in &mut message.parts {
                if let Part::ToolCall(call) = part {
                    self.call(call, turn);
                }
            }
        }
        match self.turns.get_mut(turn) {
            Some(last) => last.parts.append(&mut message.parts),
            None => self.turns.push(message),
        }
    }

    fn may_join(&self, last: &Message, next: &Message) -> bool {
        let is_answered = self.answered.is_some_and(|turn| turn + 1 == self.turns.len());
        matches!(next.role, Role::User | Role::Assistant)
            && last.role == next.role
            && last.name == next.name
            && last.extras.fields.is_empty()
            && next.extras.fields.is_empty()
            && !is_answered
    }

    fn call(&mut self, call: &mut ToolCall, turn: usize) {
        let known = self.known.entry(call.id.clone()).or_default();
        if known.calls.last().is_none_or(|last| self.calls[*last].turn != turn) {
            known.next = known.calls.len();
        }
        known.calls.push(self.calls.len());
        if call.id.is_empty() || self.used.contains(&call.id) {
            let stem = if call.id.is_empty() { "call" } else { &call.id };
            let numbers = known.calls.len()..;
            let fresh = numbers.map(|number| format!("{stem}_{number}")).find(|id| !self.used.contains(id));
            // There are more numbers than calls.
            call.id = fresh.unwrap_or_default();
        }
        self.used.insert(call.id.clone());
        self.calls.push(Called { id: call.id.clone(), turn, kind: call.kind, answer: None });
    }

    fn lose(&mut self, loss: Loss) {
        if !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }

    fn finish(mut self) -> Repaired {
        let last = self.turns.len().saturating_sub(1);
        let hangs = self.calls.last().is_some_and(|call| call.turn == last) && self.answered != Some(last);
        let mut messages = Vec::with_capacity(self.turns.len() + self.calls.len());
        let mut calls = std::mem::take(&mut self.calls).into_iter().peekable();
        for (place, mut turn) in std::mem::take(&mut self.turns).into_iter().enumerate() {
            if place == last && hangs {
                self.lose(Loss::dropped("messages[].tool_calls"));
                turn.parts.retain(|part| !matches!(part, Part::ToolCall(_)));
                // What was thought before the calls is of no use without them.
                let says = |part: &Part| !matches!(part, Part::Reasoning(_) | Part::Breakpoint(_));
                if turn.parts.iter().any(says) {
                    messages.push(turn);
                }
                break;
            }
            messages.push(turn);
            while let Some(call) = calls.next_if(|call| call.turn == place) {
                messages.push(call.answer.unwrap_or_else(|| {
                    let content = vec![Part::Text(NO_RESULT.into())];
                    let output = ToolOutput { call_id: call.id, kind: call.kind, content, is_error: true };
                    plain(Role::Tool, vec![Part::ToolOutput(output)])
                }));
            }
        }
        Repaired { messages, losses: self.losses }
    }
}

fn is_empty(part: &Part) -> bool {
    match part {
        Part::Text(text) | Part::Refusal(text) => text.is_empty(),
        Part::Reasoning(reasoning) => reasoning.text.is_empty() && reasoning.opaque.is_none(),
        _ => false,
    }
}

/// A result without its call, as the person might have told it.
fn orphan(output: ToolOutput) -> Vec<Part> {
    let text = output.text();
    let told = if text.is_empty() { ORPHAN.to_owned() } else { format!("{ORPHAN}\n{text}") };
    let shown = output.content.into_iter().filter(|part| {
        matches!(part, Part::Image { .. } | Part::Document(_) | Part::Audio { .. } | Part::Other { .. })
    });
    std::iter::once(Part::Text(told)).chain(shown).collect()
}
