//! Keeps a link in a place: looks for the guard that serves, and for the next one when it does not any more.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet, spawn_local};
use tokio::time::{sleep, timeout};

use super::Clients;
use super::fault::OpenFault;
use super::link::{Link, LinkLimits};
use super::opening::{At, Opened, open};
use crate::client::route::Route;
use crate::clock::{Clock, now};
use crate::pairing::LaneIds;
use crate::protocol::link::hello::{Hello, Standing};
use crate::protocol::link::printable::Printable;
use crate::protocol::tyrant::limits::Limits;
use crate::recent::lanes;
use crate::store::completion::Completion;
use crate::store::events::Events;

/// How long one guard is tried alone before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(100);

/// How long a guard that does not serve is not asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// How a place behaves.
#[derive(Clone, Debug)]
pub struct PlaceSettings {
    /// Requests that may be unanswered on a link, beside what the guard allows.
    pub requests_max: usize,
    /// Bytes that may wait to be written; one request more may go beyond it.
    pub bytes_max: usize,
    /// How large an answer may be.
    pub reply: Limits,
    /// How long a guard may take to answer a question for a link, and may say nothing on one.
    pub connect_timeout: Duration,
}

/// What has become of a place so far.
#[derive(Debug)]
struct Record {
    since: Instant,
    links: u64,
    last_fault: Option<String>,
    /// Of the guard that it was linked to last.
    route: Option<Route>,
    url: Option<String>,
}

/// A place for one link at a time.
pub struct Place<P> {
    settings: RefCell<PlaceSettings>,
    guards: Arc<[At]>,
    ids: Arc<LaneIds>,
    clock: Clock,
    /// What this process calls itself.
    name: Printable,
    clients: Rc<Clients>,
    link: RefCell<Option<Rc<Link<P>>>>,
    /// Links that do not serve any more, and still owe answers.
    leaving: RefCell<Vec<Rc<Link<P>>>>,
    /// Of the link that was tried last.
    generation: Cell<u64>,
    retired: Cell<bool>,
    retiring: Notify,
    record: RefCell<Record>,
}

