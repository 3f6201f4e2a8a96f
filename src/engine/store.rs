//! The way from a session to the store: a lane, the line to a file, or the store in memory called on the spot.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::task::{spawn_blocking, spawn_local};

use crate::client::route::Route;
use crate::clock::now;
use crate::command::{Command, Reply, Verb};
use crate::engine::completion::Passenger;
use crate::engine::shared::Shared;
use crate::pairing::LaneId;
use crate::pairing::owed::Lost;
use crate::store::embedded::line::{Line, Passenger as _};
use crate::store::embedded::{Embedded, Fault};
use crate::store::tyrant::fence::LastSeen;
use crate::store::tyrant::lane::{Lane, Passenger as _};
use crate::store::tyrant::link::Link;

/// The store of one worker.
#[derive(Debug)]
pub enum Store {
    /// In this process. The id stands for the worker, so that the guard keeps workers apart.
    Embedded { store: Arc<Embedded>, lane: LaneId },
    /// In a file, by this process.
    File(Rc<Line<Passenger>>),
    /// A Tyrant server.
    Tyrant {
        links: Vec<Rc<Link<Passenger>>>,
        last_seen: Rc<LastSeen>,
    },
}

/// Where a request can be put right now.
#[derive(Clone, Debug)]
pub enum Via {
    /// Carried out on the spot.
    Embedded {
        store: Arc<Embedded>,
        lane: LaneId,
        shared: Arc<Shared>,
    },
    /// On its way to the file.
    File {
        line: Rc<Line<Passenger>>,
        shared: Arc<Shared>,
    },
    /// A lane that is up and has room.
    Lane {
        lane: Rc<Lane<Passenger>>,
        shared: Arc<Shared>,
    },
}

impl Store {
    /// The way for a session of this link, when there is one with room for `requests` now.
    pub fn via(&self, shared: &Arc<Shared>, link: usize, requests: usize) -> Option<Via> {
        let shared = Arc::clone(shared);
        match self {
            Self::Embedded { store, lane } => Some(Via::Embedded {
                store: Arc::clone(store),
                lane: *lane,
                shared,
            }),
            Self::File(line) => line.has_room(requests).then(|| Via::File {
                line: Rc::clone(line),
                shared,
            }),
            Self::Tyrant { links, .. } => {
                let lane = links.get(link)?.lane()?;
                lane.has_room(requests).then_some(Via::Lane { lane, shared })
            }
        }
    }

    /// The store, where it is in this process, and the id that the guard knows the way to it by.
    pub fn here(&self) -> Option<(Arc<Embedded>, LaneId)> {
        match self {
            Self::Embedded { store, lane } => Some((Arc::clone(store), *lane)),
            Self::File(line) => Some((Arc::clone(line.store()), line.id())),
            Self::Tyrant { .. } => None,
        }
    }

    /// Whether this change is one for another thread: see [`Via::submit_alone`].
    pub fn takes_long(&self, command: &Command) -> bool {
        match self {
            Self::Embedded { store, .. } => store.takes_long(command),
            Self::File(_) | Self::Tyrant { .. } => false,
        }
    }

    /// How the backend is reached, where there is one.
    pub fn route(&self) -> Option<Route> {
        match self {
            Self::Embedded { .. } | Self::File(_) => None,
            Self::Tyrant { links, .. } => links.first().map(|link| link.route()),
        }
    }

    /// Since when the session's lane has been down; nothing while it is up.
    pub fn down_since(&self, link: usize) -> Option<Instant> {
        match self {
            Self::Embedded { .. } | Self::File(_) => None,
            Self::Tyrant { links, .. } => links.get(link)?.down_since(),
        }
    }

    /// Whether the session's lane is up, with room or without.
    pub fn is_up(&self, link: usize) -> bool {
        match self {
            Self::Embedded { .. } | Self::File(_) => true,
            Self::Tyrant { links, .. } => links.get(link).is_some_and(|link| link.lane().is_some()),
        }
    }
}

