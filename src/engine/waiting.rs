//! Waiting for a key to be worth judging again.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::clock::now;
use crate::engine::notice::Notice;
use crate::engine::shared::Shared;
use crate::guard::ledger::KeyHash;
use crate::guard::verdict::{Stored, Wake};
use crate::metrics::KeyWait;

/// The right to be judged next for a key. Passed on when it is dropped unused.
#[derive(Debug)]
pub struct Turn {
    shared: Arc<Shared>,
    key: KeyHash,
    spent: bool,
}

impl Turn {
    /// The judge is told of the turn now.
    pub fn spend(mut self) -> bool {
        self.spent = true;
        true
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.spent {
            self.shared.guard.pass_turn(self.key);
        }
    }
}

/// What a waiter comes back to the judge with.
#[derive(Debug, Default)]
pub struct Standing {
    /// Its turn, if it was given one.
    pub turn: Option<Turn>,
    /// What was read back for a tie.
    pub stored: Option<Stored>,
}

/// The lane that carried the key's writes was not seen to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfenced;

/// The waiter's end of a wait.
#[derive(Debug)]
pub struct GuardWait {
    shared: Arc<Shared>,
    key: KeyHash,
    /// What is waited for.
    pub cause: KeyWait,
    since: Instant,
    wake: oneshot::Receiver<Wake>,
}

impl GuardWait {
    /// Both ends of a wait for `key`.
    pub fn new(shared: &Arc<Shared>, key: KeyHash) -> (Notice, Self) {
        let (notice, wake) = Notice::new();
        let shared = Arc::clone(shared);
        let wait = Self {
            shared,
            key,
            cause: KeyWait::Lookup,
            since: now(),
            wake,
        };
        (notice, wait)
    }

    /// Waits until the key is worth judging again. Nothing is lost when it is cancelled.
    pub async fn woken(&mut self) -> Result<Standing, Unfenced> {
        let wake = (&mut self.wake).await;
        let seconds = self.shared.metrics.wait_seconds.of(self.cause);
        seconds.record(now().saturating_duration_since(self.since));
        match wake {
            Ok(wake) => self.standing(wake),
            // The guard forgets no waiter; judging again is always right.
            Err(_) => Ok(Standing::default()),
        }
    }

    fn standing(&self, wake: Wake) -> Result<Standing, Unfenced> {
        match wake {
            Wake::Unfenced => Err(Unfenced),
            Wake::Again { turn, stored } => Ok(Standing {
                turn: turn.then(|| Turn {
                    shared: Arc::clone(&self.shared),
                    key: self.key,
                    spent: false,
                }),
                stored,
            }),
        }
    }
}

impl Drop for GuardWait {
    fn drop(&mut self) {
        self.wake.close();
        if let Ok(wake) = self.wake.try_recv() {
            // Dropping the standing passes the turn on.
            drop(self.standing(wake));
        }
    }
}
