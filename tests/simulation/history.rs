//! What was asked, what was carried out, what was answered: and whether all of that keeps the promises.

use std::collections::BTreeMap;

use bytes::Bytes;
use ttguard::command::Reply;
use ttguard::guard::rules::{Rules, Tie};

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

/// What kind of write was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// May be carried out more than once: it has a stamp.
    Repeatable,
    /// Never twice.
    Once,
}

#[derive(Debug)]
struct Write {
    key: Bytes,
    value: Bytes,
    stamp: Option<u64>,
    kind: Asked,
    asked_at: u64,
    attempts: u32,
    /// The step and the era in which it was last carried out.
    done: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Story {
    /// What the key held, from which step on.
    versions: Vec<(u64, Option<Bytes>)>,
    /// Every stamp that was ever stored, or was tried as a tombstone, with its value.
    carried: Vec<(u64, Option<Bytes>)>,
    /// Something befell it that nothing is promised for.
    tainted: bool,
    outs_asked: u64,
    outs_done: u64,
    last_out: u64,
    /// The greatest stamp that was acknowledged, for each era.
    acknowledged: BTreeMap<u64, u64>,
}

/// Everything that the promises are checked against.
#[derive(Debug)]
pub struct History {
    tie: Tie,
    future: u64,
    writes: Vec<Write>,
    stories: BTreeMap<Bytes, Story>,
    /// Rises whenever the backend loses records.
    era: u64,
}

impl History {
    /// Nothing has happened yet.
    pub fn new(rules: &Rules) -> Self {
        Self {
            tie: rules.tie,
            future: rules.future_tolerance.as_millis() as u64,
            writes: Vec::new(),
            stories: BTreeMap::new(),
            era: 0,
        }
    }

    fn story(&mut self, key: &Bytes) -> &mut Story {
        let absent = || Story {
            versions: vec![(0, None)],
            ..Story::default()
        };
        self.stories.entry(key.clone()).or_insert_with(absent)
    }

    // What clients ask.

    /// The number of the next write.
    pub fn next_number(&self) -> usize {
        self.writes.len()
    }

