//! Long work in stints, so that others have their turn.

use std::time::{Duration, Instant};

use tokio::task::yield_now;

use crate::clock::now;

/// How long a task works before others have their turn, where it has much to do at once.
const STINT: Duration = Duration::from_millis(1);

/// The time for which a task that has much to do at once has worked since others had their turn.
#[derive(Debug)]
pub struct Stint(Instant);

impl Stint {
    /// It begins to work.
    pub fn begin() -> Self {
        Self(now())
    }

    /// Whether others should have their turn.
    pub fn is_over(&self) -> bool {
        now().saturating_duration_since(self.0) >= STINT
    }

    /// Lets others have their turn.
    pub async fn rest(&mut self) {
        yield_now().await;
        *self = Self::begin();
    }

    /// Lets others have their turn, where they should.
    pub async fn breathe(&mut self) {
        if self.is_over() {
            self.rest().await;
        }
    }
}
