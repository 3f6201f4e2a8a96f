//! What was asked, what was carried out, what was answered: and whether all of that keeps the promises.

mod answered;
mod carried;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ttguard::config::StaleReply;
use ttguard::guard::rules::{Mode, Tie};
use ttguard::guard::stamp::Unit;

use crate::plan::Plan;
use crate::records::Records;
use crate::world::World;

/// The name of the record that keeps a key's stamp begins with this.
const HIDDEN: &[u8] = b"timestamp.";

/// A key that is only in frames that must never be carried out.
pub const POISON: &[u8] = b"poison";

/// The stamp at the head of a value.
pub fn stamp_of(value: &[u8]) -> Option<u64> {
    let digits = value.get(..13)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The key that a hidden record belongs to; any other key itself.
pub fn base_of(key: &Bytes) -> Bytes {
    if key.starts_with(HIDDEN) {
        key.slice(HIDDEN.len()..)
    } else {
        key.clone()
    }
}

/// The number of the write that made a value: the digits between its last two hashes.
fn number_of(value: &[u8]) -> Option<usize> {
    let end = value.iter().rposition(|byte| *byte == b'#')?;
    let start = value[..end].iter().rposition(|byte| *byte == b'#')?;
    std::str::from_utf8(&value[start + 1..end]).ok()?.parse().ok()
}

impl History {
    /// Whether these values were asked for by more than one question.
    pub fn are_shared<'a>(&self, values: impl Iterator<Item = &'a Bytes>) -> bool {
        let mut asked = values.filter_map(|value| Some(self.writes.get(number_of(value)?)?.asked_at));
        let first = asked.next();
        asked.any(|at| Some(at) != first)
    }
}

/// What kind of write was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// May be carried out more than once: it has a stamp.
    Repeatable,
    /// Never twice.
    Once,
}

/// By what a request has come to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A connection that is still up.
    Lane,
    /// One that the guard has given up.
    LostLane,
    /// One of a guard process that has ended.
    FormerGuard,
}

#[derive(Debug)]
struct Write {
    key: Bytes,
    value: Bytes,
    stamp: Option<u64>,
    kind: Asked,
    asked_at: u64,
    /// What the guard's clock showed then.
    asked_clock: u64,
    attempts: u32,
    /// The step and the era in which it was last carried out.
    done: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Story {
    /// What the key held, from which step on.
    versions: Vec<(u64, Option<Bytes>)>,
    /// Every stamp that was ever stored, with its value.
    carried: Vec<(u64, Option<Bytes>)>,
    /// Something befell it that nothing is promised for, until a newer write than all before has made it known again.
    tainted: bool,
    /// It has been so at some time.
    was_tainted: bool,
    /// Stamps that only a record kept at some time: what bore them was deleted, or lay under something else.
    bare: BTreeSet<u64>,
    /// What is stored was too far ahead when it was: it binds nobody, and is no reason to count another as stale.
    is_ahead: bool,
    /// The greatest stamp that was ever stored.
    highest: u64,
    /// The greatest stamp that was removed where no tombstone can be stored.
    buried: Option<u64>,
    outs_asked: u64,
    outs_done: u64,
    last_out: u64,
    /// The greatest stamp that was acknowledged, for each era.
    acknowledged: BTreeMap<u64, u64>,
}

impl Story {
    fn carry(&mut self, stamp: u64, value: Option<Bytes>) {
        self.carried.push((stamp, value));
        self.highest = self.highest.max(stamp);
    }

    /// The key holds something with this stamp, or nothing, and its record has that one.
    fn hold(&mut self, own: Option<u64>, hidden: Option<u64>) {
        self.bare.extend(hidden.filter(|hidden| Some(*hidden) > own));
    }

    /// From now on nothing is promised.
    fn taint(&mut self) {
        self.tainted = true;
        self.was_tainted = true;
    }

