//! Keeps one lane up: connects, greets, carries, fences, and begins again.
//!
//! A server answers the requests of a connection in their order: while something large comes, others wait behind it, and
//! nobody knew of it when they asked. Then another lane takes the place of the one that carries it. Those who wait there
//! and only ask, ask again on the new one; what may change something stays where it is, and in its order. The former lane
//! ends when nobody waits for it any more.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant as Moment, sleep, timeout};

use super::backoff::Backoff;
use super::fence::{LastSeen, fence};
use super::greeting::{self, Greeting, Opened, Run};
use super::lane::{HalfReceived, Lane, LaneFault, LaneLimits, Passenger};
use crate::client::route::Route;
use crate::pairing::owed::Lost;
use crate::pairing::{LaneId, LaneIds};

/// Why a connection did not become a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    /// Nobody listens, or the way is barred.
    Refused,
    /// No answer in time.
    Timeout,
    /// Something answers that is no Tyrant.
    NotTyrant,
    /// Another run of the server answers than the one that has the other lanes.
    OtherRun,
}

/// A connection has reached another run of the server than the lanes that are up: it must not be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the connection has reached another run of the server, {met}, while lanes of {known} are up")]
pub struct OtherRun {
    /// The run that has the lanes.
    pub known: Run,
    /// The one that was reached.
    pub met: Run,
}

/// What happens to a link, told to whoever dispatches.
pub trait LinkEvents: 'static {
    /// A lane is up, for the first time or `again`. Called before anything can be sent on it.
    ///
    /// # Errors
    /// When it has reached another run of the server than the lanes that are up. Then it is none.
    fn up(&self, greeting: &Greeting, again: bool) -> Result<(), OtherRun>;
    /// The server of a lane has given the sign of life that was asked for.
    fn proved(&self);
    /// A try to connect has failed.
    fn connect_failed(&self, fault: ConnectFault, error: &io::Error);
    /// A lane was taken out of service; whether it `has_place`, or had handed that over.
    fn down(&self, lane: LaneId, fault: &LaneFault, has_place: bool);
    /// The lane's fence is over; `ended` says whether the server's end was seen.
    fn fenced(&self, lane: LaneId, ended: bool);
    /// A lane holds this for an answer that is not whole, and held that before.
    fn half_received(&self, before: HalfReceived, now: HalfReceived);
    /// Answers or losses have been handed over: what they made ready can be written.
    fn batch_done(&self);
    /// Another lane has taken the place of one on which something large holds up others.
    fn handed_over(&self);
    /// The link has parted with a server that is no longer the backend. Returns when all of them have.
    fn parted(&self) -> impl Future<Output = ()>;
    /// There may be a lane, or room on it, where there was none.
    fn changed(&self);
}

/// How a link behaves.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// How the server is reached.
    pub route: Route,
    /// Where each lane gets its id from.
    pub ids: Arc<LaneIds>,
    /// Bounds of each lane.
    pub lane: LaneLimits,
    /// How long connecting and greeting may take.
    pub connect_timeout: Duration,
    /// How long a lane's end is awaited.
    pub fence_timeout: Duration,
}

/// Lanes of a link that have handed over their place and still carry something large, at most.
pub const HANDED_OVER_MAX: usize = 4;

/// How long none is tried to take a lane's place after one could not be had: what holds up others asks with each read.
const SUCCESSOR_PAUSE: Duration = Duration::from_millis(100);

/// How a lane came to its end, or to that of its service.
enum Carried<F> {
    /// It is out of service: whether it was of use, and what is left to do, which is its fence.
    Ended { useful: bool, fencing: F },
    /// Another one takes its place.
    HandedOver(Opened),
}

/// A place for one lane at a time.
#[derive(Debug)]
pub struct Link<P> {
    settings: RefCell<LinkSettings>,
    /// Told when the route is another one, or the link retired.
    moved: Notify,
    /// The route has changed, and the lanes of all links have yet to part with the former one.
    parting: Cell<bool>,
    lane: RefCell<Option<Rc<Lane<P>>>>,
    /// Lanes that have handed over their place, and are not fenced yet.
    former: RefCell<Vec<Rc<Lane<P>>>>,
    /// Told when one of them is.
    former_ended: Notify,
    retired: Cell<bool>,
    record: RefCell<Record>,
}

/// What has become of a link so far.
#[derive(Clone, Debug)]
pub struct Record {
    /// Since when it has been up, or down.
    pub since: Instant,
    /// Lanes that came up.
    pub connected: u64,
    /// Lanes that are given up, and whose end is awaited.
    pub fencing: usize,
    /// Why the last lane was given up, or why none can be connected, in words.
    pub last_fault: Option<String>,
}

