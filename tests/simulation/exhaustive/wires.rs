//! The connections of a small world: every batch of bytes is a step, and a step can be waited for.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Duration, Instant, sleep_until};
use ttguard::transport::memory::{self, Carrier, Connection, Deed, Side};
use ttguard::transport::{Reader, Writer};

/// Room in each direction of each connection: more than anything that is sent here.
const ROOM: usize = 1 << 16;

/// Between whom a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    ClientAndGuard,
    GuardAndBackend,
}

impl Between {
    /// How long bytes are on their way. The two differ, so that a lane's answer and a client's next request cross.
    fn latency(self) -> Duration {
        Duration::from_millis(match self {
            Self::ClientAndGuard => 1,
            Self::GuardAndBackend => 2,
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Arrival {
    Bytes(usize),
    End,
    Reset,
}

#[derive(Debug)]
struct Line {
    between: Between,
    pipes: Connection,
    /// Which of the two sides has gone for good.
    gone: [bool; 2],
    /// It broke on its way: nothing more arrives.
    severed: bool,
}

#[derive(Debug, Default)]
struct State {
    lines: BTreeMap<u64, Line>,
    events: BTreeMap<(Instant, u64), (u64, Side, Arrival)>,
    sequence: u64,
    steps: u64,
}

/// All connections, and what is on its way on them.
#[derive(Debug, Default)]
pub struct Wires {
    state: Mutex<State>,
    changed: Notify,
}

/// A new connection: its number, the dialler's end, the acceptor's end.
pub type Opened = (u64, (Reader, Writer), (Reader, Writer));

impl Wires {
    /// Opens a connection.
    pub fn open(self: &Arc<Self>, between: Between) -> Opened {
        let mut state = self.state.lock();
        let id = state.lines.len() as u64;
        let carrier: Arc<dyn Carrier> = Arc::new(Messenger(Arc::clone(self)));
        let (pipes, dialler, acceptor) = memory::connection(id, ROOM, ROOM, &carrier);
        let line = Line {
            between,
            pipes,
            gone: [false; 2],
            severed: false,
        };
        state.lines.insert(id, line);
        (id, dialler, acceptor)
    }

    /// Batches that have arrived so far.
    pub fn steps(&self) -> u64 {
        self.state.lock().steps
    }

    /// The numbers of the connections to the backend, in the order in which they were opened.
    pub fn lanes(&self) -> Vec<u64> {
        let state = self.state.lock();
        let lanes = state
            .lines
            .iter()
            .filter(|(_, line)| line.between == Between::GuardAndBackend);
        lanes.map(|(id, _)| *id).collect()
    }

    /// The connection breaks for the dialler at once. What the dialler had written still reaches the acceptor, which
    /// then learns of the break too: so a backend goes on with what it was sent.
    pub fn sever(&self, id: u64) {
        let mut state = self.state.lock();
        let Some(line) = state.lines.get_mut(&id) else {
            return;
        };
        let outward = line.pipes.outward.clone();
        drop(state);
        outward.arrive(usize::MAX);
        self.reset(id);
    }

    /// The connection breaks for both, and what was on its way is lost.
    pub fn reset(&self, id: u64) {
        let mut state = self.state.lock();
        let Some(line) = state.lines.get_mut(&id) else {
            return;
        };
        line.severed = true;
        let pipes = line.pipes.clone();
        drop(state);
        for pipe in [&pipes.outward, &pipes.homeward] {
            pipe.break_writes(true);
            pipe.break_reads(false);
        }
    }

    /// From now on nothing is carried and nobody is told.
    pub fn end(&self) {
        let mut state = self.state.lock();
        let lines = std::mem::take(&mut state.lines);
        drop(state);
        drop(lines);
    }

    /// Carries everything, for ever. `at_step` is called before each batch arrives, with the number of the step.
    pub async fn carry(self: Arc<Self>, at_step: impl AsyncFn(u64)) {
        loop {
            let due = self.state.lock().events.first_key_value().map(|(at, _)| at.0);
            match due {
                Some(at) if at <= Instant::now() => {
                    let step = self.state.lock().steps;
                    at_step(step).await;
                    self.arrive_next();
                    // Everyone does what the batch makes them do before the next one arrives.
                    yield_now().await;
                }
                Some(at) => {
                    tokio::select! {
                        biased;
                        () = self.changed.notified() => {}
                        () = sleep_until(at) => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    fn happened(&self, id: u64, side: Side, deed: Deed) {
        let mut state = self.state.lock();
        let Some(line) = state.lines.get_mut(&id).filter(|line| !line.severed) else {
            return;
        };
        if matches!(deed, Deed::Closed | Deed::Reset) {
            line.gone[index(side)] = true;
        }
        let arrival = match deed {
            Deed::Wrote(count) => Arrival::Bytes(count),
            Deed::Finished => Arrival::End,
            Deed::Reset => Arrival::Reset,
            Deed::Closed => return,
        };
        let at = Instant::now() + line.between.latency();
        state.sequence += 1;
        let sequence = state.sequence;
        state.events.insert((at, sequence), (id, side, arrival));
        drop(state);
        self.changed.notify_one();
    }

    fn arrive_next(&self) {
        let mut state = self.state.lock();
        state.steps += 1;
        let Some((_, (id, side, arrival))) = state.events.pop_first() else {
            return;
        };
        let Some(line) = state.lines.get(&id).filter(|line| !line.severed) else {
            return;
        };
        let pipe = line.pipes.written_by(side).clone();
        let back = line.pipes.written_by(side.other()).clone();
        let reader_is_gone = line.gone[index(side.other())];
        drop(state);
        match arrival {
            Arrival::Bytes(_) if reader_is_gone => {
                // The answer to bytes for a closed socket.
                pipe.break_writes(true);
                back.break_reads(false);
            }
            Arrival::Bytes(count) => drop(pipe.arrive(count)),
            Arrival::End => pipe.arrive_end(),
            Arrival::Reset => {
                pipe.break_reads(false);
                back.break_writes(true);
            }
        }
    }
}

#[derive(Debug)]
struct Messenger(Arc<Wires>);

impl Carrier for Messenger {
    fn happened(&self, connection: u64, side: Side, deed: Deed) {
        self.0.happened(connection, side, deed);
    }
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Acceptor)
}
