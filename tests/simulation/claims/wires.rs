//! What is on its way between processes, and when it arrives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use ttguard::client::route::{Dial, Dialling};
use ttguard::transport::memory::{self, Carrier, Connection, Deed, Side};
use ttguard::transport::{Reader, Writer};

/// Bytes are on their way for less than so many milliseconds.
const DELAY_MAX: u64 = 60;

/// Room in each direction of a connection.
const ROOM: usize = 1 << 16;

/// What a connection is between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Between {
    /// A client and whoever it asks.
    Client,
    /// This guard and the store.
    Store(usize),
    /// This edge and that guard.
    Link(usize, usize),
}

#[derive(Clone, Copy, Debug)]
enum Arrival {
    Bytes(usize),
    End,
    Reset,
}

/// The connections, and what is on its way on them.
#[derive(Debug)]
pub struct Wires {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    random: Rng,
    /// With what each is between.
    lines: BTreeMap<u64, (Connection, Between)>,
    events: BTreeMap<(Instant, u64), (u64, Side, Arrival)>,
    /// When what went before arrives, by connection and side.
    latest: BTreeMap<(u64, bool), Instant>,
    sequence: u64,
    /// Until when there is no way.
    cut: BTreeMap<Between, Instant>,
}

#[derive(Debug)]
struct Messenger(Arc<Wires>);

impl Carrier for Messenger {
    fn happened(&self, connection: u64, side: Side, deed: Deed) {
        let arrival = match deed {
            Deed::Wrote(bytes) => Arrival::Bytes(bytes),
            Deed::Finished => Arrival::End,
            Deed::Closed | Deed::Reset => Arrival::Reset,
        };
        let state = &mut *self.0.state.lock();
        let key = (connection, side == Side::Dialler);
        let at = Instant::now() + Duration::from_millis(state.random.u64(1..DELAY_MAX));
        let at = state.latest.get(&key).map_or(at, |latest| at.max(*latest));
        state.latest.insert(key, at);
        state.sequence += 1;
        state.events.insert((at, state.sequence), (connection, side, arrival));
        self.0.changed.notify_one();
    }
}

impl Wires {
    /// None yet.
    pub fn new(random: Rng) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                random,
                lines: BTreeMap::new(),
                events: BTreeMap::new(),
                latest: BTreeMap::new(),
                sequence: 0,
                cut: BTreeMap::new(),
            }),
            changed: Notify::new(),
        })
    }

    /// A connection that is between these.
    pub fn open(self: &Arc<Self>, between: Between) -> ((Reader, Writer), (Reader, Writer)) {
        let carrier: Arc<dyn Carrier> = Arc::new(Messenger(Arc::clone(self)));
        let mut state = self.state.lock();
        state.sequence += 1;
        let id = state.sequence;
        let (pipes, dialler, acceptor) = memory::connection(id, ROOM, ROOM, &carrier);
        state.lines.insert(id, (pipes, between));
        (dialler, acceptor)
    }

    /// Whether there is no way now.
    pub fn is_cut(&self, between: Between) -> bool {
        let state = self.state.lock();
        state.cut.get(&between).is_some_and(|until| *until > Instant::now())
    }

    /// Cuts two off from each other: their connections break, and what was on its way is lost.
    pub fn cut(&self, between: Between, until: Instant) {
        let mut state = self.state.lock();
        state.cut.insert(between, until);
        let broken: Vec<_> = state.lines.values().filter(|(_, of)| *of == between).cloned().collect();
        state.lines.retain(|_, (_, of)| *of != between);
        drop(state);
        for (pipes, _) in broken {
            for pipe in [&pipes.outward, &pipes.homeward] {
                pipe.break_writes(true);
                pipe.break_reads(false);
            }
        }
    }

    /// Has everything arrive in its time.
    pub async fn carry(self: Arc<Self>) {
        loop {
            let due = self.state.lock().events.first_key_value().map(|(at, _)| at.0);
            let Some(due) = due else {
                self.changed.notified().await;
                continue;
            };
            if due > Instant::now() {
                let _ = timeout(due - Instant::now(), self.changed.notified()).await;
                continue;
            }
            let mut state = self.state.lock();
            let Some((_, (id, side, arrival))) = state.events.pop_first() else {
                continue;
            };
            let line = state.lines.get(&id).cloned();
            drop(state);
            let Some((pipes, _)) = line else {
                continue;
            };
            let pipe = pipes.written_by(side);
            match arrival {
                Arrival::Bytes(bytes) => drop(pipe.arrive(bytes)),
                Arrival::End => pipe.arrive_end(),
                Arrival::Reset => {
                    for pipe in [&pipes.outward, &pipes.homeward] {
                        pipe.break_writes(true);
                        pipe.break_reads(false);
                    }
                }
            }
        }
    }
}

/// A way to whoever accepts connections.
#[derive(Debug)]
pub struct Door {
    pub wires: Arc<Wires>,
    pub between: Between,
    /// Told of each connection, with the guard that it is of or to.
    pub guard: usize,
    pub accepted: mpsc::UnboundedSender<(usize, Reader, Writer)>,
}

impl Dial for Door {
    fn dial(&self) -> Dialling {
        let (wires, between, guard) = (Arc::clone(&self.wires), self.between, self.guard);
        let accepted = self.accepted.clone();
        Box::pin(async move {
            sleep(Duration::from_millis(5)).await;
            if wires.is_cut(between) {
                return Err(std::io::ErrorKind::ConnectionRefused.into());
            }
            let (dialler, (reader, writer)) = wires.open(between);
            let _ = accepted.send((guard, reader, writer));
            Ok(dialler)
        })
    }
}
