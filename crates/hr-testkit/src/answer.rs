//! A good answer, and the faults it can have on its way.

use std::time::Duration;

use serde_json::Value;

use crate::refusal::Refusal;

/// Tokens of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the prompt, cached ones included.
    pub prompt: u64,
    /// Of the answer, thoughts included.
    pub completion: u64,
    /// Of the prompt and read from a cache.
    pub cached: u64,
    /// Of the prompt and written to a cache.
    pub cache_written: u64,
    /// Of the answer and only thought.
    pub reasoning: u64,
}

/// A tool that the answer calls.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The id of the call.
    pub id: String,
    /// The name of the function.
    pub name: String,
    /// The arguments as JSON text; as they are for a tool that the request calls custom.
    pub arguments: String,
    /// Its `extra_content`, where chat providers hide a signature.
    pub extra: Option<Value>,
}

/// Why a model stops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// It has said all, or wants its tools called.
    #[default]
    Natural,
    /// The tokens ran out.
    Length,
    /// It came to this stop sequence.
    Sequence(String),
    /// A filter stepped in.
    Filtered,
}

/// How the bytes of a stream are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Lines end in LF, each event is written at once.
    #[default]
    Lf,
    /// Lines end in CRLF.
    Crlf,
    /// Every byte is its own write: characters and line ends are split.
    Bytes,
}

/// How a reply ends. The counts are of events that carry content; a whole reply breaks in its middle instead.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Ending {
    /// As the dialect has it; in chat: finish reason, usage when asked for, `[DONE]`.
    #[default]
    Done,
    /// The same without the last event: in chat without `[DONE]`.
    NoDone,
    /// A clean end of the body without a finish reason, after so many events.
    NoFinish(usize),
    /// The connection closes in the middle of the body, after so many events.
    Cut(usize),
    /// The connection closes in the middle of the body, after so many bytes.
    CutAt(usize),
    /// The connection is reset, after so many events.
    Reset(usize),
    /// Silence, after so many events, until the other side leaves.
    Hang(usize),
    /// An error event, after so many events; a whole reply has the error as its body.
    Error(usize, Box<Refusal>),
}

/// A good answer, and the faults it can have on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The text; may be empty.
    pub text: String,
    /// The thoughts before it.
    pub reasoning: Option<String>,
    /// The field that carries them in chat.
    pub reasoning_field: &'static str,
    /// Whether they are signed or encrypted, in dialects that do so.
    pub sealed: bool,
    /// Further thoughts that nobody may read, in Anthropic's dialect.
    pub redacted: Option<String>,
    /// What the model says instead of an answer that it refuses to give.
    pub refusal: Option<String>,
    /// The tools it calls.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stops.
    pub stop: Stop,
    /// The usage it reports; `None` estimates it from the lengths.
    pub usage: Option<Usage>,
    /// How many events the text is cut into.
    pub chunks: usize,
    /// How long it waits before each event that carries content.
    pub interval: Duration,
    /// How the bytes are laid out.
    pub framing: Framing,
    /// How it ends.
    pub ending: Ending,
    /// Whether comments and pings stand between the events.
    pub comments: bool,
    /// How many undecodable events stand after the first event.
    pub bad_events: usize,
    /// Whether the reply is gzip-encoded, asked for or not.
    pub gzip: bool,
    /// Whether a stream request gets plain JSON.
    pub whole: bool,
    /// Whether a request for a whole reply gets a stream.
    pub streamed: bool,
    /// The content type, when it is a wrong one.
    pub content_type: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Bytes of further text, for big replies.
    pub filler: u64,
}

/// The text of one filler event.
pub(crate) const FILLER_PIECE: usize = 16 * 1024;

