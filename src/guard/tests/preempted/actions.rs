//! What is done, and what was done before.

use super::desk::{Desk, FLYING, KEY, MIDDLE, NEWER, OLDER, STORED};
use crate::guard::verdict::Outcome;

/// Where the key stands at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing was ever stored.
    Empty,
    /// The newest stamp is remembered.
    Remembered,
    /// It was, and has been evicted.
    Forgotten,
    /// A newer write is in flight.
    Flying,
    /// The same, on a key that was forgotten.
    FlyingForgotten,
    /// A newer write was lost, and its lane is not fenced.
    Fencing,
    /// What became of a newer write is unknown.
    Unknown,
    /// The same, and the key is being read back.
    Reading,
}

impl Start {
    pub(super) const ALL: &[Self] = &[
        Self::Empty,
        Self::Remembered,
        Self::Forgotten,
        Self::Flying,
        Self::FlyingForgotten,
        Self::Fencing,
        Self::Unknown,
        Self::Reading,
    ];
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A write is judged, and sent where it goes.
    Put {
        lane: u64,
        stamp: u64,
    },
    /// The same, and it is answered.
    Store {
        lane: u64,
        stamp: u64,
    },
    Delete {
        lane: u64,
    },
    /// What is in flight of the key is answered, or not.
    Settle(Outcome),
    /// What a look at the key has shown is told.
    Learn,
    /// The first lane's fence is over.
    Fenced {
        ended: bool,
    },
    /// Other keys take the key's room in the ledger.
    Evict,
    /// The backend is emptied, and the guard told.
    Vanish,
    /// The backend comes back with its records as another process, and the clock has been set back meanwhile.
    Return,
}

impl Action {
    pub(super) const ALL: &[Self] = &[
        Self::Put { lane: 1, stamp: OLDER },
        Self::Put { lane: 1, stamp: MIDDLE },
        Self::Put { lane: 2, stamp: MIDDLE },
        Self::Put { lane: 2, stamp: NEWER },
        Self::Store { lane: 1, stamp: NEWER },
        Self::Store { lane: 2, stamp: NEWER },
        Self::Store { lane: 2, stamp: MIDDLE },
        Self::Delete { lane: 1 },
        Self::Delete { lane: 2 },
        Self::Settle(Outcome::Stored),
        Self::Settle(Outcome::Failed),
        Self::Settle(Outcome::Unsent),
        Self::Settle(Outcome::Lost),
        Self::Learn,
        Self::Fenced { ended: true },
        Self::Fenced { ended: false },
        Self::Evict,
        Self::Vanish,
        Self::Return,
    ];

    /// Whether it is about that key alone.
    pub(super) fn is_of_key(self) -> bool {
        !matches!(self, Self::Fenced { .. } | Self::Evict | Self::Vanish | Self::Return)
    }
}

impl Desk {
    pub(super) fn bring_to(&self, start: Start) {
        if start != Start::Empty {
            self.act(Action::Store { lane: 3, stamp: STORED });
        }
        if matches!(start, Start::Forgotten | Start::FlyingForgotten) {
            self.act(Action::Evict);
        }
        if matches!(start, Start::Flying | Start::FlyingForgotten) {
            self.put(KEY, 1, FLYING);
            // A forgotten key is read first.
            self.act(Action::Learn);
            self.answer_errands();
        }
        if matches!(start, Start::Fencing | Start::Unknown | Start::Reading) {
            self.put(KEY, 1, FLYING);
            self.act(Action::Settle(Outcome::Lost));
        }
        if matches!(start, Start::Unknown | Start::Reading) {
            self.act(Action::Fenced { ended: true });
        }
        if start == Start::Reading {
            self.put(KEY, 2, MIDDLE);
        }
    }
}
