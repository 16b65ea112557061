//! The facts about every model, and how they are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fact::{Fact, Known, Source};
use super::listing::{ListedModel, Listing};
use crate::route::{Change, Table};
use crate::secret::KeyId;
use crate::time::Millis;

/// The most models of one provider of which anything is kept.
pub const MAX_MODELS: usize = 512;

/// Names a server's address in what is kept, without telling it.
#[must_use]
pub fn place(base_url: &str) -> String {
    name(base_url.bytes())
}

/// Names the keys that a provider is called with, likewise.
#[must_use]
pub fn keyring<'k>(keys: impl IntoIterator<Item = &'k KeyId>) -> String {
    let mut ids: Vec<&str> = keys.into_iter().map(|key| key.0.as_str()).collect();
    ids.sort_unstable();
    name(ids.join("\n").bytes())
}

fn name(bytes: impl Iterator<Item = u8>) -> String {
    // FNV-1a: stable over versions, and nothing secret hangs on it.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", bytes.fold(0xcbf2_9ce4_8422_2325, step))
}

/// Something that a model can do or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Calls tools.
    Tools,
    /// Sees images.
    Vision,
    /// Keeps to a JSON schema.
    Structured,
    /// Reasons.
    Reasoning,
}

impl Ability {
    /// What a refusal of this parameter says that the model cannot do; `None` where it says nothing of the kind.
    #[must_use]
    pub fn refused_with(param: &str) -> Option<Self> {
        match param {
            "tools" => Some(Self::Tools),
            "image" | "image_url" | "images" | "vision" => Some(Self::Vision),
            "response_format" => Some(Self::Structured),
            _ => None,
        }
    }
}

/// What is known of one model. As JSON it is what is kept of it: each fact as
/// `[{"value":true,"source":"listed","at":1790000000000}]`, one entry a source, instants in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Abilities {
    /// The [`place`] where this was found out; without one it holds wherever the provider is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// When the provider's list was last looked at for it, whether or not it was in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_up: Option<Millis>,
    /// When it was last asked a tiny question, whatever came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Millis>,
    /// Whether it calls tools.
    #[serde(skip_serializing_if = "Known::is_empty")]
    pub tools: Known<bool>,
    /// Whether it sees images.
    #[serde(skip_serializing_if = "Known::is_empty")]
    pub vision: Known<bool>,
    /// Whether it keeps to a JSON schema.
    #[serde(skip_serializing_if = "Known::is_empty")]
    pub structured: Known<bool>,
    /// Whether it reasons.
    #[serde(skip_serializing_if = "Known::is_empty")]
    pub reasoning: Known<bool>,
    /// How many tokens prompt and answer share.
    #[serde(skip_serializing_if = "Known::is_empty")]
    pub context: Known<u64>,
    /// The most tokens of one answer.
    #[serde(skip_serializing_if = "Known::is_empty")]
    pub max_output: Known<u64>,
}

impl Abilities {
    /// What is known of one ability.
    #[must_use]
    pub fn of(&self, ability: Ability) -> &Known<bool> {
        match ability {
            Ability::Tools => &self.tools,
            Ability::Vision => &self.vision,
            Ability::Structured => &self.structured,
            Ability::Reasoning => &self.reasoning,
        }
    }

    fn of_mut(&mut self, ability: Ability) -> &mut Known<bool> {
        match ability {
            Ability::Tools => &mut self.tools,
            Ability::Vision => &mut self.vision,
            Ability::Structured => &mut self.structured,
            Ability::Reasoning => &mut self.reasoning,
        }
    }

    /// Takes over what a list says. What it no longer says is forgotten.
    fn listed(&mut self, at: Millis, model: &ListedModel) {
        fn take<T: Copy + PartialEq>(known: &mut Known<T>, said: Option<T>, at: Millis) {
            match said {
                Some(value) => known.note(Fact { value, source: Source::Listed, at }),
                None => known.forget(Source::Listed),
            }
        }
        take(&mut self.tools, model.tools, at);
        take(&mut self.vision, model.vision, at);
        take(&mut self.structured, model.structured, at);
        take(&mut self.reasoning, model.reasoning, at);
        take(&mut self.context, model.context, at);
        take(&mut self.max_output, model.max_output, at);
    }
}

