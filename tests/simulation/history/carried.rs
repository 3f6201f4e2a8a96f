//! What the backend carries out, and whether it may.

use bytes::Bytes;
use ttguard::guard::rules::Tie;

use super::{Asked, Bearer, History, POISON, base_of, hidden_stamp, is_ordered, number_of, stamp_of};
use crate::faults::Fault;
use crate::records::Records;
use crate::world::World;

impl History {
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
        let asked_clock = self.clock_when_asked(value);
        let steps = world.steps();
        let (mut stale_let_through, mut future_let_through, mut is_doubtful) = (0, 0, false);
        let keeps_records = self.keeps_records;
        let story = self.story(key);
        let own = old.as_deref().and_then(stamp_of);
        if keeps_records {
            story.hold(stamp_of(value), hidden);
        } else if stamp_of(value).is_none() {
            story.bare.extend(own);
        }
        if stamp_of(value).is_none() && own > hidden && keeps_records && !story.tainted && !observes && is_ordered(key)
        {
            world.violated("I5", || {
                format!("{key:?}: {value:?} lies over {old:?}, whose stamp is kept nowhere")
            });
        }
        if let Some(stamp) = stamp_of(value) {
            let is_gone = hidden == Some(stamp) && own < hidden;
            let older = newest.is_some_and(|newest| stamp < newest) || is_gone;
            let loses_tie = old.as_ref().is_some_and(|old| {
                stamp_of(old) == Some(stamp)
                    && old != value
                    && (tie == Tie::First || tie == Tie::Greater && old > value)
            });
            let is_ahead = stamp > world.clock.most_since(asked_at).saturating_add(future);
            if observes {
                // While the write is under way the clock goes on, or is set: it can have been ahead when it was judged.
                let may_be_ahead = stamp > world.clock.least_since(asked_at, asked_clock).saturating_add(future);
                let is_up = by == Bearer::Lane;
                // Whether that binds depends on when the guard has looked at it.
                is_doubtful = story.is_ahead && (older || loses_tie);
                let is_known =
                    is_up && key.starts_with(b"k") && !story.tainted && (newest <= Some(horizon) || is_exact);
                stale_let_through =
                    u64::from((older || loses_tie) && is_known && !is_doubtful && !is_ahead && !may_be_ahead);
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
                if remembers && story.buried.is_some_and(|buried| stamp <= buried) && key.starts_with(b"k") {
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
            story.is_ahead = stamp > asked_clock.min(world.clock.now()).saturating_add(future);
        } else {
            story.is_ahead = false;
        }
        story.versions.push((steps, Some(value.clone())));
        if stale_let_through > 0 {
            world.strike(Fault::LetThrough);
        }
        self.is_exact &= !is_doubtful;
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
        let own = records.get(&base_of(name)).and_then(|value| stamp_of(value));
        let story = self.story(&base_of(name));
        story.hold(own, Some(stamp));
        if old.is_some_and(|old| stamp < old) && !story.tainted && !observes && is_ordered(&base_of(name)) {
            world.violated("I1", || format!("{name:?} goes down from {old:?} to {stamp}"));
        }
        story.is_stored(stamp, by, horizon);
        story.carry(stamp, None);
    }

    /// A hidden record could not be stored.
    pub fn stamp_failed(&mut self, world: &World, name: &Bytes) {
        self.expect_records(world, name);
    }

    fn expect_records(&self, world: &World, name: &Bytes) {
        if !self.keeps_records {
            world.violated("records", || {
                format!("{name:?} was written where it is no record of a stamp")
            });
        }
    }

    /// A record is about to be changed in a way that a stamp cannot order.
    pub fn changed(&mut self, world: &World, records: &Records, key: &Bytes, added: &Bytes, result: &Bytes) {
        let asked_at = match <[u8; 4]>::try_from(added.as_ref()) {
            Ok(number) => self.attempt(world, i32::from_ne_bytes(number) as usize, true),
            Err(_) => self.carried_out(world, added),
        };
        let steps = world.steps();
        let future = self.future;
        let story = self.story(key);
        story.hold(stamp_of(result), hidden_stamp(records, key));
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
        story.hold(None, hidden);
        story.last_out = steps;
        story.versions.push((steps, None));
        if !keeps_records {
            if old.is_some() {
                world.strike(Fault::Unrecorded);
            }
            story.buried = story.buried.max(old);
            story.acknowledged.clear();
            story.carried.push((tombstone, None));
            story.bare.extend(old);
            story.bare.insert(tombstone);
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

    /// What the guard's clock showed when this was asked for; nothing is ahead of what nobody asked for.
    fn clock_when_asked(&self, value: &Bytes) -> u64 {
        let write = number_of(value).and_then(|number| self.writes.get(number));
        write.map_or(u64::MAX, |write| write.asked_clock)
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
}
