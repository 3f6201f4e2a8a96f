//! Carries commands to a store.

pub mod embedded;
pub mod tyrant;
