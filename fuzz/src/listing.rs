//! Lists of models: whatever a server says, each model is there once, under a name that can be written down.

use std::collections::BTreeSet;

use hr_core::capability::MAX_LISTED;
use hr_wire::listing;

/// Reads a list, and the same bytes as what a server tells of one model.
pub fn check(input: &[u8]) {
    if let Some(list) = listing::read(input) {
        assert!(list.models.len() <= MAX_LISTED);
        let mut seen = BTreeSet::new();
        for model in &list.models {
            assert!(!model.id.is_empty() && !model.id.contains(char::is_control), "{:?}", model.id);
            assert!(seen.insert(&model.id), "`{}` is there twice", model.id);
            assert!(model.price.is_none_or(|price| price.input >= 0.0 && price.output >= 0.0));
        }
    }
    if let Some(model) = listing::read_one("one", input) {
        assert_eq!(model.id, "one");
    }
}