impl<P: Passenger> Link<P> {
    /// A link without a lane.
    pub fn new(settings: LinkSettings) -> Self {
        Self {
            settings: RefCell::new(settings),
            moved: Notify::new(),
            parting: Cell::new(false),
            lane: RefCell::new(None),
            former: RefCell::default(),
            former_ended: Notify::new(),
            retired: Cell::new(false),
            record: RefCell::new(Record {
                since: tokio::time::Instant::now().into_std(),
                connected: 0,
                fencing: 0,
                last_fault: None,
            }),
        }
    }

    /// What has become of it so far.
    pub fn record(&self) -> Record {
        self.record.borrow().clone()
    }

    /// Since when no lane has been up; nothing while one is.
    pub fn down_since(&self) -> Option<Instant> {
        let is_down = self.lane.borrow().is_none();
        is_down.then(|| self.record.borrow().since)
    }

    /// The lane, while one is up.
    pub fn lane(&self) -> Option<Rc<Lane<P>>> {
        self.lane.borrow().clone()
    }

    /// Every lane that is up, with or without a place.
    pub fn lanes(&self) -> Vec<Rc<Lane<P>>> {
        let former = self.former.borrow();
        self.lane.borrow().iter().chain(former.iter()).cloned().collect()
    }

    /// How the server is reached.
    pub fn route(&self) -> Route {
        self.settings.borrow().route.clone()
    }

    /// Behaves in another way from the next lane on. When the route is another one, the lane ends as soon as nothing is
    /// owed on it, and the next one is opened when [`LinkEvents::parted`] allows.
    pub fn change(&self, change: impl FnOnce(&mut LinkSettings)) {
        let mut settings = self.settings.borrow_mut();
        let before = settings.route.clone();
        change(&mut settings);
        if settings.route == before {
            return;
        }
        // There is nobody to part with where no server was known.
        self.parting.set(self.parting.get() || before != Route::Nowhere);
        if let Some(lane) = self.lane.borrow().as_ref() {
            lane.retire();
        }
        self.moved.notify_one();
    }

    /// Ends the lane once nothing is owed on it, and opens no other.
    pub fn retire(&self) {
        self.retired.set(true);
        if let Some(lane) = self.lane.borrow().as_ref() {
            lane.retire();
        }
        self.moved.notify_one();
    }

