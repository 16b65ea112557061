//! What every dialect can do, in two halves, and the one table of those that are built.
//!
//! A dialect knows nothing of any other: they meet in the [`crate::hub`], and [`crate::lane`] puts two halves
//! together. The shell reaches a dialect only through the traits here.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hr_core::catalog::{Dialect, ErrorRow, Provider, Quirks};
use hr_core::failure::Failure;
use hr_core::time::Millis;
use hr_core::usage::Usage;

use crate::envelope::{BadRequest, Envelope};
use crate::facts::ChatFacts;
use crate::hub::{Event, Fingerprint, Finish, Loss, Names, Opaque, Reply, Request};
use crate::lane::Watch;
use crate::refusal::Refusal;
use crate::{anthropic, openai_chat, openai_responses, sse};

/// A request in the hub's form, and what the hub could not take in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The request.
    pub request: Request,
    /// What got lost.
    pub losses: Vec<Loss>,
}

/// What of a request comes back in its reply, and what a reply needs that no provider gives.
#[derive(Clone, Debug, Default)]
pub struct Echo {
    /// The model as the caller wrote it.
    pub model: String,
    /// Whether the caller wants usage in the stream.
    pub include_usage: bool,
    /// Whether the caller wants to see the reasoning.
    pub shows_reasoning: bool,
    /// An estimate of the prompt's tokens, where usage must be told before it is known.
    pub prompt_tokens: u64,
    /// A random number, for ids that must be unique.
    pub nonce: u64,
    /// Seconds since the epoch, where the provider does not say when it answered.
    pub now: u64,
    /// The request, where a reply repeats fields of it.
    pub request: Option<Envelope>,
    /// What the router said in the reply's stream before anybody had answered.
    pub signs: Signs,
}

/// How many events the router wrote into a stream before anybody had answered. Whoever writes the answer then
/// goes on from there, in dialects that number their events.
#[derive(Clone, Debug, Default)]
pub struct Signs(Arc<AtomicU64>);

impl Signs {
    /// How many so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts this many more; tells how many there were before.
    pub fn add(&self, more: u64) -> u64 {
        self.0.fetch_add(more, Ordering::Relaxed)
    }
}

/// What callers speak.
pub trait ClientHalf: Debug + Send + Sync {
    /// The dialect of the providers that need no translation for it; `None` when there is none.
    fn native(&self) -> Option<Dialect>;

    /// Checks a request and finds its facts.
    ///
    /// # Errors
    /// A refusal that points at what is wrong.
    fn read(&self, body: Bytes) -> Result<(Envelope, ChatFacts), BadRequest>;

    /// Brings a request that was read into the hub's form.
    ///
    /// # Errors
    /// What cannot be brought over and must not be left out, as the caller's mistake.
    fn decode(&self, envelope: &Envelope) -> Result<Decoded, BadRequest>;

    /// Writes a whole reply.
    fn encode(&self, reply: &Reply, echo: &Echo) -> Bytes;

    /// Writes a streamed reply.
    fn encoder(&self, echo: &Arc<Echo>) -> Box<dyn Encode>;

    /// A whole reply that came in this dialect, as the caller gets it: as it came, unless its callers want to see
    /// something of their own in it.
    fn pass_whole(&self, body: &Bytes, _echo: &Echo) -> Bytes {
        body.clone()
    }

