//! What the guard remembers of each key's newest stamp: a bounded cache of what the backend holds.
//!
//! Keys are kept as a seeded 96-bit hash, and an entry is one 64-bit number, so that a slot of the table takes 21 bytes,
//! and a key at most 48, since a table is never less than seven sixteenths full once it has doubled. When a part of the
//! table is full its oldest entries go, and the *horizon* rises to the newest stamp among them: no key absent from the
//! ledger has a stamp above the horizon.

mod entry;
mod hash;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::{DashMap, SharedValue};

use self::entry::Entry;
pub use self::entry::Known;
pub use self::hash::{HashSeed, KeyHash};
use super::moment::moment;

/// Bytes of one slot of the table: the hash, the entry and the table's own control byte.
const SLOT_BYTES: u64 = 21;

/// Independent parts of the table, each with a lock of its own. Small ledgers have fewer.
const SHARDS_MAX: u64 = 256;

/// Fewest slots a part should have, so that parts fill evenly.
const SHARD_SLOTS_MIN: u64 = 1024;

/// Most slots that a part has: its oldest entries go at once, and whoever stores something waits for that. Large ledgers
/// have more parts instead.
const SHARD_SLOTS_MAX: u64 = 1 << 16;

/// A key and what is known of it, as the table holds them.
type Slot = (KeyHash, SharedValue<Entry>);

/// Entries that fit so many slots, eight or more: seven eighths.
fn full(slots: usize) -> usize {
    slots / 8 * 7
}

/// The table of entries and the horizon.
#[derive(Debug)]
pub struct Ledger {
    /// The keys are hashed under a secret seed already, so the table needs none of its own.
    entries: DashMap<KeyHash, Entry, foldhash::fast::FixedState>,
    count: AtomicUsize,
    /// Entries that one shard holds at most.
    shard_entries_max: usize,
    /// Slots that one shard has at most: a power of two.
    shard_slots_max: usize,
    horizon: AtomicU64,
    evicted: AtomicU64,
    /// For each part, no stamp that its entries stand for is above this.
    newest: Box<[Newest]>,
}

/// In a cache line of its own, as it is written with each entry.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Newest(AtomicU64);

impl Ledger {
    /// A ledger that never takes more than about `bytes_max` bytes, with the horizon where it is now.
    pub fn with_memory(bytes_max: u64, horizon: u64) -> Self {
        let slots = (bytes_max / SLOT_BYTES).max(SHARD_SLOTS_MIN);
        let most = SHARDS_MAX.max(slots / SHARD_SLOTS_MAX);
        let shards = 1 << (slots / SHARD_SLOTS_MIN).clamp(2, most).ilog2();
        let shard_slots = 1 << (slots / shards).ilog2();
        Self::sized(shards as usize, shard_slots, full(shard_slots), horizon)
    }

    /// A ledger of at most `entries_max` entries, or two: for tests, where eviction must never rest.
    pub fn with_entries(entries_max: usize, horizon: u64) -> Self {
        let shard_entries = (entries_max / 2).max(1);
        let shard_slots = (shard_entries * 8).div_ceil(7).next_power_of_two().max(8);
        Self::sized(2, shard_slots, shard_entries, horizon)
    }

    fn sized(shards: usize, shard_slots_max: usize, shard_entries_max: usize, horizon: u64) -> Self {
        Self {
            entries: DashMap::with_hasher_and_shard_amount(foldhash::fast::FixedState::default(), shards),
            count: AtomicUsize::new(0),
            shard_entries_max,
            shard_slots_max,
            horizon: AtomicU64::new(horizon),
            evicted: AtomicU64::new(0),
            newest: std::iter::repeat_with(Newest::default).take(shards).collect(),
        }
    }

    /// What is known of a key. The horizon must be read after this, never before: it rises before the
    /// entries above which it rises go.
    pub fn get(&self, key: KeyHash) -> Known {
        moment();
        let known = self.entries.get(&key).map_or(Known::Absent, |entry| entry.known());
        moment();
        known
    }

    /// No key absent from the ledger has a stamp above this.
    pub fn horizon(&self) -> u64 {
        moment();
        let horizon = self.horizon.load(Ordering::Acquire);
        moment();
        horizon
    }

    fn raise_horizon(&self, least: u64) {
        moment();
        self.horizon.fetch_max(least, Ordering::AcqRel);
        moment();
    }

