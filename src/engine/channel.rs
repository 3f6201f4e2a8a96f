//! What the engine knows of one client: where its requests go, which of them are in flight, and whom to tell.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::failure::Failure;
use super::links::Links;
use super::memory::Room;
use super::request::{Asked, Request, StampStage};
use super::state::{Cause, State};
use super::{Engine, denial, patience};
use crate::clock::now;
use crate::command::Answer;
use crate::config::ListenerSettings;
use crate::metrics::Outcome;
use crate::pairing::order::Place;
use crate::protocol::request;
use crate::recent::Asker;
use crate::transport::Who;

/// Who asks, and is told what became of it. That is all that the engine knows of a session.
///
/// Called by a reference to a trait object: one indirect call for each answer, so that the engine, its lanes and their
/// queues are not generic over who asks.
pub trait Client: Debug {
    /// What the engine knows of it.
    fn channel(&self) -> &Channel;
    /// A request was answered, or refused. The answer leaves when all earlier ones have.
    fn answered(self: Rc<Self>, asked: Asked, outcome: Outcome, answer: Answer, now: Instant);
    /// There is no answer to a request.
    fn failed(self: Rc<Self>, asked: Asked, failure: Failure);
    /// Whether an answer of so many bytes can be put behind those that the client has not taken.
    fn has_place_for(&self, bytes: usize) -> bool;
    /// Whether the client has taken everything that it was answered.
    fn is_taken(&self) -> bool;
    /// Takes the room of an answer of so many bytes that it is about to be given.
    fn take_room(&self, room: Option<Room>, bytes: usize);
    /// Writes what it has been told.
    fn flush(&self);
}

/// The engine's side of one client.
#[derive(Debug)]
pub struct Channel {
    /// What carries its requests out.
    pub engine: Rc<Engine>,
    /// By which of the store's lanes they go.
    pub links: Links,
    /// How clients are served where this one has connected.
    pub listener: Arc<ListenerSettings>,
    /// The number that the guards of an edge know it by; 0 where there are none.
    pub client: u32,
    /// A request in flight leaves for the guard of this edge in pieces: what followed it would be there before it.
    pub leaves_in_pieces: Cell<bool>,
    /// Told when there is something to go on with.
    pub wake: Notify,
    who: Who,
    /// Requests that a lane lost, to go on before anything else.
    lost: RefCell<BTreeMap<u64, Request>>,
    in_flight: Cell<usize>,
    /// Those of them that may change something.
    writes: Cell<usize>,
    /// The engine's hand-overs when the last of them was sent.
    hand_overs: Cell<u64>,
    next_number: Cell<u64>,
    /// Who has the requests wants to know when some have landed.
    watched: Cell<bool>,
    /// When the turn of whoever has the requests began, once that has been asked.
    turn: Cell<Option<Instant>>,
}

impl Channel {
    /// For a client that has connected to a listener with these settings.
    pub fn new(engine: Rc<Engine>, who: Who, listener: Arc<ListenerSettings>) -> Self {
        let link = engine.next_link();
        let bulk_link = engine.next_bulk_link().unwrap_or(link);
        let client = engine.store.guards().map_or(0, |guards| guards.open(&who));
        Self {
            links: Links::new(link, bulk_link, engine.settings().bulk_size),
            client,
            leaves_in_pieces: Cell::new(false),
            engine,
            listener,
            wake: Notify::new(),
            who,
            lost: RefCell::default(),
            in_flight: Cell::new(0),
            writes: Cell::new(0),
            hand_overs: Cell::new(0),
            next_number: Cell::new(0),
            watched: Cell::new(false),
            turn: Cell::new(None),
        }
    }

