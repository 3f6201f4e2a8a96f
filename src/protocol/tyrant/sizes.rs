//! The sizes and counts that a frame announces, judged before a byte of what they announce is awaited.

use bytes::{Buf, Bytes};
use nom::Parser;
use thiserror::Error;

use super::limits::Limits;
use crate::command::function::Part;

/// Bytes that a size or a count takes on the wire.
pub(super) const SIZE: usize = 4;

/// What is wrong with a size or a count that a peer announced.
///
/// On the wire both are signed 32-bit integers: the server reads them into an `int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SizeFault {
    /// A size below zero. The real server gives up the frame here and reads its payload as new requests.
    #[error("a size of {0} bytes is below zero")]
    NegativeSize(i32),
    /// One argument has more bytes than [`Limits::argument_max`].
    #[error("an argument of {size} bytes is larger than the {max} allowed")]
    ArgumentTooLarge {
        /// Bytes announced.
        size: u32,
        /// Bytes allowed.
        max: u32,
    },
    /// A key has more bytes than [`Limits::key_max`].
    #[error("a key of {size} bytes is larger than the {max} allowed")]
    KeyTooLarge {
        /// Bytes announced.
        size: u32,
        /// Bytes allowed.
        max: u32,
    },
    /// A value has more bytes than [`Limits::value_max`].
    #[error("a value of {size} bytes is larger than the {max} allowed")]
    ValueTooLarge {
        /// Bytes announced.
        size: u32,
        /// Bytes allowed.
        max: u32,
    },
    /// A count below zero.
    #[error("a count of {0} is below zero")]
    NegativeCount(i32),
    /// A list has more elements than [`Limits::arguments_max`].
    #[error("a list of {count} elements is longer than the {max} allowed")]
    TooManyArguments {
        /// Elements announced.
        count: u32,
        /// Elements allowed.
        max: u32,
    },
    /// The frame as announced so far has more bytes than [`Limits::frame_max`].
    #[error("a frame of {size} bytes or more is larger than the {max} allowed")]
    FrameTooLarge {
        /// The fewest bytes that the frame can still have.
        size: usize,
        /// Bytes allowed.
        max: usize,
    },
}

impl SizeFault {
    /// A short name that stays the same from release to release, for use as a metric label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NegativeSize(_) => "negative_size",
            Self::ArgumentTooLarge { .. } => "argument_too_large",
            Self::KeyTooLarge { .. } => "key_too_large",
            Self::ValueTooLarge { .. } => "value_too_large",
            Self::NegativeCount(_) => "negative_count",
            Self::TooManyArguments { .. } => "too_many_arguments",
            Self::FrameTooLarge { .. } => "frame_too_large",
        }
    }

    /// Whether it is over a limit of ours, and could be said otherwise.
    pub fn is_over_limit(&self) -> bool {
        match self {
            Self::ArgumentTooLarge { .. }
            | Self::KeyTooLarge { .. }
            | Self::ValueTooLarge { .. }
            | Self::TooManyArguments { .. }
            | Self::FrameTooLarge { .. } => true,
            Self::NegativeSize(_) | Self::NegativeCount(_) => false,
        }
    }
}

impl Limits {
    /// The bytes of an argument announced as `size`, whatever it is.
    pub(super) fn argument(&self, size: i32) -> Result<usize, SizeFault> {
        self.part(Part::Other, size)
    }

    /// The bytes of a key announced as `size`.
    pub(super) fn key(&self, size: i32) -> Result<usize, SizeFault> {
        self.part(Part::Key, size)
    }

    /// The bytes of a value announced as `size`.
    pub(super) fn value(&self, size: i32) -> Result<usize, SizeFault> {
        self.part(Part::Value, size)
    }

    /// The bytes of an argument of this kind announced as `size`.
    pub(super) fn part(&self, part: Part, size: i32) -> Result<usize, SizeFault> {
        let size = u32::try_from(size).map_err(|_| SizeFault::NegativeSize(size))?;
        self.within(part, size)
    }