    /// The body of an error.
    fn refuse(&self, refusal: &Refusal<'_>) -> Vec<u8>;

    /// The only event of a stream that failed before anything was said.
    fn error_event(&self, refusal: &Refusal<'_>) -> Bytes;

    /// A sign of life before anything was said, whole and harmless.
    fn keep_alive(&self) -> &'static [u8];

    /// A sign of life before anything was said, in the stream of this reply: an event where the dialect's
    /// clients want events, which the answer then goes on from.
    fn early_sign(&self, _echo: &Echo) -> Bytes {
        Bytes::from_static(self.keep_alive())
    }

    /// The end of the stream of this reply, when it failed before anything was said but signs of life.
    fn early_error(&self, refusal: &Refusal<'_>, _echo: &Echo) -> Bytes {
        self.error_event(refusal)
    }
}

/// Writes hub events as a stream of a client's dialect.
pub trait Encode: Send {
    /// Writes what one event becomes.
    fn push(&mut self, event: &Event, out: &mut Vec<u8>);

    /// Writes the end of a stream that ended well.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// Writes the end of a stream that broke: an error that the client's SDK raises.
    fn fail(&mut self, refusal: &Refusal<'_>, out: &mut Vec<u8>);

    /// Writes a sign of life.
    fn keep_alive(&mut self, out: &mut Vec<u8>);

    /// The whole reply, once finished, where the dialect keeps replies.
    fn reply(&mut self) -> Option<Bytes> {
        None
    }
}

/// What one attempt sends where.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The model's id at the provider.
    pub model: &'a str,
    /// How the provider deviates.
    pub quirks: &'a Quirks,
    /// Named functions for this model alone, applied after the provider's.
    pub model_quirks: &'a [String],
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller asked for usage in the stream.
    pub caller_wants_usage: bool,
    /// The most tokens of an answer that may be asked for: the user's bound and the model's own.
    pub max_output_cap: Option<u64>,
    /// Tokens added to the caller's limit for reasoning, before the cap.
    pub reasoning_reserve: u64,
    /// Opaque things in the conversation that somebody else issued, in ascending order; they are left out, with
    /// their pairs.
    pub foreign: &'a [Fingerprint],
    /// Whether reasoning of earlier turns that anybody can read stays out too, since it was refused.
    pub bare: bool,
}

impl<'a> Outgoing<'a> {
    /// The plainest: this model, these quirks, a whole answer, no bounds.
    #[must_use]
    pub fn new(model: &'a str, quirks: &'a Quirks) -> Self {
        Self {
            model,
            quirks,
            model_quirks: &[],
            stream: false,
            caller_wants_usage: false,
            max_output_cap: None,
            reasoning_reserve: 0,
            foreign: &[],
            bare: false,
        }
    }

    /// Whether this opaque thing may be sent.
    #[must_use]
    pub fn may_send(&self, opaque: &Opaque) -> bool {
        self.foreign.is_empty() || !self.is_foreign(opaque.fingerprint())
    }

    /// Whether somebody else issued this. Conversations may hold many such things.
    #[must_use]
    pub fn is_foreign(&self, thing: Fingerprint) -> bool {
        self.foreign.binary_search(&thing).is_ok()
    }
}

/// A request ready to be sent.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its body.
    pub body: Bytes,
    /// Headers that the body makes necessary.
    pub headers: Vec<(&'static str, String)>,
    /// Whether it asks for usage in the stream.
    pub asked_for_usage: bool,
    /// What the caller sent and the provider does not get.
    pub losses: Vec<Loss>,
}

/// A request in a provider's dialect, before its quirks.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The body.
    pub body: Bytes,
    /// What of the request has no place in the dialect.
    pub losses: Vec<Loss>,
    /// How tools are called on the wire, to restore their names in the reply.
    pub names: Names,
    /// Why it must not be sent: what is gone of it is what it was about.
    pub refused: Option<BadRequest>,
}

/// What there is to know of a whole reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whole {
    /// What it cost, as reported.
    pub usage: Usage,
    /// Why it ended.
    pub finish: Option<Finish>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// Opaque things in it.
    pub opaque: Vec<Fingerprint>,
}

/// How a stream of the same dialect is watched.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Whether the caller did not ask for the usage that the router asked for.
    pub hide_usage: bool,
    /// Whether the whole reply is wanted at the end.
    pub keep: bool,
    /// What of the request comes back.
    pub echo: Arc<Echo>,
    /// Whose stream it is: errors in it are read by the provider's rows.
    pub provider: Arc<Provider>,
    /// When it began.
    pub now: Millis,
}

