//! What is known of one key, and how it is kept.

use super::hash::{halves, wide};
use crate::guard::stamp::DIGITS_MAX;

/// What the ledger knows of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// No entry: no stamp above the horizon.
    Absent,
    /// The stamp of the stored value; 0 where the backend has no stamp.
    Stamp(u64),
    /// A stamp that only the key's record keeps: its value was deleted, or another one without that stamp lies over it.
    /// It refuses its equal too, which could bring that value back.
    Record(u64),
    /// The backend must be asked. Whatever it holds is not newer than `bound`.
    Unknown {
        /// The greatest stamp that the backend can hold for this key.
        bound: u64,
    },
}

impl Known {
    /// The greatest stamp that the backend can hold for this key, but for what the horizon says.
    pub fn bound(self) -> u64 {
        match self {
            Self::Absent => 0,
            Self::Stamp(stamp) | Self::Record(stamp) => stamp,
            Self::Unknown { bound } => bound,
        }
    }

    /// The newest confirmed stamp, where there is one.
    pub fn stamp(self) -> Option<u64> {
        match self {
            Self::Stamp(stamp) | Self::Record(stamp) if stamp > 0 => Some(stamp),
            _ => None,
        }
    }

    /// The stamp that makes a write of this one stale, where one does: one that is newer, or as new and its value gone.
    pub(in crate::guard) fn newer_than(self, stamp: u64) -> Option<u64> {
        match self {
            Self::Stamp(newer) if stamp < newer => Some(newer),
            Self::Record(newer) if stamp <= newer => Some(newer),
            _ => None,
        }
    }

    /// What is known once this is confirmed too.
    pub(in crate::guard) fn with(self, confirmed: Self) -> Self {
        let rank = |known: Self| (known.bound(), matches!(known, Self::Record(_)));
        match self {
            Self::Absent => confirmed,
            Self::Unknown { bound } => Self::Unknown {
                bound: bound.max(confirmed.bound()),
            },
            known if rank(confirmed) > rank(known) => confirmed,
            known => known,
        }
    }
}

/// [`Known`] in 64 bits. Stamps have at most 19 digits, so 8.4 * 10^18 codes are left above them: 5 * 10^18 for a bound in
/// steps of two, rounded up, and the rest for stamps of records, which in nanoseconds reach to the year 2079. In halves,
/// for the same reason as a [`KeyHash`](super::KeyHash).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry([u32; 2]);

const UNKNOWN_BASE: u64 = 10u64.pow(DIGITS_MAX as u32);

const RECORD_BASE: u64 = UNKNOWN_BASE + UNKNOWN_BASE / 2 + 1;

impl Entry {
    pub(super) fn stamp(stamp: u64) -> Self {
        debug_assert!(stamp < UNKNOWN_BASE);
        Self(halves(stamp))
    }

    /// One that has no code is kept as the next stamp of a value, which refuses the same.
    pub(super) fn record(stamp: u64) -> Self {
        match RECORD_BASE.checked_add(stamp) {
            Some(code) => Self(halves(code)),
            None => Self::stamp((stamp + 1).min(UNKNOWN_BASE - 1)),
        }
    }

    pub(super) fn unknown(bound: u64) -> Self {
        Self(halves(UNKNOWN_BASE + bound.min(UNKNOWN_BASE).div_ceil(2)))
    }

    fn code(self) -> u64 {
        wide(self.0[0], self.0[1])
    }

    pub(super) fn known(self) -> Known {
        match self.code() {
            stamp if stamp < UNKNOWN_BASE => Known::Stamp(stamp),
            code if code < RECORD_BASE => Known::Unknown {
                bound: (code - UNKNOWN_BASE) * 2,
            },
            code => Known::Record(code - RECORD_BASE),
        }
    }

    /// The greatest stamp that the backend can hold for this key.
    pub(super) fn bound(self) -> u64 {
        self.known().bound()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_its_stamp_exactly_and_its_bound_from_above() {
        for stamp in [0, 1, 1_700_000_000_000, UNKNOWN_BASE - 1] {
            assert_eq!(Entry::stamp(stamp).known(), Known::Stamp(stamp));
            let bound = Entry::unknown(stamp).bound();
            assert!(bound == stamp || bound == stamp + 1);
            assert!(matches!(Entry::unknown(stamp).known(), Known::Unknown { .. }));
        }
        assert!(Entry::unknown(u64::MAX).bound() >= UNKNOWN_BASE);
    }

    #[test]
    fn an_entry_keeps_the_stamp_of_a_record_or_one_that_refuses_the_same() {
        let most = u64::MAX - RECORD_BASE;
        for stamp in [0, 1, 1_700_000_000_000_000_000, most] {
            assert_eq!(Entry::record(stamp).known(), Known::Record(stamp));
            assert_eq!(Entry::record(stamp).bound(), stamp);
        }
        assert_eq!(Entry::record(most + 1).known(), Known::Stamp(most + 2));
        assert_eq!(Entry::record(UNKNOWN_BASE - 1).known(), Known::Stamp(UNKNOWN_BASE - 1));
        assert!(matches!(Entry::unknown(u64::MAX).known(), Known::Unknown { .. }));
    }
}
