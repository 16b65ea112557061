//! What makes an answer valid, whichever dialect it came in.

use std::collections::BTreeMap;

use hr_core::failure::{Failure, FailureKind};
use hr_core::usage::Usage;

use super::Keepsake;
use crate::hub::{CallKind, Event, Fingerprint, Finish, FinishKind, Reasoning, Start, ToolCall};
use crate::json::Cursor;

/// The most bytes of arguments that may wait for their end at once.
pub const MAX_ARGUMENTS: usize = 16 * 1024 * 1024;
/// The most bytes of text, reasoning and arguments of one reply: more than any model writes, and what may wait
/// to be written behind a call that does not end.
pub const MAX_TEXT: usize = 64 * 1024 * 1024;
/// The most blocks of one reply.
pub const MAX_BLOCKS: usize = 16_384;
/// The most bytes of reasoning and opaque things that are kept of one reply for a caller who cannot carry them.
pub const MAX_KEPT: usize = 1024 * 1024;
/// The most fingerprints that wait to be asked for.
const MAX_ISSUED: usize = 1024;

/// Follows the events of one reply, as the provider means them, and judges it at its end.
#[derive(Debug, Default)]
pub(super) struct Law {
    blocks: usize,
    /// The arguments of calls that are under way, by block, and how many bytes they are.
    arguments: BTreeMap<usize, String>,
    held: usize,
    /// How many bytes were said so far.
    said: usize,
    /// Blocks of reasoning that are kept, by number, as their place in the keepsake.
    thoughts: BTreeMap<usize, usize>,
    /// The calls by their number, as their place in the keepsake.
    calls: BTreeMap<usize, usize>,
    keepsake: Keepsake,
    kept: usize,
    /// Whether there was text that is not blank, a refusal, a call, or another thing for the caller.
    content: bool,
    reasoning: bool,
    /// Whether a call ended whose arguments are not whole.
    halved: bool,
    finish: Option<Finish>,
    usage: Option<Usage>,
    issued: Vec<Fingerprint>,
}