/// What a provider's list said last.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Listed {
    /// The [`place`] of it.
    place: String,
    /// The [`keyring`] that it was asked for with.
    keys: String,
    at: Millis,
    listing: Listing,
}

/// What is known of every model, and what lists say.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    models: BTreeMap<String, BTreeMap<String, Abilities>>,
    /// What each provider's list said last.
    listings: BTreeMap<String, Listed>,
    changed: BTreeSet<(String, String)>,
    /// The providers with another list than before.
    relisted: BTreeSet<String>,
}

impl Facts {
    /// What is known of a model where its provider is called now.
    #[must_use]
    pub fn of(&self, provider: &str, place: &str, model: &str) -> Option<&Abilities> {
        let known = self.models.get(provider)?.get(model)?;
        known.place.as_deref().is_none_or(|found| found == place).then_some(known)
    }

    /// What a provider's list said last, where it is called now.
    #[must_use]
    pub fn listing(&self, provider: &str, place: &str) -> Option<&Listing> {
        self.listings.get(provider).filter(|listed| listed.place == place).map(|listed| &listed.listing)
    }

    /// Whether a provider's list was read lately, with the keys that are there now.
    #[must_use]
    pub fn is_listed(
        &self,
        now: Millis,
        provider: &str,
        (place, keys): (&str, &str),
        believed: Duration,
    ) -> bool {
        self.listings.get(provider).is_some_and(|listed| {
            (listed.place.as_str(), listed.keys.as_str()) == (place, keys) && now < listed.at.after(believed)
        })
    }

