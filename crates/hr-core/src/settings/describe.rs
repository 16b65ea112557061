//! Walks over the definition that people read: the manual and the example file.

use crate::catalog::Catalog;

/// `docs/settings.md`.
#[must_use]
pub fn manual(catalog: &Catalog) -> String {
    let _ = catalog;
    String::new()
}

/// `.env.example`.
#[must_use]
pub fn example_env(catalog: &Catalog) -> String {
    let _ = catalog;
    String::new()
}
