//! One connection to a guard: everything queued goes out in one write, and answers come in any order.

mod carrying;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use self::carrying::Ping;
use super::fault::LinkFault;
use super::round_trip::{RoundTrip, RoundTrips};
use super::{Asking, Clients};
use crate::clock::{Clock, now};
use crate::command::Command;
use crate::pairing::LaneId;
use crate::pairing::ids::Ids;
use crate::pairing::owed::Lost;
use crate::protocol::link::Kind;
use crate::protocol::link::ask::Ask;
use crate::protocol::link::sending::Sending;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::request;
use crate::store::completion::Completion;
use crate::store::tyrant::lane::LaneLoad;

/// How much a link takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkLimits {
    /// Requests that are queued or unanswered.
    pub requests_max: usize,
    /// Bytes that are not written yet; one request more may go beyond it.
    pub bytes_max: usize,
    /// How large an answer may be.
    pub reply: Limits,
    /// How long the guard may say nothing.
    pub patience: Duration,
}

/// What of an answer that comes in pieces has room of its own.
#[derive(Debug, Default)]
struct Roomed {
    /// Ids with the bytes of their room.
    ids: Vec<(u64, usize)>,
}

impl Roomed {
    fn bytes(&self) -> usize {
        self.ids.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// One connection to a guard.
pub struct Link<P> {
    id: LaneId,
    limits: LinkLimits,
    clock: Clock,
    clients: Rc<Clients>,
    /// The clients that the guard was told of.
    opened: RefCell<HashSet<u32>>,
    ids: RefCell<Ids<P>>,
    sending: RefCell<Sending<()>>,
    roomed: RefCell<Roomed>,
    wake: Notify,
    /// The guard takes requests.
    serves: Cell<bool>,
    /// Told when it does not any more.
    stopped: Notify,
    is_over: Cell<bool>,
    retired: Cell<bool>,
    /// When the guard was heard last.
    heard: Cell<Instant>,
    ping: Cell<Ping>,
    trips: RefCell<RoundTrips>,
}

impl<P> std::fmt::Debug for Link<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Link").field(&self.id).finish()
    }
}

impl<P: Completion> Link<P> {
    /// A link with nothing on it.
    pub(super) fn new(id: LaneId, limits: LinkLimits, clock: Clock, clients: Rc<Clients>) -> Self {
        Self {
            id,
            limits,
            clock,
            clients,
            opened: RefCell::default(),
            ids: RefCell::default(),
            sending: RefCell::default(),
            roomed: RefCell::default(),
            wake: Notify::new(),
            serves: Cell::new(true),
            stopped: Notify::new(),
            is_over: Cell::new(false),
            retired: Cell::new(false),
            heard: Cell::new(now()),
            ping: Cell::new(Ping::none(now())),
            trips: RefCell::default(),
        }
    }

    /// Which connection this is.
    pub fn id(&self) -> LaneId {
        self.id
    }

    /// Whether the guard takes requests.
    pub fn serves(&self) -> bool {
        self.serves.get()
    }

    /// Whether it is out of service.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Whether `requests` more may join the queue. When not, they wait in their session.
    pub fn has_room(&self, requests: usize) -> bool {
        self.ids.borrow().len() + requests <= self.limits.requests_max
            && self.sending.borrow().len() <= self.limits.bytes_max
    }

    /// How much it holds now.
    pub fn load(&self) -> LaneLoad {
        LaneLoad {
            requests: self.ids.borrow().len(),
            bytes: self.sending.borrow().len(),
        }
    }

    /// The shortest of the last round trips.
    pub fn round_trip(&self) -> Option<RoundTrip> {
        self.trips.borrow().best()
    }

    /// Puts a request into the queue; returns how many bytes it takes there. The caller has seen to it that there is
    /// [room](Self::has_room).
    pub fn submit(&self, asking: Asking, command: &Command, deadline: Instant, completion: P) -> usize {
        self.submit_by(asking, deadline, completion, |out| request::encode(command, out))
    }

    /// As [`Self::submit`], where the bytes of the command have been put together already.
    pub fn submit_bytes(&self, asking: Asking, command: Outgoing, deadline: Instant, completion: P) -> usize {
        self.submit_by(asking, deadline, completion, |out| out.append(command))
    }

    fn submit_by(&self, asking: Asking, deadline: Instant, completion: P, put: impl FnOnce(&mut Outgoing)) -> usize {
        let Asking {
            client,
            form,
            edit,
            stamp,
        } = asking;
        let mut sending = self.sending.borrow_mut();
        if self.opened.borrow_mut().insert(client) {
            let opened = self.clients.opened(client);
            sending.add(Kind::Open, client.into(), (), |out| opened.put(out));
        }
        let left = deadline.saturating_duration_since(now()).as_millis();
        let ask = Ask {
            client,
            left: u32::try_from(left).unwrap_or(u32::MAX),
            stamp,
            form,
            edit,
        };
        let id = self.ids.borrow_mut().open(deadline, completion);
        let before = sending.len();
        let end = sending.add(Kind::Ask, id, (), |out| {
            ask.put(out);
            put(out);
        });
        if let Some(end) = end {
            self.ids.borrow_mut().ends_at(id, end);
        }
        self.wake.notify_one();
        sending.len() - before
    }

    /// A client has gone.
    pub fn close(&self, client: u32) {
        if self.opened.borrow_mut().remove(&client) && !self.is_over() {
            self.sending.borrow_mut().add(Kind::Close, client.into(), (), |_| {});
            self.wake.notify_one();
        }
    }

    /// Nothing more is to be asked on it: it ends once nothing is owed.
    fn stop_serving(&self) {
        self.serves.set(false);
        self.stopped.notify_one();
        self.wake.notify_one();
    }

    /// Asks the link to end.
    pub fn retire(&self) {
        self.retired.set(true);
        self.stop_serving();
    }

    /// Waits until the guard does not take requests by it any more.
    pub(super) async fn stops_serving(&self) {
        while self.serves() {
            self.stopped.notified().await;
        }
    }

    /// It is out of service.
    pub(super) fn is_at_its_end(&self) {
        self.is_over.set(true);
        self.stop_serving();
    }

    /// Every request without an answer, once the link is out of service.
    pub fn abandon(&self) -> impl Iterator<Item = (Lost, P)> + use<P> {
        let ids = std::mem::take(&mut *self.ids.borrow_mut());
        let sending = std::mem::take(&mut *self.sending.borrow_mut());
        // What leaves in pieces is known by what is left of it: where nothing is, all of it was put behind what left.
        let lost = ids.abandon(sending.written(), |id| !sending.is_leaving(id));
        lost.into_iter()
    }

    /// Whether it has anything left to do.
    fn may_go_on(&self) -> Result<(), LinkFault> {
        match self.serves() || !self.ids.borrow().is_empty() {
            true => Ok(()),
            false if self.retired.get() => Err(LinkFault::Retired),
            false => Err(LinkFault::Left),
        }
    }
}