    /// Takes over a provider's list, for the models that are in use.
    pub fn list<'m>(
        &mut self,
        now: Millis,
        provider: &str,
        (place, keys): (&str, &str),
        listing: Listing,
        in_use: impl IntoIterator<Item = &'m str>,
    ) {
        self.look_up(now, provider, place, &listing, in_use);
        let listed = Listed { place: place.to_owned(), keys: keys.to_owned(), at: now, listing };
        self.listings.insert(provider.to_owned(), listed);
        self.relisted.insert(provider.to_owned());
    }

    /// The same for models that came into use by the list that is at hand. True when there were any.
    pub fn list_added<'m>(
        &mut self,
        provider: &str,
        place: &str,
        in_use: impl IntoIterator<Item = &'m str>,
    ) -> bool {
        let Some(listed) = self.listings.get(provider).filter(|listed| listed.place == place) else {
            return false;
        };
        let (at, listing) = (listed.at, listed.listing.clone());
        let was_there = |known: &Abilities| known.looked_up.is_some_and(|looked_up| looked_up >= at);
        let added: Vec<&str> = in_use
            .into_iter()
            .filter(|model| !self.of(provider, place, model).is_some_and(was_there))
            .collect();
        self.look_up(at, provider, place, &listing, added.iter().copied());
        !added.is_empty()
    }

    fn look_up<'m>(
        &mut self,
        at: Millis,
        provider: &str,
        place: &str,
        listing: &Listing,
        models: impl IntoIterator<Item = &'m str>,
    ) {
        for model in models {
            let Some(known) = self.entry(provider, place, model) else { break };
            known.looked_up = Some(at);
            if let Some(listed) = listing.find(model) {
                known.listed(at, listed);
            }
        }
    }

    /// Takes note that a model is being asked.
    pub fn asks(&mut self, now: Millis, provider: &str, place: &str, model: &str) {
        if let Some(known) = self.entry(provider, place, model) {
            known.asked = Some(now);
        }
    }

    /// Takes note of what was seen of a model. True when something else is believed since.
    pub fn note(
        &mut self,
        provider: &str,
        place: &str,
        model: &str,
        ability: Ability,
        fact: Fact<bool>,
        believed: Duration,
    ) -> bool {
        let was = self.of(provider, place, model).and_then(|known| known.of(ability).best(fact.at, believed));
        // What is believed already from the same source need not be written again with each request.
        if was.is_some_and(|was| was.value == fact.value && was.source == fact.source) {
            return false;
        }
        let Some(known) = self.entry(provider, place, model) else { return false };
        let known = known.of_mut(ability);
        known.note(fact);
        known.best(fact.at, believed).map(|is| (is.value, is.source))
            != was.map(|was| (was.value, was.source))
    }

    /// The entry of a model, to be changed; a new one takes the place of what was found out elsewhere. `None` when
    /// too many are known.
    fn entry(&mut self, provider: &str, place: &str, model: &str) -> Option<&mut Abilities> {
        let models = self.models.entry(provider.to_owned()).or_default();
        if !models.contains_key(model) && models.len() >= MAX_MODELS {
            return None;
        }
        self.changed.insert((provider.to_owned(), model.to_owned()));
        let known = models.entry(model.to_owned()).or_default();
        if known.place.as_deref().is_some_and(|found| found != place) {
            *known = Abilities::default();
        }
        known.place = Some(place.to_owned());
        Some(known)
    }

    /// What has changed since this was last asked, to be kept; ids are `provider/model`, and `provider` for its list.
    pub fn changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let change = |(provider, model): (String, String)| {
            let known = self.models.get(&provider).and_then(|models| models.get(&model));
            let kept = known.and_then(|known| serde_json::to_string(known).ok());
            Change { table: Table::Capabilities, id: format!("{provider}/{model}"), kept }
        };
        let relisted = std::mem::take(&mut self.relisted);
        let relist = |provider: String| {
            let kept = self.listings.get(&provider).and_then(|listed| serde_json::to_string(listed).ok());
            Change { table: Table::Capabilities, id: provider, kept }
        };
        let lists = relisted.into_iter().map(relist);
        changed.into_iter().map(change).chain(lists).collect()
    }

    /// Takes back what was kept of one model or list; false when it could not be read. What was found out since stays.
    pub fn restore(&mut self, id: &str, kept: &str) -> bool {
        let Some((provider, model)) = id.split_once('/') else {
            let Ok(listed) = serde_json::from_str(kept) else { return false };
            self.listings.entry(id.to_owned()).or_insert(listed);
            return true;
        };
        if model.is_empty() {
            return false;
        }
        let Ok(known) = serde_json::from_str::<Abilities>(kept) else { return false };
        let models = self.models.entry(provider.to_owned()).or_default();
        if models.len() < MAX_MODELS {
            models.entry(model.to_owned()).or_insert(known);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn probed(value: bool, at: u64) -> Fact<bool> {
        Fact { value, source: Source::Probed, at: Millis(at) }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let (mut facts, here) = (Facts::default(), place("http://here/v1"));
        facts.asks(Millis(5), "p", &here, "org/m");
        assert!(facts.note("p", &here, "org/m", Ability::Tools, probed(true, 6), DAY));
        let changes = facts.changes();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].id, "p/org/m");
        assert!(facts.changes().is_empty());

        let mut again = Facts::default();
        assert!(again.restore(&changes[0].id, changes[0].kept.as_deref().unwrap()));
        assert_eq!(again.of("p", &here, "org/m"), facts.of("p", &here, "org/m"));
        assert!(again.changes().is_empty(), "what was read need not be written");
        for (id, kept) in
            [("nothing", "{}"), ("list", "[]"), ("p/", "{}"), ("p/m", "[1]"), ("p/m", "{\"tools\":7}")]
        {
            assert!(!again.restore(id, kept), "{id} {kept}");
        }
    }

    #[test]
    fn what_another_server_told_is_not_believed_here() {
        let (mut facts, here, there) = (Facts::default(), place("http://here"), place("http://there"));
        facts.note("p", &here, "m", Ability::Tools, probed(false, 6), DAY);
        assert!(facts.of("p", &there, "m").is_none());
        facts.asks(Millis(7), "p", &there, "m");
        assert!(facts.of("p", &there, "m").unwrap().tools.is_empty());
        assert!(facts.restore("p/imported", r#"{"tools":{"value":true,"source":"import","at":3}}"#));
        assert!(facts.of("p", &there, "imported").is_some());
    }

    #[test]
    fn a_repeated_word_is_no_change() {
        let (mut facts, here) = (Facts::default(), place("http://here"));
        assert!(facts.note("p", &here, "m", Ability::Tools, probed(true, 6), DAY));
        facts.changes();
        assert!(!facts.note("p", &here, "m", Ability::Tools, probed(true, 7), DAY));
        assert!(facts.changes().is_empty());
    }

    #[test]
    fn there_is_a_bound() {
        let (mut facts, here) = (Facts::default(), place("http://here"));
        for index in 0..MAX_MODELS + 10 {
            facts.asks(Millis(1), "p", &here, &format!("m{index}"));
        }
        assert_eq!(facts.models["p"].len(), MAX_MODELS);
    }
}
