//! A worker's links to a server, from its start to its end.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::dedicated::Dedicated;
use super::fence::{LastSeen, fence};
use super::lane::{Lane, LaneFault, LaneLimits, LaneLoad};
use super::link::{Link, LinkSettings};
use crate::client::route::Route;
use crate::config::Settings;
use crate::recent::lanes;
use crate::store::Opening;
use crate::store::completion::Completion;
use crate::store::events::Events;

/// A lane is handed over for a value that is so many times as large as what counts as large: for less, a new connection
/// costs more than the others wait.
const HAND_OVER: usize = 32;

fn lane_limits(settings: &Settings) -> LaneLimits {
    LaneLimits {
        requests_max: settings.limits.lane_queue,
        bytes_max: settings.limits.request.frame_max,
        reply: settings.limits.reply,
        large: Some(settings.bulk_size.saturating_mul(HAND_OVER)),
        priming: None,
    }
}

/// The links of one worker.
#[derive(Debug)]
pub struct Links<P> {
    all: Vec<Rc<Link<P>>>,
    /// How many of them are for more than large values.
    lanes: usize,
    last_seen: Rc<LastSeen>,
    /// What keeps each lane up, once it has begun.
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl<P: Completion> Links<P> {
    /// None of their lanes is up yet.
    pub fn new(opening: &Opening<'_>) -> Self {
        let settings = opening.settings;
        let link = LinkSettings {
            route: opening.route.clone(),
            ids: Arc::clone(opening.ids),
            lane: lane_limits(settings),
            connect_timeout: settings.pairing.connect_timeout,
            fence_timeout: settings.pairing.fence_timeout,
            tenure: Arc::clone(opening.tenure),
        };
        let link = |index| {
            let mut link = link.clone();
            if index >= settings.lanes {
                // What is large holds up only what is large too.
                link.lane.large = None;
            } else if (opening.take_prime)() {
                link.lane.priming = Some(settings.pairing.request_timeout);
            }
            Rc::new(Link::new(link))
        };
        Self {
            all: (0..settings.links()).map(link).collect(),
            lanes: settings.lanes,
            last_seen: Rc::default(),
            tasks: RefCell::default(),
        }
    }

    /// Begins to keep the lanes up.
    pub fn keep_up(&self, events: &Rc<impl Events>, mut random: impl FnMut() -> fastrand::Rng) {
        let keep_up = |link: &Rc<Link<P>>| {
            let last_seen = Rc::clone(&self.last_seen);
            spawn_local(Rc::clone(link).keep_up(Rc::clone(events), last_seen, random()))
        };
        self.tasks.replace(self.all.iter().map(keep_up).collect());
    }

    /// The lane of a link, while one is up.
    pub fn lane(&self, link: usize) -> Option<Rc<Lane<P>>> {
        self.all.get(link)?.lane()
    }

    /// Since when a link's lane has been down; nothing while it is up.
    pub fn down_since(&self, link: usize) -> Option<Instant> {
        self.all.get(link)?.down_since()
    }

    /// How the server is reached.
    pub fn route(&self) -> Option<Route> {
        self.all.first().map(|link| link.route())
    }

    /// Works by other settings, and reaches the server by this route.
    pub fn change(&self, settings: &Settings, route: &Route) {
        for link in &self.all {
            link.change(|link| {
                link.route.clone_from(route);
                link.lane = LaneLimits {
                    priming: link.lane.priming.map(|_| settings.pairing.request_timeout),
                    large: link.lane.large.and(lane_limits(settings).large),
                    ..lane_limits(settings)
                };
                link.connect_timeout = settings.pairing.connect_timeout;
                link.fence_timeout = settings.pairing.fence_timeout;
            });
        }
    }

    /// Has the lanes ask their server for a sign of life by then.
    pub fn ask_for_proof(&self, deadline: Instant) {
        for lane in self.all.iter().filter_map(|link| link.lane()) {
            lane.ask_for_proof(deadline);
        }
    }

    /// Stops at once what is on its way on any lane.
    pub fn depose(&self) {
        for lane in self.all.iter().flat_map(|link| link.lanes()) {
            lane.depose();
        }
    }

    /// The most that any lane holds.
    pub fn fullest(&self) -> LaneLoad {
        let loads = self.all.iter().filter_map(|link| Some(link.lane()?.load()));
        loads.fold(LaneLoad::default(), LaneLoad::max)
    }

    /// What the lanes of this worker are like.
    pub fn shown(&self, worker: usize, now: Instant) -> Vec<lanes::Shown> {
        let shown = |(index, link): (usize, &Rc<Link<P>>)| {
            let (record, lane) = (link.record(), link.lane());
            let load = lane.as_ref().map(|lane| lane.load()).unwrap_or_default();
            lanes::Shown {
                worker,
                link: index,
                bulk: index >= self.lanes,
                state: if lane.is_some() { "up" } else { "down" }.into(),
                for_seconds: now.saturating_duration_since(record.since).as_secs_f64(),
                lane: lane.map(|lane| lane.id().0),
                requests: load.requests,
                unsent_bytes: load.bytes,
                connected: record.connected,
                fencing: record.fencing,
                last_fault: record.last_fault,
                guard: None,
                round_trip_seconds: None,
                clock_offset_seconds: None,
            }
        };
        self.all.iter().enumerate().map(shown).collect()
    }

    /// Ends each lane once nothing is owed on it, and waits until the server is done with it: for so long at most. Whether
    /// it was with all of them.
    pub async fn retire(&self, patience: Duration) -> bool {
        let mut ended = true;
        for (link, task) in self.all.iter().zip(self.tasks.take()) {
            link.retire();
            ended &= timeout(patience, task).await.is_ok();
        }
        ended
    }

    /// Drops what is in flight, as the end of the process does.
    pub fn abandon(&self) {
        self.tasks.take();
        for lane in self.all.iter().flat_map(|link| link.lanes()) {
            lane.abandon().for_each(drop);
        }
    }

    /// Waits until the server is done with a connection of its own: for so long at most. Whether it was.
    pub async fn fence(&self, dedicated: Dedicated, fault: &LaneFault, patience: Duration) -> bool {
        let Dedicated { reader, writer } = dedicated;
        fence(reader, writer, fault, None, &self.last_seen, patience).await
    }
}
