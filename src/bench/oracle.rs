//! What may be claimed of each key: the oldest stamp that an honest answer can have.
//!
//! A plain Tyrant server keeps what came last, and of two writes that were on their way at once nobody but it knows
//! which came last. So the claim after such writes is the older of them; after a write that was alone with its key, it
//! is that write. One that may or may not have been carried out, or may be so later, bounds all claims on its key
//! from then on. Under a guard the newest acknowledged write is what every later read must see.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use parking_lot::Mutex;

use super::question::Question;

/// Locks, so that threads seldom meet.
const SHARDS: usize = 64;

/// Of a write without a stamp, a delete: nothing can be claimed behind it.
pub(super) const NO_STAMP: u32 = 0;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was acknowledged.
    Stored,
    /// It was refused, so it is not stored.
    Refused,
    /// Nobody said, or nobody ever says.
    Unknown,
}

/// What has been acknowledged of each key, in stamps relative to the oldest that this process can write.
#[derive(Debug)]
pub(super) struct Oracle {
    guarded: bool,
    /// The first of its keys.
    first: u32,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Debug)]
struct Shard {
    /// By key: the oldest stamp that can be stored when nothing is on its way; 0 where nothing can be claimed.
    settled: Vec<u32>,
    /// Keys with a question on its way.
    open: HashMap<u32, Open, FixedState>,
    /// Keys with a write that nobody answered for, and the oldest stamp of such.
    doubted: HashMap<u32, u32, FixedState>,
}

/// The questions on their way for one key.
#[derive(Clone, Copy, Debug)]
struct Open {
    reads: u32,
    writes: u32,
    /// The oldest stamp that was sent since there have been reads.
    sent_during_reads: u32,
    /// The oldest stamp that was sent since there have been writes.
    sent: u32,
    /// The oldest (under a guard the newest) stamp that was acknowledged since there have been writes.
    stored: Option<u32>,
}

const NOTHING_OPEN: Open = Open {
    reads: 0,
    writes: 0,
    sent_during_reads: u32::MAX,
    sent: u32::MAX,
    stored: None,
};

impl Oracle {
    /// An oracle on `keys` keys from `first` on, of which nothing is known. `guarded` says that older writes never
    /// replace newer ones.
    pub fn new(first: u32, keys: u32, guarded: bool) -> Self {
        let per_shard = (keys as usize).div_ceil(SHARDS);
        let shard = || Shard {
            // Zeros that nobody has touched take no memory.
            settled: vec![0; per_shard],
            open: HashMap::default(),
            doubted: HashMap::default(),
        };
        Self {
            guarded,
            first,
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
        }
    }

    /// A question is about to be sent, a write with this stamp; `claims` becomes what can be claimed of each key.
    pub fn open(&self, question: &Question, stamp: u32, claims: &mut Vec<u32>) {
        claims.clear();
        if question.writes() {
            self.writing(question.key(), stamp);
        } else {
            claims.extend(question.keys.iter().map(|key| self.reading(*key)));
        }
    }

    /// The same question is over; `claims` becomes what can still be claimed.
    pub fn close(&self, question: &Question, stamp: u32, claims: &mut [u32], fate: Fate) {
        if question.writes() {
            self.written(question.key(), stamp, fate);
        }
        for (key, claim) in question.keys.iter().zip(claims) {
            *claim = self.read(*key, *claim);
        }
    }

    /// A write is about to be sent.
    fn writing(&self, key: u32, stamp: u32) {
        self.change(key, |_, open, _| {
            open.writes += 1;
            open.sent = open.sent.min(stamp);
            if open.reads > 0 {
                open.sent_during_reads = open.sent_during_reads.min(stamp);
            }
        });
    }

    /// A write is over.
    fn written(&self, key: u32, stamp: u32, fate: Fate) {
        let guarded = self.guarded;
        self.change(key, |settled, open, doubted| {
            open.writes = open.writes.saturating_sub(1);
            match fate {
                Fate::Refused => {}
                Fate::Unknown => {
                    let oldest = doubted.entry(key).or_insert(stamp);
                    *oldest = stamp.min(*oldest);
                }
                Fate::Stored if guarded && stamp != NO_STAMP && open.sent != NO_STAMP => {
                    *settled = stamp.max(*settled);
                }
                Fate::Stored => open.stored = Some(open.stored.map_or(stamp, |stored| stored.min(stamp))),
            }
            if open.writes == 0 {
                *settled = open.stored.unwrap_or(*settled);
                (open.sent, open.stored) = (u32::MAX, None);
            }
        });
    }

    /// A read is about to be sent: the oldest stamp that its answer can have, as far as can be said now. 0 makes no
    /// claim, not even that there is a record.
    fn reading(&self, key: u32) -> u32 {
        let guarded = self.guarded;
        self.change(key, |settled, open, doubted| {
            open.reads += 1;
            let sent = open.sent;
            bound(guarded, *settled, sent, doubted.get(&key))
        })
    }

    /// A read is over, be it answered or not: the oldest stamp that its answer can have.
    fn read(&self, key: u32, claim: u32) -> u32 {
        let guarded = self.guarded;
        self.change(key, |_, open, doubted| {
            let sent = open.sent_during_reads;
            open.reads = open.reads.saturating_sub(1);
            if open.reads == 0 {
                open.sent_during_reads = u32::MAX;
            }
            bound(guarded, claim, sent, doubted.get(&key))
        })
    }

