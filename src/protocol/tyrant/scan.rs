//! A counted list, looked through as it comes.

use nom::multi::fill;
use nom::number::streaming::be_i32;

use super::limits::Limits;
use super::sizes::{SIZE, SizeFault, header};
use super::skip::Skip;
use crate::command::function::Part;

/// How far a counted list has been looked through.
///
/// It holds two numbers and no element, so a list that has only been announced costs nothing, and one that
/// arrives in pieces is looked through once.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where the next element's sizes begin, counted from the first byte of the frame.
    at: usize,
    /// Elements whose sizes have not been seen.
    left: usize,
    /// Elements in all.
    count: usize,
}

impl Scan {
    /// A scan of `count` elements, the first of which begins at `at`.
    pub(super) fn new(at: usize, count: usize) -> Self {
        Self { at, left: count, count }
    }

    /// Looks on through `input`, which begins where the frame begins, at elements that have `SIZES` sizes each. `part`
    /// says of an element by its place what it is.
    ///
    /// Returns the size of the frame once all of it is in `input`. After a fault the same fault is found again.
    pub(super) fn run<const SIZES: usize>(
        &mut self,
        input: &[u8],
        limits: &Limits,
        part: impl Fn(usize) -> Part,
    ) -> Result<Option<usize>, SizeFault> {
        let sizes_len = SIZES * SIZE;
        limits.frame(self.at.saturating_add(self.left * sizes_len))?;
        while self.left > 0 {
            let mut sizes = [0; SIZES];
            if header(fill(be_i32, &mut sizes), input.get(self.at..)).is_none() {
                return Ok(None);
            }
            let mut end = self.at + sizes_len;
            for size in sizes {
                end = end.saturating_add(limits.part(part(self.count - self.left), size)?);
            }
            limits.frame(end.saturating_add((self.left - 1) * sizes_len))?;
            self.at = end;
            self.left -= 1;
        }
        Ok((input.len() >= self.at).then_some(self.at))
    }

    /// To drop the frame instead, from its first byte on; its elements have `sizes` sizes each.
    pub(super) fn into_skip(self, sizes: usize) -> Skip {
        Skip::new(self.at as u64, self.left, sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::SMALL;

    #[test]
    fn each_element_has_the_limit_of_what_it_is() {
        let limits = Limits { value_max: 7, ..LIMITS };
        let parts = |at: usize| if at == 0 { Part::Key } else { Part::Value };
        let list = [&b"\0\0\0\x04keys\0\0\0\x05value"[..], b"\0\0\0\x08"].concat();
        let found = Scan::new(0, 3).run::<1>(&list, &limits, parts);
        assert_eq!(found, Err(SizeFault::ValueTooLarge { size: 8, max: 7 }));
    }

    #[test]
    fn a_scan_goes_on_where_it_stopped() {
        let frame = b"\0\0\0\x02ab\0\0\0\x01c";
        let mut scan = Scan::new(0, 2);
        assert_eq!(scan.run::<1>(&frame[..4], &LIMITS, |_| Part::Other), Ok(None));
        assert_eq!(
            (scan.at, scan.left),
            (6, 1),
            "the size has been seen, the bytes are still to come"
        );
        assert_eq!(scan.run::<1>(&frame[..9], &LIMITS, |_| Part::Other), Ok(None));
        assert_eq!((scan.at, scan.left), (6, 1));
        assert_eq!(scan.run::<1>(&frame[..10], &LIMITS, |_| Part::Other), Ok(None));
        assert_eq!((scan.at, scan.left), (11, 0));
        assert_eq!(scan.run::<1>(frame, &LIMITS, |_| Part::Other), Ok(Some(11)));
    }

    #[test]
    fn elements_that_are_still_to_come_count_towards_the_frame() {
        assert_eq!(
            Scan::new(20, 3)
                .run::<1>(b"", &LIMITS, |_| Part::Other)
                .unwrap_err()
                .name(),
            "frame_too_large"
        );
        let mut scan = Scan::new(0, 3);
        assert_eq!(
            scan.run::<2>(&[0, 0, 0, 3, 0, 0, 0, 3], &LIMITS, |_| Part::Other),
            Ok(None)
        );
        let mut scan = Scan::new(0, 3);
        let fault = scan.run::<2>(&[0, 0, 0, 4, 0, 0, 0, 3], &LIMITS, |_| Part::Other);
        assert_eq!(fault, Err(SizeFault::FrameTooLarge { size: 31, max: 30 }));
    }
}
