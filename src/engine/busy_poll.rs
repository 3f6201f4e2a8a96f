//! Looking for work instead of sleeping: a worker that sleeps costs each answer a wake-up.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::yield_now;

/// Keeps one worker awake for a while after each sign of work.
#[derive(Debug)]
pub struct BusyPoll {
    patience: Duration,
    has_worked: Cell<bool>,
    begun: Notify,
}

impl BusyPoll {
    /// Looks for work for `patience` after the last there was; not at all when that is zero.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            has_worked: Cell::new(false),
            begun: Notify::new(),
        }
    }

    /// There was work: bytes have come.
    pub fn worked(&self) {
        if !self.patience.is_zero() && !self.has_worked.replace(true) {
            self.begun.notify_one();
        }
    }

    /// Polls the sockets, for as long as there is work now and then. Never ends by itself.
    ///
    /// The time is the machine's, whatever the rest of the proxy is told: what is spent here is processor time.
    pub async fn run(&self) {
        loop {
            self.begun.notified().await;
            let mut until = Instant::now() + self.patience;
            loop {
                // The runtime looks at its sockets, without sleeping, before this goes on.
                yield_now().await;
                let now = Instant::now();
                if self.has_worked.take() {
                    until = now + self.patience;
                } else if now >= until {
                    break;
                }
            }
        }
    }
}