    /// Keeps a lane up until the link is retired and its lane fenced.
    pub async fn keep_up(self: Rc<Self>, events: Rc<impl LinkEvents>, last_seen: Rc<LastSeen>, random: fastrand::Rng) {
        let mut backoff = Backoff::new(random);
        let mut successor = None;
        while !self.retired.get() {
            if self.parting.take() {
                backoff.reset();
                self.former_ones_ended().await;
                events.parted().await;
            }
            if self.route() == Route::Nowhere {
                self.moved.notified().await;
                continue;
            }
            let opened = match successor.take() {
                Some(opened) => Ok(opened),
                None => tokio::select! {
                    opened = self.open() => opened.and_then(|opened| self.admit(opened, &*events)),
                    () = self.moved.notified() => continue,
                },
            };
            let pause = match opened {
                Ok((reader, writer, greeting)) => {
                    last_seen.saw(greeting.run.instance.as_ref());
                    let since = Moment::now();
                    let carried = Rc::clone(&self).carry((reader, writer, greeting), &events, &last_seen);
                    let (useful, fencing) = match carried.await {
                        Carried::HandedOver(opened) => {
                            successor = Some(opened);
                            continue;
                        }
                        Carried::Ended { useful, fencing } => (useful, fencing),
                    };
                    if self.retired.get() {
                        fencing.await;
                        break;
                    }
                    if self.parting.get() {
                        fencing.await;
                        continue;
                    }
                    spawn_local(fencing);
                    backoff.pause_after(since.elapsed(), useful)
                }
                Err((fault, error)) => {
                    self.record.borrow_mut().last_fault = Some(error.to_string());
                    events.connect_failed(fault, &error);
                    backoff.next_pause()
                }
            };
            if !pause.is_zero() {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = self.moved.notified() => {}
                }
            }
        }
        self.former_ones_ended().await;
    }

    /// Waits until every lane that has handed over its place is fenced.
    async fn former_ones_ended(&self) {
        while !self.former.borrow().is_empty() {
            self.former_ended.notified().await;
        }
    }

    /// Makes a connection a lane, where that may be.
    fn admit(&self, opened: Opened, events: &impl LinkEvents) -> Result<Opened, (ConnectFault, io::Error)> {
        let mut record = self.record.borrow_mut();
        match events.up(&opened.2, record.connected > 0) {
            Ok(()) => {
                record.since = tokio::time::Instant::now().into_std();
                record.connected += 1;
                Ok(opened)
            }
            Err(other) => Err((ConnectFault::OtherRun, io::Error::other(other))),
        }
    }

    fn note_down(&self, fault: &LaneFault) {
        let mut record = self.record.borrow_mut();
        record.since = tokio::time::Instant::now().into_std();
        record.last_fault = Some(fault.to_string());
    }

    async fn open(&self) -> Result<Opened, (ConnectFault, io::Error)> {
        let (route, patience) = (self.route(), self.settings.borrow().connect_timeout);
        match timeout(patience, greeting::open(&route)).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err((ConnectFault::NotTyrant, error)),
            Ok(Err(error)) => Err((ConnectFault::Refused, error)),
            Err(_) => Err((ConnectFault::Timeout, io::ErrorKind::TimedOut.into())),
        }
    }

    /// Carries requests until the lane is out of service, or another one has taken its place.
    async fn carry<E: LinkEvents>(
        self: Rc<Self>,
        (reader, writer, greeting): Opened,
        events: &Rc<E>,
        last_seen: &Rc<LastSeen>,
    ) -> Carried<impl Future<Output = ()> + use<P, E> + 'static> {
        let settings = self.settings.borrow().clone();
        let lane = Rc::new(Lane::new(settings.ids.next(), settings.lane));
        *self.lane.borrow_mut() = Some(Rc::clone(&lane));
        if self.retired.get() || self.parting.get() {
            lane.retire();
        }
        events.changed();
        let service = Rc::clone(&self).serve(
            Rc::clone(&lane),
            (reader, writer, greeting),
            Rc::clone(events),
            Rc::clone(last_seen),
        );
        let mut service = Box::pin(service);
        let mut not_before = Moment::now();
        loop {
            tokio::select! {
                biased;
                fencing = &mut service => return Carried::Ended { useful: lane.was_useful(), fencing },
                () = lane.held_up() => {}
            }
            if !self.may_hand_over(&lane) || Moment::now() < not_before {
                continue;
            }
            let opened = tokio::select! {
                biased;
                fencing = &mut service => return Carried::Ended { useful: lane.was_useful(), fencing },
                opened = self.open() => opened,
            };
            // What was large has come meanwhile, as a rule where no other connection can be had.
            if !self.may_hand_over(&lane) {
                continue;
            }
            match opened.and_then(|opened| self.admit(opened, &**events)) {
                Ok(opened) => {
                    self.former.borrow_mut().push(Rc::clone(&lane));
                    *self.lane.borrow_mut() = None;
                    events.handed_over();
                    for passenger in lane.hand_over() {
                        passenger.lost(Lost::Unsent);
                    }
                    events.batch_done();
                    spawn_local(async move {
                        service.await.await;
                        self.former.borrow_mut().retain(|one| !Rc::ptr_eq(one, &lane));
                        self.former_ended.notify_one();
                    });
                    return Carried::HandedOver(opened);
                }
                Err((fault, error)) => {
                    events.connect_failed(fault, &error);
                    not_before = Moment::now() + SUCCESSOR_PAUSE;
                }
            }
        }
    }

    /// Whether a lane is to hand over its place, and one more may.
    fn may_hand_over(&self, lane: &Lane<P>) -> bool {
        let is_full = self.former.borrow().len() >= HANDED_OVER_MAX;
        lane.holds_up() && !is_full && !self.retired.get() && !self.parting.get()
    }

    /// Has a lane carry requests until it is out of service; returns what is left to do then: its fence.
    async fn serve<E: LinkEvents>(
        self: Rc<Self>,
        lane: Rc<Lane<P>>,
        (mut reader, writer, greeting): Opened,
        events: Rc<E>,
        last_seen: Rc<LastSeen>,
    ) -> impl Future<Output = ()> + use<P, E> + 'static {
        let held = Cell::new(HalfReceived::default());
        let note = |now| events.half_received(held.replace(now), now);
        let after_batch = || {
            note(lane.half_received());
            if lane.take_proof() {
                events.proved();
            }
            events.batch_done();
        };
        let fault = lane.run(&mut reader, &writer, after_batch).await;
        note(HalfReceived::default());
        let place = self.lane.borrow_mut().take_if(|current| Rc::ptr_eq(current, &lane));
        let has_place = place.is_some();
        if has_place {
            self.note_down(&fault);
        }
        self.record.borrow_mut().fencing += 1;
        events.down(lane.id(), &fault, has_place);
        for (lost, passenger) in lane.abandon() {
            passenger.lost(lost);
        }
        events.batch_done();
        let patience = self.settings.borrow().fence_timeout;
        let id = lane.id();
        async move {
            let instance = greeting.run.instance.as_ref();
            // Nothing that it owed can change anything: the server may stop where it is.
            let ended = matches!(fault, LaneFault::HandedOver)
                || fence(reader, writer, &fault, instance, &last_seen, patience).await;
            self.record.borrow_mut().fencing -= 1;
            events.fenced(id, ended);
        }
    }
}