    /// The bytes of an argument of this kind that has so many.
    pub(in crate::protocol) fn within(&self, part: Part, size: u32) -> Result<usize, SizeFault> {
        if size > self.argument_max {
            let max = self.argument_max;
            return Err(SizeFault::ArgumentTooLarge { size, max });
        }
        match part {
            Part::Key if size > self.key_max => Err(SizeFault::KeyTooLarge {
                size,
                max: self.key_max,
            }),
            Part::Value if size > self.value_max => Err(SizeFault::ValueTooLarge {
                size,
                max: self.value_max,
            }),
            _ => Ok(size as usize),
        }
    }

    /// The elements of a list announced as `count`.
    pub(super) fn count(&self, count: i32) -> Result<usize, SizeFault> {
        let count = u32::try_from(count).map_err(|_| SizeFault::NegativeCount(count))?;
        let max = self.arguments_max;
        if count > max {
            return Err(SizeFault::TooManyArguments { count, max });
        }
        Ok(count as usize)
    }

    /// The bytes of a frame that has at least `size`.
    pub(in crate::protocol) fn frame(&self, size: usize) -> Result<usize, SizeFault> {
        let max = self.frame_max;
        if size > max {
            return Err(SizeFault::FrameTooLarge { size, max });
        }
        Ok(size)
    }
}

/// Reads a header of fixed length; `None` until all of it has arrived.
///
/// Numbers are all that `parser` may read: too few bytes is then the one way in which it can fail.
pub(super) fn header<'a, O>(
    mut parser: impl Parser<&'a [u8], Output = O, Error = ()>,
    input: Option<&'a [u8]>,
) -> Option<O> {
    parser.parse(input?).ok().map(|(_, header)| header)
}

/// The elements of a list, each a size and its bytes, from the rest of a frame that a [`Scan`](super::scan::Scan) found whole.
pub(super) fn strings(mut list: Bytes, count: usize) -> Vec<Bytes> {
    let mut strings = Vec::with_capacity(count);
    take_strings(&mut list, count, &mut strings);
    strings
}

/// Takes so many elements off the front of such a list.
pub(super) fn take_strings(list: &mut Bytes, count: usize, strings: &mut Vec<Bytes>) {
    strings.extend((0..count).map(|_| {
        let size = list.get_u32() as usize;
        list.split_to(size)
    }));
}

/// As [`strings`], where an element is two sizes, a key and a value.
pub(super) fn records(mut list: Bytes, count: usize) -> Vec<(Bytes, Bytes)> {
    (0..count)
        .map(|_| {
            let key_size = list.get_u32() as usize;
            let value_size = list.get_u32() as usize;
            (list.split_to(key_size), list.split_to(value_size))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits::SMALL;

    #[test]
    fn limits_allow_their_own_value_and_no_more() {
        assert_eq!(LIMITS.argument(10), Ok(10));
        assert_eq!(LIMITS.argument(11).unwrap_err().name(), "argument_too_large");
        assert_eq!(LIMITS.argument(-1), Err(SizeFault::NegativeSize(-1)));
        assert_eq!(LIMITS.count(3), Ok(3));
        assert_eq!(LIMITS.count(4).unwrap_err().name(), "too_many_arguments");
        assert_eq!(LIMITS.count(i32::MIN).unwrap_err().name(), "negative_count");
        assert_eq!(LIMITS.frame(30), Ok(30));
        assert_eq!(LIMITS.frame(31), Err(SizeFault::FrameTooLarge { size: 31, max: 30 }));
    }

    #[test]
    fn keys_and_values_have_limits_of_their_own_below_that_of_any_argument() {
        let limits = Limits {
            key_max: 4,
            value_max: 7,
            ..LIMITS
        };
        assert_eq!(
            (limits.key(4), limits.value(7), limits.argument(10)),
            (Ok(4), Ok(7), Ok(10))
        );
        assert_eq!(limits.key(5), Err(SizeFault::KeyTooLarge { size: 5, max: 4 }));
        assert_eq!(limits.value(8), Err(SizeFault::ValueTooLarge { size: 8, max: 7 }));
        for fault in [limits.key(11), limits.value(11), LIMITS.key(11)] {
            assert_eq!(fault.unwrap_err().name(), "argument_too_large");
        }
        assert_eq!(limits.key(-1), Err(SizeFault::NegativeSize(-1)));
    }
}
