//! Bytes to commands and back. Pure: no socket, no clock, no metrics.

pub mod outgoing;
pub mod tyrant;
