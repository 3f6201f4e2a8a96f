//! Bytes to commands and back. Pure: no socket, no clock, no metrics.
//!
//! The server tells the three protocols of its port apart by each request: so does [`request::Decoder`]. An
//! [answer] goes out in the form of the protocol that its request came in.
//!
//! A decoder takes a whole frame off its input or nothing: `Ok(None)` is "not all there yet", never a fault. After a
//! fault nothing that follows can be trusted, so a fault ends the connection.

pub mod answer;
#[cfg(test)]
#[path = "../fuzz/checks/fed.rs"]
mod fed;
pub mod http;
pub mod link;
pub mod memcached;
pub mod outgoing;
pub mod request;
mod text;
pub mod tyrant;

use std::fmt;

use tyrant::opcode::MAGIC;

/// A protocol that clients may speak on a listener's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Tokyo Tyrant's own, of binary frames.
    Binary,
    /// memcached's, of lines of text.
    Memcached,
    /// HTTP.
    Http,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Binary => "binary",
            Self::Memcached => "memcached",
            Self::Http => "http",
        })
    }
}

/// A set of protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols(u8);

impl Protocols {
    /// No protocol.
    pub const NONE: Self = Self(0);

    /// All there are.
    pub const ALL: Self = Self(Protocol::Binary.bit() | Protocol::Memcached.bit() | Protocol::Http.bit());

    /// Whether this one is in the set.
    pub fn serve(self, protocol: Protocol) -> bool {
        self.0 & protocol.bit() != 0
    }

    /// Adds one; false where it was in the set before.
    pub fn add(&mut self, protocol: Protocol) -> bool {
        let is_new = !self.serve(protocol);
        self.0 |= protocol.bit();
        is_new
    }

    /// Takes one out.
    pub fn remove(&mut self, protocol: Protocol) {
        self.0 &= !protocol.bit();
    }
}

impl Protocol {
    /// The protocol whose requests can begin with this byte.
    pub fn begun_by(byte: u8) -> Option<Self> {
        match byte {
            MAGIC => Some(Self::Binary),
            b'a'..=b'z' => Some(Self::Memcached),
            b'A'..=b'Z' => Some(Self::Http),
            _ => None,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}
