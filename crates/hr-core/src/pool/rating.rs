//! How strong a model is, by its name, where the catalogue does not say. The names are data: `names.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The strength of a model of which nothing is known: the middle.
pub const UNKNOWN_RATING: u8 = 3;
/// The last place that a provider takes in a tie-break.
const LAST_PLACE: u32 = 99;

/// What names tell.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    /// Families by their strength.
    known: BTreeMap<String, Vec<String>>,
    /// Telling parts of any family's names, by the strength they stand for.
    parts: BTreeMap<String, Vec<String>>,
    /// Families by their place among equals.
    quality: BTreeMap<String, u32>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    toml::from_str(include_str!("names.toml")).unwrap_or_else(|error| {
        unreachable!("a file of the build is broken, which its tests refuse: {error}")
    })
});

/// Strength of a model from 1 (outstanding) to 5 (basic).
#[must_use]
pub fn rating(id: &str) -> u8 {
    let id = id.to_lowercase();
    let families =
        NAMES.known.iter().flat_map(|(rating, names)| names.iter().map(move |name| (name, rating)));
    let found = families
        .filter(|(name, _)| has_part(&id, name))
        .max_by_key(|(name, _)| name.len())
        .map(|(_, rating)| rating)
        .or_else(|| {
            let telling = |(_, parts): &(&String, &Vec<String>)| parts.iter().any(|part| has_part(&id, part));
            NAMES.parts.iter().find(telling).map(|(rating, _)| rating)
        });
    found.and_then(|rating| rating.parse().ok()).unwrap_or(UNKNOWN_RATING)
}

/// Tie-break among equals, lower is better: the family's place, else by strength and the provider's place.
#[must_use]
pub fn quality(id: &str, rating: u8, order: u32) -> u32 {
    let id = id.to_lowercase();
    NAMES
        .quality
        .iter()
        .filter(|(name, _)| has_part(&id, name))
        .max_by_key(|(name, _)| name.len())
        .map_or_else(|| u32::from(rating) * 100 + order.min(LAST_PLACE), |(_, place)| *place)
}

/// Whether `part` stands in `id` between boundaries: nothing, or anything but letters and digits. A version
/// may follow a word at once, as in `qwen3`.
fn has_part(id: &str, part: &str) -> bool {
    let word = part.ends_with(|c: char| c.is_ascii_alphabetic());
    id.match_indices(part).any(|(start, _)| {
        let before = id[..start].chars().next_back();
        let after = id[start + part.len()..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric())
            && after.is_none_or(|c| !c.is_alphanumeric() || (word && c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_can_be_read_and_mean_something() {
        let ratings = ["1", "2", "3", "4", "5"];
        assert!(
            NAMES.known.keys().chain(NAMES.parts.keys()).all(|rating| ratings.contains(&rating.as_str()))
        );
        for name in NAMES.known.values().chain(NAMES.parts.values()).flatten() {
            assert_eq!(*name, name.to_lowercase(), "names are compared in lower case");
        }
        for (rating_of, names) in &NAMES.known {
            for name in names {
                assert_eq!(rating(name).to_string(), *rating_of, "{name} is in two lists");
            }
        }
    }

    #[test]
    fn the_longest_family_counts() {
        assert_eq!(rating("gpt-4o"), 1);
        assert_eq!(rating("gpt-4o-mini-2024-07-18"), 3);
        assert_eq!(rating("gemini-2.5-flash"), 2);
        assert_eq!(rating("models/gemini-2.5-flash-lite"), 3);
        assert_eq!(rating("DeepSeek-V3.2"), 2);
        assert_eq!(rating("openai/gpt-oss-120b:cheapest"), 3);
        assert_eq!(rating("nvidia/nemotron-3-super-120b-a12b:free"), 2);
    }

    #[test]
    fn short_names_are_not_found_inside_others() {
        assert_eq!(rating("o1"), 1);
        assert_eq!(rating("some/o3"), 1);
        for other in ["foo1", "foo3-base", "video1", "demo3"] {
            assert_eq!(rating(other), UNKNOWN_RATING, "{other}");
        }
        assert_eq!(rating("minimax-m1"), UNKNOWN_RATING, "`mini` is not a part of it");
    }

    #[test]
    fn parts_tell_of_unknown_families() {
        assert_eq!(rating("acme-405b-instruct"), 1);
        assert_eq!(rating("acme-large"), 2);
        assert_eq!(rating("qwen3-coder-30b"), 3);
        assert_eq!(rating("acme:8b"), 4);
        assert_eq!(rating("acme-1b"), 5);
        assert_eq!(rating("acme-11b"), UNKNOWN_RATING);
        assert_eq!(rating("llama3.1"), UNKNOWN_RATING);
    }

    #[test]
    fn quality_is_the_familys_place_or_by_strength() {
        assert_eq!(quality("gpt-4o", 1, 7), 15);
        assert_eq!(quality("gpt-4o-mini", 3, 7), 60);
        assert_eq!(quality("unheard-of", 3, 7), 307);
        assert_eq!(quality("unheard-of", 3, 1000), 399);
    }
}
