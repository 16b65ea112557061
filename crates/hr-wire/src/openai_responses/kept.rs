//! The whole items of a reply as they pass, for backends whose end of a response leaves them out.

use std::collections::BTreeMap;

use hr_core::failure::{Failure, FailureKind};

use super::stream::MAX_ITEMS;

/// The most bytes of items that are kept of one reply.
const MAX_KEPT: usize = 64 * 1024 * 1024;

/// Items by their place.
#[derive(Debug, Default)]
pub(super) struct Items {
    whole: BTreeMap<u64, String>,
    bytes: usize,
}

impl Items {
    /// Keeps an item; without a place it comes after those before it. The last one of a place counts.
    pub(super) fn put(&mut self, place: Option<u64>, item: &str) -> Result<(), Failure> {
        let next = || self.whole.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        let place = place.unwrap_or_else(next);
        let before = self.whole.insert(place, item.to_owned());
        self.bytes = (self.bytes + item.len()).saturating_sub(before.map_or(0, |before| before.len()));
        let words = if self.whole.len() > MAX_ITEMS {
            format!("the reply holds more than {MAX_ITEMS} items")
        } else if self.bytes > MAX_KEPT {
            format!("the items of the reply are longer than {MAX_KEPT} bytes")
        } else {
            return Ok(());
        };
        Err(Failure::new(FailureKind::Malformed, words).status(200))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// All of them as JSON text.
    pub(super) fn array(&self) -> String {
        let items: Vec<&str> = self.whole.values().map(String::as_str).collect();
        format!("[{}]", items.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stand_in_the_order_of_their_places_and_have_a_limit() {
        let mut items = Items::default();
        for (place, item) in [(Some(2), "\"c\""), (Some(0), "\"x\""), (Some(0), "\"a\""), (None, "\"d\"")] {
            items.put(place, item).unwrap();
        }
        assert_eq!(items.array(), r#"["a","c","d"]"#);
        for _ in 3..MAX_ITEMS {
            items.put(None, "{}").unwrap();
        }
        assert_eq!(items.put(None, "{}").unwrap_err().kind, FailureKind::Malformed);
        let long = "x".repeat(MAX_KEPT / 2);
        let mut items = Items::default();
        items.put(Some(0), &long).unwrap();
        items.put(Some(0), &long).unwrap();
        items.put(Some(1), &long).unwrap();
        assert!(items.put(Some(2), "x").is_err());
    }
}
