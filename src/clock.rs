//! The clocks: one that only goes forward, and the time that stamps are held against.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time since the epoch, as the stamps count it. A simulation gives its own.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// This instant, on the clock that tests can pause.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
