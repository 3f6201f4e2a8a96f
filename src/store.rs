//! Carries commands to a store.
//!
//! A store is given whole [commands](crate::command::Command) and gives whole replies. What may be sent, and in which
//! order, is decided before: nothing here knows a stamp.

pub mod capabilities;
pub mod embedded;
pub mod tyrant;
