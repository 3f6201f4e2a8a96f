//! Bytes to commands and back. Pure: no socket, no clock, no metrics.
//!
//! A decoder takes a whole frame off its input or nothing: `Ok(None)` is "not all there yet", never a fault. After a
//! fault nothing that follows can be trusted, so a fault ends the connection.

pub mod http;
pub mod memcached;
pub mod outgoing;
mod text;
pub mod tyrant;
