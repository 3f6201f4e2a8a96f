//! Bytes on their way out: small ones gathered, large ones kept as they are.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

use bytes::{BufMut, Bytes, BytesMut};

/// Below this size a slice is copied into the gathered tail; from it on it travels as it is.
const COPY_MAX: usize = 4096;

/// The gathered tail becomes a chunk of its own when it has grown to this size.
const CHUNK: usize = 64 * 1024;

/// An ordered queue of bytes to write, gathered so that one vectored write takes as much as possible.
#[derive(Debug, Default)]
pub struct Outgoing {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    queued: usize,
}

impl Outgoing {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that are still to be written.
    pub fn len(&self) -> usize {
        self.queued
    }

    /// Whether nothing is left to write.
    pub fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// Gives back room that is not needed now.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::new();
        }
    }

    /// Adds one byte.
    pub fn put_u8(&mut self, byte: u8) {
        self.tail.put_u8(byte);
        self.queued += 1;
    }

    /// Adds bytes by copying them.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
        self.queued += bytes.len();
        if self.tail.len() >= CHUNK {
            self.seal();
        }
    }

    /// Adds bytes, without copying them where they are large.
    pub fn put_bytes(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_MAX {
            self.put_slice(bytes);
        } else {
            self.seal();
            self.queued += bytes.len();
            self.chunks.push_back(bytes.clone());
        }
    }

    /// Adds all of another queue, without copying it.
    pub fn append(&mut self, mut other: Self) {
        self.seal();
        other.seal();
        self.queued += other.queued;
        self.chunks.append(&mut other.chunks);
    }

    /// Moves the first bytes to the end of another queue, so many at most. Large ones are not copied.
    pub fn move_some(&mut self, most: usize, to: &mut Self) {
        let mut left = most.min(self.queued);
        self.queued -= left;
        while left > 0
            && let Some(mut chunk) = self.chunks.pop_front()
        {
            let part = chunk.split_to(chunk.len().min(left));
            left -= part.len();
            to.put_bytes(&part);
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
        }
        if left > 0 {
            to.put_slice(&self.tail[..left]);
            if left == self.tail.len() {
                // Keeps the allocation.
                self.tail.clear();
            } else {
                let _ = self.tail.split_to(left);
            }
        }
    }

    /// Writes `bytes` over those that lie so many before the end, where they are still in the gathered tail; whether
    /// they are.
    pub fn overwrite(&mut self, before_end: usize, bytes: &[u8]) -> bool {
        let at = self.tail.len().checked_sub(before_end);
        let place = at.and_then(|at| self.tail.get_mut(at..at + bytes.len()));
        place.map(|place| place.copy_from_slice(bytes)).is_some()
    }

    /// Takes the last bytes out again, where so many are still in the gathered tail; whether they are.
    pub fn cut(&mut self, bytes: usize) -> bool {
        let left = self.tail.len().checked_sub(bytes);
        if let Some(left) = left {
            self.tail.truncate(left);
            self.queued -= bytes;
        }
        left.is_some()
    }

    /// Fills `slices` with what is to be written next, at most so many bytes, and returns how many it filled.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>], mut most: usize) -> usize {
        let chunks = self.chunks.iter().map(|chunk| chunk.as_ref());
        let tail = (!self.tail.is_empty()).then_some(self.tail.as_ref());
        let mut filled = 0;
        for (slot, bytes) in slices.iter_mut().zip(chunks.chain(tail)) {
            if most == 0 {
                break;
            }
            let bytes = &bytes[..bytes.len().min(most)];
            most -= bytes.len();
            *slot = IoSlice::new(bytes);
            filled += 1;
        }
        filled
    }

    /// Forgets the first `written` bytes.
    ///
    /// # Panics
    /// When more was written than was queued, which is a defect of the caller.
    pub fn advance(&mut self, mut written: usize) {
        assert!(written <= self.queued, "wrote more than was queued");
        self.queued -= written;
        while written > 0 {
            let Some(front) = self.chunks.front_mut() else {
                break;
            };
            if written < front.len() {
                let _ = front.split_to(written);
                return;
            }
            written -= front.len();
            self.chunks.pop_front();
        }
        if written == self.tail.len() {
            self.tail.clear();
        } else {
            let _ = self.tail.split_to(written);
        }
    }

    /// Takes everything out as one piece.
    pub fn take(&mut self) -> Bytes {
        self.seal();
        let mut all = BytesMut::with_capacity(self.queued);
        for chunk in self.chunks.drain(..) {
            all.put_slice(&chunk);
        }
        self.queued = 0;
        all.freeze()
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }
}

