//! ttguard.
pub mod backend;
pub mod command;
pub mod guard;
pub mod protocol;