/// What providers speak.
pub trait UpstreamHalf: Debug + Send + Sync {
    /// The dialect.
    fn dialect(&self) -> Dialect;

    /// The path of its endpoint for conversations, below the base address.
    fn chat_path(&self) -> &'static str;

    /// The path of its endpoint for embeddings, when it has one.
    fn embeddings_path(&self) -> Option<&'static str> {
        None
    }

    /// Headers of a caller of the same dialect that go along, in lower case.
    fn forwards(&self) -> &'static [&'static str] {
        &[]
    }

    /// Writes a request that came in another dialect. [`UpstreamHalf::prepare`] comes after it.
    fn encode(&self, request: &Request, outgoing: &Outgoing<'_>) -> Encoded;

    /// Makes the request of an attempt: the body with only the changes that the provider needs.
    fn prepare(&self, envelope: &Envelope, outgoing: &Outgoing<'_>) -> Prepared;

    /// Reads an answer that is not a 200.
    fn read_error<'h>(
        &self,
        status: u16,
        headers: &dyn Fn(&str) -> Option<&'h str>,
        body: &[u8],
        rows: &[ErrorRow],
        now: Millis,
    ) -> Failure;

    /// Reads the body of a 200.
    ///
    /// # Errors
    /// The failure that it really is.
    fn read_whole(&self, body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Whole, Failure>;

    /// Brings a whole reply into the hub's form.
    ///
    /// # Errors
    /// As [`UpstreamHalf::read_whole`].
    fn decode(&self, body: &[u8], rows: &[ErrorRow], now: Millis) -> Result<Reply, Failure>;

    /// Reads a stream into hub events.
    fn decoder(&self, provider: &Arc<Provider>, now: Millis) -> Box<dyn Decode>;

    /// Watches a stream that passes to a caller of the same dialect.
    fn watch(&self, options: WatchOptions) -> Box<dyn Watch>;

    /// The whole reply that a stream, which has ended, amounts to.
    ///
    /// # Errors
    /// When it holds an error, ends too early, or says nothing.
    fn to_whole(&self, body: &Bytes, provider: &Arc<Provider>, now: Millis) -> Result<Bytes, Failure>;

    /// A whole reply that was read as the stream that was asked for.
    ///
    /// # Errors
    /// When it cannot be taken apart.
    fn to_stream(&self, body: &Bytes) -> Result<Bytes, Failure>;

    /// Whether a quirk function of this name exists.
    fn quirk_exists(&self, name: &str) -> bool;
}

/// Reads a stream of a provider's dialect into hub events.
pub trait Decode: Send {
    /// Takes one event of the stream.
    ///
    /// # Errors
    /// When it says that something failed, or cannot be read.
    fn push(&mut self, frame: &sse::Frame, out: &mut Vec<Event>) -> Result<(), Failure>;

    /// Takes the end of the stream.
    ///
    /// # Errors
    /// When the reply was not whole.
    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Failure>;

    /// Whether the reply has said why it ended, also where [`Event::Finish`] comes only with the end.
    fn is_finished(&self) -> bool {
        self.is_done()
    }

    /// Whether the end mark has passed; nothing after it is looked at.
    fn is_done(&self) -> bool;
}

/// The client half of a dialect.
#[must_use]
pub fn client_half(dialect: Dialect) -> &'static dyn ClientHalf {
    match dialect {
        Dialect::OpenaiChat => &openai_chat::OpenaiChat,
        Dialect::OpenaiResponses => &openai_responses::OpenaiResponses,
        Dialect::Anthropic => &anthropic::Anthropic,
    }
}

/// The upstream half of a dialect.
#[must_use]
pub fn upstream_half(dialect: Dialect) -> &'static dyn UpstreamHalf {
    match dialect {
        Dialect::OpenaiChat => &openai_chat::OpenaiChat,
        Dialect::OpenaiResponses => &openai_responses::OpenaiResponses,
        Dialect::Anthropic => &anthropic::Anthropic,
    }
}
