//! What a fake is told to do: rules for keys and models, hidden quotas, and what it knows.

use std::collections::VecDeque;

use serde_json::Value;

use crate::accounts::Accounts;
use crate::answer::Answer;
use crate::behaviour::Behaviour;
use crate::call::Call;
use crate::dialect::Endpoint;
use crate::quota::Quota;
use crate::strict::Strictness;

/// The calls that a rule is about. What is not named matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    key: Option<String>,
    model: Option<String>,
    path: Option<String>,
    tool: Option<String>,
    answered: Option<bool>,
    saying: Option<String>,
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

    /// And offering this tool.
    #[must_use]
    pub fn and_offering(mut self, tool: impl Into<String>) -> Match {
        self.tool = Some(tool.into());
        self
    }

    /// And with the result of a tool since the assistant last spoke, or not.
    #[must_use]
    pub fn and_answered(mut self, answered: bool) -> Match {
        self.answered = Some(answered);
        self
    }

    /// And with these words anywhere in the body.
    #[must_use]
    pub fn and_saying(mut self, words: impl Into<String>) -> Match {
        self.saying = Some(words.into());
        self
    }

    pub(crate) fn holds(&self, facts: &Facts<'_>) -> bool {
        let named = match &self.path {
            Some(end) => facts.path.ends_with(end),
            None => !facts.endpoint.is_aside(),
        };
        named
            && self.key.as_ref().is_none_or(|wanted| wanted == facts.key)
            && self.model.as_ref().is_none_or(|wanted| wanted == facts.model)
            && self.tool.as_ref().is_none_or(|wanted| facts.tools.contains(wanted))
            && self.answered.is_none_or(|wanted| wanted == facts.answered)
            && self.saying.as_ref().is_none_or(|wanted| facts.text.contains(wanted.as_str()))
    }
}

/// What rules ask about a call.
pub(crate) struct Facts<'a> {
    pub(crate) key: &'a str,
    pub(crate) model: &'a str,
    pub(crate) path: &'a str,
    pub(crate) endpoint: Endpoint,
    /// The names of the tools on offer.
    pub(crate) tools: Vec<String>,
    /// Whether the conversation ends in the result of a tool.
    pub(crate) answered: bool,
    /// The body as text.
    pub(crate) text: std::borrow::Cow<'a, str>,
    pub(crate) body: Value,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(call: &'a Call, endpoint: Endpoint) -> Facts<'a> {
        let body = call.json();
        Facts {
            key: call.key.as_deref().unwrap_or_default(),
            model: call.model.as_deref().unwrap_or_default(),
            path: &call.path,
            endpoint,
            tools: tools(&body["tools"]),
            answered: answered(&body),
            text: String::from_utf8_lossy(&call.body),
            body,
        }
    }
}

/// The names of tools, in whichever dialect they are told.
fn tools(offered: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for tool in offered.as_array().into_iter().flatten() {
        let name = [&tool["name"], &tool["function"]["name"], &tool["custom"]["name"]];
        names.extend(name.into_iter().find_map(Value::as_str).map(str::to_owned));
        names.extend(self::tools(&tool["tools"]));
    }
    names
}

/// Whether a tool has answered since the assistant last spoke, in whichever dialect it is told. Pictures out of a
/// result and remarks of the system may follow it.
pub(crate) fn answered(body: &Value) -> bool {
    let turns = if body["input"].is_array() { &body["input"] } else { &body["messages"] };
    let speaks = |turn: &&Value| {
        turn["role"] == "assistant" || turn["type"].as_str().is_some_and(|kind| kind.ends_with("_call"))
    };
    let since = turns.as_array().into_iter().flatten().rev().take_while(|turn| !speaks(turn));
    since.into_iter().any(|turn| {
        let item = turn["type"].as_str().is_some_and(|kind| kind.ends_with("_output"));
        let blocks = turn["content"].as_array().map_or(&[][..], Vec::as_slice);
        item || turn["role"] == "tool" || blocks.iter().any(|block| block["type"] == "tool_result")
    })
}

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
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) accounts: Option<Accounts>,
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
            headers: Vec::new(),
            accounts: None,
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

    /// With these accounts: only their tokens are taken, and `/oauth/token` renews them.
    #[must_use]
    pub fn accounts(mut self, accounts: &Accounts) -> Script {
        self.accounts = Some(accounts.clone());
        self
    }

    /// With these headers on every reply.
    #[must_use]
    pub fn showing(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Script {
        self.headers.extend(headers);
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

    /// What is done with this call; `None` for a call aside that no rule is about.
    pub(crate) fn next(&mut self, facts: &Facts<'_>) -> Option<Behaviour> {
        let ruled = self.rules.iter_mut().filter(|rule| rule.matching.holds(facts)).find_map(Rule::next);
        ruled.or_else(|| (!facts.endpoint.is_aside()).then(|| self.otherwise.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(key: &'a str, model: &'a str, path: &'a str, endpoint: Endpoint) -> Facts<'a> {
        Facts {
            key,
            model,
            path,
            endpoint,
            tools: Vec::new(),
            answered: false,
            text: "".into(),
            body: Value::Null,
        }
    }

    fn text(script: &mut Script, key: &str, model: &str) -> String {
        match script.next(&facts(key, model, "/v1/chat/completions", Endpoint::Generate)) {
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
        let models = facts("", "", "/v1/models", Endpoint::Models);
        assert!(!Match::any().holds(&models));
        assert!(Match::path("/models").holds(&models));
        let chat = facts("a", "", "/v1/chat/completions", Endpoint::Generate);
        assert!(!Match::key("a").and_path("/embeddings").holds(&chat));
    }

    #[test]
    fn tools_and_their_results_are_seen_in_every_dialect() {
        use serde_json::json;
        let offered = json!([
            {"name": "a", "input_schema": {}},
            {"type": "function", "function": {"name": "b"}},
            {"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "c"}]},
        ]);
        assert_eq!(tools(&offered), ["a", "b", "n", "c"]);
        let chat = json!({"messages": [{"role": "tool", "content": "x"}]});
        let blocks = json!({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]});
        let items = json!({"input": [{"type": "function_call_output"}]});
        let picture =
            json!({"messages": [{"role": "tool", "content": "x"}, {"role": "user", "content": "y"}]});
        assert!([chat, blocks, items, picture].iter().all(answered));
        let later =
            json!({"messages": [{"role": "tool", "content": "x"}, {"role": "assistant", "content": "y"}]});
        assert!(!answered(&later));
        assert!(!answered(&json!({"messages": [{"role": "user", "content": "x"}]})));
        assert!(!answered(&json!({"input": "x"})));
    }
}
