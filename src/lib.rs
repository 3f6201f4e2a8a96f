//! ttguard.
pub mod cli;
pub mod command;
pub mod config;
pub mod guard;
pub mod protocol;
