//! What the guard remembers of each key's newest stamp: a bounded cache of what the backend holds.
//!
//! Keys are kept as a seeded 128-bit hash, and an entry is one 64-bit number, so that a slot of the table takes 25
//! bytes. When the table is full the oldest entries go, and the *horizon* rises to the newest stamp among them:
//! no key absent from the ledger has a stamp above the horizon.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::stamp::DIGITS_MAX;

/// Bytes of one slot of the table: the hash, the entry and the table's own control byte.
const SLOT_BYTES: u64 = 25;

/// Independent parts of the table, each with a lock of its own. Small ledgers have one.
const SHARDS_MAX: u64 = 64;

/// Fewest slots a part should have, so that parts fill evenly.
const SHARD_SLOTS_MIN: u64 = 1024;

/// How many entries are looked at to find out which stamps are old.
const SAMPLE: usize = 512;

/// The seeded 128-bit hash of a key. With 10^9 keys the chance that any two share one is below 10^-20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash([u64; 2]);

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

/// The seed of every [`KeyHash`]: secret, so that nobody can choose keys that share one.
#[derive(Clone, Copy, Debug)]
pub struct HashSeed(pub [u64; 2]);

impl HashSeed {
    /// The hash of a key under this seed.
    pub fn hash(self, key: &[u8]) -> KeyHash {
        let mut hasher = SipHasher13::new_with_keys(self.0[0], self.0[1]);
        hasher.write(key);
        let hash = hasher.finish128();
        KeyHash([hash.h1, hash.h2])
    }
}

/// What the ledger knows of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// No entry: no stamp above the horizon.
    Absent,
    /// The newest stamp that is confirmed, stored or tombstone; 0 where the backend has none.
    Stamp(u64),
    /// The backend must be asked. Whatever it holds is not newer than `bound`.
    Unknown {
        /// The greatest stamp that the backend can hold for this key.
        bound: u64,
    },
}

/// [`Known`] in 64 bits. Stamps have at most 19 digits, so 8.4 * 10^18 codes are left above them: enough for a bound
/// in steps of two, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry(u64);

const UNKNOWN_BASE: u64 = 10u64.pow(DIGITS_MAX as u32);

impl Entry {
    fn stamp(stamp: u64) -> Self {
        debug_assert!(stamp < UNKNOWN_BASE);
        Self(stamp)
    }

    fn unknown(bound: u64) -> Self {
        Self(UNKNOWN_BASE + bound.min(UNKNOWN_BASE).div_ceil(2))
    }

    fn known(self) -> Known {
        if self.0 < UNKNOWN_BASE {
            Known::Stamp(self.0)
        } else {
            Known::Unknown { bound: self.bound() }
        }
    }

    /// The greatest stamp that the backend can hold for this key.
    fn bound(self) -> u64 {
        if self.0 < UNKNOWN_BASE {
            self.0
        } else {
            (self.0 - UNKNOWN_BASE) * 2
        }
    }
}

/// How many entries a part of so many slots may hold on average, so that it never has to double.
///
/// A hash table of seven eighths full capacity makes room for itself in place, when dropped entries have left their
/// marks, as long as half of that capacity is enough; otherwise it doubles. Keys spread at random: six standard
/// deviations are left free.
fn shard_entries_max(slots: u64) -> u64 {
    let half = slots * 7 / 16;
    half - 6 * half.isqrt()
}

/// The table of entries and the horizon.
#[derive(Debug)]
pub struct Ledger {
    /// The keys are hashed under a secret seed already, so the table needs none of its own.
    entries: DashMap<KeyHash, Entry, foldhash::fast::FixedState>,
    count: AtomicUsize,
    entries_max: usize,
    slots: u64,
    horizon: AtomicU64,
    evicted: AtomicU64,
}

impl Ledger {
    /// A ledger that never takes more than about `bytes_max` bytes, with the horizon where it is now.
    pub fn with_memory(bytes_max: u64, horizon: u64) -> Self {
        let slots = (bytes_max / SLOT_BYTES).max(SHARD_SLOTS_MIN);
        let shards = (slots / SHARD_SLOTS_MIN).clamp(2, SHARDS_MAX);
        let shards = 1 << shards.ilog2();
        let slots = shards * (1 << (slots / shards).ilog2());
        let entries_max = shards * shard_entries_max(slots / shards);
        Self::sized(
            usize::try_from(entries_max).unwrap_or(usize::MAX),
            shards as usize,
            slots,
            horizon,
        )
    }

    /// A ledger of at most `entries_max` entries: for tests, where eviction must never rest.
    pub fn with_entries(entries_max: usize, horizon: u64) -> Self {
        let entries_max = entries_max.max(1);
        // Either part may come to hold all of them.
        let shard_slots = (entries_max as u64 * 16).div_ceil(7).next_power_of_two().max(4);
        Self::sized(entries_max, 2, 2 * shard_slots, horizon)
    }

