//! What a fake is told to do: rules for keys and models, hidden quotas, and what it knows.

use std::collections::VecDeque;

use crate::answer::Answer;
use crate::behaviour::Behaviour;
use crate::quota::Quota;
use crate::schema::Strictness;

/// The calls that a rule is about. What is not named matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    key: Option<String>,
    model: Option<String>,
    path: Option<String>,
}

impl Match {
    /// Every chat and embeddings call.
    #[must_use]
    pub fn any() -> Match {
        Match::default()
    }

    /// Calls with this key.
    #[must_use]
    pub fn key(key: impl Into<String>) -> Match {
        Match { key: Some(key.into()), ..Match::default() }
    }

    /// Calls of this model.
    #[must_use]
    pub fn model(model: impl Into<String>) -> Match {
        Match { model: Some(model.into()), ..Match::default() }
    }

    /// Calls of the path that ends so. The list of models is scripted by its path only.
    #[must_use]
    pub fn path(path: impl Into<String>) -> Match {
        Match { path: Some(path.into()), ..Match::default() }
    }

    /// And of this model.
    #[must_use]
    pub fn and_model(mut self, model: impl Into<String>) -> Match {
        self.model = Some(model.into());
        self
    }

    /// And of the path that ends so.
    #[must_use]
    pub fn and_path(mut self, path: impl Into<String>) -> Match {
        self.path = Some(path.into());
        self
    }

    pub(crate) fn holds(&self, key: &str, model: &str, path: &str) -> bool {
        let named = match &self.path {
            Some(end) => path.ends_with(end),
            None => !path.ends_with(MODELS_PATH),
        };
        named
            && self.key.as_ref().is_none_or(|wanted| wanted == key)
            && self.model.as_ref().is_none_or(|wanted| wanted == model)
    }
}

/// Where the list of models is.
pub(crate) const MODELS_PATH: &str = "/models";

/// A rule and what is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    matching: Match,
    left: VecDeque<Behaviour>,
    cycle: bool,
}

impl Rule {
    fn next(&mut self) -> Option<Behaviour> {
        let next = self.left.pop_front()?;
        if self.cycle {
            self.left.push_back(next.clone());
        }
        Some(next)
    }
}

/// What a fake is told to do. The first rule that matches and has something left decides; then the default.
#[derive(Clone, Debug)]
pub struct Script {
    rules: Vec<Rule>,
    otherwise: Behaviour,
    pub(crate) quotas: Vec<(Match, Quota)>,
    pub(crate) models: Vec<String>,
    pub(crate) keys: Option<Vec<String>>,
    pub(crate) strictness: Option<Strictness>,
    pub(crate) dimensions: usize,
}

/// The length of a vector when neither request nor script say.
const DEFAULT_DIMENSIONS: usize = 8;

impl Default for Script {
    fn default() -> Script {
        Script::new()
    }
}

impl Script {
    /// Answers every call with a short text.
    #[must_use]
    pub fn new() -> Script {
        Script {
            rules: Vec::new(),
            otherwise: Answer::text("Hello from a fake provider.").into(),
            quotas: Vec::new(),
            models: vec!["fake-model".into()],
            keys: None,
            strictness: None,
            dimensions: DEFAULT_DIMENSIONS,
        }
    }

    /// What is done when no rule decides.
    #[must_use]
    pub fn otherwise(mut self, behaviour: impl Into<Behaviour>) -> Script {
        self.otherwise = behaviour.into();
        self
    }

    /// These, one for each matching call; then later rules decide.
    #[must_use]
    pub fn once<B: Into<Behaviour>>(
        self,
        matching: Match,
        behaviours: impl IntoIterator<Item = B>,
    ) -> Script {
        self.rule(matching, behaviours, false)
    }

    /// These, one for each matching call, again and again.
    #[must_use]
    pub fn cycle<B: Into<Behaviour>>(
        self,
        matching: Match,
        behaviours: impl IntoIterator<Item = B>,
    ) -> Script {
        self.rule(matching, behaviours, true)
    }

    /// This for every matching call.
    #[must_use]
    pub fn always(self, matching: Match, behaviour: impl Into<Behaviour>) -> Script {
        self.cycle(matching, [behaviour])
    }

    /// A hidden quota on the calls that match.
    #[must_use]
    pub fn quota(mut self, matching: Match, quota: Quota) -> Script {
        self.quotas.push((matching, quota));
        self
    }

    /// The models that it lists.
    #[must_use]
    pub fn models<S: Into<String>>(mut self, models: impl IntoIterator<Item = S>) -> Script {
        self.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// The only keys that it knows; others are refused with 401.
    #[must_use]
    pub fn keys<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Script {
        self.keys = Some(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Checks every call strictly.
    #[must_use]
    pub fn strict(mut self, strictness: Strictness) -> Script {
        self.strictness = Some(strictness);
        self
    }

    /// The length of a vector when the request does not say.
    #[must_use]
    pub fn dimensions(mut self, dimensions: usize) -> Script {
        self.dimensions = dimensions;
        self
    }

    fn rule<B: Into<Behaviour>>(
        mut self,
        matching: Match,
        behaviours: impl IntoIterator<Item = B>,
        cycle: bool,
    ) -> Script {
        self.rules.push(Rule { matching, left: behaviours.into_iter().map(Into::into).collect(), cycle });
        self
    }

    /// Puts one behaviour before all rules, behind those put there before.
    pub(crate) fn push(&mut self, urgent: &mut usize, matching: Match, behaviour: Behaviour) {
        let rule = Rule { matching, left: [behaviour].into(), cycle: false };
        self.rules.insert(*urgent, rule);
        *urgent += 1;
    }

    /// What is done with this call; `None` for a list of models that no rule is about.
    pub(crate) fn next(&mut self, key: &str, model: &str, path: &str) -> Option<Behaviour> {
        let ruled =
            self.rules.iter_mut().filter(|rule| rule.matching.holds(key, model, path)).find_map(Rule::next);
        ruled.or_else(|| (!path.ends_with(MODELS_PATH)).then(|| self.otherwise.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(script: &mut Script, key: &str, model: &str) -> String {
        match script.next(key, model, "/v1/chat/completions") {
            Some(Behaviour::Answer(answer)) => answer.text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_first_rule_with_something_left_decides() {
        let mut script = Script::new()
            .once(Match::key("a"), [Answer::text("first"), Answer::text("second")])
            .cycle(Match::model("m"), [Answer::text("odd"), Answer::text("even")])
            .otherwise(Answer::text("default"));
        let told: Vec<_> = (0..5).map(|_| text(&mut script, "a", "m")).collect();
        assert_eq!(told, ["first", "second", "odd", "even", "odd"]);
        assert_eq!(text(&mut script, "b", "n"), "default");
    }

    #[test]
    fn what_is_pushed_comes_before_the_rules_and_in_order() {
        let mut script = Script::new().always(Match::any(), Answer::text("rule"));
        let mut urgent = 0;
        script.push(&mut urgent, Match::any(), Answer::text("one").into());
        script.push(&mut urgent, Match::any(), Answer::text("two").into());
        let told: Vec<_> = (0..3).map(|_| text(&mut script, "a", "m")).collect();
        assert_eq!(told, ["one", "two", "rule"]);
    }

    #[test]
    fn the_list_of_models_is_scripted_by_its_path_only() {
        assert!(!Match::any().holds("", "", "/v1/models"));
        assert!(Match::path("/models").holds("", "", "/v1/models"));
        assert!(!Match::key("a").and_path("/embeddings").holds("a", "", "/v1/chat/completions"));
    }
}