    /// A write is stored. Whatever has befallen the key before, from the newest write of all on it is known again: but not
    /// from one that a guard has left behind whose clock was ahead of what the one that runs believes.
    fn is_stored(&mut self, stamp: u64, by: Bearer, horizon: u64) {
        if by == Bearer::FormerGuard && stamp > horizon {
            self.taint();
        } else if stamp >= self.highest {
            self.tainted = false;
        }
    }
}

/// Everything that the promises are checked against.
#[derive(Debug)]
pub struct History {
    tie: Tie,
    /// Milliseconds that a stamp may be ahead; more than any, where stamps are no time.
    future: u64,
    /// Milliseconds that a tombstone lies behind the clock.
    delete: u64,
    is_opaque: bool,
    /// Nothing is refused, and no order is promised.
    observes: bool,
    /// A stale write is answered as a success.
    hides_refusals: bool,
    keeps_records: bool,
    /// Nothing makes the guard forget a tombstone that it can keep in memory only.
    remembers: bool,
    /// No guard of before has let in anything above this, as the guard that runs believes.
    horizon: u64,
    /// Nothing keeps what guards count from being exactly what the backend has seen.
    is_exact: bool,
    /// How often `putkeep` found a record.
    kept: u64,
    /// Writes that were let through for certain although enforce mode would have refused them: stale, and too far ahead.
    let_through: (u64, u64),
    /// Keys that nothing was promised for when all faults had healed.
    tainted: Option<usize>,
    writes: Vec<Write>,
    stories: BTreeMap<Bytes, Story>,
    /// Rises whenever the backend loses records.
    era: u64,
}

impl History {
    /// Nothing has happened yet.
    pub fn new(plan: &Plan) -> Self {
        let rules = &plan.settings.rules;
        let is_opaque = rules.stamp.unit() == Unit::Opaque;
        Self {
            tie: rules.tie,
            future: if is_opaque {
                u64::MAX
            } else {
                rules.future_tolerance.as_millis() as u64
            },
            delete: if is_opaque {
                u64::MAX
            } else {
                rules.delete_tolerance.as_millis() as u64
            },
            is_opaque,
            observes: rules.mode == Mode::Observe,
            hides_refusals: plan.settings.stale_reply == StaleReply::Ok,
            keeps_records: plan.database.keeps_records(),
            remembers: plan.calm && plan.ledger_entries.is_none(),
            horizon: u64::MAX,
            is_exact: plan.calm
                && plan.clock.jumps.is_empty()
                && plan.database.keeps_records()
                && !plan.clients.unordered
                && !plan.clients.lists,
            kept: 0,
            let_through: (0, 0),
            tainted: None,
            writes: Vec::new(),
            stories: BTreeMap::new(),
            era: 0,
        }
    }

    /// A guard starts: it takes for granted that none before it let in anything newer than its own clock allows. Where
    /// a former one had a clock further ahead, nothing is promised until the key has a newer write.
    pub fn guard_starts(&mut self, world: &World) {
        self.horizon = world.clock.now().saturating_add(self.future);
        let beyond = self.stories.values_mut().filter(|story| story.highest > self.horizon);
        beyond.for_each(Story::taint);
    }

    fn story(&mut self, key: &Bytes) -> &mut Story {
        let absent = || Story {
            versions: vec![(0, None)],
            ..Story::default()
        };
        self.stories.entry(key.clone()).or_insert_with(absent)
    }

    /// The number of the next write.
    pub fn next_number(&self) -> usize {
        self.writes.len()
    }

    /// A write is about to be asked for.
    pub fn asked(&mut self, world: &World, key: &Bytes, value: &Bytes, kind: Asked) {
        self.writes.push(Write {
            key: key.clone(),
            value: value.clone(),
            stamp: stamp_of(value),
            kind,
            asked_at: world.steps(),
            asked_clock: world.clock.now(),
            attempts: 0,
            done: None,
        });
    }

    /// A delete is about to be asked for.
    pub fn out_asked(&mut self, key: &Bytes) {
        self.story(key).outs_asked += 1;
    }

    /// Whether an equal stamp was asked for before.
    pub fn latest_stamp(&self, key: &Bytes) -> Option<u64> {
        let mut writes = self.writes.iter().rev();
        writes.find(|write| write.key == key).and_then(|write| write.stamp)
    }

    /// Whether no key is older than what was acknowledged.
    pub fn check_end(&mut self, world: &World, records: &Records) {
        let tainted = self.stories.values().filter(|story| story.tainted).count();
        self.tainted.get_or_insert(tainted);
        if self.observes {
            return;
        }
        for (key, story) in self.stories.iter().filter(|(_, story)| !story.tainted) {
            if !key.starts_with(b"k") {
                continue;
            }
            let newest = records
                .get(key)
                .and_then(|value| stamp_of(value))
                .max(hidden_stamp(records, key));
            let acknowledged = story.acknowledged.get(&self.era).copied();
            if newest < acknowledged {
                world.violated("I1", || {
                    format!("{key:?} ended with {newest:?}, acknowledged was {acknowledged:?}")
                });
            }
        }
    }

    /// Keys that nothing was promised for when all faults had healed, or ever, and all keys.
    pub fn tainted(&self) -> [usize; 3] {
        let ever = self.stories.values().filter(|story| story.was_tainted).count();
        [self.tainted.unwrap_or(ever), ever, self.stories.len()]
    }
}

/// The stamp of the record that keeps a key's stamp.
fn hidden_stamp(records: &Records, key: &Bytes) -> Option<u64> {
    let record = records.get(&[HIDDEN, key.as_ref()].concat());
    record.and_then(|record| stamp_of(record))
}

/// Whether the stamps of a key's values order them. Keys with several values hold them in no order.
fn is_ordered(key: &Bytes) -> bool {
    !key.starts_with(b"d")
}
