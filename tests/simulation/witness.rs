//! Tells the history of everything that the backend carries out, and decides which writes fail.

use bytes::Bytes;

use crate::faults::Fault;
use crate::history::{Bearer, base_of, stamp_of};
use crate::records::{Records, Witness};
use crate::world::World;

/// Watches one request being carried out.
pub struct Observer<'a> {
    world: &'a World,
    /// The lane had ended longer ago than any fence is promised to hold.
    late: bool,
    by: Bearer,
}

impl<'a> Observer<'a> {
    /// For a request that came by this connection.
    pub fn new(world: &'a World, line: u64) -> Self {
        Self {
            world,
            late: world.server.is_late(world, line),
            by: world.server.bearer(world, line),
        }
    }

    fn count(&self, key: &Bytes) {
        if self.late {
            self.world.strike(Fault::LateZombie);
            self.world.history.borrow_mut().taint(base_of(key));
        } else if self.by != Bearer::Lane {
            self.world.strike(Fault::Zombie);
        }
    }
}

impl Observer<'_> {
    /// A write that comes too late is not one that makes its key known again.
    fn count_again(&self, key: &Bytes) {
        if self.late {
            self.world.history.borrow_mut().taint(base_of(key));
        }
    }
}

impl Witness for Observer<'_> {
    fn put(&mut self, records: &Records, key: &Bytes, value: &Bytes) {
        self.count(key);
        let world = self.world;
        let mut history = world.history.borrow_mut();
        if base_of(key) != key {
            history.stamp_put(world, records, key, stamp_of(value).unwrap_or(0), self.by);
        } else {
            history.put(world, records, key, value, self.by);
        }
        drop(history);
        self.count_again(key);
    }

    fn changed(&mut self, records: &Records, key: &Bytes, added: &Bytes, result: &Bytes) {
        self.count(key);
        self.world
            .history
            .borrow_mut()
            .changed(self.world, records, key, added, result);
    }

    fn removed(&mut self, records: &Records, key: &Bytes) {
        self.count(key);
        self.world.history.borrow_mut().removed(self.world, records, key);
    }

    fn failed(&mut self, key: &Bytes, value: &Bytes) {
        self.world.strike(Fault::FailedWrite);
        let mut history = self.world.history.borrow_mut();
        if base_of(key) == key {
            history.attempted(self.world, value);
        } else {
            history.stamp_failed(self.world, key);
        }
    }

    fn kept(&mut self, value: &Bytes) {
        self.world.history.borrow_mut().kept(self.world, value);
    }

    fn emptied(&mut self) {
        let steps = self.world.steps();
        self.world.history.borrow_mut().replaced(steps, &Records::default());
    }

    fn duplicated(&mut self, key: &Bytes, value: &Bytes) {
        self.count(key);
        self.world.strike(Fault::Duplicated);
        self.world.history.borrow_mut().duplicated(self.world, key, value);
    }

    fn uncovered(&mut self, key: &Bytes, value: &Bytes) {
        let steps = self.world.steps();
        self.world.history.borrow_mut().uncovered(steps, key, value);
    }

    fn fails(&mut self) -> bool {
        self.world.strikes(self.world.plan.server.fail)
    }
}
