//! Bytes to commands and back. Pure: no socket, no clock, no metrics.
//!
//! A decoder takes a whole frame off its input or nothing: `Ok(None)` is "not all there yet", never a fault. After a
//! fault nothing that follows can be trusted, so a fault ends the connection.

pub mod outgoing;
pub mod tyrant;

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
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}
