//! Keeps one lane up: connects, greets, carries, fences, and begins again.
//!
//! A server answers the requests of a connection in their order: while something large comes, others wait behind it, and
//! nobody knew of it when they asked. Then another lane takes the place of the one that carries it. Those who wait there
//! and only ask, ask again on the new one; what may change something stays where it is, and in its order. The former lane
//! ends when nobody waits for it any more.

mod carrying;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant as Moment, sleep, timeout};

use self::carrying::Carried;
pub use self::carrying::HANDED_OVER_MAX;
use super::backoff::Backoff;
use super::fence::LastSeen;
use super::greeting::{self, Opened};
use super::lane::{Lane, LaneFault, LaneLimits};
use crate::claim::Tenure;
use crate::client::route::Route;
use crate::pairing::LaneIds;
use crate::store::completion::Completion;
use crate::store::events::{ConnectFault, Events};
use crate::transport::tls::fault_of;

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
    /// For how long this process may write to the server.
    pub tenure: Arc<Tenure>,
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

impl<P: Completion> Link<P> {
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
    /// owed on it, and the next one is opened when [`Events::parted`] allows.
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
    pub async fn keep_up(self: Rc<Self>, events: Rc<impl Events>, last_seen: Rc<LastSeen>, random: fastrand::Rng) {
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
    fn admit(&self, opened: Opened, events: &impl Events) -> Result<Opened, (ConnectFault, io::Error)> {
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
            Ok(Err(error)) if fault_of(&error).is_some() => Err((ConnectFault::Tls, error)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err((ConnectFault::NotTyrant, error)),
            Ok(Err(error)) => Err((ConnectFault::Refused, error)),
            Err(_) => Err((ConnectFault::Timeout, io::ErrorKind::TimedOut.into())),
        }
    }
}
