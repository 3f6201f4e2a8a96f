//! What is judged, and what comes of it.

use crate::command::Reason;
use bytes::Bytes;

use super::Receded;
use super::ledger::{KeyHash, Known};
use crate::pairing::LaneId;

/// One change of one key, as the judge sees it.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// A value with a stamp at its head. The whole value is needed only to break ties.
    Stamped {
        /// The stamp.
        stamp: u64,
        /// The value, stamp included.
        value: &'a [u8],
    },
    /// A value without a stamp. What the key has confirmed is not forgotten for it.
    Unstamped,
    /// The record's removal.
    Delete,
    /// The record's removal, by whom a stamp was given: it is ordered as a write of that stamp is.
    DeleteAt(u64),
    /// A value that is made of what is stored, with the key to itself. It gets its stamp once that has been read: see
    /// [`Ticket::stamp`].
    Made,
    /// A change that a stamp cannot order.
    Unordered,
    /// The removal, or the renewal, of the record that keeps the key's stamp, where that is older than the value or than
    /// anyone still cares for. The value stays as it is, and no stamp rises.
    Tidy,
}

impl Change<'_> {
    /// The removal of a record that was given this stamp; nothing where none was given.
    pub fn delete(stamp: Option<u64>) -> Self {
        stamp.map_or(Self::Delete, Self::DeleteAt)
    }
}

/// What the judge decided.
#[derive(Debug)]
pub enum Verdict {
    /// Put it into the lane's queue now, in this very step, and settle the ticket when its outcome is known.
    Go(Ticket),
    /// Refuse it.
    Refuse(Refusal),
    /// Judge it again when the waiter is woken.
    Wait(WaitCause),
    /// Read the key back, tell the guard what was found, and judge again when the waiter is woken.
    Read(ReadCause),
}

/// Why a write is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A newer write is stored; `newer` is its stamp. Or one as new was, and was deleted, or lies under a value without a
    /// stamp.
    Stale {
        /// The stamp of the newer write.
        newer: u64,
    },
    /// An equal stamp with other bytes is stored, and the rule for ties keeps it.
    Tie,
    /// The stamp is further ahead of the clock than is tolerated.
    Future,
    /// The value has no stamp.
    Unstamped,
    /// The command is one that a stamp cannot order.
    Denied,
}

impl Refusal {
    /// The reason, as clients and operators are told it.
    pub fn reason(self) -> Reason {
        match self {
            Self::Stale { .. } => Reason::Stale,
            Self::Tie => Reason::Tie,
            Self::Future => Reason::Future,
            Self::Unstamped => Reason::Unstamped,
            Self::Denied => Reason::Denied,
        }
    }
}

/// Why a write waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitCause {
    /// Something else for this key is in flight, and the verdict hangs on its outcome.
    OlderInFlight,
    /// The key's writes travel on another lane.
    OtherLane,
    /// The key is being read back.
    Lookup,
    /// The lane that carried the key's writes died and is not yet known to have ended.
    Fence,
}

/// Why a key is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadCause {
    /// The ledger has forgotten the key, and the stamp is not above the horizon.
    Horizon,
    /// What became of an earlier write is unknown.
    Unknown,
    /// The stamps are equal: the bytes decide.
    Tie,
    /// A delete needs the newest stamp for its tombstone.
    Delete,
}

/// What a ticket stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    Stamped(u64),
    /// What the key has confirmed, which its record is to keep from now on; 0 for nothing.
    Unstamped {
        keeps: u64,
    },
    Tombstone(u64),
    /// Made of what is stored; 0 as long as it has no stamp, and nothing of it was sent.
    Made(u64),
    /// The greatest stamp that the change can leave behind.
    Unordered {
        bound: u64,
    },
    Tidy,
}

impl Admitted {
    /// The stamp that the key's record must hold before the change may go.
    pub(super) fn record(self) -> Option<u64> {
        match self {
            Self::Tombstone(stamp) => Some(stamp),
            Self::Unstamped { keeps } if keeps > 0 => Some(keeps),
            _ => None,
        }
    }
}

