//! What is answered.

use bytes::Bytes;

/// One whole answer.
///
/// A failure (any code but 0) is [`Reply::Code`], except for `misc`, whose answer is always
/// [`Reply::Strings`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reply {
    /// A code alone: 0 is success where nothing else is owed.
    Code(u8),
    Value(Bytes),
    Number(i32),
    /// `fractional` is in units of 10^-12.
    Double {
        integral: i64,
        fractional: i64,
    },
    Count(u64),
    Records(Vec<(Bytes, Bytes)>),
    /// The keys of `fwmkeys`.
    Keys(Vec<Bytes>),
    /// The answer of `misc`.
    Strings {
        code: u8,
        strings: Vec<Bytes>,
    },
}

impl Reply {
    /// Success without anything else.
    pub const OK: Self = Self::Code(0);

    /// The code of what could not be done for a reason that has nothing to do with its record.
    pub const UNAVAILABLE: u8 = 6;

    /// Bytes of the strings in this reply.
    pub fn size(&self) -> usize {
        match self {
            Self::Value(value) => value.len(),
            Self::Records(records) => records.iter().map(|(key, value)| key.len() + value.len()).sum(),
            Self::Keys(strings) | Self::Strings { strings, .. } => strings.iter().map(Bytes::len).sum(),
            Self::Code(_) | Self::Number(_) | Self::Double { .. } | Self::Count(_) => 0,
        }
    }

    /// The code at the head of this reply.
    pub fn code(&self) -> u8 {
        match self {
            Self::Code(code) | Self::Strings { code, .. } => *code,
            _ => 0,
        }
    }
}

/// Why the guard refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A newer write is stored.
    Stale,
    /// An equal stamp with other bytes is stored.
    Tie,
    /// The stamp is too far ahead of the clock.
    Future,
    /// The value has no stamp.
    Unstamped,
    /// It is not allowed here.
    Denied,
}

impl Reason {
    /// What a code of a ttguard behind this one says; nothing where it is no refusal.
    pub fn of_code(code: u8) -> Option<Self> {
        match code {
            2 => Some(Self::Stale),
            3 => Some(Self::Future),
            4 => Some(Self::Unstamped),
            5 => Some(Self::Denied),
            _ => None,
        }
    }

    /// One word, the same as in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Tie => "tie",
            Self::Future => "future",
            Self::Unstamped => "unstamped",
            Self::Denied => "denied",
        }
    }
}

/// What a client is told, before it is put into the form of its protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What the store answered.
    Reply(Reply),
    /// The guard refused a change.
    Refused {
        /// Why.
        reason: Reason,
        /// What says so in Tyrant's binary protocol.
        told: Reply,
    },
    /// An [edit](super::edit::Edit) found no record to change. Only the text protocols have edits.
    NoRecord,
    /// The store could not be asked, did not answer, or failed. Only the text protocols can say so.
    Unavailable,
}