impl Law {
    /// Takes an event; the finish and the usage stay here until the reply is judged.
    pub(super) fn take(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Start { block, start } => self.start(*block, start)?,
            Event::Delta { block, text } => self.more(*block, text)?,
            Event::Opaque { block, opaque } => {
                if self.issued.len() < MAX_ISSUED {
                    self.issued.push(opaque.fingerprint());
                }
                self.kept += opaque.data.len();
                if self.kept <= MAX_KEPT {
                    if let Some(thought) = self.thoughts.get(block) {
                        self.keepsake.reasoning[*thought].opaque = Some(opaque.clone());
                    }
                    if let Some(call) = self.calls.get(block) {
                        self.keepsake.calls[*call].opaque = Some(opaque.clone());
                    }
                }
            }
            Event::End { block } => self.end(*block),
            Event::Finish(finish) => self.finish = Some(finish.clone()),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Begin { .. } => {}
        }
        Ok(())
    }

    fn start(&mut self, block: usize, start: &Start) -> Result<(), Failure> {
        self.blocks += 1;
        if self.blocks > MAX_BLOCKS {
            return Err(malformed(format!("the reply has more than {MAX_BLOCKS} blocks")));
        }
        match start {
            Start::Reasoning => {
                self.thoughts.insert(block, self.keepsake.reasoning.len());
                self.keepsake.reasoning.push(Reasoning::default());
            }
            Start::ToolCall { id, name, namespace, kind } => {
                self.content = true;
                self.calls.insert(block, self.keepsake.calls.len());
                self.keepsake.calls.push(ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    namespace: namespace.clone(),
                    kind: *kind,
                    ..ToolCall::default()
                });
                if *kind == CallKind::Function {
                    self.arguments.insert(block, String::new());
                }
            }
            Start::Other { .. } => self.content = true,
            Start::Text | Start::Refusal => {}
        }
        Ok(())
    }

    fn more(&mut self, block: usize, text: &str) -> Result<(), Failure> {
        self.said += text.len();
        if self.said > MAX_TEXT {
            return Err(malformed(format!("the reply is longer than {MAX_TEXT} bytes")));
        }
        if let Some(arguments) = self.arguments.get_mut(&block) {
            self.held += text.len();
            if self.held > MAX_ARGUMENTS {
                return Err(malformed(format!(
                    "the arguments of calls are longer than {MAX_ARGUMENTS} bytes"
                )));
            }
            arguments.push_str(text);
        } else if let Some(thought) = self.thoughts.get(&block) {
            self.reasoning |= !text.is_empty();
            self.kept += text.len();
            if self.kept <= MAX_KEPT {
                self.keepsake.reasoning[*thought].text.push_str(text);
            }
        } else {
            self.content |= !text.trim().is_empty();
        }
        Ok(())
    }

    fn end(&mut self, block: usize) {
        if let Some(arguments) = self.arguments.remove(&block) {
            self.held -= arguments.len();
            self.halved |= !is_whole(&arguments);
            if let Some(call) = self.calls.get(&block) {
                self.keepsake.calls[*call].arguments = arguments;
            }
        }
    }

    /// Whether something was seen that a caller would call an answer.
    pub(super) fn is_good(&self) -> bool {
        self.content || self.reasoning
    }

    /// Whether the reply has said why it ended.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    pub(super) fn issued(&mut self) -> Vec<Fingerprint> {
        std::mem::take(&mut self.issued)
    }

    /// Why the reply ended, as it is borne out by what was said; or what is wrong with it.
    pub(super) fn judge(&self, shows_reasoning: bool) -> Result<Finish, Failure> {
        let Some(finish) = self.finish.clone() else {
            return Err(
                Failure::new(FailureKind::Cut, "the stream ended without a finish reason").status(200)
            );
        };
        let cut = finish.kind() == FinishKind::Length;
        let halved = self.halved || self.arguments.values().any(|arguments| !is_whole(arguments));
        if halved && !cut {
            return Err(malformed("the arguments of a call are not whole".into()));
        }
        // A model that was cut off while it reasoned did answer, as far as it came.
        if !self.content && !(self.reasoning && (shows_reasoning || cut)) {
            return Err(no_answer(Some(&finish)));
        }
        Ok(finish.borne_out(!self.calls.is_empty()))
    }

    /// What the turn must be sent back with; nothing where no tools were called, or too much was said to keep.
    pub(super) fn keepsake(&mut self) -> Option<Keepsake> {
        let mut keepsake = std::mem::take(&mut self.keepsake);
        keepsake.reasoning.retain(|thought| !thought.text.is_empty() || thought.opaque.is_some());
        let worth = !keepsake.reasoning.is_empty() || keepsake.calls.iter().any(|call| call.opaque.is_some());
        (worth && !keepsake.calls.is_empty() && self.kept <= MAX_KEPT).then_some(keepsake)
    }
}

/// Whether arguments are JSON, or nothing, which stands for no arguments.
fn is_whole(arguments: &str) -> bool {
    let mut cursor = Cursor::new(arguments);
    arguments.trim().is_empty() || cursor.skip().and_then(|_| cursor.end()).is_ok()
}

pub(super) fn malformed(words: String) -> Failure {
    Failure::new(FailureKind::Malformed, words).status(200)
}

/// The failure of an answer without content that ended for this reason.
pub(crate) fn no_answer(finish: Option<&Finish>) -> Failure {
    match finish {
        Some(finish) if finish.kind() == FinishKind::ContentFilter => {
            Failure::new(FailureKind::ContentRefused, "the provider's content filter withheld the answer")
                .status(200)
        }
        Some(finish) => {
            let words = format!("the answer is empty and ends with `{}`", finish.raw());
            Failure::new(FailureKind::Empty, words).status(200)
        }
        None => Failure::new(FailureKind::Empty, "the answer is empty").status(200),
    }
}
