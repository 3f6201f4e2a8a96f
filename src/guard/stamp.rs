//! The stamp: the leading digits of a value.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

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

/// What stands between a stamp and the client's own bytes where ttguard gives the stamps: a value that has none behind its
/// digits has no stamp, whatever it begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl Mark {
    /// The most bytes that a mark has.
    pub const MAX: usize = 8;

    /// A mark of 1 to [`Self::MAX`] bytes, of which the first is no digit; nothing for any other.
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let is_mark = text.first().is_some_and(|byte| !byte.is_ascii_digit());
        is_mark.then_some(Self {
            bytes,
            length: text.len() as u8,
        })
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Default for Mark {
    /// ASCII's record separator, which hardly any text has behind 16 digits.
    fn default() -> Self {
        let mut bytes = [0; Self::MAX];
        bytes[0] = 0x1e;
        Self { bytes, length: 1 }
    }
}

impl std::fmt::Debug for Mark {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Mark({})", self.bytes().escape_ascii())
    }
}

/// How many digits a stamp has, what they count, and what follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StampFormat {
    digits: u8,
    unit: Unit,
    mark: Option<Mark>,
}

impl Default for StampFormat {
    /// 13 digits of milliseconds.
    fn default() -> Self {
        Self {
            digits: 13,
            unit: Unit::Milliseconds,
            mark: None,
        }
    }
}

impl StampFormat {
    /// A format of 1 to [`DIGITS_MAX`] digits; nothing for any other number.
    pub fn new(digits: u8, unit: Unit) -> Option<Self> {
        let is_width = (1..=DIGITS_MAX).contains(&digits);
        is_width.then_some(Self {
            digits,
            unit,
            mark: None,
        })
    }

    /// The format of the stamps that ttguard gives: 16 digits of microseconds and this mark. Fewer could not hold a clock
    /// that counts on within its unit.
    pub fn given(mark: Mark) -> Self {
        Self {
            digits: 16,
            unit: Unit::Microseconds,
            mark: Some(mark),
        }
    }

    /// What follows the digits; nothing where clients give the stamps.
    pub fn mark(self) -> Option<Mark> {
        self.mark
    }

    /// Whether ttguard gives the stamps, and takes them off again before a client reads a value.
    pub fn is_given(self) -> bool {
        self.mark.is_some()
    }

    /// Bytes at the head of a stamped value that are not the client's own; 0 where clients give the stamps, since all are.
    pub fn head(self) -> usize {
        self.mark
            .map_or(0, |mark| usize::from(self.digits) + mark.bytes().len())
    }

    /// `value` with this stamp before it.
    pub fn stamped(self, stamp: u64, value: &[u8]) -> Bytes {
        let mut stamped = BytesMut::with_capacity(self.head() + value.len());
        let mut digits = [b'0'; DIGITS_MAX as usize];
        let digits = &mut digits[..usize::from(self.digits)];
        let mut left = stamp;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        stamped.put_slice(digits);
        if let Some(mark) = self.mark {
            stamped.put_slice(mark.bytes());
        }
        stamped.put_slice(value);
        stamped.freeze()
    }

    /// The stamp that ttguard has given a value, and the client's own bytes behind it; nothing where it has given none.
    pub fn strip(self, value: &Bytes) -> Option<(u64, Bytes)> {
        self.mark?;
        let stamp = self.read(value)?;
        Some((stamp, value.slice(self.head()..)))
    }

    /// Digits at the head of a value.
    pub fn digits(self) -> u8 {
        self.digits
    }

    /// What the digits count.
    pub fn unit(self) -> Unit {
        self.unit
    }

    /// The stamp at the head of `value`, if its first bytes are all ASCII digits, and the mark follows where there is one.
    pub fn read(self, value: &[u8]) -> Option<u64> {
        if let Some(mark) = self.mark
            && !value.get(usize::from(self.digits)..)?.starts_with(mark.bytes())
        {
            return None;
        }
        self.read_digits(value)
    }

    /// The stamp that stands by itself, as in a `timestamp.` record or in a column of its own: no mark follows it.
    pub fn read_digits(self, text: &[u8]) -> Option<u64> {
        text.get(..usize::from(self.digits))?
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
    fn a_value_without_the_mark_has_no_stamp() {
        let given = StampFormat::given(Mark::default());
        assert_eq!(given.read(b"1700000000000000\x1evalue"), Some(1_700_000_000_000_000));
        assert_eq!(given.read(b"1700000000000000value"), None);
        assert_eq!(given.read(b"1700000000000000"), None);
        assert_eq!(given.read_digits(b"1700000000000000"), Some(1_700_000_000_000_000));
        for text in [&b""[..], b"1", b"123456789"] {
            assert_eq!(Mark::new(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_was_stamped_is_stripped_to_the_same_bytes() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let mut mark = vec![0; random.usize(1..=Mark::MAX)];
            random.fill(&mut mark);
            let Some(format) = Mark::new(&mark).map(StampFormat::given) else {
                assert!(mark[0].is_ascii_digit());
                continue;
            };
            let (stamp, mut value) = (random.u64(..=format.max()), vec![0; random.usize(..64)]);
            random.fill(&mut value);
            let stamped = format.stamped(stamp, &value);
            assert_eq!(stamped.len(), format.head() + value.len());
            assert_eq!(format.strip(&stamped), Some((stamp, Bytes::from(value.clone()))));
            // Stamped twice it has a stamp of its own in it, which is the client's.
            let twice = format.stamped(stamp / 2, &stamped);
            assert_eq!(format.strip(&twice), Some((stamp / 2, stamped.clone())));
            // Cut anywhere within its head it is nothing of ours, and is read as it is.
            let cut = stamped.slice(..random.usize(..format.head()));
            assert_eq!(format.strip(&cut), None);
        }
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
