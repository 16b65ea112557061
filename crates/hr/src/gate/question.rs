//! What a caller asks, in the shape of its endpoint: the facts for routing, and the body for a candidate.

use std::sync::Arc;

use bytes::Bytes;
use hr_core::pool::{Member, Pool, PoolModel};
use hr_core::route::{self, Ask, Candidate, Profile, Roster, Target, Work};
use hr_wire::dialect::{ClientHalf, Decoded, Echo, Encoded, Outgoing, Prepared, upstream_half};
use hr_wire::envelope::Envelope;
use hr_wire::facts::ChatFacts;
use hr_wire::hub::{Fingerprint, Loss};
use hr_wire::openai_chat::{self, EmbedFacts};
use http::HeaderMap;

use super::Live;
use super::answer::Refusal;
use super::crossed::Crossed;
use super::endpoint::Endpoint;
use super::lane::Lane;
use super::models;
use super::verdict::unknown_model;

/// The preference of the caller.
const PROFILE: &str = "x-hermes-profile";

/// A request as it came, and what was found in it.
pub struct Question {
    endpoint: Endpoint,
    envelope: Envelope,
    facts: Facts,
    echo: Arc<Echo>,
}

/// What was found, in the shape of its endpoint.
enum Facts {
    Chat(Box<ChatFacts>),
    Embed(EmbedFacts),
}

/// What a reply needs that comes neither from the request nor from the provider.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// A random number.
    pub nonce: u64,
    /// Seconds since the epoch.
    pub now: u64,
}

/// A request as one candidate gets it.
pub struct Letter {
    /// Its body, and the headers that the body makes necessary.
    pub prepared: Prepared,
    /// How the answer is read.
    pub lane: Lane,
}

impl Question {
    /// Checks a body and finds its facts.
    ///
    /// # Errors
    /// A refusal that points at what is wrong.
    pub fn read(body: Bytes, endpoint: Endpoint, circumstances: Circumstances) -> Result<Self, Refusal> {
        match Self::read_as(body.clone(), endpoint, circumstances) {
            Err(_) if endpoint == Endpoint::Chat && Crossed::is_meant(&body) => {
                Self::read_as(body, Endpoint::Crossed, circumstances)
            }
            read => read,
        }
    }

    /// The same question in a body that holds what it only named. Its reply repeats it as it was asked.
    ///
    /// # Errors
    /// A refusal that points at what is wrong.
    pub fn completed(self, whole: Bytes, circumstances: Circumstances) -> Result<Self, Refusal> {
        let mut whole = Self::read(whole, self.endpoint, circumstances)?;
        whole.echo = Arc::new(Echo { request: Some(self.envelope), ..Echo::clone(&whole.echo) });
        Ok(whole)
    }

    fn read_as(body: Bytes, endpoint: Endpoint, circumstances: Circumstances) -> Result<Self, Refusal> {
        let Circumstances { nonce, now } = circumstances;
        let (envelope, facts, echo) = match endpoint.work() {
            Work::Chat => {
                let (envelope, facts) = endpoint.client().read(body)?;
                let echo = Echo {
                    model: facts.model.clone(),
                    include_usage: facts.include_usage,
                    shows_reasoning: facts.shows_reasoning,
                    prompt_tokens: facts.prompt_tokens,
                    nonce,
                    now,
                    request: endpoint.recalls_request().then(|| envelope.clone()),
                    ..Echo::default()
                };
                (envelope, Facts::Chat(Box::new(facts)), echo)
            }
            Work::Embed => {
                let envelope = Envelope::read(body)?;
                let facts = openai_chat::read_embeddings(&envelope)?;
                (envelope, Facts::Embed(facts), Echo::default())
            }
        };
        Ok(Self { endpoint, envelope, facts, echo: Arc::new(echo) })
    }