    /// A write is about to be asked for.
    pub fn asked(&mut self, step: u64, key: &Bytes, value: &Bytes, kind: Asked) {
        self.writes.push(Write {
            key: key.clone(),
            value: value.clone(),
            stamp: stamp_of(value),
            kind,
            asked_at: step,
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

    // What the backend carries out.

    /// Nothing more is promised for this key.
    pub fn taint(&mut self, key: Bytes) {
        self.story(&key).tainted = true;
    }

    /// A value is about to be stored.
    pub fn put(&mut self, world: &World, records: &Records, key: &Bytes, value: &Bytes) {
        if key == POISON {
            world.violated("I7", || "bytes behind a bad frame were carried out".to_owned());
        }
        let old = records.get(key).cloned();
        let hidden = records
            .get(&[HIDDEN, key.as_ref()].concat())
            .and_then(|record| stamp_of(record));
        let newest = old.as_deref().and_then(stamp_of).max(hidden);
        let (tie, future) = (self.tie, self.future);
        self.carried_out(world, value);
        let steps = world.steps();
        let story = self.story(key);
        if let Some(stamp) = stamp_of(value) {
            let older = newest.is_some_and(|newest| stamp < newest);
            let loses_tie = old.as_ref().is_some_and(|old| {
                stamp_of(old) == Some(stamp)
                    && old != value
                    && (tie == Tie::First || tie == Tie::Greater && old > value)
            });
            if (older || loses_tie) && !story.tainted {
                world.violated("I1", || {
                    format!("{key:?}: {value:?} was stored over {old:?}, stamp record {hidden:?}")
                });
            }
            if stamp > world.clock() + future {
                world.violated("future", || format!("{key:?}: {value:?} was stored ahead of its time"));
            }
            story.carried.push((stamp, Some(value.clone())));
        }
        story.versions.push((steps, Some(value.clone())));
    }

    /// A hidden record is about to be stored.
    pub fn stamp_put(&mut self, world: &World, records: &Records, name: &Bytes, stamp: u64) {
        let old = records.get(name).and_then(|record| stamp_of(record));
        let story = self.story(&base_of(name));
        if old.is_some_and(|old| stamp < old) && !story.tainted {
            world.violated("I1", || format!("{name:?} goes down from {old:?} to {stamp}"));
        }
        story.carried.push((stamp, None));
    }

    /// A hidden record could not be stored.
    pub fn stamp_failed(&mut self, name: &Bytes, stamp: u64) {
        self.story(&base_of(name)).carried.push((stamp, None));
    }

    /// A record is about to be changed in a way that a stamp cannot order.
    pub fn changed(&mut self, world: &World, key: &Bytes, added: &Bytes, result: &Bytes) {
        match <[u8; 4]>::try_from(added.as_ref()) {
            Ok(number) => self.attempt(world, i32::from_ne_bytes(number) as usize, true),
            Err(_) => self.carried_out(world, added),
        }
        let steps = world.steps();
        let story = self.story(key);
        story.versions.push((steps, Some(result.clone())));
        // What was added can make a value the greater one of a tie.
        story
            .carried
            .extend(stamp_of(result).map(|stamp| (stamp, Some(result.clone()))));
    }

    /// A record is about to be removed.
    pub fn removed(&mut self, world: &World, records: &Records, key: &Bytes) {
        let old = records.get(key).and_then(|value| stamp_of(value));
        let hidden = records
            .get(&[HIDDEN, key.as_ref()].concat())
            .and_then(|record| stamp_of(record));
        let steps = world.steps();
        let story = self.story(key);
        story.outs_done += 1;
        story.last_out = steps;
        story.versions.push((steps, None));
        if old > hidden && !story.tainted {
            world.violated("I5", || {
                format!("{key:?} was removed with stamp {old:?}, its tombstone is {hidden:?}")
            });
        }
        if story.outs_done > story.outs_asked {
            world.violated("I15", || format!("{key:?} was removed more often than anyone asked"));
        }
    }

    /// A write was tried and came to nothing.
    pub fn attempted(&mut self, world: &World, value: &Bytes) {
        if let Some(number) = number_of(value) {
            self.attempt(world, number, false);
        }
    }

    fn carried_out(&mut self, world: &World, value: &Bytes) {
        if let Some(number) = number_of(value) {
            self.attempt(world, number, true);
        }
    }

    fn attempt(&mut self, world: &World, number: usize, done: bool) {
        let era = self.era;
        let Some(write) = self.writes.get_mut(number) else {
            return world.violated("I3", || format!("write {number} was never asked for"));
        };
        write.attempts += 1;
        if done {
            write.done = Some((world.steps(), era));
        }
        if write.kind == Asked::Once && write.attempts > 1 {
            world.violated("I15", || format!("{:?} was sent twice", write.value));
        }
    }

    /// All records are about to become others.
    pub fn replaced(&mut self, step: u64, records: &Records) {
        self.era += 1;
        for (key, story) in &mut self.stories {
            story.versions.push((step, records.get(key).cloned()));
        }
    }

    // What clients are answered.

    /// A write was acknowledged.
    pub fn acknowledged(&mut self, world: &World, number: usize) {
        let write = &self.writes[number];
        match write.done {
            Some((step, era)) if step >= write.asked_at => {
                if let Some(stamp) = write.stamp {
                    let key = write.key.clone();
                    let newest = self.story(&key).acknowledged.entry(era).or_default();
                    *newest = stamp.max(*newest);
                }
            }
            _ => world.violated("I2", || format!("{:?} was acknowledged and never stored", write.value)),
        }
    }

    /// A delete was acknowledged.
    pub fn out_acknowledged(&mut self, world: &World, key: &Bytes, asked_at: u64) {
        if self.story(key).last_out < asked_at {
            world.violated("I2", || {
                format!("the removal of {key:?} was acknowledged and never carried out")
            });
        }
    }

    /// A list was refused with the code of its last refusal, and without a failure of the backend. Each of its records
    /// is judged by itself: either it was stored, or there is a reason to refuse it, and one of them gives this code.
    pub fn list_refused(&mut self, world: &World, numbers: &[usize], code: u8, asked_clock: u64) {
        let mut explains_code = false;
        for number in numbers {
            explains_code |= self.may_refuse(*number, code, asked_clock);
            let write = &self.writes[*number];
            if write.done.is_some_and(|(step, _)| step >= write.asked_at) {
                self.acknowledged(world, *number);
            } else if ![2, 3].iter().any(|code| self.may_refuse(*number, *code, asked_clock)) {
                let value = &self.writes[*number].value;
                world.violated("I6", || {
                    format!("{value:?} was not stored, in a list that was refused with code {code} for others")
                });
            }
        }
        if !explains_code {
            world.violated("I6", || {
                format!("writes {numbers:?} were refused with code {code} for nothing")
            });
        }
    }

    /// A write was refused. `asked_clock` is the guard's clock when it was asked for.
    pub fn refused(&mut self, world: &World, number: usize, code: u8, asked_clock: u64) {
        if !self.may_refuse(number, code, asked_clock) {
            let write = &self.writes[number];
            world.violated("I6", || {
                format!(
                    "{:?}: {:?} was refused with code {code} for nothing",
                    write.key, write.value
                )
            });
        }
    }

    /// Whether there is a reason to refuse a write with this code.
    fn may_refuse(&mut self, number: usize, code: u8, asked_clock: u64) -> bool {
        let (key, value) = (self.writes[number].key.clone(), self.writes[number].value.clone());
        let Some(stamp) = stamp_of(&value) else {
            return false;
        };
        let is_future = stamp > asked_clock + self.future;
        let tie = self.tie;
        // What an unstamped write has left may be the value that its stamp's record stands for, without its stamp.
        let is_mixed = key.starts_with(b"m") && tie != Tie::Last;
        let newer = |(carried, other): &(u64, Option<Bytes>)| {
            *carried > stamp
                || *carried == stamp
                    && other.as_ref().map_or(is_mixed, |other| {
                        *other != value && (tie == Tie::First || tie == Tie::Greater && *other > value)
                    })
        };
        let is_stale = self.story(&key).carried.iter().any(newer);
        match code {
            2 => is_stale,
            3 => is_future,
            _ => false,
        }
    }

    /// Something was read: `fits` says of each value, or of none, whether the answer can mean it.
    pub fn read(
        &mut self,
        world: &World,
        key: &Bytes,
        asked_at: u64,
        fits: impl Fn(Option<&Bytes>) -> bool,
        answer: &Reply,
    ) {
        let story = self.story(key);
        let first = story
            .versions
            .partition_point(|(step, _)| *step <= asked_at)
            .saturating_sub(1);
        if !story.versions[first..].iter().any(|(_, value)| fits(value.as_ref())) {
            let held: Vec<_> = story.versions[first..].iter().map(|(_, value)| value.clone()).collect();
            world.violated("I3", || format!("{key:?} was answered {answer:?}, it held {held:?}"));
        }
    }

    // At the end.

    /// Whether no key is older than what was acknowledged.
    pub fn check_end(&self, world: &World, records: &Records) {
        for (key, story) in self.stories.iter().filter(|(_, story)| !story.tainted) {
            if !key.starts_with(b"k") {
                continue;
            }
            let hidden = records
                .get(&[HIDDEN, key.as_ref()].concat())
                .and_then(|record| stamp_of(record));
            let newest = records.get(key).and_then(|value| stamp_of(value)).max(hidden);
            let acknowledged = story.acknowledged.get(&self.era).copied();
            if newest < acknowledged {
                world.violated("I1", || {
                    format!("{key:?} ended with {newest:?}, acknowledged was {acknowledged:?}")
                });
            }
        }
    }

    /// Keys that nothing is promised for any more, and all keys.
    pub fn tainted(&self) -> (usize, usize) {
        let tainted = self.stories.values().filter(|story| story.tainted).count();
        (tainted, self.stories.len())
    }
}
