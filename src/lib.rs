//! ttguard.
pub mod command;
pub mod guard;
pub mod logging;
pub mod metrics;
pub mod protocol;