/// For formatted text. Memory takes all of it.
impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_moved_in_order_however_they_are_cut() {
        for step in [1, 4095, 4096, 6000, 100_000] {
            let (mut from, mut to) = (Outgoing::new(), Outgoing::new());
            let mut expected = Vec::new();
            for size in [1usize, 5000, 2, 4096, 4095, 70_000, 3] {
                let piece = Bytes::from(vec![size as u8; size]);
                expected.extend_from_slice(&piece);
                from.put_bytes(&piece);
            }
            while !from.is_empty() {
                let (before, left) = (to.len(), from.len());
                from.move_some(step, &mut to);
                assert_eq!((to.len() - before, left - from.len()), (step.min(left), step.min(left)));
            }
            assert_eq!(to.take(), expected);
        }
    }

    #[test]
    fn small_and_large_pieces_leave_in_order_however_they_are_cut() {
        for step in [1, 3, 4095, 4096, 70_000] {
            let mut out = Outgoing::new();
            let mut expected = Vec::new();
            for size in [1usize, 5000, 2, 4096, 4095, 0, 70_000] {
                let piece = Bytes::from(vec![size as u8; size]);
                expected.extend_from_slice(&piece);
                out.put_bytes(&piece);
            }
            assert_eq!(out.len(), expected.len());
            let mut seen = Vec::new();
            while !out.is_empty() {
                let mut slices = [IoSlice::new(&[]); 3];
                let filled = out.io_slices(&mut slices, usize::MAX);
                assert!(filled > 0);
                let taken: Vec<u8> = slices[..filled]
                    .iter()
                    .flat_map(|s| s.iter().copied())
                    .take(step)
                    .collect();
                seen.extend_from_slice(&taken);
                out.advance(taken.len());
            }
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn what_is_appended_follows_what_was_there() {
        let (mut out, mut other) = (Outgoing::new(), Outgoing::new());
        out.put_slice(b"first,");
        other.put_bytes(&Bytes::from(vec![b'-'; COPY_MAX]));
        other.put_slice(b"second,");
        out.append(other);
        out.put_slice(b"third");
        assert_eq!(out.len(), 6 + COPY_MAX + 7 + 5);
        let all = out.take();
        assert_eq!(
            (&all[..7], &all[6 + COPY_MAX..]),
            (&b"first,-"[..], &b"second,third"[..])
        );
    }

    #[test]
    fn only_what_is_in_the_tail_can_be_written_over() {
        let mut out = Outgoing::new();
        out.put_slice(b"abcdef");
        assert!(out.overwrite(4, b"XY"));
        assert!(!out.overwrite(7, b"Z"), "before the first");
        assert!(!out.overwrite(1, b"ZZ"), "beyond the last");
        out.put_bytes(&Bytes::from(vec![b'-'; COPY_MAX]));
        assert!(!out.overwrite(COPY_MAX + 2, b"Z"), "no longer in the tail");
        assert!(!out.cut(1), "nor can it be taken out");
        assert_eq!(out.take()[..7], *b"abXYef-");
    }

    #[test]
    fn what_is_in_the_tail_can_be_taken_out_again() {
        let mut out = Outgoing::new();
        out.put_slice(b"abcdef");
        assert!(!out.cut(7), "there are six");
        assert!(out.cut(4));
        out.put_slice(b"gh");
        assert_eq!(out.len(), 4);
        assert_eq!(out.take(), "abgh");
    }
}
