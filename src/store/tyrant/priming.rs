//! When the first byte of a lane's next request is sent ahead.
//!
//! A server that has read the first byte of a request keeps the thread in `recv` until the rest comes. Without it the
//! thread gives the connection back after each batch, and the next batch goes through an epoll wait, a queue and the
//! waking of a thread before it is read: most of what a small request costs a server of 1.1.41.
//!
//! But the byte holds that thread. So it is sent only while batches follow one another closely, and each spell of it
//! ends soon, used or not: what is missing is then sent as a question that changes nothing, and the server's thread is
//! free to look after other connections. A server with a single thread goes on serving everyone.

use std::time::{Duration, Instant};

/// The longest that a server's thread is kept for one lane. Batches that follow one another within it are close.
pub const SPELL: Duration = Duration::from_millis(10);

/// When to prime one lane.
#[derive(Debug, Default)]
pub struct Priming {
    last_batch: Option<Instant>,
    until: Option<Instant>,
}

impl Priming {
    /// A batch is about to leave: whether the first byte of the next one is to go with it.
    pub fn batch(&mut self, now: Instant) -> bool {
        let last = self.last_batch.replace(now);
        let is_close = last.is_some_and(|last| now.saturating_duration_since(last) < SPELL);
        if is_close {
            self.until.get_or_insert(now + SPELL);
        }
        is_close
    }

    /// When the spell ends.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether the spell is over. If so, the next one begins when batches follow one another closely again.
    pub fn is_over(&mut self, now: Instant) -> bool {
        let is_over = self.until.is_some_and(|until| until <= now);
        if is_over {
            *self = Self::default();
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_batches_that_are_close_are_primed_and_only_for_a_spell() {
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        let mut priming = Priming::default();
        assert!(!priming.batch(at(0)), "nothing says that another will follow");
        assert!(!priming.batch(at(10_000)), "they are far between");
        assert_eq!(priming.until(), None);
        assert!(priming.batch(at(10_050)));
        assert!(priming.batch(at(19_000)));
        assert_eq!(priming.until(), Some(at(20_050)), "a spell is not drawn out");
        assert!(!priming.is_over(at(20_049)));
        assert!(priming.is_over(at(20_050)));
        assert_eq!(priming.until(), None);
        assert!(!priming.is_over(at(20_051)), "it is over once");
        assert!(!priming.batch(at(20_060)), "the server's thread is given back");
        assert!(priming.batch(at(20_070)));
    }
}
