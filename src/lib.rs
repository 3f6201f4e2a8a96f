//! ttguard.
pub mod admin;
pub mod backend;
pub mod command;
pub mod guard;
pub mod logging;
pub mod metrics;
pub mod pairing;
pub mod protocol;
pub mod transport;