impl<P> std::fmt::Debug for Place<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Place")
            .field("guards", &self.guards)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl<P: Completion> Place<P> {
    /// A place without a link.
    pub(super) fn new(
        settings: PlaceSettings,
        guards: Arc<[At]>,
        ids: Arc<LaneIds>,
        clock: Clock,
        name: Printable,
        clients: Rc<Clients>,
    ) -> Self {
        Self {
            settings: RefCell::new(settings),
            guards,
            ids,
            clock,
            name,
            clients,
            link: RefCell::default(),
            leaving: RefCell::default(),
            generation: Cell::new(0),
            retired: Cell::new(false),
            retiring: Notify::new(),
            record: RefCell::new(Record {
                since: now(),
                links: 0,
                last_fault: None,
                route: None,
                url: None,
            }),
        }
    }

    /// The link, while one serves.
    pub fn link(&self) -> Option<Rc<Link<P>>> {
        self.link.borrow().clone().filter(|link| link.serves())
    }

    /// Every link that is up, whether it serves or not.
    pub fn links(&self) -> Vec<Rc<Link<P>>> {
        let leaving = self.leaving.borrow();
        self.link.borrow().iter().chain(leaving.iter()).cloned().collect()
    }

    /// Since when no link has served; nothing while one does.
    pub fn down_since(&self) -> Option<Instant> {
        self.link().is_none().then(|| self.record.borrow().since)
    }

    /// The way to the guard that it is linked to.
    pub fn route(&self) -> Option<Route> {
        self.link()?;
        self.record.borrow().route.clone()
    }

    /// Behaves in another way from the next link on.
    pub fn change(&self, settings: PlaceSettings) {
        self.settings.replace(settings);
    }

    /// Ends the link once nothing is owed on it, and opens no other.
    pub fn retire(&self) {
        self.retired.set(true);
        self.links().iter().for_each(|link| link.retire());
        self.retiring.notify_one();
    }

    /// What it is like.
    pub fn shown(&self, worker: usize, index: usize, now: Instant) -> lanes::Shown {
        let (link, record) = (self.link(), self.record.borrow());
        let load = link.as_ref().map(|link| link.load()).unwrap_or_default();
        let trip = link.as_ref().and_then(|link| link.round_trip());
        lanes::Shown {
            guard: link.as_ref().and_then(|_| record.url.clone()),
            round_trip_seconds: trip.map(|trip| trip.time.as_secs_f64()),
            clock_offset_seconds: trip.map(|trip| trip.offset),
            worker,
            link: index,
            bulk: false,
            state: if link.is_some() { "up" } else { "down" }.into(),
            for_seconds: now.saturating_duration_since(record.since).as_secs_f64(),
            lane: link.map(|link| link.id().0),
            requests: load.requests,
            unsent_bytes: load.bytes,
            connected: record.links,
            fencing: self.leaving.borrow().len(),
            last_fault: record.last_fault.clone(),
        }
    }

    /// Keeps a link up to the guard that serves, until the place is retired and nothing is owed on any link.
    pub async fn keep_up(self: Rc<Self>, events: Rc<impl Events>, mut random: fastrand::Rng) {
        let hello = Hello {
            instance: random.u64(..),
            // Each place has one of its own: the ids of a process are given once.
            slot: self.ids.next().0 as u32,
            // Another one for each link.
            generation: 0,
            name: Some(self.name.clone()),
            release: Bytes::from_static(env!("CARGO_PKG_VERSION").as_bytes()),
        };
        let mut running: Vec<JoinHandle<()>> = Vec::new();
        while !self.retired.get() {
            let opened = tokio::select! {
                opened = self.seek(&hello, &events) => opened,
                () = self.retiring.notified() => continue,
            };
            let link = self.begin(&opened);
            events.changed();
            running.retain(|task| !task.is_finished());
            running.push(spawn_local(Rc::clone(&self).carry(
                Rc::clone(&link),
                opened,
                Rc::clone(&events),
            )));
            link.stops_serving().await;
            if let Some(link) = self.link.take().filter(|link| !link.is_over()) {
                // What is under way there may be answered behind what is asked elsewhere.
                self.leaving.borrow_mut().push(link);
                events.handed_over();
            }
        }
        for task in running {
            let _ = task.await;
        }
    }

    /// Puts a link into the place.
    fn begin(&self, opened: &Opened) -> Rc<Link<P>> {
        let settings = self.settings.borrow().clone();
        let limits = LinkLimits {
            requests_max: settings.requests_max.min(opened.welcome.asks_max as usize),
            bytes_max: settings.bytes_max,
            reply: settings.reply,
            patience: settings.connect_timeout,
        };
        let (clock, clients) = (Arc::clone(&self.clock), Rc::clone(&self.clients));
        let link = Rc::new(Link::new(self.ids.next(), limits, clock, clients));
        *self.link.borrow_mut() = Some(Rc::clone(&link));
        let mut record = self.record.borrow_mut();
        record.since = now();
        record.links += 1;
        record.route = Some(opened.route.clone());
        record.url = Some(opened.url.clone());
        if self.retired.get() {
            link.retire();
        }
        link
    }

    /// Has a link carry requests until it is out of service.
    async fn carry<E: Events>(self: Rc<Self>, link: Rc<Link<P>>, opened: Opened, events: Rc<E>) {
        let instance = opened.welcome.instance;
        let fault = link.run(opened, &events).await;
        let had_place = self
            .link
            .borrow()
            .as_ref()
            .is_some_and(|current| Rc::ptr_eq(current, &link));
        if had_place {
            let mut record = self.record.borrow_mut();
            record.since = now();
            record.last_fault = Some(fault.to_string());
        }
        link.is_at_its_end();
        self.leaving.borrow_mut().retain(|one| !Rc::ptr_eq(one, &link));
        events.unlinked(instance, link.id(), &fault, had_place);
        for (lost, completion) in link.abandon() {
            completion.lost(lost);
        }
        events.batch_done();
    }

    /// Asks each guard again and again until one of them serves. One that does not answer holds up none of the others.
    async fn seek<E: Events>(self: &Rc<Self>, hello: &Hello, events: &Rc<E>) -> Opened {
        let mut seeking = JoinSet::new();
        for (turn, at) in (0..).zip(self.guards.iter()) {
            seeking.spawn_local(Rc::clone(self).ask(at.clone(), hello.clone(), Rc::clone(events), STAGGER * turn));
        }
        loop {
            let Some(Ok((at, opened))) = seeking.join_next().await else {
                // Each of them goes on until it has found one.
                std::future::pending::<()>().await;
                continue;
            };
            match events.linked(&opened.welcome, opened.asked) {
                Ok(()) => return opened,
                Err(fault) => {
                    self.failed(&at, &fault, &**events);
                    seeking.spawn_local(Rc::clone(self).ask(at, hello.clone(), Rc::clone(events), PAUSE));
                }
            }
        }
    }

    /// Asks one guard until it serves.
    async fn ask<E: Events>(self: Rc<Self>, at: At, mut hello: Hello, events: Rc<E>, pause: Duration) -> (At, Opened) {
        sleep(pause).await;
        loop {
            hello.generation = self.generation.get() + 1;
            self.generation.set(hello.generation);
            let patience = self.settings.borrow().connect_timeout;
            let opened = timeout(patience, open(&at, &hello)).await;
            match opened.unwrap_or(Err(OpenFault::Timeout)) {
                Ok(opened) if opened.welcome.standing == Standing::Serves => return (at, opened),
                Ok(_) => self.failed(&at, &OpenFault::Waits, &*events),
                Err(fault) => self.failed(&at, &fault, &*events),
            }
            sleep(PAUSE).await;
        }
    }

    fn failed(&self, at: &At, fault: &OpenFault, events: &impl Events) {
        self.record.borrow_mut().last_fault = Some(format!("{at}: {fault}"));
        events.link_failed(&at.url, fault);
    }
}
