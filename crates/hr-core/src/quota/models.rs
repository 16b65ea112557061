//! Which models share a limit, with models under numbers of our own, so that what was kept of one that is not known
//! yet has its place.

use super::reading::Reach;
use crate::catalog::fits;

/// All models that were ever spoken of, by id.
#[derive(Debug, Default)]
pub(super) struct Models {
    ids: Vec<String>,
    /// By the number that the ledger's user gave: our own.
    numbers: Vec<u32>,
}

/// A model that has no number of its user's yet.
const UNNAMED: u32 = u32::MAX;

impl Models {
    /// Our number of a model.
    pub(super) fn intern(&mut self, id: &str) -> u32 {
        let found = self.ids.iter().position(|known| known == id);
        let place = found.unwrap_or_else(|| {
            self.ids.push(id.to_owned());
            self.ids.len() - 1
        });
        u32::try_from(place).unwrap_or(UNNAMED)
    }

    /// Takes note of a model's number.
    pub(super) fn number(&mut self, number: usize, id: &str) {
        let own = self.intern(id);
        if self.numbers.len() <= number {
            self.numbers.resize(number + 1, UNNAMED);
        }
        self.numbers[number] = own;
    }

    /// Our number of the model that its user numbered so.
    pub(super) fn own(&self, number: usize) -> u32 {
        self.numbers.get(number).copied().unwrap_or(UNNAMED)
    }

    pub(super) fn id(&self, model: u32) -> &str {
        self.ids.get(model as usize).map_or("", String::as_str)
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The set of models that a reading of a call to `model` speaks of.
    pub(super) fn reached(&self, reach: &Reach, model: u32) -> ModelSet {
        match reach {
            Reach::ThisModel => ModelSet::One(model),
            Reach::AllModels => ModelSet::All,
            Reach::Models(patterns) => self.matching(patterns),
        }
    }

    /// The set of models of these ids and patterns.
    pub(super) fn matching(&self, patterns: &[String]) -> ModelSet {
        let numbered = (0..).zip(&self.ids);
        let ids = numbered.filter(|(_, id)| any_matches(patterns, id)).map(|(number, _)| number);
        let ids = ids.collect();
        ModelSet::Some { patterns: patterns.to_vec(), ids }
    }

    /// The ids or patterns of a set; empty for all models.
    pub(super) fn names(&self, set: &ModelSet) -> Vec<String> {
        match set {
            ModelSet::All => Vec::new(),
            ModelSet::One(model) => vec![self.id(*model).to_owned()],
            ModelSet::Some { patterns, .. } => patterns.clone(),
        }
    }
}

/// Models that share something.
#[derive(Clone, Debug)]
pub(super) enum ModelSet {
    All,
    One(u32),
    Some { patterns: Vec<String>, ids: Vec<u32> },
}

impl PartialEq for ModelSet {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::One(one), Self::One(other)) => one == other,
            (Self::Some { patterns, .. }, Self::Some { patterns: others, .. }) => patterns == others,
            _ => false,
        }
    }
}

impl ModelSet {
    pub(super) fn covers(&self, model: u32) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => *one == model,
            Self::Some { ids, .. } => ids.contains(&model),
        }
    }

    /// Takes a model in that has become known, if it belongs here.
    pub(super) fn meet(&mut self, model: u32, id: &str) {
        if let Self::Some { patterns, ids } = self
            && !ids.contains(&model)
            && any_matches(patterns, id)
        {
            ids.push(model);
        }
    }
}

fn any_matches(patterns: &[String], id: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_in_models_that_come_later() {
        let mut models = Models::default();
        let (free, paid) = (models.intern("x:free"), models.intern("x"));
        let mut set = models.reached(&Reach::Models(vec!["*:free".into(), "gpt-*".into()]), paid);
        assert!(set.covers(free) && !set.covers(paid));
        let later = models.intern("gpt-9");
        assert!(!set.covers(later));
        set.meet(later, "gpt-9");
        assert!(set.covers(later));
        assert_eq!(models.names(&set), ["*:free", "gpt-*"]);
    }
}
