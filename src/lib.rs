//! ttguard.
pub mod command;
pub mod guard;
pub mod metrics;
pub mod protocol;