    fn sized(entries_max: usize, shards: usize, slots: u64, horizon: u64) -> Self {
        Self {
            entries: DashMap::with_hasher_and_shard_amount(foldhash::fast::FixedState::default(), shards),
            count: AtomicUsize::new(0),
            entries_max,
            slots,
            horizon: AtomicU64::new(horizon),
            evicted: AtomicU64::new(0),
        }
    }

    /// What is known of a key. The horizon must be read after this, never before: see [`Ledger::sweep`].
    pub fn get(&self, key: KeyHash) -> Known {
        self.entries.get(&key).map_or(Known::Absent, |entry| entry.known())
    }

    /// No key absent from the ledger has a stamp above this.
    pub fn horizon(&self) -> u64 {
        self.horizon.load(Ordering::Acquire)
    }

    /// Remembers what is known of a key. When the table is full the oldest entries go first.
    /// `Known::Absent` forgets the key, which is right only when it has no stamp above the horizon.
    pub fn put(&self, key: KeyHash, known: Known) {
        let entry = match known {
            Known::Absent => {
                if self.entries.remove(&key).is_some() {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                }
                return;
            }
            Known::Stamp(stamp) => Entry::stamp(stamp),
            Known::Unknown { bound } => Entry::unknown(bound),
        };
        if let Some(mut slot) = self.entries.get_mut(&key) {
            *slot = entry;
            return;
        }
        self.reserve();
        if self.entries.insert(key, entry).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts an entry before it comes. Counted after, threads that come together would all find room for one, and a
    /// sweep in between would count out what has not been counted in.
    fn reserve(&self) {
        let room_for_one = |count| (count < self.entries_max).then_some(count + 1);
        while self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room_for_one)
            .is_err()
        {
            self.sweep();
        }
    }

    /// Drops about the oldest eighth. The horizon rises first, so that whoever no longer finds an entry
    /// finds the horizon above it.
    pub fn sweep(&self) {
        let mut bounds: Vec<u64> = self.entries.iter().take(SAMPLE).map(|entry| entry.bound()).collect();
        if bounds.is_empty() {
            return;
        }
        let eighth = bounds.len() / 8;
        let (_, &mut threshold, _) = bounds.select_nth_unstable(eighth);
        self.horizon.fetch_max(threshold, Ordering::AcqRel);
        let mut dropped = 0;
        self.entries.retain(|_, entry| {
            let keep = entry.bound() > threshold;
            dropped += usize::from(!keep);
            keep
        });
        self.count.fetch_sub(dropped, Ordering::Relaxed);
        self.evicted.fetch_add(dropped as u64, Ordering::Relaxed);
    }

    /// Whether the table is nearly full, so that a sweep now spares a write the trouble.
    pub fn is_nearly_full(&self) -> bool {
        self.len() >= self.entries_max - self.entries_max / 16 && self.entries_max >= SAMPLE
    }

    /// Forgets everything: from now on no key is known, and none has a stamp above `horizon`, above the horizon
    /// of before, or above whatever was forgotten: the backend may still hold that.
    pub fn clear(&self, horizon: u64) {
        self.horizon.fetch_max(horizon, Ordering::AcqRel);
        self.entries.retain(|_, entry| {
            // Before the entry goes, as in a sweep: its part of the table is locked until both are done.
            self.horizon.fetch_max(entry.bound(), Ordering::AcqRel);
            self.count.fetch_sub(1, Ordering::Relaxed);
            false
        });
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
        self.entries_max
    }

    /// Bytes that the table can take when it is full.
    pub fn bytes_max(&self) -> u64 {
        self.slots * SLOT_BYTES
    }

    /// Bytes that the table takes now.
    pub fn bytes(&self) -> u64 {
        self.entries.capacity() as u64 * 8 / 7 * SLOT_BYTES
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
    fn an_entry_keeps_its_stamp_exactly_and_its_bound_from_above() {
        for stamp in [0, 1, 1_700_000_000_000, UNKNOWN_BASE - 1] {
            assert_eq!(Entry::stamp(stamp).known(), Known::Stamp(stamp));
            let bound = Entry::unknown(stamp).bound();
            assert!(bound == stamp || bound == stamp + 1);
            assert!(matches!(Entry::unknown(stamp).known(), Known::Unknown { .. }));
        }
        assert!(Entry::unknown(u64::MAX).bound() >= UNKNOWN_BASE);
    }

    #[test]
    fn what_goes_leaves_the_horizon_above_it() {
        for entries_max in [1, 2, 7, 64] {
            let ledger = Ledger::with_entries(entries_max, 0);
            for stamp in 1..500u64 {
                let key = SEED.hash(&stamp.to_be_bytes());
                ledger.put(key, Known::Stamp(stamp));
                assert!(ledger.len() <= entries_max);
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
            assert!(ledger.len() <= ledger.entries_max());
        }
        assert!(ledger.bytes() <= bytes_max, "{} bytes", ledger.bytes());
        assert!(ledger.evicted() > 0);
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
