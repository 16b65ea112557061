//! A reply as it streams.

use hr_core::catalog::Dialect;
use hr_core::usage::Usage;
use serde_json::Value;

use super::opaque::Opaque;
use super::reply::{Block, Finish, Reply};
use super::request::{CallKind, Reasoning, ToolCall};

/// What begins a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// Text for the reader.
    Text,
    /// The model's reasoning.
    Reasoning,
    /// The model's own words of refusal.
    Refusal,
    /// A call of a tool; its arguments and what is opaque about it follow.
    ToolCall {
        /// The id that its result will name.
        id: String,
        /// The tool.
        name: String,
        /// The namespace that the tool is in.
        namespace: Option<String>,
        /// How the tool takes its input.
        kind: CallKind,
    },
    /// A block that only one dialect knows, whole.
    Other {
        /// The dialect.
        origin: Dialect,
        /// The block.
        value: Value,
    },
}

/// A step of a streamed reply. Blocks are numbered 0, 1, 2… in the order in which they begin; calls of tools
/// may interleave. A block's pieces lie between its start and its end.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The reply begins; once, first.
    Begin {
        /// The id of the answer.
        id: String,
        /// The model, as the provider names it.
        model: String,
        /// When it was made, in seconds since the epoch.
        created: u64,
    },
    /// A block begins.
    Start {
        /// Its number.
        block: usize,
        /// What it is.
        start: Start,
    },
    /// More of a block: text, or a piece of a call's arguments.
    Delta {
        /// The number of the block.
        block: usize,
        /// What is added.
        text: String,
    },
    /// What only the provider can read about a block of reasoning or a call; before its end.
    Opaque {
        /// The number of the block.
        block: usize,
        /// The thing.
        opaque: Opaque,
    },
    /// A block is whole.
    End {
        /// Its number.
        block: usize,
    },
    /// The reply ended for this reason; once.
    Finish(Finish),
    /// What it cost; the last one counts.
    Usage(Usage),
}

/// The stream that a whole reply would have been; its [`fold`] is the reply, less its extras.
#[must_use]
pub fn unfold(reply: &Reply) -> Vec<Event> {
    let Reply { id, model, created, .. } = reply;
    let mut events = vec![Event::Begin { id: id.clone(), model: model.clone(), created: *created }];
    for (block, whole) in reply.blocks.iter().enumerate() {
        let (start, text, opaque) = match whole {
            Block::Text(text) => (Start::Text, text.as_str(), None),
            Block::Reasoning(Reasoning { text, opaque }) => {
                (Start::Reasoning, text.as_str(), opaque.as_ref())
            }
            Block::Refusal(text) => (Start::Refusal, text.as_str(), None),
            Block::ToolCall(call) => (start_of(call), call.arguments.as_str(), call.opaque.as_ref()),
            Block::Other { origin, value } => {
                (Start::Other { origin: *origin, value: value.clone() }, "", None)
            }
        };
        events.push(Event::Start { block, start });
        if !text.is_empty() {
            events.push(Event::Delta { block, text: text.to_owned() });
        }
        events.extend(opaque.map(|opaque| Event::Opaque { block, opaque: opaque.clone() }));
        events.push(Event::End { block });
    }
    events.extend(reply.finish.clone().map(Event::Finish));
    events.extend(reply.usage.map(Event::Usage));
    events
}

fn start_of(call: &ToolCall) -> Start {
    Start::ToolCall {
        id: call.id.clone(),
        name: call.name.clone(),
        namespace: call.namespace.clone(),
        kind: call.kind,
    }
}

/// The reply that a stream amounts to.
#[must_use]
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Reply {
    let mut reply = Reply::default();
    for event in events {
        match event {
            Event::Begin { id, model, created } => {
                id.clone_into(&mut reply.id);
                model.clone_into(&mut reply.model);
                reply.created = *created;
            }
            Event::Start { start, .. } => reply.blocks.push(match start {
                Start::Text => Block::Text(String::new()),
                Start::Reasoning => Block::Reasoning(Reasoning::default()),
                Start::Refusal => Block::Refusal(String::new()),
                Start::ToolCall { id, name, namespace, kind } => Block::ToolCall(ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    namespace: namespace.clone(),
                    kind: *kind,
                    ..ToolCall::default()
                }),
                Start::Other { origin, value } => Block::Other { origin: *origin, value: value.clone() },
            }),
            Event::Delta { block, text } => match reply.blocks.get_mut(*block) {
                Some(Block::Text(whole) | Block::Refusal(whole)) => whole.push_str(text),
                Some(Block::Reasoning(reasoning)) => reasoning.text.push_str(text),
                Some(Block::ToolCall(call)) => call.arguments.push_str(text),
                Some(Block::Other { .. }) | None => {}
            },
            Event::Opaque { block, opaque } => match reply.blocks.get_mut(*block) {
                Some(Block::Reasoning(reasoning)) => reasoning.opaque = Some(opaque.clone()),
                Some(Block::ToolCall(call)) => call.opaque = Some(opaque.clone()),
                _ => {}
            },
            Event::End { .. } => {}
            Event::Finish(finish) => reply.finish = Some(finish.clone()),
            Event::Usage(usage) => reply.usage = Some(*usage),
        }
    }
    reply
}
