//! The wire of hermes-router.