impl Answer {
    /// This text in four events.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Answer {
        Answer {
            text: text.into(),
            reasoning: None,
            reasoning_field: "reasoning_content",
            sealed: true,
            redacted: None,
            refusal: None,
            stop: Stop::Natural,
            tool_calls: Vec::new(),
            usage: None,
            chunks: 4,
            interval: Duration::ZERO,
            framing: Framing::Lf,
            ending: Ending::Done,
            comments: false,
            bad_events: 0,
            gzip: false,
            whole: false,
            streamed: false,
            content_type: None,
            headers: Vec::new(),
            filler: 0,
        }
    }

    /// A 200 without content: no text, no tool, no thought.
    #[must_use]
    pub fn empty() -> Answer {
        Answer::text("")
    }

    /// About so many bytes of text.
    #[must_use]
    pub fn big(bytes: u64) -> Answer {
        Answer { filler: bytes, ..Answer::text("big: ") }
    }

    /// A call of this tool instead of text.
    #[must_use]
    pub fn tool(name: &str, arguments: &str) -> Answer {
        Answer::empty().and_tool(&format!("call_{name}"), name, arguments)
    }

    /// With thoughts before the text.
    #[must_use]
    pub fn reasoning(mut self, thoughts: &str) -> Answer {
        self.reasoning = Some(thoughts.into());
        self
    }

    /// With a call of this tool too.
    #[must_use]
    pub fn and_tool(mut self, id: &str, name: &str, arguments: &str) -> Answer {
        let call = ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), extra: None };
        self.tool_calls.push(call);
        self
    }

    /// With this `extra_content` on the first call.
    #[must_use]
    pub fn extra(mut self, extra: Value) -> Answer {
        if let Some(call) = self.tool_calls.first_mut() {
            call.extra = Some(extra);
        }
        self
    }

    /// With thoughts that are neither signed nor encrypted.
    #[must_use]
    pub fn unsealed(mut self) -> Answer {
        self.sealed = false;
        self
    }

    /// With further thoughts that nobody may read.
    #[must_use]
    pub fn redacted(mut self, data: &str) -> Answer {
        self.redacted = Some(data.into());
        self
    }

    /// This refusal by the model.
    #[must_use]
    pub fn refusal(words: &str) -> Answer {
        Answer { refusal: Some(words.into()), ..Answer::empty() }
    }

    /// Stopping for another reason.
    #[must_use]
    pub fn stop(mut self, stop: Stop) -> Answer {
        self.stop = stop;
        self
    }

    /// Reporting this usage.
    #[must_use]
    pub fn usage(mut self, prompt: u64, completion: u64) -> Answer {
        self.usage = Some(Usage { prompt, completion, ..Usage::default() });
        self
    }

    /// Reporting all of this usage.
    #[must_use]
    pub fn full_usage(mut self, usage: Usage) -> Answer {
        self.usage = Some(usage);
        self
    }

    /// In so many events.
    #[must_use]
    pub fn chunks(mut self, chunks: usize) -> Answer {
        self.chunks = chunks;
        self
    }

    /// Slowly: a wait before each event.
    #[must_use]
    pub fn drip(mut self, chunks: usize, interval: Duration) -> Answer {
        self.chunks = chunks;
        self.interval = interval;
        self
    }

    /// With another layout of its bytes.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Answer {
        self.framing = framing;
        self
    }

    /// With another ending.
    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Answer {
        self.ending = ending;
        self
    }

    /// With comments and pings between the events.
    #[must_use]
    pub fn comments(mut self) -> Answer {
        self.comments = true;
        self
    }

    /// With so many undecodable events after the first one.
    #[must_use]
    pub fn bad_events(mut self, count: usize) -> Answer {
        self.bad_events = count;
        self
    }

    /// Encoded with gzip.
    #[must_use]
    pub fn gzip(mut self) -> Answer {
        self.gzip = true;
        self
    }

    /// As plain JSON, even when a stream was asked for.
    #[must_use]
    pub fn whole(mut self) -> Answer {
        self.whole = true;
        self
    }

    /// As a stream, even when a whole reply was asked for.
    #[must_use]
    pub fn streamed(mut self) -> Answer {
        self.streamed = true;
        self
    }

    /// With this content type.
    #[must_use]
    pub fn content_type(mut self, content_type: &str) -> Answer {
        self.content_type = Some(content_type.into());
        self
    }

    /// With a further header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// What it used: as scripted, or about four bytes a token.
    pub(crate) fn used(&self, request_bytes: usize) -> Usage {
        self.usage.unwrap_or_else(|| {
            let arguments: usize = self.tool_calls.iter().map(|call| call.arguments.len()).sum();
            let thoughts = self.reasoning.as_ref().map_or(0, String::len);
            let written = (self.text.len() + arguments + thoughts) as u64 + self.filler;
            let completion = written.div_ceil(4);
            let reasoning = thoughts.div_ceil(4) as u64;
            Usage { prompt: request_bytes as u64 / 4 + 1, completion, reasoning, ..Usage::default() }
        })
    }

    /// How many events of filler follow the text.
    pub(crate) fn filler_pieces(&self) -> u64 {
        self.filler.div_ceil(FILLER_PIECE as u64)
    }

    /// The text with its filler, as one.
    pub(crate) fn whole_text(&self) -> String {
        let mut text = self.text.clone();
        text.extend(std::iter::repeat_n('x', self.filler_pieces() as usize * FILLER_PIECE));
        text
    }

    /// Whether nothing is said.
    pub(crate) fn is_silent(&self) -> bool {
        self.text.is_empty() && self.filler == 0
    }
}

/// A text in at most so many pieces of about the same length, cut between characters.
pub(crate) fn pieces(text: &str, count: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let length = characters.len().div_ceil(count.max(1)).max(1);
    characters.chunks(length).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_text_are_the_text() {
        for count in 0..12 {
            let cut = pieces("Grüße, 世界", count);
            assert_eq!(cut.concat(), "Grüße, 世界");
            assert!(cut.len() <= count.max(1));
        }
        assert!(pieces("", 4).is_empty());
    }

    #[test]
    fn usage_is_scripted_or_estimated() {
        assert_eq!(
            Answer::text("x").usage(7, 9).used(100),
            Usage { prompt: 7, completion: 9, ..Usage::default() }
        );
        assert_eq!(
            Answer::text("12345678").used(40),
            Usage { prompt: 11, completion: 2, ..Usage::default() }
        );
    }
}
