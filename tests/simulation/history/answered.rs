//! What clients are answered, and whether it can be right.

use bytes::Bytes;
use ttguard::command::Reply;
use ttguard::guard::rules::Tie;

use super::{History, Write};
use crate::faults::Fault;
use crate::world::World;

impl History {
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

    /// Whether something newer than a write was ever carried out, or as new and is gone.
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
            .is_some_and(|story| story.carried.iter().any(newer) || story.bare.contains(&stamp))
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
}
