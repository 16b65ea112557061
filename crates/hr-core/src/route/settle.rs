//! From the end of an attempt to what follows: the policy table applied to the slots.

use std::time::Duration;

use serde::Serialize;

use super::breaker::{Admission, Change, Sample};
use super::cooldown::Cooldown;
use super::learned::bounds_output;
use super::policy::{Consequence, Next, Rule};
use super::slots::{Address, Average, ProviderSlot, lately};
use super::spend::Permit;
use crate::failure::{Failure, FailureKind, Scope};
use crate::pool::BreakerRules;
use crate::quota::{End, Hold, Lesson, Need, Reservation, Said};
use crate::secret::KeyId;
use crate::time::Millis;
use crate::usage::Usage;

/// One admitted attempt. It must be settled: until then it counts as in flight, and may hold the one place
/// of a probe.
#[must_use = "an attempt that is never settled stays in flight for ever"]
#[derive(Debug)]
pub struct Ticket {
    pub(super) id: u64,
    pub(super) begun: Millis,
    pub(super) address: Address,
    pub(super) admission: Admission,
    pub(super) permit: Permit,
    pub(super) need: Need,
    pub(super) reservation: Option<Reservation>,
    pub(super) prompt: u64,
    pub(super) output: Option<u64>,
    /// The conversation that it is for.
    pub(super) session: Option<u64>,
    /// Whether it went to a candidate that is known to be failing.
    pub(super) known_bad: bool,
}

impl Ticket {
    /// That the call may cost what it costs.
    #[must_use]
    pub fn permit(&self) -> Permit {
        self.permit
    }

    /// Whether this is the one probe of a half-open breaker.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.admission == Admission::Probe
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It served.
    Success {
        /// From the start of the attempt to its first byte.
        first_byte: Duration,
        /// From the start of the attempt to its end.
        total: Duration,
        /// What it used, as reported.
        usage: Usage,
        /// What its headers said of limits.
        said: Said,
    },
    /// It failed.
    Failure(Failure),
    /// The caller left or the router stopped: says nothing of the candidate. It may have counted there.
    Abandoned,
    /// It was never sent, so that nothing of a quota is used.
    Unsent,
}

/// What follows from the end of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// What changed, to be logged, counted and shown.
    pub effects: Vec<Effect>,
    /// Whether the request goes on, when the attempt failed.
    pub next: Next,
}

/// A change of the router's state.
#[derive(Serialize, Debug, Clone, PartialEq)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Something rests until then.
    Cooled {
        /// What rests.
        scope: Scope,
        /// The provider.
        provider: String,
        /// The model, where only one rests.
        model: Option<String>,
        /// The key, where only one rests.
        key: Option<KeyId>,
        /// The end of the rest.
        until: Millis,
        /// The failure behind it.
        because: FailureKind,
    },
    /// Something that had rested serves again.
    Recovered {
        /// What had rested.
        scope: Scope,
        /// The provider.
        provider: String,
        /// The model, where only one had rested.
        model: Option<String>,
        /// The key, where only one had rested.
        key: Option<KeyId>,
    },
    /// A provider's breaker opened.
    BreakerOpened {
        /// The provider.
        provider: String,
        /// When it lets a probe through.
        until: Millis,
    },
    /// A provider's breaker let a probe through.
    BreakerHalfOpen {
        /// The provider.
        provider: String,
    },
    /// A provider's breaker closed.
    BreakerClosed {
        /// The provider.
        provider: String,
    },
    /// Something was learned about a provider.
    Learned {
        /// The provider.
        provider: String,
        /// The model, where it is about one.
        model: Option<String>,
        /// What was learned, as a clause for people.
        what: String,
    },
}

/// Applies the end of one attempt to the provider it was made at.
pub(super) struct Settlement<'a> {
    pub(super) now: Millis,
    pub(super) ticket: &'a Ticket,
    pub(super) provider: &'a mut ProviderSlot,
    pub(super) rules: &'a BreakerRules,
    pub(super) effects: Vec<Effect>,
}

