//! Which part of a sharded number a thread writes to.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// More threads than this share shards, which costs time but loses nothing.
pub const SHARDS: usize = 16;

/// Threads take shards in turn, and keep them.
pub fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Relaxed) % SHARDS;
    }
    SHARD.with(|shard| *shard)
}
