//! ttguard.
pub mod command;
pub mod guard;
pub mod pairing;
pub mod protocol;
pub mod transport;