    /// What routing may look at.
    ///
    /// # Errors
    /// 404 for a model that nobody knows, where names are strict.
    pub fn ask(&self, headers: &HeaderMap, live: &Live) -> Result<Ask, Refusal> {
        let profile = headers.get(PROFILE).and_then(|value| value.to_str().ok());
        match &self.facts {
            Facts::Chat(facts) => {
                let (target, profile) =
                    route::target(models::meant(&facts.model, &live.roster.pool), profile, &live.roster.pool)
                        .map_err(|_| unknown_model(&facts.model))?;
                Ok(Ask {
                    target,
                    profile,
                    work: Work::Chat,
                    prompt_tokens: facts.prompt_tokens,
                    max_output: facts.max_output,
                    difficulty: facts.difficulty,
                    tools: facts.tools,
                    vision: facts.vision,
                    structured: facts.structured,
                    effort: facts.effort,
                    stream: facts.stream,
                    dialect: self.endpoint.client().native(),
                    params: facts.params.clone(),
                    ..Ask::default()
                })
            }
            Facts::Embed(facts) => Ok(Ask {
                target: embed_target(&facts.model, &live.roster.pool),
                work: Work::Embed,
                prompt_tokens: facts.prompt_tokens,
                params: facts.params.clone(),
                ..Ask::default()
            }),
        }
    }

    /// What the caller speaks.
    pub fn client(&self) -> &'static dyn ClientHalf {
        self.endpoint.client()
    }

    /// Whether the caller asked for the usage in a stream.
    pub fn wants_usage(&self) -> bool {
        matches!(&self.facts, Facts::Chat(facts) if facts.include_usage)
    }

    /// The `model` as the caller wrote it.
    pub fn model(&self) -> &str {
        match &self.facts {
            Facts::Chat(facts) => &facts.model,
            Facts::Embed(facts) => &facts.model,
        }
    }

    /// The reply that it goes on from, by its id.
    pub fn previous(&self) -> Option<&str> {
        match &self.facts {
            Facts::Chat(facts) => facts.previous.as_deref(),
            Facts::Embed(_) => None,
        }
    }

    /// The request that the reply is to be kept with, where it is to be kept.
    pub fn kept(&self) -> Option<&Envelope> {
        match &self.facts {
            Facts::Chat(facts) if facts.keep => Some(&self.envelope),
            _ => None,
        }
    }

    /// The body as it came.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// What of it comes back in the reply.
    pub fn echo(&self) -> &Arc<Echo> {
        &self.echo
    }

    /// Whether a stream is wanted.
    pub fn stream(&self) -> bool {
        matches!(&self.facts, Facts::Chat(facts) if facts.stream)
    }

    /// The opaque things in the conversation that only their issuer may get.
    pub fn opaque(&self) -> &[Fingerprint] {
        match &self.facts {
            Facts::Chat(facts) => &facts.opaque,
            Facts::Embed(_) => &[],
        }
    }

    /// Whether a member speaks what the caller speaks.
    pub fn is_native(&self, member: &Member) -> bool {
        self.endpoint.work() == Work::Embed
            || self.endpoint.client().native() == Some(member.provider.dialect)
    }

    /// The request in the hub's form, for those who speak something else.
    ///
    /// # Errors
    /// What cannot be brought over and must not be left out, as the caller's mistake.
    pub fn decode(&self) -> Result<Decoded, Refusal> {
        Ok(self.endpoint.client().decode(&self.envelope)?)
    }

    /// What a translation for this candidate loses, but for its provider's own deviations.
    pub fn losses(&self, decoded: &Decoded, roster: &Roster, candidate: Candidate) -> Vec<Loss> {
        let Facts::Chat(facts) = &self.facts else { return Vec::new() };
        let upstream = upstream_half(roster.provider(candidate).dialect);
        let encoded = upstream.encode(&decoded.request, &outgoing(facts, roster, candidate, &[]));
        decoded.losses.iter().cloned().chain(encoded.losses).collect()
    }

    /// The request for a candidate: the caller's bytes with only the edits that it needs; or, for one who speaks
    /// something else, written anew from the hub's form. Opaque things that are `foreign` to it stay out, and
    /// for one that is to be left `bare` all reasoning of earlier turns.
    ///
    /// # Errors
    /// When what is left of the request must not be sent.
    pub fn letter(
        &self,
        roster: &Roster,
        candidate: Candidate,
        decoded: Option<&Decoded>,
        foreign: &[Fingerprint],
        bare: bool,
    ) -> Result<Letter, Refusal> {
        let member = roster.member(candidate);
        let upstream = upstream_half(member.provider.dialect);
        let (prepared, names) = match (&self.facts, decoded) {
            (Facts::Embed(_), _) => {
                let (model, quirks) = (roster.model_id(candidate), &member.provider.quirks);
                let body = openai_chat::prepare_embeddings(&self.envelope, model, quirks);
                let headers = Vec::new();
                (Prepared { body, headers, asked_for_usage: false, losses: Vec::new() }, None)
            }
            (Facts::Chat(facts), None) => {
                let outgoing = Outgoing { bare, ..outgoing(facts, roster, candidate, foreign) };
                (upstream.prepare(&self.envelope, &outgoing), None)
            }
            (Facts::Chat(facts), Some(decoded)) => {
                let outgoing = Outgoing { bare, ..outgoing(facts, roster, candidate, foreign) };
                let Encoded { body, losses, names, refused } = upstream.encode(&decoded.request, &outgoing);
                if let Some(bad) = refused {
                    return Err(bad.into());
                }
                let mut prepared = upstream.prepare(&Envelope::read(body)?, &outgoing);
                prepared.losses.splice(0..0, decoded.losses.iter().cloned().chain(losses));
                (prepared, Some(names))
            }
        };
        let lane = Lane {
            client: self.endpoint.client(),
            upstream,
            names,
            echo: Arc::clone(&self.echo),
            hide_usage: prepared.asked_for_usage && !self.wants_usage(),
            keep: matches!(&self.facts, Facts::Chat(facts) if facts.keep),
        };
        Ok(Letter { prepared, lane })
    }
}