    /// Remembers what is known of a key. When the table is full the oldest entries go first.
    /// `Known::Absent` forgets the key, which is right only when it has no stamp above the horizon.
    pub fn put(&self, key: KeyHash, known: Known) {
        moment();
        self.put_now(key, known);
        moment();
    }

    fn put_now(&self, key: KeyHash, known: Known) {
        let entry = match known {
            Known::Absent => {
                if self.entries.remove(&key).is_some() {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                }
                return;
            }
            Known::Stamp(stamp) => Entry::stamp(stamp),
            Known::Record(stamp) => Entry::record(stamp),
            Known::Unknown { bound } => Entry::unknown(bound),
        };
        let hash = self.entries.hash_usize(&key);
        let index = self.entries.determine_shard(hash);
        let mut shard = self.entries.shards()[index].write();
        self.newest[index].0.fetch_max(entry.bound(), Ordering::Relaxed);
        if let Some((_, slot)) = shard.get_mut(hash as u64, |(other, _)| *other == key) {
            *slot.get_mut() = entry;
            return;
        }
        let hash_of = |(key, _): &(KeyHash, _)| self.entries.hash_usize(key) as u64;
        // A table without an empty slot makes room for itself in place, when dropped entries have left their marks, as
        // long as half of its full capacity is enough; otherwise it doubles.
        let has_no_slot = shard.capacity() == shard.len() && shard.buckets() >= self.shard_slots_max;
        let would_double = has_no_slot && shard.len() >= full(self.shard_slots_max) / 2;
        if would_double || shard.len() >= self.shard_entries_max {
            let entries = shard.drain().collect();
            for kept in self.without_oldest(entries) {
                shard.insert(hash_of(&kept), kept, hash_of);
            }
        }
        shard.insert(hash as u64, (key, SharedValue::new(entry)), hash_of);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Drops the oldest quarter. The shard that they come from is locked: whoever no longer finds one of them there
    /// finds the horizon above it.
    fn without_oldest(&self, mut entries: Vec<Slot>) -> impl Iterator<Item = Slot> {
        let dropped = entries.len().div_ceil(4);
        let bound = |(_, entry): &Slot| entry.get().bound();
        if dropped < entries.len() {
            entries.select_nth_unstable_by_key(dropped, bound);
        }
        let newest = entries[..dropped].iter().map(bound).max();
        self.raise_horizon(newest.unwrap_or(0));
        self.count.fetch_sub(dropped, Ordering::Relaxed);
        self.evicted.fetch_add(dropped as u64, Ordering::Relaxed);
        entries.into_iter().skip(dropped)
    }

    /// Forgets everything: from now on no key is known, and none has a stamp above `horizon`, above the horizon
    /// of before, or above whatever was forgotten: the backend may still hold that. Takes as long as there are parts, not
    /// entries: those go as a whole.
    pub fn clear(&self, horizon: u64) {
        self.raise_horizon(horizon);
        for (shard, newest) in self.entries.shards().iter().zip(&self.newest) {
            let mut shard = shard.write();
            // Before the entries go, as in an eviction: their part of the table is locked until both are done.
            self.raise_horizon(newest.0.swap(0, Ordering::Relaxed));
            let forgotten = std::mem::take(&mut *shard);
            self.count.fetch_sub(forgotten.len(), Ordering::Relaxed);
            drop(shard);
            drop(forgotten);
        }
        moment();
    }

    /// No key has a stamp above this: neither one that is remembered nor one that is not.
    pub fn newest(&self) -> u64 {
        let newest = self.newest.iter().map(|newest| newest.0.load(Ordering::Relaxed)).max();
        newest.unwrap_or(0).max(self.horizon())
    }

    /// Forgets everything, and begins anew with this horizon, also where it is below the one before. To be called only
    /// while nothing is judged.
    pub fn begin_at(&self, horizon: u64) {
        self.clear(0);
        self.horizon.store(horizon, Ordering::Release);
        moment();
    }

    /// Whether nobody is at work on it.
    #[cfg(test)]
    pub(super) fn is_free(&self) -> bool {
        self.entries.shards().iter().all(|shard| shard.try_write().is_some())
    }

    /// The part of the table that a key belongs to.
    #[cfg(test)]
    pub(super) fn part_of(&self, key: KeyHash) -> usize {
        self.entries.determine_shard(self.entries.hash_usize(&key))
    }

    /// Keys remembered.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Most keys that are ever remembered at once.
    pub fn entries_max(&self) -> usize {
        self.entries.shards().len() * self.shard_entries_max
    }

    /// Bytes that the table can take when it is full.
    pub fn bytes_max(&self) -> u64 {
        (self.entries.shards().len() * self.shard_slots_max) as u64 * SLOT_BYTES
    }

    /// Bytes that the table takes now.
    pub fn bytes(&self) -> u64 {
        let slots: usize = self.entries.shards().iter().map(|shard| shard.read().buckets()).sum();
        slots as u64 * SLOT_BYTES
    }

    /// Entries dropped for want of room, since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: HashSeed = HashSeed([1, 2]);

    #[test]
    fn what_goes_leaves_the_horizon_above_it() {
        for entries_max in [1, 2, 7, 64] {
            let ledger = Ledger::with_entries(entries_max, 0);
            for stamp in 1..500u64 {
                let key = SEED.hash(&stamp.to_be_bytes());
                ledger.put(key, Known::Stamp(stamp));
                assert!(ledger.len() <= entries_max.max(2));
                assert_eq!(ledger.get(key), Known::Stamp(stamp), "the newest stays");
                for older in 1..=stamp {
                    let known = ledger.get(SEED.hash(&older.to_be_bytes()));
                    assert!(known == Known::Stamp(older) || ledger.horizon() >= older);
                }
            }
        }
    }

    #[test]
    fn the_table_keeps_within_its_memory() {
        let bytes_max = 1 << 20;
        let ledger = Ledger::with_memory(bytes_max, 0);
        for stamp in 0..200_000u64 {
            ledger.put(SEED.hash(&stamp.to_be_bytes()), Known::Stamp(stamp));
            // Marks of entries that went by themselves are not to make it grow either.
            if stamp % 3 == 0 {
                ledger.put(SEED.hash(&(stamp / 2).to_be_bytes()), Known::Absent);
            }
            assert!(ledger.len() <= ledger.entries_max());
        }
        assert!(ledger.bytes() <= ledger.bytes_max(), "{} bytes", ledger.bytes());
        assert!(ledger.bytes_max() <= bytes_max && ledger.evicted() > 0);
    }

    #[test]
    fn a_key_takes_48_bytes_at_most() {
        let ledger = Ledger::with_memory(4 << 20, 0);
        for stamp in 0..400_000u64 {
            ledger.put(SEED.hash(&stamp.to_be_bytes()), Known::Stamp(stamp));
            // Shards double one after the other; before that, a few keys do not fill the smallest tables.
            if stamp > 50_000 {
                assert!(ledger.bytes() <= 48 * ledger.len() as u64, "{} keys", ledger.len());
            }
        }
    }

    #[test]
    fn what_is_forgotten_lifts_the_horizon_above_all_that_it_stood_for() {
        let ledger = Ledger::with_memory(1 << 20, 0);
        for stamp in [7, 900, 30] {
            ledger.put(SEED.hash(&[stamp as u8]), Known::Stamp(stamp));
        }
        ledger.put(SEED.hash(b"unknown"), Known::Unknown { bound: 2000 });
        ledger.clear(5);
        assert_eq!((ledger.horizon(), ledger.len()), (2000, 0));
        ledger.put(SEED.hash(b"k"), Known::Stamp(2001));
        assert_eq!(ledger.len(), 1);
    }

    #[test]
    fn no_part_of_a_large_ledger_is_so_large_that_its_eviction_is_waited_for() {
        let ledger = Ledger::with_memory(8 << 30, 0);
        assert!(ledger.shard_slots_max as u64 <= 2 * SHARD_SLOTS_MAX);
        assert!(ledger.bytes_max() <= 8 << 30 && ledger.bytes_max() > 4 << 30);
    }

    #[test]
    fn a_forgotten_key_is_absent() {
        let ledger = Ledger::with_entries(8, 0);
        let key = SEED.hash(b"k");
        ledger.put(key, Known::Stamp(5));
        ledger.clear(9);
        assert_eq!((ledger.get(key), ledger.horizon(), ledger.len()), (Known::Absent, 9, 0));
    }
}