impl Settlement<'_> {
    /// Corrects the ledger to what the call took, and tells what it learned.
    pub(super) fn account(&mut self, reservation: Reservation, outcome: &Outcome) {
        let end = match outcome {
            Outcome::Success { usage, said, .. } => End::Served { usage, said },
            Outcome::Failure(failure) => End::Failed(failure),
            Outcome::Abandoned => End::Dropped,
            Outcome::Unsent => End::Unsent,
        };
        let now = self.now;
        let lessons = self.provider.ledger.settle(now, reservation, end);
        for lesson in lessons {
            // What still rests for another reason has not recovered.
            if matches!(lesson, Lesson::Free { scope } if self.cooldown(scope).holds(now)) {
                continue;
            }
            let effect = self.lesson(lesson);
            self.effects.push(effect);
        }
    }

    fn lesson(&self, lesson: Lesson) -> Effect {
        match lesson {
            Lesson::Held { scope, hold: Hold { until, because } } => {
                let (provider, model, key) = self.names(scope);
                Effect::Cooled { scope, provider, model, key, until, because }
            }
            Lesson::Free { scope } => {
                let (provider, model, key) = self.names(scope);
                Effect::Recovered { scope, provider, model, key }
            }
            Lesson::Told(what) => {
                let (provider, model, _) = self.names(Scope::KeyModel);
                Effect::Learned { provider, model, what }
            }
        }
    }

    pub(super) fn abandoned(&mut self) {
        self.tell_of_probe();
        self.provider.breaker.release(self.ticket.id);
    }

    /// The attempt served, or began to.
    pub(super) fn answered(&mut self) {
        self.sample(Sample::Good);
    }

    pub(super) fn success(&mut self, first_byte: Duration, total: Duration) {
        let (now, begun, Address { key, model, .. }) = (self.now, self.ticket.begun, self.ticket.address);
        let memory = Rule::of(FailureKind::TooLarge).cap;
        let provider = &mut *self.provider;
        provider.trouble.ease(now);
        provider.proven = Some(now);
        Average::feed(&mut provider.latency, now, total);
        let model_slot = &mut provider.models[model];
        model_slot.proven = Some(now);
        Average::feed(&mut model_slot.first_byte, now, first_byte);
        model_slot.prompt.serve(now, self.ticket.prompt, memory);
        if let Some(size) = self.ticket.output {
            model_slot.output.serve(now, size, memory);
        }
        let pair = provider.keys[key].pair_mut(model);
        pair.prompt.serve(now, self.ticket.prompt, memory);
        pair.suspect.recover(begun);
        let mut recovered = Vec::new();
        if pair.cooldown.recover(begun) {
            recovered.push(Scope::KeyModel);
        }
        if provider.keys[key].cooldown.recover(begun) {
            recovered.push(Scope::Key);
        }
        if provider.models[model].cooldown.recover(begun) {
            recovered.push(Scope::Model);
        }
        if provider.cooldown.recover(begun) {
            recovered.push(Scope::Provider);
        }
        for scope in recovered {
            let (provider, model, key) = self.names(scope);
            self.effects.push(Effect::Recovered { scope, provider, model, key });
        }
        self.sample(Sample::Good);
    }

    pub(super) fn failure(&mut self, failure: &Failure) -> Next {
        let rule = Rule::of(failure.kind);
        if rule.next == Next::Another {
            self.provider.errors += 1;
            self.provider.models[self.ticket.address.model].errors += 1;
        }
        match rule.consequence {
            Consequence::Nothing | Consequence::Account => {}
            Consequence::Cool => self.cool(failure, &rule),
            Consequence::Suspect => {
                self.provider.trouble.add(self.now);
                if failure.retry_after.is_some() {
                    self.cool(failure, &rule);
                } else {
                    self.suspect(failure.kind, &rule);
                }
            }
            Consequence::LearnCeiling => self.learn_ceiling(failure, rule.cap),
            Consequence::LearnRefusal => self.learn_refusal(failure, rule.cap),
        }
        self.sample(if rule.breaker { Sample::Bad } else { Sample::Refusal });
        rule.next
    }

    fn cool(&mut self, failure: &Failure, rule: &Rule) {
        let scope = self.scope(failure, rule);
        let (now, begun) = (self.now, self.ticket.begun);
        let cooldown = self.cooldown(scope);
        let was = cooldown.active(now);
        cooldown.strike(now, begun, failure.kind, rule, failure.retry_after);
        let is = cooldown.active(now);
        if let Some((until, because)) = is.filter(|_| is != was) {
            let (provider, model, key) = self.names(scope);
            self.effects.push(Effect::Cooled { scope, provider, model, key, until, because });
        }
    }

    fn suspect(&mut self, kind: FailureKind, rule: &Rule) {
        let Address { key, model, .. } = self.ticket.address;
        let suspect = &mut self.provider.keys[key].pair_mut(model).suspect;
        suspect.strike(self.now, self.ticket.begun, kind, rule, None);
    }

    /// Whom the failure is held against: what it says itself, else what the table says.
    fn scope(&self, failure: &Failure, rule: &Rule) -> Scope {
        let model = self.ticket.address.model;
        match failure.scope {
            // What is wrong with a key is not wrong with all of its owner's; their quotas are the ledger's.
            Some(Scope::Owner) => Scope::Key,
            Some(scope) => scope,
            None => {
                let proven = match rule.scope {
                    Scope::Model => self.provider.models[model].proven,
                    Scope::Provider => self.provider.proven,
                    Scope::KeyModel | Scope::Key | Scope::Owner => None,
                };
                if rule.doubted && lately(proven, self.now) { Scope::KeyModel } else { rule.scope }
            }
        }
    }

    fn cooldown(&mut self, scope: Scope) -> &mut Cooldown {
        let Address { key, model, .. } = self.ticket.address;
        let provider = &mut *self.provider;
        match scope {
            Scope::KeyModel => &mut provider.keys[key].pair_mut(model).cooldown,
            Scope::Model => &mut provider.models[model].cooldown,
            Scope::Provider => &mut provider.cooldown,
            Scope::Key | Scope::Owner => &mut provider.keys[key].cooldown,
        }
    }

    fn learn_ceiling(&mut self, failure: &Failure, memory: Duration) {
        let Address { key, model, .. } = self.ticket.address;
        let (now, prompt) = (self.now, self.ticket.prompt);
        let slot = &mut self.provider.models[model];
        let about_output = failure.param.as_deref().is_some_and(bounds_output);
        if let (true, Some(size)) = (about_output, self.ticket.output) {
            if slot.output.refuse(now, size, memory) {
                self.learned(Some(model), format!("refuses answers of {size} tokens"));
            }
        } else if slot.prompt.refuse(now, prompt, memory) {
            self.learned(Some(model), format!("refuses prompts of {prompt} tokens"));
        } else if self.provider.keys[key].pair_mut(model).prompt.refuse(now, prompt, memory) {
            // Another key was served as much: it is this key's tier that is smaller.
            self.learned(Some(model), format!("refuses prompts of {prompt} tokens with one of its keys"));
        }
    }

    fn learn_refusal(&mut self, failure: &Failure, memory: Duration) {
        let Some(param) = failure.param.as_deref() else { return };
        let until = self.now.after(memory);
        let everywhere = failure.scope == Some(Scope::Provider);
        let model = self.ticket.address.model;
        let refusals =
            if everywhere { &mut self.provider.refusals } else { &mut self.provider.models[model].refusals };
        if refusals.learn(param, until) {
            self.learned((!everywhere).then_some(model), format!("refuses `{param}`"));
        }
    }

    fn learned(&mut self, model: Option<usize>, what: String) {
        let provider = self.provider.id.clone();
        let model = model.map(|slot| self.provider.models[slot].id.clone());
        self.effects.push(Effect::Learned { provider, model, what });
    }

    fn sample(&mut self, sample: Sample) {
        self.tell_of_probe();
        let streak = &mut self.provider.streak;
        *streak = if sample == Sample::Bad { streak.saturating_add(1) } else { 0 };
        let Ticket { id, begun, admission, .. } = *self.ticket;
        let change = self.provider.breaker.record(self.now, self.rules, (id, begun, admission), sample);
        if let Some(change) = change {
            let provider = self.provider.id.clone();
            self.effects.push(match change {
                Change::Closed => Effect::BreakerClosed { provider },
                Change::Opened(until) => Effect::BreakerOpened { provider, until },
            });
        }
    }

    fn tell_of_probe(&mut self) {
        if self.provider.breaker.probes(self.ticket.id) {
            self.effects.push(Effect::BreakerHalfOpen { provider: self.provider.id.clone() });
        }
    }

    fn names(&self, scope: Scope) -> (String, Option<String>, Option<KeyId>) {
        let Address { key, model, .. } = self.ticket.address;
        let of_model = matches!(scope, Scope::KeyModel | Scope::Model);
        let of_key = matches!(scope, Scope::KeyModel | Scope::Key | Scope::Owner);
        (
            self.provider.id.clone(),
            of_model.then(|| self.provider.models[model].id.clone()),
            of_key.then(|| self.provider.keys[key].id.clone()),
        )
    }
}
