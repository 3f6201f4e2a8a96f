//! Records in memory, shared by every thread.
//!
//! Keys are spread over parts with a lock each, as in Tokyo Cabinet's own on-memory hash. Whatever touches
//! one key holds one lock for well under a microsecond; whatever walks the store takes a lock a few records at a time.

use std::hash::BuildHasher;
use std::ops::Bound;

use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::records::{Cursor, Fault, Records};
use super::shard::Shard;

const SHARDS: usize = 16;

/// What one record costs beside the bytes of its key and value: its places in the hash and in the ordered
/// set, and what the allocator rounds up. 233 to 265 were measured with 875,000 records of 68 bytes.
const RECORD_COST: u64 = 240;

/// Keys listed under one lock: bounds how long `fwmkeys` holds it.
const PAGE: usize = 512;

/// From this many records on, dropping them is left to a thread of its own.
const SLOW_DROP: u64 = 10_000;

/// A map from keys to values. It owns copies of both, and hands values out without copying them.
#[derive(Default)]
pub struct Memory {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

impl Records for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(self.shard(key).lock().get(key).cloned())
    }

    fn value_size(&self, key: &[u8]) -> Result<Option<usize>, Fault> {
        Ok(self.shard(key).lock().get(key).map(Bytes::len))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let value = Bytes::copy_from_slice(value);
        let mut old = None;
        self.update(key, |was| {
            old = was; // dropped once the lock is free
            value
        })
    }

    fn put_new(&self, key: &[u8], value: &[u8]) -> Result<bool, Fault> {
        let mut shard = self.shard(key).lock();
        let new = shard.get(key).is_none();
        if new {
            shard.update(key, |_| Bytes::copy_from_slice(value));
        }
        Ok(new)
    }

    fn update(&self, key: &[u8], change: impl FnOnce(Option<Bytes>) -> Bytes) -> Result<(), Fault> {
        self.shard(key).lock().update(key, change);
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<bool, Fault> {
        let removed = self.shard(key).lock().remove(key);
        Ok(removed.is_some())
    }

    /// Part by part. The caller does not wait for the memory to be given back.
    fn clear(&self) -> Result<(), Fault> {
        let old: Vec<Shard> = self.shards.iter().map(|s| std::mem::take(&mut *s.lock())).collect();
        if old.iter().map(Shard::len).sum::<u64>() > SLOW_DROP {
            // Without a thread the records are dropped here: slower, not wrong.
            let _ = std::thread::Builder::new()
                .name("vanish".into())
                .spawn(move || drop(old));
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn len(&self) -> Result<u64, Fault> {
        Ok(self.shards.iter().map(|shard| shard.lock().len()).sum())
    }

    /// Exact for keys and values, an estimate for the rest.
    fn size(&self) -> Result<u64, Fault> {
        let of = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            shard.payload() + shard.len() * RECORD_COST
        };
        Ok(size_of::<Self>() as u64 + self.shards.iter().map(of).sum::<u64>())
    }

    fn keys(&self, prefix: &[u8], max: usize) -> Result<Vec<Bytes>, Fault> {
        let mut keys = Vec::new();
        for shard in &self.shards {
            let mut from = Bound::Included(Bytes::copy_from_slice(prefix));
            loop {
                let page = PAGE.min(max - keys.len());
                let known = keys.len();
                let matching = |key: &&Bytes| key.starts_with(prefix);
                keys.extend(
                    shard
                        .lock()
                        .keys_from(borrow(&from))
                        .take_while(matching)
                        .take(page)
                        .cloned(),
                );
                match keys.last() {
                    Some(last) if keys.len() == known + PAGE => from = Bound::Excluded(last.clone()),
                    _ => break,
                }
            }
        }
        Ok(keys)
    }

    fn cursor_at(&self, key: &[u8]) -> Result<Option<Cursor>, Fault> {
        let shard = self.index(key);
        let records = self.shards[shard].lock();
        let found = records.keys_from(Bound::Included(key)).next();
        Ok(found.filter(|found| *found == key).map(|found| Cursor {
            shard,
            from: Bound::Included(found.clone()),
        }))
    }

    fn walk(&self, cursor: &mut Cursor, mut visit: impl FnMut(Bytes, Bytes) -> bool) -> Result<(), Fault> {
        while let Some((key, value)) = self.next(cursor) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

impl Memory {
    /// The record behind `cursor`, which moves on past it.
    fn next(&self, cursor: &mut Cursor) -> Option<(Bytes, Bytes)> {
        while let Some(shard) = self.shards.get(cursor.shard) {
            let shard = shard.lock();
            let key = shard.keys_from(borrow(&cursor.from)).next();
            if let Some((key, value)) = key.and_then(|key| Some((key, shard.get(key)?))) {
                cursor.from = Bound::Excluded(key.clone());
                return Some((key.clone(), value.clone()));
            }
            cursor.shard += 1;
            cursor.from = Bound::Unbounded;
        }
        *cursor = Cursor::END;
        None
    }

    fn index(&self, key: &[u8]) -> usize {
        (self.hasher.hash_one(key) >> 32) as usize % SHARDS
    }

    fn shard(&self, key: &[u8]) -> &Mutex<Shard> {
        &self.shards[self.index(key)]
    }
}

fn borrow(from: &Bound<Bytes>) -> Bound<&[u8]> {
    from.as_ref().map(|key| &key[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: u32) -> Memory {
        let store = Memory::default();
        for number in 0..count {
            store.put(format!("k{number:05}").as_bytes(), b"v").unwrap();
        }
        store
    }

    #[test]
    fn keys_are_listed_by_prefix_across_pages_and_shards() {
        let store = filled(20_000);
        store.put(b"other", b"v").unwrap();
        for (prefix, max, count) in [
            (&b"k"[..], usize::MAX, 20_000),
            (b"", usize::MAX, 20_001),
            (b"k00", usize::MAX, 1_000),
            (b"k0000", 7, 7),
            (b"", 0, 0),
            (b"l", 10, 0),
        ] {
            let mut keys = store.keys(prefix, max).unwrap();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), count, "{prefix:?}");
            assert!(keys.iter().all(|key| key.starts_with(prefix)));
        }
    }

    #[test]
    fn a_cursor_survives_deletes_inserts_and_vanish() {
        let store = filled(100);
        let mut cursor = Cursor::START;
        let mut met = 0;
        while let Some((key, _)) = store.next(&mut cursor) {
            assert!(store.remove(&key).unwrap());
            met += 1;
        }
        assert_eq!((met, store.len().unwrap(), cursor.clone()), (100, 0, Cursor::END));
        store.put(b"late", b"v").unwrap();
        assert_eq!(store.next(&mut cursor), None);

        let mut cursor = store.cursor_at(b"late").unwrap().unwrap();
        assert_eq!(store.next(&mut cursor).unwrap().0, "late");
        assert_eq!(store.cursor_at(b"lat").unwrap(), None);
        store.clear().unwrap();
        assert_eq!(store.next(&mut cursor), None);
    }

    #[test]
    fn values_are_copies_and_clear_gives_all_back() {
        let frame = Bytes::from_static(b"keyvalue");
        let store = filled(20_000);
        store.put(&frame[..3], &frame[3..]).unwrap();
        assert_ne!(store.get(b"key").unwrap().unwrap().as_ptr(), frame[3..].as_ptr());
        store.clear().unwrap();
        assert_eq!(
            (store.len().unwrap(), store.size().unwrap()),
            (0, size_of::<Memory>() as u64)
        );
    }
}
