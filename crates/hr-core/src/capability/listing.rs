//! What a provider's list of models says.

use serde::{Deserialize, Serialize};

use crate::catalog::Price;

/// The most models of one list.
pub const MAX_LISTED: usize = 4096;

/// A model in a list. `None` means that the list does not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ListedModel {
    /// The id on the wire.
    pub id: String,
    /// Tokens that prompt and answer share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// The most tokens of one answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u64>,
    /// Whether it calls tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it sees images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<bool>,
    /// Whether it keeps to a JSON schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<bool>,
    /// Whether it reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
    /// Whether it converses, rather than embeds, paints or speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<bool>,
    /// What it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

impl ListedModel {
    /// Fills what is not known yet with what another list says of the same model.
    pub fn fill(&mut self, other: &Self) {
        self.context = self.context.or(other.context);
        self.max_output = self.max_output.or(other.max_output);
        self.tools = self.tools.or(other.tools);
        self.vision = self.vision.or(other.vision);
        self.structured = self.structured.or(other.structured);
        self.reasoning = self.reasoning.or(other.reasoning);
        self.chat = self.chat.or(other.chat);
        self.price = self.price.or(other.price);
    }
}

/// A list of models, in its own order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The models, each once.
    pub models: Vec<ListedModel>,
}

impl Listing {
    /// The entry of a model. Where a list has no variants (`…:cheapest`), the plain model stands for all of them; a
    /// model without one is also found as its `:latest`.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&ListedModel> {
        let named = |name: &str| self.models.iter().find(|model| model.id.eq_ignore_ascii_case(name));
        let exact = self.models.iter().find(|model| model.id == id).or_else(|| named(id));
        exact.or_else(|| match id.rsplit_once(':') {
            None => named(&format!("{id}:latest")),
            Some((plain, _)) if self.models.iter().all(|model| !model.id.contains(':')) => named(plain),
            Some(_) => None,
        })
    }

    /// Takes in another list of the same provider; what this one says already stays.
    pub fn merge(&mut self, other: Self) {
        let room = MAX_LISTED.saturating_sub(self.models.len());
        let mut new = Vec::new();
        for model in other.models {
            match self.models.iter_mut().find(|known| known.id == model.id) {
                Some(known) => known.fill(&model),
                None if new.len() < room => new.push(model),
                None => {}
            }
        }
        self.models.append(&mut new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(ids: &[&str]) -> Listing {
        let model = |id: &&str| ListedModel { id: (*id).to_owned(), ..ListedModel::default() };
        Listing { models: ids.iter().map(model).collect() }
    }

    #[test]
    fn models_are_found_under_the_names_that_people_use() {
        let plain = listing(&["Org/Big", "small"]);
        assert_eq!(plain.find("org/big").unwrap().id, "Org/Big");
        assert_eq!(plain.find("small:cheapest").unwrap().id, "small");
        let tagged = listing(&["llama3.1:latest", "qwen3:8b"]);
        assert_eq!(tagged.find("llama3.1").unwrap().id, "llama3.1:latest");
        assert!(tagged.find("qwen3:4b").is_none());
        assert!(listing(&["big", "other:free"]).find("big:free").is_none());
    }

    #[test]
    fn lists_complete_one_another() {
        let mut first = listing(&["a"]);
        first.models[0].tools = Some(false);
        let mut second = listing(&["a", "b"]);
        (second.models[0].tools, second.models[0].context) = (Some(true), Some(8_192));
        first.merge(second);
        assert_eq!((first.models[0].tools, first.models[0].context), (Some(false), Some(8_192)));
        assert_eq!(first.models.len(), 2);
    }
}
