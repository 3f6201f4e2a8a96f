//! The guard's connections to the backend: how many there are, what is sent on them, and what becomes of those that it
//! gives up.

use std::time::Duration;

use ttguard::transport::memory::{Deed, Side};

use super::{Between, Line, Network, index};
use crate::tap::{Carried, Said, Tap};
use crate::world::World;

/// The clock of a run counts milliseconds: what happens within one may be seen in the next.
const TICK: u64 = 1;

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// What all connections of one guard process come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneCount {
    /// Lanes whose greeting was answered.
    pub greeted: u64,
    /// Answers that were read of lanes in service, greetings not counted, and of connections for one slow command.
    pub answers: u64,
    /// Lanes whose greeting was answered and that are not given up.
    pub live: u64,
    /// Given up by the guard, in order or not.
    pub given_up: u64,
    /// Given up, and ended by the backend.
    pub ended: u64,
    /// Given up longer ago than a fence may take.
    pub timed_out: u64,
}

impl Line {
    fn count_reads(&mut self) {
        let taken = self.pipes.homeward.taken();
        if let Some(tap) = &mut self.tap {
            tap.read(taken);
        }
    }

    /// Puts a mark into whatever the guard could still read of a connection that it has given up.
    pub fn spoil(&self) {
        let Some(tap) = self.tap.as_ref().filter(|tap| tap.given_up.is_some()) else {
            return;
        };
        let (from, unread) = (self.pipes.homeward.taken(), self.pipes.homeward.unread() as u64);
        if let Some(marked) = tap.marked(from, from + unread) {
            self.pipes.homeward.replace_unread(marked);
        }
    }

    fn give_up(&mut self, now: u64) {
        self.count_reads();
        if let Some(tap) = &mut self.tap {
            tap.given_up.get_or_insert(now);
        }
        self.spoil();
    }
}

impl Network {
    /// The guard does something with one of its connections to the backend.
    pub fn tapped(&self, world: &World, id: u64, deed: Deed, now: u64) {
        let mut lines = self.lines.borrow_mut();
        let Some(line) = lines.get_mut(&id).filter(|line| line.tap.is_some()) else {
            return;
        };
        line.count_reads();
        if let Deed::Wrote(count) = deed {
            let outward = &line.pipes.outward;
            let (bytes, under_way) = (outward.newest(count), outward.in_transit() + outward.unread());
            let carried = line.tap.as_mut().map(|tap| tap.wrote(&bytes, under_way));
            drop(lines);
            match carried {
                Some(Ok(carried)) => carried.iter().for_each(|carried| self.carried(world, id, carried, now)),
                Some(Err(how)) => world.violated("I10", || format!("#{id}: {how}")),
                None => {}
            }
            return;
        }
        if line.tap.as_ref().is_some_and(|tap| !tap.is_whole()) && !line.cut {
            world.violated("I10", || format!("#{id} is given up within a request"));
        }
        line.give_up(now);
        if let (Some(tap), Deed::Closed | Deed::Reset) = (&mut line.tap, deed) {
            tap.closed.get_or_insert(now);
            self.open_lanes.borrow_mut().remove(&id);
        }
        let mut fencing = self.fencing.borrow_mut();
        if !fencing.contains(&id) {
            fencing.push(id);
        }
    }

    /// A request of the guard has been written whole: no change of a key, while another change of it may still be
    /// carried out on a connection that was given up.
    fn carried(&self, world: &World, id: u64, carried: &Carried, now: u64) {
        world.accounts.borrow_mut().carried(&carried.command);
        if carried.keys.is_empty() {
            return;
        }
        let lines = self.lines.borrow();
        let patience = milliseconds(world.plan.settings.pairing.fence_timeout);
        let is_unfenced = |line: &Line, tap: &Tap| {
            let is_over = tap.given_up.is_none_or(|since| now + TICK >= since + patience);
            // Another process waits for what this one left behind in its own way: `start_hold`.
            !is_over && !line.ways[index(Side::Acceptor)].gone && tap.generation == world.generation()
        };
        let mut fencing = self.fencing.borrow_mut();
        fencing.retain(|id| {
            let line = lines.get(id);
            line.is_some_and(|line| line.tap.as_ref().is_some_and(|tap| is_unfenced(line, tap)))
        });
        for other in fencing.iter().filter(|other| **other != id) {
            let tap = lines.get(other).and_then(|line| line.tap.as_ref());
            let key = carried
                .keys
                .iter()
                .find(|key| tap.is_some_and(|tap| tap.has_in_flight(key)));
            if let Some(key) = key {
                world.violated("I11", || {
                    format!(
                        "#{id}: {key:?} is changed while a change of it is unknown on #{other}, which is not fenced"
                    )
                });
            }
        }
    }

