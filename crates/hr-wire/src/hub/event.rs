//! A reply as it streams.

use hr_core::usage::Usage;

use super::reply::{Block, Finish, Reply};

/// What begins a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Text for the reader.
    Text,
    /// The model's reasoning.
    Reasoning,
    /// The model's own words of refusal.
    Refusal,
    /// A call of a tool.
    ToolCall {
        /// The id that its result will name.
        id: String,
        /// The tool.
        name: String,
    },
}

/// A step of a streamed reply. Blocks are numbered 0, 1, 2… in the order in which they begin; calls of tools
/// may interleave.
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
        let (start, text) = match whole {
            Block::Text(text) => (Start::Text, text),
            Block::Reasoning(text) => (Start::Reasoning, text),
            Block::Refusal(text) => (Start::Refusal, text),
            Block::ToolCall { id, name, arguments } => {
                (Start::ToolCall { id: id.clone(), name: name.clone() }, arguments)
            }
        };
        events.push(Event::Start { block, start });
        if !text.is_empty() {
            events.push(Event::Delta { block, text: text.clone() });
        }
        events.push(Event::End { block });
    }
    events.extend(reply.finish.clone().map(Event::Finish));
    events.extend(reply.usage.map(Event::Usage));
    events
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
                Start::Reasoning => Block::Reasoning(String::new()),
                Start::Refusal => Block::Refusal(String::new()),
                Start::ToolCall { id, name } => {
                    Block::ToolCall { id: id.clone(), name: name.clone(), arguments: String::new() }
                }
            }),
            Event::Delta { block, text } => match reply.blocks.get_mut(*block) {
                Some(Block::Text(whole) | Block::Reasoning(whole) | Block::Refusal(whole)) => {
                    whole.push_str(text)
                }
                Some(Block::ToolCall { arguments, .. }) => arguments.push_str(text),
                None => {}
            },
            Event::End { .. } => {}
            Event::Finish(finish) => reply.finish = Some(finish.clone()),
            Event::Usage(usage) => reply.usage = Some(*usage),
        }
    }
    reply
}