/// The right to send one change, and the duty to settle it.
#[derive(Debug)]
#[must_use = "a ticket that is never settled blocks its key for ever"]
pub struct Ticket {
    pub(super) key: KeyHash,
    pub(super) admitted: Admitted,
    pub(super) lane: LaneId,
    pub(super) would_refuse: Option<Refusal>,
}

impl Ticket {
    /// The key that this ticket is for.
    pub fn key(&self) -> KeyHash {
        self.key
    }

    /// The stamp of a delete's tombstone; nothing for anything else.
    pub fn tombstone(&self) -> Option<u64> {
        match self.admitted {
            Admitted::Tombstone(stamp) => Some(stamp),
            _ => None,
        }
    }

    /// The stamp that the key's record must hold before the change may be sent: a delete's tombstone, or what a value
    /// without a stamp would make forgotten. Until it is settled the change has its key to itself.
    pub fn record(&self) -> Option<u64> {
        self.admitted.record()
    }

    /// What is made of what is stored gets this stamp, and is sent in this step. For any other change it does nothing.
    pub fn stamp(&mut self, stamp: u64) {
        if let Admitted::Made(none) = &mut self.admitted {
            *none = stamp;
        }
    }

    /// Whether the change can be sent twice without harm: stamped writes, and nothing else.
    pub fn is_idempotent(&self) -> bool {
        matches!(self.admitted, Admitted::Stamped(_)) && self.would_refuse.is_none()
    }

    /// In observe mode: why it would have been refused.
    pub fn would_refuse(&self) -> Option<Refusal> {
        self.would_refuse
    }
}

/// What became of a change that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend says that it is stored.
    Stored,
    /// The backend says that it failed. That is no proof that nothing was stored: with an update log
    /// the real server stores the record first and fails when the log cannot be written.
    Failed,
    /// It never left for the backend, nor did the record that had to go before it.
    Unsent,
    /// It left, and no answer will come.
    Lost,
}

/// What reading a key back has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// The value's own stamp; nothing where there is none.
    pub stamp: Option<u64>,
    /// The stamp of the `timestamp.` record.
    pub record: Option<u64>,
    /// The value, where there is one.
    pub value: Option<Bytes>,
}

impl ReadBack {
    /// What is known of the key by it. Stamps above `latest` bind nobody.
    pub(super) fn known(&self, latest: u64) -> Known {
        let binding = |stamp: Option<u64>| stamp.filter(|stamp| *stamp <= latest).unwrap_or(0);
        let (own, record) = (binding(self.stamp), binding(self.record));
        if record > own {
            Known::Record(record)
        } else {
            Known::Stamp(own)
        }
    }

    /// The newest stamp that binds nobody, being above `latest`.
    pub(super) fn ahead(&self, latest: u64) -> Option<u64> {
        self.stamp.max(self.record).filter(|stamp| *stamp > latest)
    }
}

/// What was to be learnt from what a key was found with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// The backend has stored a stamp, and now holds an older one.
    pub receded: Option<Receded>,
    /// The backend holds a stamp that no guard can have let in. It binds nobody.
    pub ahead: Option<u64>,
}

/// The value stored under a stamp, for breaking ties.
#[derive(Clone, Debug)]
pub struct Stored {
    pub(super) known: Known,
    pub(super) value: Option<Bytes>,
    pub(super) version: u32,
}

/// What is known of a key at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// What is confirmed.
    pub known: Known,
    /// No key absent from the ledger has a stamp above this.
    pub horizon: u64,
    /// What is under way, if anything.
    pub under_way: Option<UnderWay>,
}

/// What a key is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderWay {
    /// `flying`, `reading`, `fencing` or `reserved`.
    pub state: &'static str,
    /// Writes in flight.
    pub writes: u32,
    /// Who waits to be judged.
    pub waiting: usize,
}

/// What a waiter is told.
#[derive(Debug)]
pub enum Wake {
    /// Judge again.
    Again {
        /// The key is reserved for this waiter's lane until the waiter has judged again or passed its turn.
        turn: bool,
        /// What was read back, if a tie asked for it.
        stored: Option<Stored>,
    },
    /// The lane's fence timed out: nobody knows whether what it carried may still be carried out.
    Unfenced,
}

/// Who is told when a key is worth judging again.
pub trait Waiter {
    /// Tells it. False when it is gone.
    fn wake(self, wake: Wake) -> bool;
}
