//! The ways through the crate: of a request to a provider, and of its reply, whole or streamed, to a caller. They
//! are the same for every pair of dialects.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::catalog::{Dialect, Provider, builtin};
use hr_core::failure::Failure;
use hr_core::time::Millis;
use hr_wire::dialect::{Echo, Encoded, Outgoing, Prepared, WatchOptions, client_half, upstream_half};
use hr_wire::envelope::{BadRequest, Envelope};
use hr_wire::facts::ChatFacts;
use hr_wire::hub::{Event, Loss, Names, Reply, fold};
use hr_wire::lane::{Translated, Watch, translate_whole};
use hr_wire::refusal::Refusal;
use hr_wire::sse;

/// When all this happens.
pub const NOW: Millis = Millis(1_790_000_000_000);
/// The model that is asked for.
const MODEL: &str = "model-at-the-provider";

/// A request as a provider gets it.
pub struct Sent {
    pub body: Bytes,
    pub losses: Vec<Loss>,
    pub names: Names,
    pub refused: Option<BadRequest>,
}

/// A request that was read.
pub struct Asked {
    pub envelope: Envelope,
    pub facts: ChatFacts,
}

impl Asked {
    pub fn read(dialect: Dialect, body: &Bytes) -> Result<Asked, BadRequest> {
        let (envelope, facts) = client_half(dialect).read(body.clone())?;
        Ok(Asked { envelope, facts })
    }

    /// What of it comes back in the reply.
    pub fn echo(&self, client: Dialect) -> Arc<Echo> {
        Arc::new(Echo {
            model: self.facts.model.clone(),
            // So that the pages show it in every dialect.
            include_usage: true,
            shows_reasoning: self.facts.shows_reasoning,
            prompt_tokens: self.facts.prompt_tokens,
            nonce: 7,
            now: NOW.0 / 1000,
            request: (client != Dialect::OpenaiChat).then(|| self.envelope.clone()),
            ..Echo::default()
        })
    }
}

/// Somebody who speaks a dialect, without deviations of their own.
pub fn provider(dialect: Dialect) -> Arc<Provider> {
    let same = |provider: &&Arc<Provider>| provider.dialect == dialect;
    let mut provider = Provider::clone(builtin().providers.iter().find(same).expect("somebody speaks it"));
    provider.quirks = Default::default();
    Arc::new(provider)
}

/// Sends a request to a provider of this dialect.
pub fn send(client: Dialect, asked: &Asked, to: Dialect) -> Sent {
    let provider = provider(to);
    let outgoing = Outgoing {
        stream: asked.facts.stream,
        caller_wants_usage: asked.facts.include_usage,
        ..Outgoing::new(MODEL, &provider.quirks)
    };
    let upstream = upstream_half(to);
    if client == to {
        let prepared = upstream.prepare(&asked.envelope, &outgoing);
        let Prepared { body, losses, .. } = prepared;
        return Sent { body, losses, names: Names::default(), refused: None };
    }
    let decoded = client_half(client).decode(&asked.envelope).expect("the hub takes it in");
    let Encoded { body, losses, names, refused } = upstream.encode(&decoded.request, &outgoing);
    let envelope = Envelope::read(body).expect("what was written is a request");
    let prepared = upstream.prepare(&envelope, &outgoing);
    let losses = decoded.losses.into_iter().chain(losses).chain(prepared.losses).collect();
    Sent { body: prepared.body, losses, names, refused }
}

/// What a caller who asked like this gets of a whole reply.
pub fn whole(from: Dialect, to: Dialect, names: &Names, echo: &Echo, body: &[u8]) -> Result<Bytes, Failure> {
    let (client, upstream) = (client_half(to), upstream_half(from));
    let translation = translate_whole(client, upstream, names, echo, body, &provider(from), NOW)?;
    Ok(translation.body)
}

/// What a caller who asked like this gets of a stream, which comes in pieces of this many bytes: with the error
/// that its end is, where it ends badly.
pub fn streamed(
    from: Dialect,
    to: Dialect,
    names: &Names,
    echo: &Arc<Echo>,
    stream: &Bytes,
    size: usize,
) -> Vec<u8> {
    let options = WatchOptions {
        hide_usage: false,
        keep: false,
        echo: Arc::clone(echo),
        provider: provider(from),
        now: NOW,
    };
    let mut watch: Box<dyn Watch> = if from == to {
        upstream_half(from).watch(options)
    } else {
        Box::new(Translated::new(client_half(to), upstream_half(from), names.clone(), options))
    };
    let mut out = Vec::new();
    let mut chunks =
        (0..stream.len()).step_by(size).map(|at| stream.slice(at..(at + size).min(stream.len())));
    let ended = chunks.try_for_each(|chunk| watch.push(chunk, &mut out));
    if let Err(failure) = ended.and_then(|()| watch.finish(&mut out)) {
        out.push(watch.fail(&Refusal::new(502, &failure.message)));
    }
    out.concat()
}

/// What a stream of a dialect amounts to in the hub.
pub fn folded(dialect: Dialect, stream: &[u8]) -> Result<Reply, Failure> {
    let mut frames = sse::Decoder::default();
    frames.push(Bytes::copy_from_slice(stream));
    let mut decoder = upstream_half(dialect).decoder(&provider(dialect), NOW);
    let mut events: Vec<Event> = Vec::new();
    while let Some(frame) = frames.next_frame().expect("the stream is made of events") {
        decoder.push(&frame, &mut events)?;
    }
    decoder.finish(&mut events)?;
    Ok(fold(&events))
}
