//! What an edge and its guard say to each other.
//!
//! A connection becomes a link when its client asks for that by the function [`FUNCTION`] of `misc` as its first request,
//! and is answered with code 0. Whoever is no ttguard answers with another code, and has been told nothing that it could
//! take for anything else. From then on both sides send frames, all numbers big-endian:
//!
//! ```text
//! kind: u8 | id: u64 | length: u32 | so many bytes
//! ```
//!
//! - A frame has no more than [`PIECE`] bytes behind its head. What is longer goes in pieces: its first frame has the bit
//!   [`LONG`] in its kind, and the length of the whole, a u64, before the first piece; the others are of the kind
//!   [`Kind::Part`], with the same id. Between two pieces anything else may go, so that nothing waits for a large value.
//! - An [`Ask`](ask::Ask) and what [answers](told::Told) it have the same id. Answers come in any order.
//!
//! Pure, as all protocols are: [`Receiving`](receiving::Receiving) cuts frames from what was read and puts pieces
//! together, [`Sending`](sending::Sending) is what is to be written. Lengths are checked before anything is kept.

pub mod ask;
pub mod hello;
pub mod printable;
pub mod receiving;
pub mod sending;
pub mod told;

use thiserror::Error;

/// The function of `misc` by which a client asks for a link, or, with one argument, to be taken
/// [for another](hello::Behalf).
pub const FUNCTION: &[u8] = b"ttguard_link";

/// The form of what is said on a link. Both sides have the same, or there is no link: each says its own first, so that both
/// can tell why.
pub const VERSION: u16 = 2;

/// Most bytes behind the head of a frame, but for the length of the whole where there is one.
pub const PIECE: usize = 32 * 1024;

/// The bit in its kind that says that a frame is the first piece of something longer.
pub const LONG: u8 = 0x80;

/// Bytes before those of the body: kind, id and length.
pub const HEAD: usize = 1 + 8 + 4;

/// Bytes of the length of the whole, at the head of something longer.
const TOTAL: usize = 8;

/// Most bytes by which a side says who it is.
const GREETING_MAX: usize = 4096;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An edge: [who it is](hello::Hello).
    Hello,
    /// An edge: a client has connected; the id is its number.
    Open,
    /// An edge: a client asks something; the id is the request's.
    Ask,
    /// An edge: a client has gone; the id is its number.
    Close,
    /// An edge: a sign of life is wanted; the id is repeated.
    Ping,
    /// A guard: [who it is](hello::Welcome).
    Welcome,
    /// A guard: what became of a request; the id is the request's.
    Told,
    /// A guard: whether it [serves](hello::Standing).
    Standing,
    /// A guard: the sign of life; the id is that of the ping.
    Pong,
    /// A guard, where edges give stamps: the id is one that a client has just read, or that is why a write of its was
    /// refused. What the edge gives from now on is above it.
    Seen,
    /// Either: a further piece of something longer, of the same id.
    Part,
}

impl Kind {
    const ALL: [(u8, Self); 11] = [
        (0x01, Self::Hello),
        (0x02, Self::Open),
        (0x03, Self::Ask),
        (0x04, Self::Close),
        (0x05, Self::Ping),
        (0x11, Self::Welcome),
        (0x12, Self::Told),
        (0x13, Self::Standing),
        (0x14, Self::Pong),
        (0x15, Self::Seen),
        (0x20, Self::Part),
    ];

    fn number(self) -> u8 {
        let found = Self::ALL.iter().find(|(_, kind)| *kind == self);
        found.map_or(0, |(number, _)| *number)
    }

    fn numbered(number: u8) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == number);
        found.map(|(_, kind)| *kind)
    }

    /// Whether its body may be longer than a piece.
    fn may_be_long(self) -> bool {
        matches!(self, Self::Ask | Self::Told)
    }

    /// Most bytes behind the head of one frame.
    fn most(self) -> usize {
        match self {
            Self::Hello | Self::Welcome => GREETING_MAX,
            Self::Open => hello::Opened::MOST,
            _ => PIECE,
        }
    }
}

/// What is wrong with what the other side of a link sent. Nothing behind it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// There is no such frame.
    #[error("a frame of the unknown kind {0:#04x}")]
    Kind(u8),
    /// A frame of a kind that this side does not take.
    #[error("a frame of the kind {0:?}, which the other side never sends")]
    Unexpected(Kind),
    /// More bytes in one frame than there may be.
    #[error("a frame of {size} bytes is larger than the {max} allowed")]
    Piece {
        /// Bytes announced.
        size: u32,
        /// Bytes allowed.
        max: usize,
    },
    /// More bytes in the whole than there may be, or no more than its first piece has.
    #[error("{size} bytes in pieces are not within the {max} allowed")]
    Whole {
        /// Bytes announced.
        size: u64,
        /// Bytes allowed.
        max: usize,
    },
    /// More is under way in pieces at once than there may be.
    #[error("more than {0} things at once come in pieces")]
    Pieces(usize),
    /// A piece of what has not begun, or more of it than was announced.
    #[error("a piece of nothing that has begun: {0}")]
    Stray(u64),
    /// The other side speaks in another form.
    #[error("version {theirs} of the link, and this release speaks version {VERSION}: both have to be of one release")]
    Version {
        /// That of the other side.
        theirs: u16,
    },
    /// What is in a frame is not what its kind says.
    #[error("a frame of the kind {0:?} cannot be read")]
    Body(Kind),
}

#[cfg(test)]
mod tests;
