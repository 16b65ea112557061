//! What a plan is taken down from: names are shortened here, and left out where they may be anything.

use std::borrow::Cow;

use super::{Asked, MADE_UP, Name, PassedOver, Planned, Quota, Row, Turn, Who, number};
use crate::route::ask::{Ask, Target};
use crate::route::gate::Exclusion;
use crate::route::plan::{Candidate, Choice, Plan};
use crate::route::slots::Roster;
use crate::secret::KeyId;
use crate::time::Millis;

/// The longest name in a record, in bytes; a longer one is cut.
const MAX_NAME: usize = 48;

/// How much of the id of a key names it in a record.
const KEY_CHARS: usize = 8;

/// The most keys of a candidate that are taken down.
const MAX_KEYS: usize = 4;

/// The most names of those who are passed over for one reason.
const MAX_NAMES: usize = 3;

/// What a plan was made of, and what may be said of it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Who was there.
    pub roster: &'a Roster,
    /// What was asked.
    pub ask: &'a Ask,
    /// The plan.
    pub plan: &'a Plan,
    /// Whether the model that was pinned is known to nobody but the caller.
    pub made_up: bool,
}

impl Subject<'_> {
    /// Whether only the caller knows a model.
    fn is_made_up(&self, id: &str) -> bool {
        self.made_up && matches!(&self.ask.target, Target::Pin { model, .. } if model == id)
    }

    fn model_name(&self, candidate: Candidate) -> Name {
        match self.made_up && self.is_made_up(self.roster.model_id(candidate)) {
            true => MADE_UP.into(),
            false => self.roster.model_name(candidate).clone(),
        }
    }

    /// Whom an exclusion is about, in one word: the provider, the model and the key, as far as each is meant.
    fn name(&self, exclusion: &Exclusion) -> String {
        let member = &self.roster.pool.members[exclusion.member];
        let mut name = self.roster.slots[exclusion.member].name.to_string();
        if let Some(model) = exclusion.model {
            let candidate = Candidate { member: exclusion.member, model, key: 0 };
            name.push('/');
            name.push_str(&self.model_name(candidate));
        }
        if let Some(key) = exclusion.key.and_then(|key| member.keys.get(key)) {
            name.push('#');
            name.push_str(short(&key.id));
        }
        name
    }
}

impl Asked {
    /// What a request asks.
    #[must_use]
    pub fn of(subject: &Subject<'_>) -> Self {
        let ask = subject.ask;
        let (provider, model) = match &ask.target {
            Target::Profile(_) => (None, None),
            Target::Prefer(model) => (None, Some(model)),
            Target::Pin { provider, model } => (Some(name_of(provider)), Some(model)),
        };
        Self {
            work: ask.work,
            profile: ask.profile,
            model: model.map(|model| match subject.is_made_up(model) {
                true => MADE_UP.into(),
                false => name_of(model),
            }),
            provider,
            tokens: ask.prompt_tokens,
            max_output: ask.max_output,
            difficulty: ask.difficulty,
            tools: ask.tools,
            vision: ask.vision,
            structured: ask.structured,
            effort: ask.effort,
            stream: ask.stream,
            strict: ask.strict,
            hint: ask.hint,
            tool_loop: ask.tool_loop,
            session: ask.session.is_some(),
            spend: ask.allowance.most,
            max_cost: ask.allowance.per_request,
        }
    }
}

impl Planned {
    /// What a plan says, with at most so many candidates, when this one of its choices is called.
    #[must_use]
    pub fn of(subject: &Subject<'_>, place: u32, chosen: Option<&Choice>, most: usize) -> Self {
        let choices = &subject.plan.choices;
        let at =
            chosen.and_then(|chosen| choices.iter().position(|choice| choice.candidate == chosen.candidate));
        let not_begun = match chosen {
            Some(_) => at.unwrap_or(0),
            None => choices.len(),
        };
        let mut rest = &choices[not_begun..];
        let mut candidates: Vec<Row> = Vec::with_capacity(most.min(rest.len()));
        while let Some(first) = rest.first()
            && candidates.len() < most
        {
            let alike = rest.iter().take_while(|choice| choice.merits == first.merits).count();
            let (own, others) = rest.split_at(alike);
            candidates.push(Row::of(subject, own, candidates.is_empty()));
            rest = others;
        }
        Self {
            place,
            brief: subject.plan.brief,
            draw: choices.first().map_or(0, |choice| choice.turns.draw),
            candidates,
            left_out: number(rest.len() + subject.plan.more),
            not_begun: number(not_begun),
            chosen: chosen.map(|chosen| number(chosen.candidate.key)),
            excluded: Vec::new(),
        }
    }

    /// The same, with who is passed over and why.
    #[must_use]
    pub fn and_excluded(self, subject: &Subject<'_>) -> Self {
        Self { excluded: passed_over(subject), ..self }
    }
}

impl Row {
    /// Choices that differ only in the key.
    fn of(subject: &Subject<'_>, choices: &[Choice], is_first: bool) -> Self {
        let Choice { candidate, merits, outlook, terms, turns, .. } = &choices[0];
        let points = terms.parts().into_iter().filter(|(_, points)| *points != 0);
        Self {
            provider: subject.roster.provider_name(*candidate).clone(),
            model: subject.model_name(*candidate),
            merits: *merits,
            points: points.collect(),
            quota: Quota::from(*outlook),
            keys: choices.iter().take(MAX_KEYS).map(|choice| number(choice.candidate.key)).collect(),
            count: number(choices.len()),
            turn: is_first.then(|| Turn::from(*turns)),
        }
    }
}

impl Who {
    pub(super) fn of(subject: &Subject<'_>, candidate: Candidate) -> Self {
        let Subject { roster, .. } = subject;
        Self {
            provider: roster.provider_name(candidate).clone(),
            model: subject.model_name(candidate),
            key: short(&roster.key(candidate).id).to_owned(),
        }
    }
}

/// The beginning of a key's id, by which a record names the key.
#[must_use]
pub fn short(id: &KeyId) -> &str {
    let id = id.0.strip_prefix("account:").unwrap_or(&id.0);
    let end = id.char_indices().nth(KEY_CHARS).map_or(id.len(), |(at, _)| at);
    &id[..end]
}

/// Those who were passed over, by reason: the reasons that return soonest in front, those that never do behind.
fn passed_over(subject: &Subject<'_>) -> Vec<PassedOver> {
    let mut groups: Vec<PassedOver> = Vec::new();
    for exclusion in &subject.plan.exclusions {
        let at = match groups.iter().position(|group| group.gate == exclusion.gate.code()) {
            Some(at) => at,
            None => {
                groups.push(PassedOver {
                    gate: Cow::Borrowed(exclusion.gate.code()),
                    count: 0,
                    until: None,
                    because: exclusion.because,
                    who: Vec::new(),
                });
                groups.len() - 1
            }
        };
        let group = &mut groups[at];
        group.count += 1 + exclusion.alike;
        group.because = group.because.filter(|because| exclusion.because == Some(*because));
        group.until = match (group.until, exclusion.until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if group.who.len() < MAX_NAMES {
            let name = subject.name(exclusion);
            if !group.who.contains(&name) {
                group.who.push(name);
            }
        }
    }
    groups.sort_by_key(|group| group.until.unwrap_or(Millis(u64::MAX)));
    groups
}

/// What records call somebody.
pub(in crate::route) fn name_of(id: &str) -> Name {
    cut(id, MAX_NAME).into()
}

/// The text, or its beginning with a mark behind it.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}
