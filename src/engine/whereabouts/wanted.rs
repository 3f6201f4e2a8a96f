//! What asks for a look-up of the backend's name.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Why the name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No address of it is known yet.
    Unknown,
    /// The address has been out of reach for a while.
    OutOfReach,
    /// An operator has had the settings read again.
    Told,
}

/// What asks for a look-up, and what is asked.
#[derive(Debug, Default)]
pub struct LookUps {
    wanted: Mutex<Option<Reason>>,
    pub(super) asked: Notify,
}

impl LookUps {
    /// Has the backend's name looked up, soon.
    pub fn ask(&self, reason: Reason) {
        let mut wanted = self.wanted.lock();
        *wanted = (*wanted).max(Some(reason));
        drop(wanted);
        self.asked.notify_one();
    }

    /// Says that the backend may be another one.
    pub fn ask_if_unknown(&self) {
        self.asked.notify_one();
    }

    /// What is wanted, once.
    pub(super) fn take(&self) -> Option<Reason> {
        self.wanted.lock().take()
    }
}