    /// Holds the connections of the guard against what it may open, and what it has given up against how long it may
    /// keep that.
    ///
    /// - Each worker keeps `links` lanes: the next one of a link is opened when the one before has been given up, or hands
    ///   over its place.
    /// - Each worker has `slow_connections` besides, for one slow command each. Such a connection counts until it is
    ///   closed: while it is fenced it still takes the place of another.
    /// - A lane that was given up is kept until its end is seen, for `fence_timeout` at most, and counts as none: how
    ///   many of these there are is up to the backend, which ended them or let them time out.
    ///
    /// A connection on which nothing was asked yet may be either; what a former process had is all closed.
    pub fn check_connections(&self, world: &World) {
        let settings = &world.plan.settings;
        let (lanes_max, asides_max) = (world.plan.lanes_max(), settings.limits.slow_connections);
        let (lanes_max, asides_max) = (lanes_max * settings.workers, asides_max * settings.workers);
        let patience = milliseconds(settings.pairing.fence_timeout);
        let now = world.now();
        let (mut lanes, mut asides, mut unknown) = (0, 0, 0);
        let lines = self.lines.borrow();
        for id in &*self.open_lanes.borrow() {
            let Some((line, tap)) = lines.get(id).and_then(|line| Some((line, line.tap.as_ref()?))) else {
                continue;
            };
            if !tap.is_whole() && !line.cut {
                world.violated("I10", || format!("#{id}: a request was begun and not ended"));
            }
            if tap.generation != world.generation() {
                world.violated("I10", || format!("#{id} is of a guard that has ended"));
            }
            // What stands still closes nothing.
            let due = |since: u64| (since + patience).max(world.stalled_until());
            if tap.given_up.is_some_and(|since| now > due(since) + TICK) {
                world.violated("I10", || format!("#{id} was given up and is not closed"));
            }
            match (tap.is_lane(), tap.given_up) {
                (Some(false), _) => asides += 1,
                (_, Some(_)) => {}
                (Some(true), None) => lanes += 1,
                (None, None) => unknown += 1,
            }
        }
        if lanes > lanes_max || asides > asides_max || lanes + asides + unknown > lanes_max + asides_max {
            world.violated("I10", || {
                format!("{lanes} lanes, {asides} connections for slow commands, {unknown} that may be either")
            });
        }
    }

    /// The connections of one guard process.
    pub fn lanes_of(&self, world: &World, generation: u64) -> LaneCount {
        let mut count = LaneCount::default();
        let patience = milliseconds(world.plan.settings.pairing.fence_timeout);
        for line in self.lines.borrow_mut().values_mut() {
            line.count_reads();
            let is_gone = line.ways[index(Side::Acceptor)].gone;
            let Some(tap) = line.tap.as_ref().filter(|tap| tap.generation == generation) else {
                continue;
            };
            if tap.is_lane() == Some(true) && tap.answers > 0 {
                count.greeted += 1;
                count.live += u64::from(tap.given_up.is_none());
                count.answers += tap.answers - 1;
            }
            if tap.is_lane() == Some(false) {
                count.answers += tap.answers.saturating_sub(1);
            }
            if let Some(since) = tap.given_up {
                count.given_up += 1;
                count.ended += u64::from(is_gone);
                count.timed_out += u64::from(world.now() + TICK >= since + patience);
            }
        }
        count
    }

    /// Connections of clients that the guard has not closed.
    pub fn open_to_clients(&self) -> usize {
        let lines = self.lines.borrow();
        let open = |line: &&Line| line.between == Between::ClientAndGuard && !line.ways[index(Side::Acceptor)].gone;
        lines.values().filter(open).count()
    }

    /// The backend is about to write these bytes on this connection.
    pub fn answering(&self, id: u64, bytes: &[u8], said: Said<'_>) {
        let mut lines = self.lines.borrow_mut();
        if let Some(tap) = lines.get_mut(&id).and_then(|line| line.tap.as_mut()) {
            tap.answering(bytes, said);
        }
    }
}
