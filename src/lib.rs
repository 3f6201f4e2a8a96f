//! ttguard.
pub mod command;
pub mod guard;
pub mod protocol;
