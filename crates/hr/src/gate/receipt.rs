//! The guard that settles one admitted attempt exactly once, also when its caller hangs up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hr_core::catalog::Provider;
use hr_core::failure::Failure;
use hr_core::quota::Said;
use hr_core::route::{Candidate, Effect, Next, Outcome, Ticket};
use hr_core::secret::KeyId;
use hr_core::usage::Usage;
use hr_wire::envelope::Envelope;
use hr_wire::hub::Fingerprint;
use hr_wire::lane::Keepsake;
use hr_wire::limits;
use http::HeaderMap;

use super::caller::CallerId;
use super::{Gate, Live};
use crate::watch::events;

/// Who may go on from an answer, and from what.
pub struct Sequel {
    /// Whose access key it came with.
    pub caller: CallerId,
    /// The request that the reply is to be kept with.
    pub request: Option<Envelope>,
}

/// Instants and waits are told and read in whole milliseconds: they are believed to be this much later.
const ROUNDED: Duration = Duration::from_millis(2);

/// An attempt that the router admitted and that is not settled yet. Dropped unsettled, it is given back: that says
/// nothing about the candidate, and what was never sent used nothing of its quotas.
pub struct Receipt {
    /// The gateway.
    pub gate: Arc<Gate>,
    /// The snapshot that the request began with.
    pub live: Arc<Live>,
    /// Who is called.
    pub candidate: Candidate,
    ticket: Option<Ticket>,
    sent: bool,
    began: Instant,
    first_byte: Option<Duration>,
    said: Said,
}

impl Receipt {
    /// The guard of a ticket.
    #[must_use]
    pub fn new(gate: Arc<Gate>, live: Arc<Live>, candidate: Candidate, ticket: Ticket) -> Self {
        Self {
            gate,
            live,
            candidate,
            ticket: Some(ticket),
            sent: false,
            began: Instant::now(),
            first_byte: None,
            said: Said::default(),
        }
    }

    /// Notes that the request goes out now: from here on it may count there, whatever becomes of it, or of us.
    pub fn goes_out(&mut self) {
        if !std::mem::replace(&mut self.sent, true)
            && let (Some(store), Some(ticket)) = (self.gate.store(), &self.ticket)
            && ticket.is_counted()
        {
            store.note(&ticket.noted(&self.live.roster, self.candidate));
        }
    }

    /// Notes that something came back.
    pub fn first_byte(&mut self) {
        self.first_byte.get_or_insert_with(|| self.began.elapsed());
    }

    /// Notes what the headers of an answer say of limits, whatever became of the call.
    pub fn hears(&mut self, headers: &HeaderMap) {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let model = self.live.roster.model_id(self.candidate);
        self.said = limits::read(headers, &self.provider().metering, model, self.now().after(ROUNDED));
    }

    /// The present instant, as the gateway's clock has it.
    #[must_use]
    pub fn now(&self) -> hr_core::time::Millis {
        self.gate.clock.now()
    }

    /// The provider that is called.
    #[must_use]
    pub fn provider(&self) -> &Arc<Provider> {
        &self.live.roster.pool.members[self.candidate.member].provider
    }

    /// The key that is called with.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.live.roster.pool.members[self.candidate.member].keys[self.candidate.key].id
    }

    /// Notes that a stream has begun to answer well: enough for a provider that was on trial, however long
    /// the stream may be.
    pub fn answers(&mut self) {
        let Some(ticket) = &self.ticket else { return };
        let effects = self.gate.router().answered(self.gate.clock.now(), ticket);
        self.tell(&effects);
    }

    /// Keeps what must be known of the answer when the conversation goes on; the `reply` itself where its caller
    /// wants it kept.
    pub fn remember(
        &self,
        sequel: &Sequel,
        issued: &[Fingerprint],
        keepsake: Option<Keepsake>,
        reply: Option<Bytes>,
    ) {
        if issued.is_empty() && keepsake.is_none() && reply.is_none() {
            return;
        }
        let (memory, now) = (&self.gate.memory, self.now());
        memory.issued(now, self.key(), issued);
        if let Some(keepsake) = keepsake {
            memory.keep(now, sequel.caller, keepsake);
        }
        if let (Some(request), Some(reply)) = (&sequel.request, reply) {
            self.gate.replies.keep(now, sequel.caller, request, &reply);
        }
    }

    /// Settles an answer that was good to its end.
    pub fn succeed(mut self, usage: Usage) {
        let total = self.began.elapsed();
        self.gate.metrics.tokens(&self.provider().id, usage.total().unwrap_or(0));
        let first_byte = self.first_byte.unwrap_or(total);
        let said = std::mem::take(&mut self.said);
        self.settle(Outcome::Success { first_byte, total, usage, said });
    }

    /// Settles a failure and tells whether another candidate may be tried.
    pub fn fail(mut self, mut failure: Failure) -> Next {
        failure.retry_after = failure.retry_after.map(|wait| wait + ROUNDED);
        failure.said = limits::joined(std::mem::take(&mut self.said), failure.said);
        limits::own(&mut failure.said, &self.provider().metering);
        events::attempt_failed(self.provider(), &failure);
        self.settle(Outcome::Failure(failure))
    }

    fn settle(&mut self, outcome: Outcome) -> Next {
        let Some(ticket) = self.ticket.take() else { return Next::Another };
        let settled = self.gate.router().settle(self.gate.clock.now(), ticket, outcome);
        self.gate.line.stir();
        self.gate.changed();
        self.tell(&settled.effects);
        settled.next
    }

    fn tell(&self, effects: &[Effect]) {
        for effect in effects {
            events::effect(effect, |model| self.live.lists(model));
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.settle(if self.sent { Outcome::Abandoned } else { Outcome::Unsent });
    }
}
