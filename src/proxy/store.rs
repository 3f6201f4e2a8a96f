//! The way from a session to the store: a lane, or the embedded store called on the spot.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::passenger::Passenger;
use super::shared::Shared;
use crate::backend::embedded::Embedded;
use crate::backend::tyrant::connect::Route;
use crate::backend::tyrant::fence::LastSeen;
use crate::backend::tyrant::lane::{Lane, Passenger as _};
use crate::backend::tyrant::link::Link;
use crate::command::Command;
use crate::pairing::LaneId;
use crate::pairing::owed::Lost;

/// The store of one worker.
#[derive(Debug)]
pub enum Store {
    /// In this process. The id stands for the worker, so that the guard keeps workers apart.
    Embedded { store: Arc<Embedded>, lane: LaneId },
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
            Self::Tyrant { links, .. } => {
                let lane = links.get(link)?.lane()?;
                lane.has_room(requests).then_some(Via::Lane { lane, shared })
            }
        }
    }

    /// How the backend is reached, where there is one.
    pub fn route(&self) -> Option<Route> {
        match self {
            Self::Embedded { .. } => None,
            Self::Tyrant { links, .. } => links.first().map(|link| link.route()),
        }
    }

    /// Whether the session's lane is up, with room or without.
    pub fn is_up(&self, link: usize) -> bool {
        match self {
            Self::Embedded { .. } => true,
            Self::Tyrant { links, .. } => links.get(link).is_some_and(|link| link.lane().is_some()),
        }
    }
}

impl Via {
    /// The id that the guard knows this way by.
    pub fn id(&self) -> LaneId {
        match self {
            Self::Embedded { lane, .. } => *lane,
            Self::Lane { lane, .. } => lane.id(),
        }
    }

    /// Whether `requests` more may go this way.
    pub fn has_room(&self, requests: usize) -> bool {
        match self {
            Self::Embedded { .. } => true,
            Self::Lane { lane, .. } => lane.has_room(requests),
        }
    }

    /// Puts a request on its way. On the embedded store its passenger is told the answer before this returns.
    pub fn submit(&self, command: &Command, deadline: Instant, passenger: Passenger) {
        match self {
            Self::Lane { lane, shared } => {
                shared.in_flight.fetch_add(1, Ordering::Relaxed);
                lane.submit(command, deadline, passenger);
            }
            Self::Embedded { store, shared, .. } => {
                shared.in_flight.fetch_add(1, Ordering::Relaxed);
                let reply = store.execute(command, (shared.clock)());
                if passenger.accepts(&reply) {
                    passenger.answered(reply, tokio::time::Instant::now().into_std());
                } else {
                    passenger.lost(Lost::Sent);
                }
            }
        }
    }
}
