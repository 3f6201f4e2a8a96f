//! The memory that sessions share: what each holds is counted, large answers wait for room, and who holds most lets go.
//!
//! Each worker counts what its sessions and lanes hold in plain numbers, and tells the others when that has changed by
//! [a grain](Held::grain): small requests meet at no counter that workers share. So the sum may be wrong by a grain for
//! each worker.
//!
//! Half of the memory is for large answers, each of which has its [room](Room) before it is handed to its session: one
//! that does not fit is dropped, and asked for again when it does. The other half they cannot have. What is in it is
//! given back first where it is not needed, and then by ending the sessions that hold most of it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::config::LimitSettings;

/// The most by which the count of a worker may differ from what the others know.
const GRAIN_MAX: usize = 64 * 1024;

/// Answers of so many bytes are not large, however much memory there is.
const SMALL_MAX: usize = 1 << 20;

/// Room is given in pieces of so many bytes.
const PIECE: usize = 4096;

impl LimitSettings {
    /// Whether an answer of so many bytes has to have room.
    pub(crate) fn is_large_answer(&self, bytes: usize) -> bool {
        bytes > SMALL_MAX.min(self.buffer_memory / 64)
    }

    /// Pieces of room that large answers have.
    fn pieces(&self) -> usize {
        (self.buffer_memory / 2 / PIECE).min(Semaphore::MAX_PERMITS)
    }
}

/// What all workers know of each other's sessions.
#[derive(Debug)]
pub struct Memory {
    /// Bytes that are held, of all workers.
    held: AtomicUsize,
    /// Those of them that have no room of their own.
    loose: AtomicUsize,
    room: Arc<Semaphore>,
    /// Pieces in all, and those that are to be taken away once they are free.
    pieces: Mutex<(usize, usize)>,
    /// Requests that wait for room.
    waiting: AtomicUsize,
    /// Told when a worker has to look at its sessions.
    pub relief: Notify,
}

/// Room for an answer, given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
    memory: Arc<Memory>,
}

impl Room {
    /// Bytes that it is for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(mut permit) = self.permit.take() else {
            return;
        };
        // A reload has left less room than there was.
        let mut pieces = self.memory.pieces.lock();
        let gone = pieces.1.min(permit.num_permits());
        if let Some(gone_ones) = permit.split(gone) {
            gone_ones.forget();
            pieces.1 -= gone;
        }
    }
}

/// A request that waits for room is counted for as long as this lives.
struct Wanted<'a>(&'a Memory);

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Memory {
    /// Nothing is held.
    pub fn new(limits: &LimitSettings) -> Self {
        let pieces = limits.pieces();
        Self {
            held: AtomicUsize::new(0),
            loose: AtomicUsize::new(0),
            room: Arc::new(Semaphore::new(pieces)),
            pieces: Mutex::new((pieces, 0)),
            waiting: AtomicUsize::new(0),
            relief: Notify::new(),
        }
    }

    /// Bytes that are held, as far as workers have told.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Bytes by which what is held is more than `most`: nothing, as long as large answers keep to their half.
    pub fn excess(&self, most: usize) -> usize {
        let (pieces, debt) = *self.pieces.lock();
        let given = (pieces + debt).saturating_sub(self.room.available_permits()) * PIECE;
        (self.loose.load(Ordering::Relaxed) + given).saturating_sub(most)
    }

    /// Whether requests wait for room.
    pub fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// As much room as other settings allow.
    pub fn change_limits(&self, limits: &LimitSettings) {
        let mut pieces = self.pieces.lock();
        let (before, after) = (pieces.0, limits.pieces());
        pieces.0 = after;
        // What was to be taken away is not.
        let more = after.saturating_sub(before);
        let back = pieces.1.min(more);
        pieces.1 -= back;
        self.room.add_permits(more - back);
        let less = before.saturating_sub(after);
        pieces.1 += less - self.room.forget_permits(less);
    }
}

impl Memory {
    fn room_of(self: &Arc<Self>, bytes: usize, permit: OwnedSemaphorePermit) -> Room {
        Room {
            bytes,
            permit: Some(permit),
            memory: Arc::clone(self),
        }
    }

    /// Room for an answer of so many bytes, where there is some now and nobody waits for it.
    pub fn try_room(self: &Arc<Self>, bytes: usize) -> Option<Room> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).ok()?;
        if self.is_wanted() {
            return None;
        }
        let permit = Arc::clone(&self.room).try_acquire_many_owned(pieces).ok()?;
        Some(self.room_of(bytes, permit))
    }

    /// Whether an answer of so many bytes can have room at all.
    pub fn can_have_room(&self, bytes: usize) -> bool {
        bytes.div_ceil(PIECE) <= self.pieces.lock().0
    }

    /// Waits for room; who has waited longest has it first.
    pub async fn room(self: Arc<Self>, bytes: usize) -> Option<Room> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).ok()?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let wanted = Wanted(&self);
        // Clients who do not take what they have asked for are looked for.
        self.relief.notify_waiters();
        let permit = Arc::clone(&self.room).acquire_many_owned(pieces).await.ok()?;
        drop(wanted);
        Some(self.room_of(bytes, permit))
    }
}

/// What the sessions and lanes of one worker hold.
#[derive(Debug, Default)]
pub struct Held {
    held: Cell<usize>,
    loose: Cell<usize>,
    /// What the others know of both.
    told: Cell<(usize, usize)>,
    /// Memory is short: what is not needed this moment is given back.
    is_short: Cell<bool>,
}

/// What one session or lane holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes in all.
    pub held: usize,
    /// Those of them that have no room of their own.
    pub loose: usize,
}

impl Held {
    /// Takes note of what one of them holds now, and held before. When that makes too much, workers look for room.
    pub fn change(&self, before: Load, now: Load, memory: &Memory, limits: &LimitSettings, workers: usize) {
        self.held.set((self.held.get() + now.held).saturating_sub(before.held));
        self.loose
            .set((self.loose.get() + now.loose).saturating_sub(before.loose));
        let (held, loose) = self.told.get();
        let grain = Self::grain(limits, workers);
        let is_worth_telling = self.held.get().abs_diff(held) >= grain || self.loose.get().abs_diff(loose) >= grain;
        if is_worth_telling || self.held.get() == 0 {
            self.tell(memory, limits);
            if memory.excess(limits.buffer_memory) > 0 {
                memory.relief.notify_waiters();
            }
        }
    }

    /// Bytes by which the count of each worker may differ from what is known of it.
    fn grain(limits: &LimitSettings, workers: usize) -> usize {
        GRAIN_MAX.min(limits.buffer_memory / 64 / workers)
    }

    /// Tells the other workers.
    pub fn tell(&self, memory: &Memory, limits: &LimitSettings) {
        let now = (self.held.get(), self.loose.get());
        let before = self.told.replace(now);
        // Differences of numbers that wrap add up all the same.
        memory.held.fetch_add(now.0.wrapping_sub(before.0), Ordering::Relaxed);
        memory.loose.fetch_add(now.1.wrapping_sub(before.1), Ordering::Relaxed);
        let most = limits.buffer_memory;
        self.is_short.set(memory.excess(most - most / 4) > 0);
    }

    /// Whether what is not needed this moment should be given back.
    pub fn is_short(&self) -> bool {
        self.is_short.get()
    }

    /// Bytes without room of their own.
    pub fn loose(&self) -> usize {
        self.loose.get()
    }
}
