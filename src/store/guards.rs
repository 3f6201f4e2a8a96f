//! The guards of an edge: what its clients ask is carried to the one that serves.
//!
//! An edge judges nothing, so whole requests go to the guard, as they were asked. Each worker has some [`Place`]s, and in
//! each of them a [`Link`] to the guard that holds the claim. When a guard goes, or says that it does not serve
//! any more, the place looks for the next one that does.

pub mod fault;
pub mod link;
mod opening;
pub mod place;
mod round_trip;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use self::link::Link;
pub use self::opening::{At, Probed, Way, probe};
use self::place::{Place, PlaceSettings};
use crate::client::route::Route;
use crate::command::edit::Edit;
use crate::config::Settings;
use crate::protocol::answer::Form;
use crate::protocol::link::hello::{Behalf, From, Opened};
use crate::protocol::link::printable::Printable;
use crate::recent::lanes;
use crate::store::Opening;
use crate::store::completion::Completion;
use crate::store::events::Events;
use crate::store::tyrant::lane::LaneLoad;
use crate::transport::{Peer, Who};

/// Who asks something, and how, beside the command.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// The number of the client, as [`Guards::open`] gave it.
    pub client: u32,
    /// How its client wants it answered.
    pub form: Form,
    /// How it differs from its command.
    pub edit: Option<Edit>,
    /// The stamp that it was given.
    pub stamp: Option<u64>,
}

/// The clients of a worker that guards may be told of.
#[derive(Debug, Default)]
pub(super) struct Clients {
    next: Cell<u32>,
    open: RefCell<HashMap<u32, Opened>>,
}

impl Clients {
    /// What a guard is told of a client.
    fn opened(&self, client: u32) -> Opened {
        let nothing = Opened {
            from: From::Unknown,
            certificate: None,
        };
        self.open.borrow().get(&client).cloned().unwrap_or(nothing)
    }
}

/// What a guard is told of a client.
fn opened(who: &Who) -> Opened {
    Opened {
        from: match who.peer {
            Peer::Tcp(address) => From::Address(address),
            Peer::Unix(user, process) => From::Process(user, process.and_then(|number| u32::try_from(number).ok())),
            Peer::Unknown => From::Unknown,
        },
        certificate: who.certificate().cloned(),
    }
}

/// One worker's ways to the guards.
#[derive(Debug)]
pub struct Guards<P> {
    places: Vec<Rc<Place<P>>>,
    clients: Rc<Clients>,
    /// What this process calls itself.
    name: Printable,
    /// What keeps a link in each place, once it has begun.
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

fn place_settings(settings: &Settings) -> PlaceSettings {
    PlaceSettings {
        requests_max: settings.limits.lane_queue,
        bytes_max: settings.limits.request.frame_max,
        reply: settings.limits.reply,
        connect_timeout: settings.pairing.connect_timeout,
    }
}

impl<P: Completion> Guards<P> {
    /// No link is up yet.
    pub fn new(opening: &Opening<'_>) -> Self {
        let clients = Rc::<Clients>::default();
        let place = |_| {
            Rc::new(Place::new(
                place_settings(opening.settings),
                Arc::clone(opening.guards),
                Arc::clone(opening.ids),
                Arc::clone(opening.clock),
                opening.name.clone(),
                Rc::clone(&clients),
            ))
        };
        Self {
            places: (0..opening.settings.lanes).map(place).collect(),
            clients,
            name: opening.name.clone(),
            tasks: RefCell::default(),
        }
    }

    /// Begins to keep links up.
    pub fn keep_up(&self, events: &Rc<impl Events>, mut random: impl FnMut() -> fastrand::Rng) {
        let keep_up = |place: &Rc<Place<P>>| spawn_local(Rc::clone(place).keep_up(Rc::clone(events), random()));
        self.tasks.replace(self.places.iter().map(keep_up).collect());
    }

    /// The link in a place, while one serves there.
    pub fn link(&self, place: usize) -> Option<Rc<Link<P>>> {
        self.places.get(place)?.link()
    }

    /// Since when no link has served in a place; nothing while one does.
    pub fn down_since(&self, place: usize) -> Option<Instant> {
        self.places.get(place)?.down_since()
    }

    /// The way to the guard that serves, where one does.
    pub fn route(&self) -> Option<Route> {
        self.places.iter().find_map(|place| place.route())
    }

    /// A client has connected: the number that the guards are told.
    pub fn open(&self, who: &Who) -> u32 {
        let mut open = self.clients.open.borrow_mut();
        let mut client = self.clients.next.get();
        // Clients that stay while all numbers are given out are few.
        while open.contains_key(&client) {
            client = client.wrapping_add(1);
        }
        self.clients.next.set(client.wrapping_add(1));
        open.insert(client, opened(who));
        client
    }

    /// What a guard is told on a connection that is for one client alone.
    pub fn behalf(&self, client: u32) -> Behalf {
        Behalf {
            edge: Some(self.name.clone()),
            opened: self.clients.opened(client),
        }
    }

    /// A client has gone.
    pub fn close(&self, client: u32) {
        self.clients.open.borrow_mut().remove(&client);
        for link in self.places.iter().flat_map(|place| place.links()) {
            link.close(client);
        }
    }

    /// Works by other settings from the next link on.
    pub fn change(&self, settings: &Settings) {
        self.places
            .iter()
            .for_each(|place| place.change(place_settings(settings)));
    }

    /// The most that any link holds.
    pub fn fullest(&self) -> LaneLoad {
        let loads = self
            .places
            .iter()
            .flat_map(|place| place.links())
            .map(|link| link.load());
        loads.fold(LaneLoad::default(), LaneLoad::max)
    }

    /// What the links of this worker are like.
    pub fn shown(&self, worker: usize, now: Instant) -> Vec<lanes::Shown> {
        let places = self.places.iter().enumerate();
        places.map(|(index, place)| place.shown(worker, index, now)).collect()
    }

    /// Ends each link once nothing is owed on it: within so long. Guards judge what they were sent, whenever it comes: there
    /// is nothing that anybody would have to wait for.
    pub async fn retire(&self, patience: Duration) -> bool {
        for (place, task) in self.places.iter().zip(self.tasks.take()) {
            place.retire();
            let _ = timeout(patience, task).await;
        }
        true
    }

    /// Drops what is in flight, as the end of the process does.
    pub fn abandon(&self) {
        self.tasks.take().iter().for_each(JoinHandle::abort);
        for link in self.places.iter().flat_map(|place| place.links()) {
            link.abandon().for_each(drop);
        }
    }
}