/// What an attempt at this candidate sends where.
fn outgoing<'a>(
    facts: &ChatFacts,
    roster: &'a Roster,
    candidate: Candidate,
    foreign: &'a [Fingerprint],
) -> Outgoing<'a> {
    let member = roster.member(candidate);
    let known = member.models.get(candidate.model);
    let reasoning_reserve = match known.and_then(|known| known.reasoning) {
        Some(true) => roster.pool.rules.reasoning_reserve,
        _ => 0,
    };
    Outgoing {
        stream: facts.stream,
        caller_wants_usage: facts.include_usage,
        model_quirks: known.map_or(&[], |known| known.quirks.as_slice()),
        max_output_cap: output_cap(member, known, facts, reasoning_reserve),
        reasoning_reserve,
        foreign,
        ..Outgoing::new(roster.model_id(candidate), &member.provider.quirks)
    }
}

/// Vectors of two models do not compare, so an embedding model that is asked for by name is kept to. Any
/// other name leaves the choice to the router, as the original does.
fn embed_target(model: &str, pool: &Pool) -> Target {
    let embeds = |id: &str| pool.members.iter().any(|member| member.embed_model.as_deref() == Some(id));
    match route::target(model, None, pool) {
        Ok((Target::Prefer(id), _)) if embeds(&id) => Target::Prefer(id),
        Ok((Target::Pin { provider, model }, _)) if embeds(&model) => Target::Pin { provider, model },
        Ok(_) | Err(_) => Target::Profile(Profile::Balanced),
    }
}

/// The most output that may be asked for: the user's bound and the model's own; and, where the window does not hold
/// prompt and answer, what the prompt leaves of it.
fn output_cap(member: &Member, model: Option<&PoolModel>, facts: &ChatFacts, reserve: u64) -> Option<u64> {
    let own = model.and_then(|model| model.max_output);
    let cap = [member.max_output_tokens, own].into_iter().flatten().min();
    let asked = facts.max_output.map(|asked| asked.saturating_add(reserve));
    let wanted = cap.into_iter().chain(asked).min()?;
    model
        .and_then(|model| route::room(model, facts.prompt_tokens, wanted))
        .filter(|room| *room < wanted)
        .or(cap)
}
