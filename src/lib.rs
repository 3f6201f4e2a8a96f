//! ttguard.
pub mod admin;
pub mod backend;
pub mod cli;
pub mod command;
pub mod config;
pub mod demo;
pub mod guard;
pub mod logging;
pub mod metrics;
pub mod pairing;
pub mod protocol;
pub mod proxy;
pub mod transport;
