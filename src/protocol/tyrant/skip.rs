//! A frame that is larger than allowed, dropped as it comes.

use bytes::{Buf, BytesMut};

use super::sizes::{SIZE, SizeFault};

/// How far such a frame has been dropped.
///
/// It holds four numbers, however large the frame is: its bytes leave the input as they arrive, and only the sizes of
/// its elements are looked at, since they say where it ends.
#[derive(Debug)]
pub(super) struct Skip {
    /// Bytes to drop before the next element's sizes, or before the end where there is none.
    ahead: u64,
    /// Elements whose sizes have not been seen.
    left: usize,
    /// Bytes that the sizes of one element take.
    sizes_len: usize,
    dropped: u64,
}

impl Skip {
    /// A frame of `ahead` bytes and `left` elements behind them, of `sizes` sizes each.
    pub(super) fn new(ahead: u64, left: usize, sizes: usize) -> Self {
        Self {
            ahead,
            left,
            sizes_len: sizes * SIZE,
            dropped: 0,
        }
    }

    /// Drops what has come of the frame; returns how many bytes it had once it has come to its end.
    ///
    /// After a fault the same fault is found again.
    pub(super) fn run(&mut self, input: &mut BytesMut) -> Result<Option<u64>, SizeFault> {
        loop {
            let gone = input.len().min(usize::try_from(self.ahead).unwrap_or(usize::MAX));
            input.advance(gone);
            self.ahead -= gone as u64;
            self.dropped += gone as u64;
            if self.ahead > 0 {
                return Ok(None);
            }
            if self.left == 0 {
                return Ok(Some(self.dropped));
            }
            let Some(mut sizes) = input.get(..self.sizes_len) else {
                return Ok(None);
            };
            let mut element = self.sizes_len as u64;
            while sizes.has_remaining() {
                let size = sizes.get_i32();
                element += u64::try_from(size).map_err(|_| SizeFault::NegativeSize(size))?;
            }
            self.ahead = element;
            self.left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_as_they_arrive_and_nothing_behind_the_frame_does() {
        let mut skip = Skip::new(5, 2, 1);
        let mut input = BytesMut::from(&b"heads\0\0"[..]);
        assert_eq!(skip.run(&mut input), Ok(None));
        assert_eq!(&input[..], b"\0\0", "half a size stays");
        input.extend_from_slice(b"\0\x03ab");
        assert_eq!(skip.run(&mut input), Ok(None));
        assert!(input.is_empty());
        input.extend_from_slice(b"c\0\0\0\0next");
        assert_eq!(skip.run(&mut input), Ok(Some(16)));
        assert_eq!(&input[..], b"next");
    }

    #[test]
    fn a_size_below_zero_is_a_fault_that_stays() {
        let mut skip = Skip::new(0, 1, 2);
        let mut input = BytesMut::from(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff][..]);
        for _ in 0..2 {
            assert_eq!(skip.run(&mut input), Err(SizeFault::NegativeSize(-1)));
        }
    }

    #[test]
    fn what_two_elements_announce_need_not_fit_32_bits() {
        let mut skip = Skip::new(0, 2, 2);
        let mut input = BytesMut::from(&[0x7f, 0xff, 0xff, 0xff].repeat(2)[..]);
        assert_eq!(skip.run(&mut input), Ok(None));
        assert_eq!(skip.ahead, 2 * u64::from(u32::MAX >> 1));
    }
}
