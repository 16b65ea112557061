//! One fact, and which of several is believed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// What a fact is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The user's settings.
    Override,
    /// A refusal of a real request.
    Refusal,
    /// A real request that was served.
    Served,
    /// The provider's own list of models.
    Listed,
    /// A tiny question that was asked to find out.
    Probed,
    /// The state that another version of the product left behind.
    #[serde(alias = "import")]
    Imported,
    /// The catalogue.
    Catalog,
}

impl Source {
    /// How much its word weighs; less is stronger. What real requests have shown weighs the same either way: the
    /// later one is believed.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Override => 0,
            Self::Refusal | Self::Served => 1,
            Self::Listed => 2,
            Self::Probed => 3,
            Self::Imported => 4,
            Self::Catalog => 5,
        }
    }

    /// Its name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Refusal => "refusal",
            Self::Served => "served",
            Self::Listed => "listed",
            Self::Probed => "probed",
            Self::Imported => "imported",
            Self::Catalog => "catalog",
        }
    }
}

/// Something that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact<T> {
    /// What.
    pub value: T,
    /// From what.
    pub source: Source,
    /// Since when.
    pub at: Millis,
}

impl<T> Fact<T> {
    /// Whether it is still believed. One from the future was noted by a clock that was wrong, and would never end.
    #[must_use]
    pub fn is_fresh(&self, now: Millis, believed: Duration) -> bool {
        now < self.at.after(believed) && self.at <= now.after(believed)
    }
}

/// What several sources say of one thing: the last word of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Words<T>")]
pub struct Known<T>(Vec<Fact<T>>);

/// As it is kept: several words, or a single one by itself.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words<T> {
    One(Fact<T>),
    Several(Vec<Fact<T>>),
}

impl<T> From<Words<T>> for Known<T> {
    fn from(words: Words<T>) -> Self {
        Self(match words {
            Words::One(fact) => vec![fact],
            Words::Several(facts) => facts,
        })
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + PartialEq> Known<T> {
    /// Whether nobody has said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes note of a source's word, in the place of its last one. An older one than that changes nothing.
    pub fn note(&mut self, fact: Fact<T>) {
        match self.0.iter_mut().find(|known| known.source == fact.source) {
            Some(known) if known.at <= fact.at => *known = fact,
            Some(_) => {}
            None => self.0.push(fact),
        }
    }

    /// Forgets what a source said.
    pub fn forget(&mut self, source: Source) {
        self.0.retain(|known| known.source != source);
    }

    /// What is believed now: of all that is fresh the strongest, of equals the latest.
    #[must_use]
    pub fn best(&self, now: Millis, believed: Duration) -> Option<Fact<T>> {
        let fresh = self.0.iter().filter(|fact| fact.is_fresh(now, believed));
        fresh.min_by_key(|fact| (fact.source.rank(), std::cmp::Reverse(fact.at))).copied()
    }

    /// What one source said, however long ago.
    #[must_use]
    pub fn by(&self, source: Source) -> Option<Fact<T>> {
        self.0.iter().find(|fact| fact.source == source).copied()
    }
}

/// Who says that something is so, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Who.
    pub source: Source,
    /// Since when; settings and the catalogue have no time.
    pub at: Option<Millis>,
}

impl Witness {
    /// The user's settings.
    pub const OVERRIDE: Self = Self { source: Source::Override, at: None };
    /// The catalogue.
    pub const CATALOG: Self = Self { source: Source::Catalog, at: None };
}

/// What the facts about a model of the pool are known from. A value without a witness is the catalogue's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether it calls tools.
    pub tools: Option<Witness>,
    /// Whether it sees images.
    pub vision: Option<Witness>,
    /// Whether it keeps to a JSON schema.
    pub structured: Option<Witness>,
    /// Whether it reasons.
    pub reasoning: Option<Witness>,
    /// How many tokens prompt and answer share.
    pub context: Option<Witness>,
    /// The most tokens of one answer.
    pub max_output: Option<Witness>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn fact(value: bool, source: Source, at: u64) -> Fact<bool> {
        Fact { value, source, at: Millis(at) }
    }

    #[test]
    fn the_strongest_fresh_word_is_believed() {
        let mut known = Known::default();
        known.note(fact(false, Source::Imported, 50));
        known.note(fact(true, Source::Probed, 40));
        assert_eq!(known.best(Millis(60), DAY).unwrap().source, Source::Probed);
        known.note(fact(false, Source::Listed, 10));
        assert!(!known.best(Millis(60), DAY).unwrap().value);
        // The list is forgotten first.
        let later = Millis(10).after(DAY);
        assert_eq!(known.best(later, DAY).unwrap().source, Source::Probed);
        assert_eq!(known.best(Millis(50).after(DAY), DAY), None);
    }

    #[test]
    fn of_real_requests_the_later_is_believed() {
        let mut known = Known::default();
        known.note(fact(true, Source::Served, 10));
        known.note(fact(false, Source::Refusal, 20));
        assert!(!known.best(Millis(30), DAY).unwrap().value);
        known.note(fact(true, Source::Served, 21));
        assert!(known.best(Millis(30), DAY).unwrap().value);
    }

    #[test]
    fn what_a_wrong_clock_noted_is_not_believed_for_ever() {
        let mut known = Known::default();
        known.note(fact(true, Source::Imported, u64::MAX));
        assert_eq!(known.best(Millis(30), DAY), None);
    }

    #[test]
    fn an_older_word_does_not_replace_a_newer_one() {
        let mut known = Known::default();
        known.note(fact(true, Source::Listed, 20));
        known.note(fact(false, Source::Listed, 10));
        assert!(known.best(Millis(30), DAY).unwrap().value);
    }
}
