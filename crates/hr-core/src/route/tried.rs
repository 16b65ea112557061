//! What one request has learned from its own attempts.

use super::policy::{Consequence, Rule};
use super::{Candidate, Roster};
use crate::failure::{Failure, FailureKind, Scope};

/// The failed attempts of one request; handed back to [`super::Router::plan`] after each failure.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    attempts: Vec<Attempt>,
    /// The largest known window that was too small.
    window: Option<u64>,
}

#[derive(Clone, Debug)]
struct Attempt {
    candidate: Candidate,
    kind: FailureKind,
    scope: Option<Scope>,
    param: Option<String>,
    /// Whether the candidate may be asked once more in spite of it.
    forgiven: bool,
}

/// What a request's own attempts say of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// It was not tried.
    Fresh,
    /// It failed, and may be asked again.
    Forgiven,
    /// It is not asked again.
    Spent(FailureKind),
}

impl Tried {
    /// Notes that an attempt failed.
    pub fn note(&mut self, roster: &Roster, candidate: Candidate, failure: &Failure) {
        if failure.kind == FailureKind::TooLarge {
            let window = roster.member(candidate).models.get(candidate.model).and_then(|model| model.context);
            self.window = self.window.max(window);
        }
        self.attempts.push(Attempt {
            candidate,
            kind: failure.kind,
            scope: failure.scope,
            param: failure.param.clone(),
            forgiven: false,
        });
    }

    /// How many attempts failed.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// Whether no attempt failed so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// The kinds of failure and what they were about, in order.
    pub(super) fn failures(&self) -> impl Iterator<Item = (FailureKind, Option<&str>)> {
        self.attempts.iter().map(|attempt| (attempt.kind, attempt.param.as_deref()))
    }

    /// Whom the failed calls were made to, and how they ended.
    pub(super) fn calls(&self) -> impl Iterator<Item = (Candidate, FailureKind)> {
        self.attempts.iter().map(|attempt| (attempt.candidate, attempt.kind))
    }

    /// The largest known window that was too small.
    pub(super) fn too_small(&self) -> Option<u64> {
        self.window
    }

    /// Why this model of this member is of no use to the request, whatever the key.
    pub(super) fn rules_out(&self, member: usize, model: usize) -> Option<FailureKind> {
        let hit = self.attempts.iter().find(|attempt| {
            let lacks = matches!(
                Rule::of(attempt.kind).consequence,
                Consequence::LearnCeiling | Consequence::LearnRefusal
            );
            let everywhere = attempt.scope == Some(Scope::Provider);
            lacks && attempt.candidate.member == member && (everywhere || attempt.candidate.model == model)
        });
        hit.map(|attempt| attempt.kind)
    }

    /// Whether the member failed in a passing way, so that others should be asked before its other keys.
    pub(super) fn shook(&self, member: usize) -> bool {
        self.attempts.iter().any(|attempt| {
            attempt.candidate.member == member && Rule::of(attempt.kind).consequence == Consequence::Suspect
        })
    }

    /// Whether any key of this model was tried.
    pub(super) fn touches(&self, member: usize, model: usize) -> bool {
        self.attempts.iter().any(|a| a.candidate.member == member && a.candidate.model == model)
    }

    /// Lets those be asked again who failed in a way that may have passed; true when there are any. For when
    /// nobody else is left, after a moment's wait.
    pub fn forgive_passing(&mut self) -> bool {
        let passing = |attempt: &&mut Attempt| !attempt.forgiven && Rule::of(attempt.kind).repeat;
        let forgiven = self.attempts.iter_mut().filter(passing).map(|attempt| attempt.forgiven = true);
        forgiven.count() > 0
    }

    /// Forgets who only said that it should wait: for when that wait is over.
    pub fn forget_waits(&mut self) {
        let waits = |kind| matches!(kind, FailureKind::RateLimited | FailureKind::QuotaSpent);
        self.attempts.retain(|attempt| !waits(attempt.kind));
    }

    /// What is remembered of a candidate.
    pub(super) fn memory(&self, candidate: Candidate) -> Memory {
        match self.attempts.iter().rfind(|attempt| attempt.candidate == candidate) {
            None => Memory::Fresh,
            Some(Attempt { forgiven: true, .. }) => Memory::Forgiven,
            Some(attempt) => Memory::Spent(attempt.kind),
        }
    }
}
