//! Who rests and why, read from the router's own status, and what changed between two readings.

use std::collections::BTreeMap;

use serde_json::Value;

use super::scene::key_name;

/// Why somebody is passed over, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The reason, for people.
    pub because: String,
    /// The seconds that are left, rounded up.
    pub seconds: u64,
}

/// Everybody who rests: keys and providers, by a name for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rests {
    by_name: BTreeMap<String, Rest>,
    /// The same in fewer words: a provider whose keys all rest is named once.
    short: Vec<String>,
}

impl Rests {
    /// Reads the answer of `GET /v1/status`.
    pub fn read(status: &Value) -> Rests {
        let mut rests = Rests::default();
        for (provider, state) in status["providers"].as_object().into_iter().flatten() {
            rests.read_provider(provider, state);
        }
        rests
    }

    fn read_provider(&mut self, provider: &str, state: &Value) {
        let list = |name: &str| state[name].as_array().map_or(&[][..], Vec::as_slice);
        let circuit = (state["breaker"]["open"] == true).then(|| Rest {
            because: "circuit open".to_owned(),
            seconds: state["breaker"]["opens_in_s"].as_u64().unwrap_or(0),
        });
        let keys = list("keys");
        // A model rests for the sake of its keys, too; then these are the news.
        let keys_are_ready = keys.iter().all(|key| rest(key, "ready_in").is_none());
        let model = || list("model_caps").iter().find_map(|model| rest(model, "cooling_for_s"));
        if let Some(rest) = circuit.or_else(|| keys_are_ready.then(model).flatten()) {
            self.by_name.insert(provider.to_owned(), rest);
            self.short.push(provider.to_owned());
            return;
        }
        let resting: Vec<(String, Rest)> = keys
            .iter()
            .enumerate()
            .filter_map(|(at, key)| {
                Some((key_name(provider, keys.len(), Some(at + 1)), rest(key, "ready_in")?))
            })
            .collect();
        if !keys.is_empty() && resting.len() == keys.len() {
            self.short.push(provider.to_owned());
        } else {
            self.short.extend(resting.iter().map(|(who, _)| who.clone()));
        }
        self.by_name.extend(resting);
    }

    /// Whether nobody rests.
    pub fn is_empty(&self) -> bool {
        self.short.is_empty()
    }

    /// Who rests, in few words.
    pub fn names(&self) -> &[String] {
        &self.short
    }

    /// Those who rest now and did not before.
    pub fn begun_since<'a>(&'a self, before: &'a Rests) -> impl Iterator<Item = (&'a str, &'a Rest)> {
        let new = self.by_name.iter().filter(|(who, _)| !before.by_name.contains_key(*who));
        new.map(|(who, rest)| (who.as_str(), rest))
    }

    /// Those who rested before and do not now.
    pub fn ended_since<'a>(&'a self, before: &'a Rests) -> impl Iterator<Item = &'a str> {
        before.by_name.keys().map(String::as_str).filter(|who| !self.by_name.contains_key(*who))
    }
}

fn rest(state: &Value, left: &str) -> Option<Rest> {
    let seconds = state[left].as_u64().filter(|seconds| *seconds > 0)?;
    let because = state["because"].as_str().unwrap_or("resting").replace('_', " ");
    Some(Rest { because, seconds })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(first: u64, second: u64, open: bool) -> Rests {
        let key = |ready_in: u64| json!({"ready_in": ready_in, "because": "rate_limited"});
        Rests::read(&json!({"providers": {
            "one": {
                "keys": [key(first), key(second)],
                "model_caps": [{"cooling_for_s": first.min(second), "because": "rate_limited"}],
                "breaker": {"open": false},
            },
            "two": {"keys": [key(0)], "breaker": {"open": open, "opens_in_s": 60}},
        }}))
    }

    #[test]
    fn changes_between_two_readings_are_found() {
        let (before, after) = (read(0, 3, false), read(0, 0, true));
        let expected = Rest { because: "circuit open".to_owned(), seconds: 60 };
        assert_eq!(after.begun_since(&before).collect::<Vec<_>>(), [("two", &expected)]);
        assert_eq!(after.ended_since(&before).collect::<Vec<_>>(), ["one#2"]);
        let expected = Rest { because: "rate limited".to_owned(), seconds: 3 };
        assert_eq!(before.begun_since(&Rests::default()).collect::<Vec<_>>(), [("one#2", &expected)]);
        assert_eq!(read(5, 3, false).ended_since(&before).count(), 0, "one key more is nobody's return");
    }

    #[test]
    fn a_provider_whose_keys_all_rest_is_named_once() {
        assert_eq!(read(0, 3, false).names(), ["one#2"]);
        assert_eq!(read(2, 3, true).names(), ["one", "two"]);
        assert!(read(0, 0, false).is_empty());
    }
}