impl Via {
    /// The id that the guard knows this way by.
    pub fn id(&self) -> LaneId {
        match self {
            Self::Embedded { lane, .. } => *lane,
            Self::File { line, .. } => line.id(),
            Self::Lane { lane, .. } => lane.id(),
        }
    }

    /// Whether `requests` more may go this way.
    pub fn has_room(&self, requests: usize) -> bool {
        match self {
            Self::Embedded { .. } => true,
            Self::File { line, .. } => line.has_room(requests),
            Self::Lane { lane, .. } => lane.has_room(requests),
        }
    }

    /// How many may look keys up this way ahead of their turn: see [`Lane::most_ahead`]. Where every look is answered on
    /// the spot, none has to.
    pub fn most_ahead(&self) -> usize {
        match self {
            Self::Embedded { .. } | Self::File { .. } => 0,
            Self::Lane { lane, .. } => lane.most_ahead(),
        }
    }

    /// Puts a read on its way. Where it goes over a wire, a `get`, or an `mget` of a passenger that is read back, shares
    /// its question with others, and the answer names its keys: see [`Lane::submit_read`].
    pub fn submit_read(&self, command: &Command, deadline: Instant, mut passenger: Passenger, may_join: bool) {
        let (Self::Lane { lane, shared }, Command::Get { .. } | Command::Mget { .. }) = (self, command) else {
            return self.submit(command, deadline, passenger);
        };
        passenger.verb = Verb::Mget;
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let bytes = lane.submit_read(deadline, passenger, may_join);
        let counter = shared.metrics.backend_request_bytes.of(Verb::Mget);
        counter.increment(bytes as u64);
    }

    /// Puts a stamped write on its way, which may share its request with others where it goes over a wire: see
    /// [`Lane::submit_write`].
    pub fn submit_write(&self, command: &Command, deadline: Instant, passenger: Passenger) {
        let Self::Lane { lane, shared } = self else {
            return self.submit(command, deadline, passenger);
        };
        let verb = passenger.verb;
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let bytes = lane.submit_write(command, deadline, passenger);
        shared.metrics.backend_request_bytes.of(verb).increment(bytes as u64);
    }

    /// As [`Self::submit`], for a change that has its key to itself: where it takes long to store it in memory, that is
    /// done by another thread, and the passenger is told later. Nothing of the key can go before it meanwhile.
    pub fn submit_alone(&self, command: &Command, deadline: Instant, passenger: Passenger) {
        let Self::Embedded { store, shared, .. } = self else {
            return self.submit(command, deadline, passenger);
        };
        if !store.takes_long(command) {
            return self.submit(command, deadline, passenger);
        }
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let (store, command, time) = (Arc::clone(store), command.clone(), (shared.clock)());
        spawn_local(async move {
            let outcome = spawn_blocking(move || store.execute(&command, time)).await;
            tell(passenger, outcome.ok());
        });
    }

    /// Puts a request on its way. With the store in memory its passenger is told the answer before this returns.
    pub fn submit(&self, command: &Command, deadline: Instant, passenger: Passenger) {
        match self {
            Self::Lane { lane, shared } => {
                shared.in_flight.fetch_add(1, Ordering::Relaxed);
                let bytes = lane.submit(command, deadline, passenger);
                let counter = shared.metrics.backend_request_bytes.of(command.verb());
                counter.increment(bytes as u64);
            }
            Self::File { line, shared } => {
                shared.in_flight.fetch_add(1, Ordering::Relaxed);
                line.submit(command, (shared.clock)(), deadline, passenger);
            }
            Self::Embedded { store, shared, .. } => {
                shared.in_flight.fetch_add(1, Ordering::Relaxed);
                tell(passenger, Some(store.execute(command, (shared.clock)())));
            }
        }
    }
}

/// Tells a passenger what came of its request; nothing where nobody knows.
fn tell(passenger: Passenger, outcome: Option<Result<Reply, Fault>>) {
    match outcome {
        Some(Ok(reply)) if passenger.accepts(&reply) => passenger.answered(reply, 0, now()),
        Some(Ok(_)) | None => passenger.lost(Lost::Sent),
        Some(Err(_)) => passenger.unanswerable(),
    }
}
