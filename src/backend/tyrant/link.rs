//! Keeps one lane up: connects, greets, carries, fences, and begins again.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant as Moment, sleep, timeout};

use super::connect::{self, Backoff, Route};
use super::fence::{LastSeen, fence};
use super::greeting::{Greeting, Run, greet};
use super::lane::{Lane, LaneFault, LaneLimits, Passenger};
use crate::pairing::{LaneId, LaneIds};
use crate::transport::{Reader, Writer};

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
    /// A lane was taken out of service.
    fn down(&self, lane: LaneId, fault: &LaneFault);
    /// The lane's fence is over; `ended` says whether the server's end was seen.
    fn fenced(&self, lane: LaneId, ended: bool);
    /// A lane holds so many bytes of an answer that is not whole, and held so many before.
    fn half_received(&self, before: usize, now: usize);
    /// Answers or losses have been handed over: what they made ready can be written.
    fn batch_done(&self);
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

/// A connection that has greeted its server.
type Opened = (Reader, Writer, Greeting);

/// A place for one lane at a time.
#[derive(Debug)]
pub struct Link<P> {
    settings: RefCell<LinkSettings>,
    /// Told when the route is another one, or the link retired.
    moved: Notify,
    /// The route has changed, and the lanes of all links have yet to part with the former one.
    parting: Cell<bool>,
    lane: RefCell<Option<Rc<Lane<P>>>>,
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
        while !self.retired.get() {
            if self.parting.take() {
                backoff.reset();
                events.parted().await;
            }
            if self.route() == Route::Nowhere {
                self.moved.notified().await;
                continue;
            }
            let opened = tokio::select! {
                opened = self.open() => opened.and_then(|opened| self.admit(opened, &*events)),
                () = self.moved.notified() => continue,
            };
            let pause = match opened {
                Ok((reader, writer, greeting)) => {
                    last_seen.saw(greeting.run.instance.as_ref());
                    let since = Moment::now();
                    let (useful, fencing) = Rc::clone(&self)
                        .carry(reader, writer, greeting, &events, &last_seen)
                        .await;
                    if self.retired.get() {
                        fencing.await;
                        return;
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
        record.fencing += 1;
        record.last_fault = Some(fault.to_string());
    }

    async fn open(&self) -> Result<Opened, (ConnectFault, io::Error)> {
        let (route, patience) = (self.route(), self.settings.borrow().connect_timeout);
        let opening = async {
            let (mut reader, writer) = connect::connect(&route).await?;
            let greeting = greet(&mut reader, &writer).await?;
            io::Result::Ok((reader, writer, greeting))
        };
        match timeout(patience, opening).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err((ConnectFault::NotTyrant, error)),
            Ok(Err(error)) => Err((ConnectFault::Refused, error)),
            Err(_) => Err((ConnectFault::Timeout, io::ErrorKind::TimedOut.into())),
        }
    }

    /// Carries requests until the lane is out of service; returns whether it was of use, and what is left to do: its
    /// fence.
    async fn carry<E: LinkEvents>(
        self: Rc<Self>,
        mut reader: Reader,
        writer: Writer,
        greeting: Greeting,
        events: &Rc<E>,
        last_seen: &Rc<LastSeen>,
    ) -> (bool, impl Future<Output = ()> + use<P, E> + 'static) {
        let settings = self.settings.borrow().clone();
        let lane = Rc::new(Lane::new(settings.ids.next(), settings.lane));
        *self.lane.borrow_mut() = Some(Rc::clone(&lane));
        if self.retired.get() || self.parting.get() {
            lane.retire();
        }
        events.changed();
        let held = Cell::new(0);
        let note = |now| events.half_received(held.replace(now), now);
        let after_batch = || {
            note(lane.half_received());
            if lane.take_proof() {
                events.proved();
            }
            events.batch_done();
        };
        let fault = lane.run(&mut reader, &writer, after_batch).await;
        note(0);
        *self.lane.borrow_mut() = None;
        self.note_down(&fault);
        events.down(lane.id(), &fault);
        for (lost, passenger) in lane.abandon() {
            passenger.lost(lost);
        }
        events.batch_done();
        let patience = self.settings.borrow().fence_timeout;
        let (events, last_seen, id) = (Rc::clone(events), Rc::clone(last_seen), lane.id());
        let fencing = async move {
            let instance = greeting.run.instance.as_ref();
            let ended = fence(reader, writer, &fault, instance, &last_seen, patience).await;
            self.record.borrow_mut().fencing -= 1;
            events.fenced(id, ended);
        };
        (lane.was_useful(), fencing)
    }
}
