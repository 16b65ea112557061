//! Which models of a provider's list are taken into use.

use super::listing::{ListedModel, Listing};
use crate::catalog::{Provider, SpendClass};
use crate::pool::{Member, PoolModel};
use crate::route::Allowance;
use crate::settings::Discovery;

/// Words in the ids of models that do not converse.
const OTHER_KINDS: [&str; 26] = [
    "embed",
    "rerank",
    "whisper",
    "tts",
    "speech",
    "transcri",
    "audio",
    "voice",
    "realtime",
    "live",
    "dall-e",
    "image",
    "imagen",
    "flux",
    "diffusion",
    "sdxl",
    "video",
    "veo",
    "sora",
    "lyria",
    "moderation",
    "guard",
    "safety",
    "ocr",
    "bge",
    "aqa",
];

/// What the user has set for the models of a provider that are found later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `<P>_AUTO_DISCOVER_MODELS`.
    pub discover: Option<bool>,
    /// `<P>_SUPPORTS_TOOLS`.
    pub tools: Option<bool>,
    /// `<P>_REASONING`.
    pub reasoning: Option<bool>,
    /// Whether the address is one where every call costs money.
    pub all_paid: bool,
}

impl Wishes {
    /// Whether models of this provider's list are added. One that charges, or is named so, has to be asked for by
    /// itself; where ids tell which models are free, only those are taken anyway.
    #[must_use]
    pub fn finds_models(&self, provider: &Provider, settings: &Discovery) -> bool {
        let own = &provider.discovery;
        let charges = provider.spend == SpendClass::Paid && own.free_ids.is_empty();
        self.discover.unwrap_or(settings.add_models && !own.only_when_set && !charges)
    }
}

/// Whether a model converses, as far as its id tells: no word of it is that of another kind.
#[must_use]
pub fn is_for_chat(id: &str) -> bool {
    let id = id.to_lowercase();
    let mut words = id.split(|c: char| !c.is_ascii_alphanumeric());
    !words.any(|word| OTHER_KINDS.iter().any(|kind| word.starts_with(kind))) && !id.contains("dall-e")
}

/// Whether an id is one of those that are free at this provider.
#[must_use]
pub fn is_free(provider: &Provider, id: &str) -> bool {
    let fits = |pattern: &String| {
        let core = pattern.trim_matches('*');
        match (pattern.starts_with('*'), pattern.ends_with('*')) {
            (true, true) => id.contains(core),
            (true, false) => id.ends_with(core),
            (false, true) => id.starts_with(core),
            (false, false) => id == core,
        }
    };
    provider.discovery.free_ids.iter().any(fits)
}

/// A model of the list that may be used.
struct Found {
    model: PoolModel,
    price: f64,
    /// Whether the list itself, or the id, says that it is free.
    free: bool,
}

/// The models that a member has with its provider's list: those that it had, as far as they are in it, and more of
/// the list up to the limit, the cheapest and best first. `None` when the list says nothing of use. What it had and
/// is not in the list stays for those who name it.
pub(super) fn discover(
    member: &Member,
    listing: &Listing,
    most: usize,
    allowance: Allowance,
) -> Option<Vec<PoolModel>> {
    let provider = &member.provider;
    let mut found: Vec<Found> = listing
        .models
        .iter()
        .filter(|listed| listed.chat != Some(false) && is_for_chat(&listed.id))
        .filter(|listed| !member.excluded.contains(&listed.id.to_lowercase()))
        .filter(|listed| provider.discovery.free_ids.is_empty() || is_free(provider, &listed.id))
        .map(|listed| find(member, listed))
        .filter(|found| found.model.spend <= allowance.most)
        .collect();
    if found.iter().any(|found| found.free) {
        found.retain(|found| found.model.spend == SpendClass::Free);
    }
    found.sort_by(|a, b| {
        let (one, other) = (&a.model, &b.model);
        let price = a.price.total_cmp(&b.price);
        price.then_with(|| one.quality.cmp(&other.quality)).then_with(|| one.id.cmp(&other.id))
    });
    let is_there = |model: &PoolModel| provider.discovery.partial || listing.find(&model.id).is_some();
    let (mut models, mut named): (Vec<PoolModel>, Vec<PoolModel>) =
        member.models.iter().cloned().partition(|model| !model.by_request && is_there(model));
    if models.is_empty() && found.is_empty() {
        return None;
    }
    if models.is_empty()
        && let Some(best) = found.iter().min_by_key(|found| (found.model.rating, found.model.quality))
    {
        models.push(best.model.clone());
    }
    for Found { model, .. } in found {
        let known = models.iter().any(|known| is_same(known, &model, listing));
        if !known && models.len() < most {
            models.push(model);
        }
    }
    named.retain(|model| models.iter().all(|used| used.id != model.id));
    named.iter_mut().for_each(|model| model.by_request = true);
    models.append(&mut named);
    Some(models)
}

/// Whether a model that was there is the one that the list has under a name of its own.
fn is_same(known: &PoolModel, found: &PoolModel, listing: &Listing) -> bool {
    known.id == found.id || listing.find(&known.id).is_some_and(|listed| listed.id == found.id)
}

fn find(member: &Member, listed: &ListedModel) -> Found {
    let mut model = PoolModel::found(member, &listed.id);
    let price = listed.price.or(model.price);
    let total = price.map_or(0.0, |price| price.input + price.output);
    let free = (listed.price.is_some() && total == 0.0) || is_free(&member.provider, &listed.id);
    let is_priced = listed.price.is_some() && total > 0.0;
    model.price = price;
    model.spend = match model.spend {
        _ if member.wishes.all_paid => SpendClass::Paid,
        SpendClass::Paid if free => SpendClass::Free,
        SpendClass::Free if is_priced && !member.provider.local => SpendClass::Paid,
        class => class,
    };
    Found { model, price: total, free }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kinds_of_models_are_told_by_their_ids() {
        for id in [
            "text-embedding-3-small",
            "gemini-embedding-001",
            "whisper-large-v3",
            "gpt-4o-mini-tts",
            "dall-e-3",
            "gpt-image-1",
            "imagen-4",
            "black-forest-labs/flux-1",
            "meta-llama/llama-guard-4-12b",
            "gemini-live-2.5",
            "omni-moderation-latest",
            "mistral-ocr-latest",
            "BAAI/bge-m3",
        ] {
            assert!(!is_for_chat(id), "{id}");
        }
        for id in ["gpt-oss-120b", "olive-7b", "deepseek-v4-flash", "claude-haiku-5-5", "openrouter/free"] {
            assert!(is_for_chat(id), "{id}");
        }
    }
}
