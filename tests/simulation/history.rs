//! What was asked, what was carried out, what was answered: and whether all of that keeps the promises.

use std::collections::BTreeMap;

use bytes::Bytes;
use ttguard::command::Reply;
use ttguard::config::StaleReply;
use ttguard::guard::rules::{Mode, Tie};
use ttguard::guard::stamp::Unit;

use crate::faults::Fault;
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
    /// Something befell it that nothing is promised for, until a newer write than all before has made it known again.
    tainted: bool,
    /// It has been so at some time.
    was_tainted: bool,
    /// The greatest stamp that was ever stored, or was tried as a tombstone.
    highest: u64,
    /// The greatest tombstone that could not be stored.
    unburied: Option<u64>,
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
        self.story(&key).taint();
    }

    /// A value is about to be stored.
    pub fn put(&mut self, world: &World, records: &Records, key: &Bytes, value: &Bytes, by: Bearer) {
        if key == POISON {
            world.violated("I7", || "bytes behind a bad frame were carried out".to_owned());
        }
        let old = records.get(key).cloned();
        let hidden = hidden_stamp(records, key);
        let newest = old.as_deref().and_then(stamp_of).max(hidden);
        let (tie, future, observes, horizon) = (self.tie, self.future, self.observes, self.horizon);
        let (remembers, is_exact) = (self.remembers, self.is_exact);
        let asked_at = self.carried_out(world, value);
        let steps = world.steps();
        let (mut stale_let_through, mut future_let_through) = (0, 0);
        let story = self.story(key);
        if let Some(stamp) = stamp_of(value) {
            let older = newest.is_some_and(|newest| stamp < newest);
            let loses_tie = old.as_ref().is_some_and(|old| {
                stamp_of(old) == Some(stamp)
                    && old != value
                    && (tie == Tie::First || tie == Tie::Greater && old > value)
            });
            let is_ahead = stamp > world.clock.most_since(asked_at).saturating_add(future);
            if observes {
                // A clock that is set while the write is under way can make it pass or not.
                let may_be_ahead = stamp > world.clock.least_since(asked_at, u64::MAX).saturating_add(future);
                let is_up = by == Bearer::Lane;
                let is_known =
                    is_up && key.starts_with(b"k") && !story.tainted && (newest <= Some(horizon) || is_exact);
                stale_let_through = u64::from((older || loses_tie) && is_known && !is_ahead && !may_be_ahead);
                future_let_through = u64::from(is_ahead && is_up);
            } else {
                if (older || loses_tie) && !story.tainted && is_ordered(key) {
                    world.violated("I1", || {
                        format!("{key:?}: {value:?} was stored over {old:?}, stamp record {hidden:?}")
                    });
                }
                if is_ahead {
                    world.violated("future", || format!("{key:?}: {value:?} was stored ahead of its time"));
                }
                // An unstamped write makes the guard read the key back, and forget what only it knew.
                if remembers && story.buried.is_some_and(|buried| stamp < buried) && key.starts_with(b"k") {
                    world.violated("I5", || {
                        format!(
                            "{key:?} was brought back by {value:?}, though {:?} had been removed",
                            story.buried
                        )
                    });
                }
            }
            story.is_stored(stamp, by, horizon);
            story.carry(stamp, Some(value.clone()));
        }
        story.versions.push((steps, Some(value.clone())));
        if stale_let_through > 0 {
            world.strike(Fault::LetThrough);
        }
        self.let_through.0 += stale_let_through;
        self.let_through.1 += future_let_through;
    }

    /// A value is about to be added behind others of its key.
    pub fn duplicated(&mut self, world: &World, key: &Bytes, value: &Bytes) {
        if !key.starts_with(b"d") {
            world.violated("records", || format!("{key:?} was given a second value, {value:?}"));
        }
        self.carried_out(world, value);
        if let Some(stamp) = stamp_of(value) {
            self.story(key).carry(stamp, Some(value.clone()));
        }
    }

    /// The first value of a key has been removed, and this is the first one from now on.
    pub fn uncovered(&mut self, step: u64, key: &Bytes, value: &Bytes) {
        self.story(key).versions.push((step, Some(value.clone())));
    }

    /// A hidden record is about to be stored.
    pub fn stamp_put(&mut self, world: &World, records: &Records, name: &Bytes, stamp: u64, by: Bearer) {
        self.expect_records(world, name);
        let old = records.get(name).and_then(|record| stamp_of(record));
        let (observes, horizon) = (self.observes, self.horizon);
        let story = self.story(&base_of(name));
        if old.is_some_and(|old| stamp < old) && !story.tainted && !observes && is_ordered(&base_of(name)) {
            world.violated("I1", || format!("{name:?} goes down from {old:?} to {stamp}"));
        }
        story.is_stored(stamp, by, horizon);
        story.carry(stamp, None);
    }

    /// A hidden record could not be stored.
    pub fn stamp_failed(&mut self, world: &World, name: &Bytes, stamp: u64) {
        self.expect_records(world, name);
        let story = self.story(&base_of(name));
        story.carry(stamp, None);
        story.unburied = story.unburied.max(Some(stamp));
    }

    fn expect_records(&self, world: &World, name: &Bytes) {
        if !self.keeps_records {
            world.violated("records", || {
                format!("{name:?} was written where it is no record of a stamp")
            });
        }
    }

    /// A record is about to be changed in a way that a stamp cannot order.
    pub fn changed(&mut self, world: &World, key: &Bytes, added: &Bytes, result: &Bytes) {
        let asked_at = match <[u8; 4]>::try_from(added.as_ref()) {
            Ok(number) => self.attempt(world, i32::from_ne_bytes(number) as usize, true),
            Err(_) => self.carried_out(world, added),
        };
        let steps = world.steps();
        let future = self.future;
        let story = self.story(key);
        story.versions.push((steps, Some(result.clone())));
        // What was added can make a value the greater one of a tie.
        if let Some(stamp) = stamp_of(result) {
            story.carry(stamp, Some(result.clone()));
            // Nobody looks at the stamps that a script makes up.
            if stamp
                > world
                    .clock
                    .least_since(asked_at, world.clock.now())
                    .saturating_add(future)
            {
                story.taint();
            }
        }
    }

    /// A record is about to be removed.
    pub fn removed(&mut self, world: &World, records: &Records, key: &Bytes) {
        let old = records.get(key).and_then(|value| stamp_of(value));
        let hidden = hidden_stamp(records, key);
        let steps = world.steps();
        let (observes, keeps_records) = (self.observes, self.keeps_records);
        // In the guard's memory there may be a tombstone as late as this.
        let tombstone = world.clock.most_since(0).saturating_sub(self.delete);
        let story = self.story(key);
        story.outs_done += 1;
        story.last_out = steps;
        story.versions.push((steps, None));
        if !keeps_records {
            if old.is_some() {
                world.strike(Fault::Unrecorded);
            }
            story.buried = story.buried.max(old);
            story.acknowledged.clear();
            story.carried.push((tombstone, None));
        } else if old > hidden && story.unburied >= old {
            // Where a tombstone cannot be stored, nothing can keep an older write from bringing the record back once
            // the ledger has forgotten the key.
            story.taint();
        } else if old > hidden && !story.tainted && !observes && is_ordered(key) {
            world.violated("I5", || {
                format!("{key:?} was removed with stamp {old:?}, its tombstone is {hidden:?}")
            });
        }
        if story.outs_done > story.outs_asked {
            world.violated("I15", || format!("{key:?} was removed more often than anyone asked"));
        }
    }

    /// `putkeep` found a record.
    pub fn kept(&mut self, world: &World, value: &Bytes) {
        self.kept += 1;
        self.attempted(world, value);
    }

    /// A write was tried and came to nothing.
    pub fn attempted(&mut self, world: &World, value: &Bytes) {
        if let Some(number) = number_of(value) {
            self.attempt(world, number, false);
        }
    }

    /// Returns the step at which it was asked for.
    fn carried_out(&mut self, world: &World, value: &Bytes) -> u64 {
        number_of(value).map_or(0, |number| self.attempt(world, number, true))
    }

    fn attempt(&mut self, world: &World, number: usize, done: bool) -> u64 {
        let era = self.era;
        let Some(write) = self.writes.get_mut(number) else {
            world.violated("I3", || format!("write {number} was never asked for"));
            return 0;
        };
        write.attempts += 1;
        if done {
            write.done = Some((world.steps(), era));
        }
        if write.kind == Asked::Once && write.attempts > 1 {
            world.violated("I15", || format!("{:?} was sent twice", write.value));
        }
        write.asked_at
    }

    /// All records are about to become others.
    pub fn replaced(&mut self, step: u64, records: &Records) {
        self.era += 1;
        for (key, story) in &mut self.stories {
            story.versions.push((step, records.get(key).cloned()));
            story.buried = None;
        }
    }

    // What clients are answered.

    /// A write was acknowledged.
    pub fn acknowledged(&mut self, world: &World, number: usize) {
        let write = &self.writes[number];
        let (key, value, stamp) = (write.key.clone(), write.value.clone(), write.stamp);
        match write.done.filter(|(step, _)| *step >= write.asked_at) {
            Some((step, era)) => {
                let keeps_records = self.keeps_records;
                let story = self.story(&key);
                // Where nothing is left of what was removed, nothing is promised for it.
                if let Some(stamp) = stamp.filter(|_| keeps_records || story.last_out < step) {
                    let newest = story.acknowledged.entry(era).or_default();
                    *newest = stamp.max(*newest);
                }
            }
            None if self.hides_refusals && stamp.is_some_and(|stamp| self.is_stale(&key, &value, stamp)) => {
                world.strike(Fault::RefusedAsSuccess);
            }
            None => world.violated("I2", || format!("{value:?} was acknowledged and never stored")),
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
    /// `asked_clock` is the least that the guard's clock has shown since it was asked for.
    pub fn list_refused(&mut self, world: &World, numbers: &[usize], code: u8, asked_clock: u64) {
        let mut explains_code = false;
        for number in numbers {
            explains_code |= self.has_reason(*number, code, asked_clock);
            let write = &self.writes[*number];
            if write.done.is_some_and(|(step, _)| step >= write.asked_at) {
                self.acknowledged(world, *number);
            } else if ![2, 3].iter().any(|code| self.has_reason(*number, *code, asked_clock)) {
                world.violated("I6", || {
                    format!(
                        "{:?} was not stored, in a list that was refused with code {code} for others",
                        write.value
                    )
                });
            }
        }
        if !explains_code || self.forbids_refusal(code) {
            world.violated("I6", || {
                format!("writes {numbers:?} were refused with code {code} for nothing")
            });
        }
    }

    /// A write was refused. `asked_clock` is the least that the guard's clock has shown since it was asked for.
    pub fn refused(&mut self, world: &World, number: usize, code: u8, asked_clock: u64) {
        if !self.has_reason(number, code, asked_clock) || self.forbids_refusal(code) {
            let write = &self.writes[number];
            world.violated("I6", || {
                format!(
                    "{:?}: {:?} was refused with code {code} for nothing",
                    write.key, write.value
                )
            });
        } else if code == 2 && self.is_opaque {
            world.strike(Fault::RefusedOpaque);
        }
    }

    /// Whether the settings allow no refusal with this code.
    fn forbids_refusal(&self, code: u8) -> bool {
        self.observes || code == 2 && self.hides_refusals
    }

    /// Whether there is a reason to refuse a write with this code.
    fn has_reason(&self, number: usize, code: u8, asked_clock: u64) -> bool {
        let write = &self.writes[number];
        write.stamp.is_some_and(|stamp| match code {
            2 => self.is_stale(&write.key, &write.value, stamp),
            3 => stamp > asked_clock.saturating_add(self.future),
            _ => false,
        })
    }

    /// Writes that were let through for certain although enforce mode would have refused them: stale, and too far ahead.
    pub fn let_through(&self) -> (u64, u64) {
        self.let_through
    }

    /// Most stale writes that can have been let through, where nothing but repeated requests keeps that from being known.
    pub fn most_let_through(&self) -> Option<u64> {
        // What `putkeep` did not store may have been stale or not.
        self.is_exact.then_some(self.let_through.0 + self.kept)
    }

    /// How many stamped writes can have been stale.
    pub fn suspects(&self) -> usize {
        let is_suspect = |write: &&Write| {
            let stamp = write.stamp;
            stamp.is_some_and(|stamp| self.is_stale(&write.key, &write.value, stamp))
        };
        self.writes.iter().filter(is_suspect).count()
    }

    /// Whether something newer than a write was ever carried out, or tried as a tombstone.
    fn is_stale(&self, key: &Bytes, value: &Bytes, stamp: u64) -> bool {
        let tie = self.tie;
        // What an unstamped write has left may be the value that its stamp's record stands for, without its stamp.
        let is_mixed = key.starts_with(b"m") && tie != Tie::Last;
        let newer = |(carried, other): &(u64, Option<Bytes>)| {
            *carried > stamp
                || *carried == stamp
                    && other.as_ref().map_or(is_mixed, |other| {
                        other != value && (tie == Tie::First || tie == Tie::Greater && other > value)
                    })
        };
        self.stories
            .get(key)
            .is_some_and(|story| story.carried.iter().any(newer))
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