    /// Admits a request that was asked at `received`, in so many bytes: gives it its number, its deadline, its stamp where
    /// ttguard gives those and its edge has not, and the place that `open` opens for its answer where one is owed.
    pub fn admit(
        &self,
        asked: request::Request,
        stamp: Option<u64>,
        received: Instant,
        bytes: usize,
        open: impl FnOnce() -> Place,
    ) -> Request {
        let request::Request {
            mut command,
            edit,
            form,
        } = asked;
        let settings = self.engine.settings();
        let keys = &self.listener.keys;
        let unlooked = !keys.is_open() && denial::is_long_list(&command);
        let barred = !keys.is_open()
            && !unlooked
            && !form.asks_for_version()
            && !keys.enter(&mut command, &settings.limits.request);
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        let place = (!form.is_silent(&command)).then(open);
        let patience = patience::of(&command, &settings.pairing);
        Request {
            number,
            place,
            bytes,
            barred,
            unlooked,
            edit,
            stamp: stamp.or_else(|| self.engine.give(&command, received)),
            stamping: StampStage::Due,
            seen: 0,
            command,
            form,
            wants: 0,
            room: None,
            received,
            deadline: received + patience,
            retried: false,
            apart: false,
            standing: Default::default(),
            state: State::Admitted,
        }
    }

    /// Whether anything was ever asked.
    pub fn has_asked(&self) -> bool {
        self.next_number.get() > 0
    }

    /// A request is in flight.
    pub fn took_off(&self, writes: bool) {
        self.hand_overs.set(self.engine.hand_overs.get());
        self.in_flight.set(self.in_flight.get() + 1);
        self.writes.set(self.writes.get() + usize::from(writes));
    }

    /// A request that was in flight has its outcome, or is to be sent again.
    pub fn landed(&self, writes: bool) {
        self.in_flight.set(self.in_flight.get() - 1);
        self.writes.set(self.writes.get() - usize::from(writes));
        if self.watched.get() {
            self.wake.notify_one();
        }
    }

    /// A request may be sent again, as soon as it is the next of its client's that can go.
    pub fn again(&self, mut request: Request) {
        if request.state == State::InFlight {
            request.enter(State::Waiting(Cause::Lane));
        }
        self.lost.borrow_mut().insert(request.number, request);
        self.wake.notify_one();
    }

    /// The number of the first request that is to be sent again.
    pub(super) fn first_lost(&self) -> Option<u64> {
        self.lost.borrow().first_key_value().map(|(number, _)| *number)
    }

    /// The first request that is to be sent again.
    pub(super) fn take_lost(&self) -> Option<Request> {
        self.lost.borrow_mut().pop_first().map(|(_, request)| request)
    }

    /// A request that waited goes behind one that is to be sent again.
    pub(super) fn put_behind(&self, request: Request) {
        self.lost.borrow_mut().insert(request.number, request);
    }

    /// Whether none of its requests is in flight, nor to be sent again.
    pub fn is_at_rest(&self) -> bool {
        self.in_flight.get() == 0 && self.lost.borrow().is_empty()
    }

    /// Requests in flight, those without an answer included.
    pub fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Whether any of them may change something.
    pub fn writes(&self) -> bool {
        self.writes.get() > 0
    }

    /// Whether some may be on another lane than the one that the next would go by.
    pub fn is_elsewhere(&self) -> bool {
        self.in_flight.get() > 0 && self.hand_overs.get() != self.engine.hand_overs.get()
    }

    /// Says whether to [wake](Self::wake) when requests have landed.
    pub fn watch(&self, landings: bool) {
        self.watched.set(landings);
    }

    /// When this turn of whoever has the requests began: the clock is read once a turn.
    pub fn turn(&self) -> Instant {
        let turn = self.turn.get().unwrap_or_else(now);
        self.turn.set(Some(turn));
        turn
    }

    /// The turn is over.
    pub fn end_turn(&self) {
        self.turn.set(None);
    }

    /// Who asks.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Who asks what this request asks.
    pub fn asker(&self, request: &Request) -> Asker<'_> {
        Asker {
            who: &self.who,
            protocol: request.protocol(),
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if let Some(guards) = self.engine.store.guards() {
            guards.close(self.client);
        }
    }
}
