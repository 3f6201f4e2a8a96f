//! The network: decides when bytes arrive, in what pieces, and which connections break on the way.

mod faults;
pub mod lanes;
mod punctual;
mod transit;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io;
use std::sync::Arc;

use tokio::sync::Notify;
use ttguard::transport::memory::{self, Carrier, Connection, Deed, Side};
use ttguard::transport::{Reader, Writer};

use crate::faults::Fault;
use crate::tap::Tap;
use crate::world::{World, current};

/// Between whom a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// A client and the guard.
    ClientAndGuard,
    /// The guard and the backend.
    GuardAndServer,
}

/// What arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    Bytes(usize),
    End,
    Reset,
}

/// When, in which order, on which connection, written by which side, and what.
type Event = (u64, u64, u64, bool, Arrival);

/// One direction of a connection.
#[derive(Debug, Default)]
struct Way {
    /// Nothing arrives before what was sent before it.
    last_arrival: u64,
    /// Bytes that were written.
    written: u64,
    /// Bytes of them that have arrived.
    arrived: u64,
    /// How many bytes had been written, and how many had arrived, and when.
    writes: Vec<(u64, u64)>,
    arrivals: Vec<(u64, u64)>,
    /// Its writer has closed or been reset: the other side's bytes are answered with a reset.
    gone: bool,
}

#[derive(Debug)]
struct Line {
    between: Between,
    pipes: Connection,
    ways: [Way; 2],
    /// What the guard does with a connection to the backend.
    tap: Option<Tap>,
    /// Broken on its way: what the ends do from now on reaches nobody.
    cut: bool,
    /// When the guard's side of a backend connection ended.
    abandoned: Option<u64>,
    /// Where the bytes of a second request begin that was sent while an answer was owed, where that is forbidden, and
    /// how many bytes the client had heard by then.
    gave_up: Option<(u64, u64)>,
    /// It has arrived: no answer may leave from now on.
    silenced: bool,
    /// A stall or a cut has struck: its client may wait longer than promised.
    disturbed: bool,
}

/// All connections and what is on its way on them.
#[derive(Debug, Default)]
pub struct Network {
    lines: RefCell<BTreeMap<u64, Line>>,
    /// Connections to the backend that the guard has not closed.
    open_lanes: RefCell<BTreeSet<u64>>,
    /// Connections that the guard gave up with changes in flight.
    fencing: RefCell<Vec<u64>>,
    events: RefCell<BinaryHeap<Reverse<Event>>>,
    next_line: Cell<u64>,
    next_event: Cell<u64>,
    newest_arrived: Cell<u64>,
    /// Bytes that the wounded side has written.
    written: Cell<u64>,
    changed: Notify,
}

#[derive(Debug)]
struct Messenger;

impl Carrier for Messenger {
    fn happened(&self, connection: u64, side: Side, deed: Deed) {
        if let Some(world) = current() {
            world.network.happened(&world, connection, side, deed);
        }
    }

    fn gives(&self, _: u64, _: Side, most: usize) -> io::Result<usize> {
        current().map_or(Ok(most), |world| {
            faults::portion(&world, most, world.plan.kernel.short_read, Fault::ShortRead)
        })
    }

    fn takes(&self, _: u64, _: Side, most: usize) -> io::Result<usize> {
        current().map_or(Ok(most), |world| {
            faults::portion(&world, most, world.plan.kernel.short_write, Fault::ShortWrite)
        })
    }
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Acceptor)
}

impl Network {
    /// Opens a connection: its number, the dialler's end, the acceptor's end.
    pub fn open(&self, world: &World, between: Between) -> (u64, (Reader, Writer), (Reader, Writer)) {
        let id = self.next_line.get();
        self.next_line.set(id + 1);
        let room = match between {
            _ if world.healed() => 1 << 20,
            Between::ClientAndGuard => world.plan.network.client_room,
            Between::GuardAndServer => world.plan.network.lane_room,
        };
        if room <= 200 {
            world.strike(Fault::NarrowPipe);
        }
        let carrier: Arc<dyn Carrier> = Arc::new(Messenger);
        let (pipes, dialler, acceptor) = memory::connection(id, room, room, &carrier);
        let line = Line {
            between,
            pipes,
            ways: Default::default(),
            tap: (between == Between::GuardAndServer).then(|| {
                let primes = world.plan.settings.primed_lanes > 0;
                Tap::new(world.generation(), room, primes)
            }),
            cut: false,
            abandoned: None,
            gave_up: None,
            silenced: false,
            disturbed: between == Between::ClientAndGuard && world.is_stalled(),
        };
        if line.tap.is_some() {
            self.open_lanes.borrow_mut().insert(id);
        }
        self.lines.borrow_mut().insert(id, line);
        world.trace(&[1, id], || format!("#{id} opened, {between:?}"));
        (id, dialler, acceptor)
    }

    /// When the guard's side of this connection ended.
    pub fn abandoned(&self, id: u64) -> Option<u64> {
        self.lines.borrow().get(&id).and_then(|line| line.abandoned)
    }

    /// Whether a stall or a cut has struck this connection.
    pub fn disturbed(&self, id: u64) -> bool {
        self.lines.borrow().get(&id).is_none_or(|line| line.disturbed)
    }

    /// Whether nothing is on its way on this connection, in either direction.
    pub fn is_idle(&self, id: u64) -> bool {
        let lines = self.lines.borrow();
        let Some(line) = lines.get(&id) else {
            return false;
        };
        let still = |pipe: &memory::Pipe| pipe.in_transit() + pipe.unread() == 0;
        still(&line.pipes.outward) && still(&line.pipes.homeward)
    }

    fn happened(&self, world: &World, id: u64, side: Side, deed: Deed) {
        let now = world.now();
        world.trace(&[2, id, index(side) as u64, deed_number(deed)], || {
            format!("#{id} {side:?} {deed:?}")
        });
        if side == Side::Dialler {
            self.tapped(world, id, deed, now);
        }
        let mut lines = self.lines.borrow_mut();
        let Some(line) = lines.get_mut(&id) else {
            return;
        };
        if line.between == Between::GuardAndServer && side == Side::Dialler && !matches!(deed, Deed::Wrote(_)) {
            line.abandoned.get_or_insert(now);
        }
        if matches!(deed, Deed::Closed | Deed::Reset) {
            line.ways[index(side)].gone = true;
        }
        if line.cut {
            return;
        }
        match deed {
            Deed::Wrote(count) => {
                let way = &mut line.ways[index(side)];
                way.written += count as u64;
                if line.between == Between::ClientAndGuard {
                    way.writes.push((way.written, now));
                }
                if line.silenced && side == Side::Acceptor {
                    world.violated("I3", || {
                        format!("#{id}: an answer left after the client had given up on it")
                    });
                }
                self.send(world, id, line, side, count, now);
            }
            Deed::Finished => self.schedule(world, id, line, side, Arrival::End, now),
            Deed::Reset => {
                self.lose_sent(world, line, side);
                self.schedule(world, id, line, side, Arrival::Reset, now);
            }
            Deed::Closed => {}
        }
        drop(lines);
        self.changed.notify_one();
    }
}

fn deed_number(deed: Deed) -> u64 {
    match deed {
        Deed::Wrote(count) => 16 + count as u64,
        Deed::Finished => 1,
        Deed::Closed => 2,
        Deed::Reset => 3,
    }
}
