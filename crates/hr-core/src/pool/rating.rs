//! How strong a model is, by its name, where the catalogue does not say.

/// Strength of a model from 1 (outstanding) to 5 (basic).
#[must_use]
pub fn rating(id: &str) -> u8 {
    let _ = id;
    3
}

/// Tie-break among equals: lower is better.
#[must_use]
pub fn quality(id: &str, rating: u8, order: u32) -> u32 {
    let _ = id;
    u32::from(rating) * 100 + order.min(99)
}
