//! Frames to bytes: what is to be written, a piece of each long thing at a time.

use std::collections::VecDeque;
use std::io;

use super::{HEAD, Kind, LONG, PIECE, TOTAL};
use crate::protocol::outgoing::Outgoing;

/// With more bytes before them, further pieces wait: what is short never waits for more than this.
const AHEAD: usize = 2 * PIECE;

/// A body that leaves in pieces.
#[derive(Debug)]
struct Long<T> {
    kind: Kind,
    id: u64,
    rest: Outgoing,
    has_begun: bool,
    tag: T,
}

/// What is to be written on a link. `T` is kept beside a body for as long as that is not all put behind what leaves.
#[derive(Debug)]
pub struct Sending<T> {
    /// What leaves next.
    out: Outgoing,
    /// Where a body is put together.
    body: Outgoing,
    long: VecDeque<Long<T>>,
    long_bytes: usize,
    /// Bytes that were ever put into `out`.
    put: u64,
}

impl<T> Default for Sending<T> {
    fn default() -> Self {
        Self {
            out: Outgoing::new(),
            body: Outgoing::new(),
            long: VecDeque::new(),
            long_bytes: 0,
            put: 0,
        }
    }
}

impl<T> Sending<T> {
    /// Bytes that are still to be written.
    pub fn len(&self) -> usize {
        self.out.len() + self.long_bytes
    }

    /// Whether nothing is left to write.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.long.is_empty()
    }

    /// Bytes that were put on their way since the link began.
    pub fn put(&self) -> u64 {
        self.put
    }

    /// Bytes of it that were written.
    pub fn written(&self) -> u64 {
        self.put - self.out.len() as u64
    }

    /// Adds a frame, whose body `put` writes. Where its last byte lies in all that is ever [put](Self::put) on the link,
    /// once that is known: not while it leaves in pieces.
    pub fn add(&mut self, kind: Kind, id: u64, tag: T, put: impl FnOnce(&mut Outgoing)) -> Option<u64> {
        put(&mut self.body);
        if self.body.len() <= PIECE {
            let before = self.out.len();
            head(kind.number(), id, self.body.len(), &mut self.out);
            self.body.move_some(usize::MAX, &mut self.out);
            self.put += (self.out.len() - before) as u64;
            return Some(self.put);
        }
        let rest = std::mem::take(&mut self.body);
        self.long_bytes += rest.len();
        self.long.push_back(Long {
            kind,
            id,
            rest,
            has_begun: false,
            tag,
        });
        None
    }

    /// Puts further pieces behind what leaves, while there is little of that.
    fn fill(&mut self) {
        while self.out.len() < AHEAD
            && let Some(mut long) = self.long.pop_front()
        {
            let before = self.out.len();
            let piece = long.rest.len().min(PIECE);
            if long.has_begun {
                head(Kind::Part.number(), long.id, piece, &mut self.out);
            } else {
                head(long.kind.number() | LONG, long.id, piece, &mut self.out);
                self.out.put_slice(&(long.rest.len() as u64).to_be_bytes());
                long.has_begun = true;
            }
            long.rest.move_some(piece, &mut self.out);
            self.long_bytes -= piece;
            self.put += (self.out.len() - before) as u64;
            if !long.rest.is_empty() {
                self.long.push_back(long);
            }
        }
    }

    /// Has what leaves written, for as long as `write` takes all of it and says that it would take more: anything but 0.
    /// Returns how many bytes that was.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn write(&mut self, mut write: impl FnMut(&mut Outgoing) -> io::Result<usize>) -> io::Result<usize> {
        let mut total = 0;
        loop {
            self.fill();
            if self.out.is_empty() {
                return Ok(total);
            }
            let before = self.out.len();
            let goes_on = write(&mut self.out)? > 0;
            total += before - self.out.len();
            if !self.out.is_empty() || !goes_on {
                return Ok(total);
            }
        }
    }

    /// Whether pieces of what has this id have yet to be put behind what leaves.
    pub fn is_leaving(&self, id: u64) -> bool {
        self.long.iter().any(|long| long.id == id)
    }

    /// What is kept beside bodies that have not left.
    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.long.iter().map(|long| &long.tag)
    }
}

/// Adds the head of a frame with so many bytes behind it, but for the length of the whole.
fn head(number: u8, id: u64, length: usize, out: &mut Outgoing) {
    let mut head = [0; HEAD];
    head[0] = number;
    head[1..9].copy_from_slice(&id.to_be_bytes());
    // At most a piece.
    head[9..].copy_from_slice(&(length as u32).to_be_bytes());
    out.put_slice(&head);
}

/// Bytes that a frame of so many takes on the wire.
pub const fn framed(body: usize) -> usize {
    HEAD + TOTAL + body
}