    fn change<T>(&self, key: u32, change: impl FnOnce(&mut u32, &mut Open, &mut Doubted) -> T) -> T {
        let index = (key - self.first) as usize;
        let (shard, place) = (index % SHARDS, index / SHARDS);
        let mut shard = self.shards[shard].lock();
        let shard = &mut *shard;
        let mut open = shard.open.remove(&key).unwrap_or(NOTHING_OPEN);
        let result = change(&mut shard.settled[place], &mut open, &mut shard.doubted);
        if open.reads > 0 || open.writes > 0 {
            shard.open.insert(key, open);
        }
        result
    }
}

type Doubted = HashMap<u32, u32, FixedState>;

/// What is left of a claim when these may have been carried out too. Under a guard only a delete takes any of it.
fn bound(guarded: bool, claim: u32, sent: u32, doubted: Option<&u32>) -> u32 {
    let oldest = sent.min(doubted.copied().unwrap_or(u32::MAX));
    if guarded && oldest != NO_STAMP {
        claim
    } else {
        claim.min(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(oracle: &Oracle, stamp: u32, fate: Fate) {
        oracle.writing(7, stamp);
        oracle.written(7, stamp, fate);
    }

    fn claim(oracle: &Oracle) -> u32 {
        let claim = oracle.reading(7);
        oracle.read(7, claim)
    }

    #[test]
    fn a_write_alone_with_its_key_is_what_is_read() {
        for guarded in [false, true] {
            let oracle = Oracle::new(0, 100, guarded);
            assert_eq!(claim(&oracle), 0);
            write(&oracle, 5, Fate::Stored);
            assert_eq!(claim(&oracle), 5);
            write(&oracle, 6, Fate::Refused);
            assert_eq!(claim(&oracle), 5);
            write(&oracle, 9, Fate::Stored);
            assert_eq!(claim(&oracle), 9);
            write(&oracle, 3, Fate::Stored);
            assert_eq!(claim(&oracle), if guarded { 9 } else { 3 });
            write(&oracle, NO_STAMP, Fate::Stored);
            assert_eq!(claim(&oracle), 0);
            write(&oracle, 10, Fate::Stored);
            assert_eq!(claim(&oracle), 10);
        }
    }

    #[test]
    fn of_two_writes_at_once_the_older_bounds_the_claim_unless_there_is_a_guard() {
        for guarded in [false, true] {
            let oracle = Oracle::new(0, 100, guarded);
            oracle.writing(7, 5);
            oracle.writing(7, 6);
            oracle.written(7, 6, Fate::Stored);
            assert_eq!(claim(&oracle), if guarded { 6 } else { 0 });
            oracle.written(7, 5, Fate::Stored);
            assert_eq!(claim(&oracle), if guarded { 6 } else { 5 });
        }
    }

    #[test]
    fn a_write_that_came_and_went_during_a_read_bounds_its_claim() {
        let oracle = Oracle::new(0, 100, false);
        write(&oracle, 8, Fate::Stored);
        let first = oracle.reading(7);
        write(&oracle, 2, Fate::Stored);
        write(&oracle, 9, Fate::Stored);
        assert_eq!(oracle.reading(7), 9);
        assert_eq!(oracle.read(7, first), 2);
        // The other read is still on its way, and began with the first.
        assert_eq!(oracle.read(7, 9), 2);
        assert_eq!(claim(&oracle), 9);
    }

    #[test]
    fn what_nobody_answered_for_may_land_at_any_time() {
        let oracle = Oracle::new(0, 100, false);
        write(&oracle, 5, Fate::Unknown);
        write(&oracle, 6, Fate::Stored);
        assert_eq!(claim(&oracle), 5);
        let guarded = Oracle::new(0, 100, true);
        write(&guarded, 5, Fate::Unknown);
        write(&guarded, 6, Fate::Stored);
        assert_eq!(claim(&guarded), 6);
        write(&guarded, NO_STAMP, Fate::Unknown);
        write(&guarded, 7, Fate::Stored);
        assert_eq!(claim(&guarded), 0);
    }

    #[test]
    fn keys_do_not_meet() {
        let oracle = Oracle::new(500, 1_000, false);
        for key in 500..1_500 {
            oracle.writing(key, key + 1);
            oracle.written(key, key + 1, Fate::Stored);
        }
        for key in 500..1_500 {
            let claim = oracle.reading(key);
            assert_eq!(oracle.read(key, claim), key + 1);
        }
    }

    #[test]
    fn a_delete_beside_a_write_leaves_no_claim() {
        for guarded in [false, true] {
            let oracle = Oracle::new(0, 100, guarded);
            write(&oracle, 4, Fate::Stored);
            oracle.writing(7, NO_STAMP);
            oracle.writing(7, 5);
            oracle.written(7, 5, Fate::Stored);
            assert_eq!(claim(&oracle), 0);
            oracle.written(7, NO_STAMP, Fate::Stored);
            assert_eq!(claim(&oracle), 0);
        }
    }
}
