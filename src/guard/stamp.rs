//! The stamp: the leading digits of a value.

use std::time::Duration;

/// The most digits a stamp can have: the widest that fits 64 bits.
pub const DIGITS_MAX: u8 = 19;

/// What the name of every record begins with that keeps the stamp of a key, which follows. The Lua extension of old used
/// the same.
pub const RECORD_PREFIX: &[u8] = b"timestamp.";

/// The unit of a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since the epoch.
    Seconds,
    /// Milliseconds since the epoch.
    Milliseconds,
    /// Microseconds since the epoch.
    Microseconds,
    /// Nanoseconds since the epoch.
    Nanoseconds,
    /// A number that is no time: clock rules do not apply.
    Opaque,
}

impl Unit {
    /// The unit that this many digits mean by themselves: 10 s, 13 ms, 16 us, 19 ns.
    pub fn of_digits(digits: u8) -> Option<Self> {
        match digits {
            10 => Some(Self::Seconds),
            13 => Some(Self::Milliseconds),
            16 => Some(Self::Microseconds),
            19 => Some(Self::Nanoseconds),
            _ => None,
        }
    }

    /// Nanoseconds in one unit; nothing where the stamp is no time.
    pub fn nanoseconds(self) -> Option<u64> {
        match self {
            Self::Seconds => Some(1_000_000_000),
            Self::Milliseconds => Some(1_000_000),
            Self::Microseconds => Some(1_000),
            Self::Nanoseconds => Some(1),
            Self::Opaque => None,
        }
    }
}

/// How many digits a stamp has, and what they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StampFormat {
    digits: u8,
    unit: Unit,
}

impl Default for StampFormat {
    /// 13 digits of milliseconds.
    fn default() -> Self {
        Self {
            digits: 13,
            unit: Unit::Milliseconds,
        }
    }
}

impl StampFormat {
    /// A format of 1 to [`DIGITS_MAX`] digits; nothing for any other number.
    pub fn new(digits: u8, unit: Unit) -> Option<Self> {
        (1..=DIGITS_MAX).contains(&digits).then_some(Self { digits, unit })
    }

    /// Digits at the head of a value.
    pub fn digits(self) -> u8 {
        self.digits
    }

    /// What the digits count.
    pub fn unit(self) -> Unit {
        self.unit
    }

    /// The stamp at the head of `value`, if its first bytes are all ASCII digits.
    pub fn read(self, value: &[u8]) -> Option<u64> {
        value
            .get(..usize::from(self.digits))?
            .iter()
            .try_fold(0u64, |stamp, byte| {
                byte.is_ascii_digit().then(|| stamp * 10 + u64::from(byte - b'0'))
            })
    }

    /// The digits of `stamp`, padded with zeros to the full width.
    pub fn write(self, stamp: u64) -> String {
        format!("{stamp:0width$}", width = usize::from(self.digits))
    }

    /// The greatest stamp of this width.
    pub fn max(self) -> u64 {
        10u64.pow(u32::from(self.digits)) - 1
    }

    /// The stamp of an instant, given as time since the epoch; nothing where stamps are no time.
    /// An instant that does not fit the width becomes the greatest stamp.
    pub fn at(self, since_epoch: Duration) -> Option<u64> {
        let unit = self.unit.nanoseconds()?;
        let stamp = since_epoch.as_nanos() / u128::from(unit);
        Some(u64::try_from(stamp).unwrap_or(u64::MAX).min(self.max()))
    }

    /// The time between two stamps; nothing where stamps are no time.
    pub fn between(self, older: u64, newer: u64) -> Option<Duration> {
        let unit = self.unit.nanoseconds()?;
        let nanoseconds = u128::from(newer.saturating_sub(older)) * u128::from(unit);
        Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_the_leading_digits_and_nothing_shorter() {
        let ms = StampFormat::default();
        assert_eq!(ms.read(b"1700000000000hello"), Some(1_700_000_000_000));
        assert_eq!(ms.read(b"1700000000000"), Some(1_700_000_000_000));
        assert_eq!(ms.read(b"170000000000"), None);
        assert_eq!(ms.read(b"170000000000xhello"), None);
        assert_eq!(ms.read(b"+170000000000hello"), None);
        assert_eq!(ms.read(b""), None);
    }

    #[test]
    fn every_width_reads_back_what_it_writes() {
        for digits in 1..=DIGITS_MAX {
            let format = StampFormat::new(digits, Unit::Opaque).expect("a width in range");
            for stamp in [0, 1, format.max() / 2, format.max()] {
                let text = format.write(stamp);
                assert_eq!(text.len(), usize::from(digits));
                assert_eq!(format.read(text.as_bytes()), Some(stamp));
            }
        }
        assert_eq!(StampFormat::new(0, Unit::Opaque), None);
        assert_eq!(StampFormat::new(20, Unit::Opaque), None);
    }

    #[test]
    fn stamps_follow_the_clock_in_their_unit() {
        let now = Duration::new(1_700_000_000, 123_456_789);
        let stamp =
            |digits| StampFormat::new(digits, Unit::of_digits(digits).expect("a known width")).and_then(|f| f.at(now));
        assert_eq!(stamp(10), Some(1_700_000_000));
        assert_eq!(stamp(13), Some(1_700_000_000_123));
        assert_eq!(stamp(16), Some(1_700_000_000_123_456));
        assert_eq!(stamp(19), Some(1_700_000_000_123_456_789));
        let opaque = StampFormat::new(13, Unit::Opaque).expect("a width in range");
        assert_eq!(opaque.at(now), None);
    }
}
