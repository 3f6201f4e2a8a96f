//! What carries requests out, from admission to settlement: one engine for each worker, with its own lanes.
//!
//! Read `state` first: the states of a request, from admission to settlement. A client is known by its `channel`, and has a
//! `pipeline`, which takes its requests up one by one. One of a single exchange is sent from there; what takes several is a
//! `sequence`, and in it `dedicated` is what needs a connection of its own. A `completion` travels with each exchange and
//! knows what its outcome calls for.
//!
//! `write` is every guarded write, whichever way it goes, and `waiting` how one comes back to the guard. `sending` puts
//! requests on their way to the store, and `events` is what happens to that. `look_up` reads keys back ahead of their turn,
//! `apart` is where long work goes, and `memory` bounds what clients and lanes hold.

mod alarm;
pub mod apart;
mod busy_poll;
pub mod channel;
pub mod claiming;
pub mod completion;
pub mod denial;
mod events;
pub mod failure;
pub mod inquiries;
mod inquiry;
mod large_keys;
mod links;
mod look_up;
pub mod memory;
pub mod notice;
mod patience;
pub mod pipeline;
pub mod records;
pub mod request;
pub mod sending;
pub mod sequence;
pub mod shared;
mod sharing;
pub mod stamping;
mod stamps;
pub mod state;
pub mod stint;
pub mod tally;
pub mod waiting;
pub mod whereabouts;
pub mod write;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_local;

use crate::client::route::Route;
use crate::clock::now;
use crate::command::Command;
use crate::config::Settings;
use crate::engine::busy_poll::BusyPoll;
use crate::engine::channel::Client;
use crate::engine::completion::{Completion, Purpose};
use crate::engine::large_keys::LargeKeys;
use crate::engine::memory::{Held, Load};
use crate::engine::sending::{Store, Via};
use crate::engine::shared::{Plan, Shared};
use crate::engine::sharing::Sharing;
use crate::engine::write::settlement::Tickets;
use crate::guard::stamp::StampFormat;
use crate::guard::verdict::Change;
use crate::metrics::WaitCause;
use crate::store::capabilities::Capabilities;
pub use crate::store::guards::fault::OpenFault;
pub use crate::store::guards::{At, Probed, Way, probe};
use crate::store::tyrant::greeting::Run;
pub use crate::store::tyrant::lane::LaneLoad;
pub use crate::store::tyrant::names::{Names, Resolve, System as SystemNames};
pub use crate::store::{OpenError, Opened, descriptors as store_descriptors, direct_route, lanes_wanted};

/// How often those who wait for a claim look whether it is held, in the time after which it is free.
const CLAIM_LOOKS: u32 = 32;

/// How long a write is held before it is asked again whether it may go.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// How long a fence may take beyond the time that it is given.
const FENCE_GRACE: Duration = Duration::from_secs(2);

/// What one worker carries requests out with: its lanes, and what it knows of the store.
#[derive(Debug)]
pub struct Engine {
    pub shared: Arc<Shared>,
    /// A copy of its own: to hold those that all share, workers would have to meet at one counter.
    settings: RefCell<Rc<Settings>>,
    pub store: Store,
    /// The column that carries the stamp in front of a table: the same for as long as the process lives.
    pub stamp_column: Option<String>,
    /// Clients with answers that have not been written yet.
    touched: RefCell<Vec<Rc<dyn Client>>>,
    /// Told when there may be a lane, or room on it, where there was none.
    pub changed: Notify,
    /// Someone waits for room.
    wanting: Cell<bool>,
    /// Connections for slow commands that may still be opened.
    pub slow: Arc<Semaphore>,
    /// Keeps the worker awake while there is work.
    pub busy_poll: BusyPoll,
    /// What its sessions and lanes hold.
    pub held: Held,
    pub sharing: Sharing,
    /// How often a lane has handed over its place: what is under way since before may be on another one than what
    /// follows.
    pub hand_overs: Cell<u64>,
    /// Keys whose values are large, as far as is known.
    pub large_keys: LargeKeys,
    /// Keys that are looked up ahead of their turn.
    pub ahead: Rc<Cell<usize>>,
    /// `mget` has found a record since this run of the server was reached, so it says what there is.
    pub mget_finds: Cell<bool>,
    /// The run that the newest lane has reached.
    run: RefCell<Option<Run>>,
    /// Nothing before the backend was first reached.
    capabilities: Cell<Option<Capabilities>>,
    denies_misc: Cell<bool>,
    /// What the guard of an edge takes for a stamp.
    stamp_of_guard: Cell<Option<StampFormat>>,
    /// The guard of an edge has it give stamps.
    guard_gives: Cell<bool>,
    hold_until: Cell<Option<Instant>>,
    next_link: Cell<usize>,
    next_bulk_link: Cell<usize>,
    random: RefCell<fastrand::Rng>,
    stopping: Cell<bool>,
    stopped: Notify,
    /// The end of some lane was not seen.
    unfenced: Cell<bool>,
}

/// The next number below `count`, in turn.
fn take_turn(next: &Cell<usize>, count: usize) -> usize {
    let turn = next.get();
    next.set((turn + 1) % count);
    turn
}

impl Engine {
    /// Has not begun yet: see [`Self::start`].
    pub fn new(shared: Arc<Shared>, store: Store, random: fastrand::Rng) -> Rc<Self> {
        let settings = shared.settings();
        let busy_poll = BusyPoll::new(settings.busy_poll);
        let slow = Arc::new(Semaphore::new(settings.limits.slow_connections));
        let capabilities = store.capabilities();
        Rc::new(Self {
            shared,
            stamp_column: settings.stamp_column(),
            settings: RefCell::new(Rc::new(Settings::clone(&settings))),
            store,
            touched: RefCell::default(),
            changed: Notify::new(),
            wanting: Cell::new(false),
            slow,
            busy_poll,
            held: Held::default(),
            sharing: Sharing::default(),
            hand_overs: Cell::new(0),
            large_keys: LargeKeys::default(),
            ahead: Rc::default(),
            mget_finds: Cell::new(capabilities.is_some()),
            run: RefCell::default(),
            capabilities: Cell::new(capabilities),
            denies_misc: Cell::new(false),
            stamp_of_guard: Cell::new(None),
            guard_gives: Cell::new(false),
            hold_until: Cell::new(None),
            next_link: Cell::new(0),
            next_bulk_link: Cell::new(0),
            random: RefCell::new(random),
            stopping: Cell::new(false),
            stopped: Notify::new(),
            unfenced: Cell::new(false),
        })
    }

    /// What the operator decided, as of now. A reload replaces it between two steps of this thread.
    pub fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.settings.borrow())
    }

    /// Begins to keep its ways to the store up, and to answer what operators ask.
    pub fn start(self: &Rc<Self>) {
        self.store.start(self, || self.random());
        spawn_local(inquiry::attend(Rc::clone(self)));
        spawn_local(Rc::clone(self).ask_for_proof());
        spawn_local(Rc::clone(self).stop_when_deposed());
    }

    /// Works by this plan from now on.
    pub fn follow(self: &Rc<Self>, plan: &Plan) {
        self.settings.replace(Rc::new(Settings::clone(&plan.settings)));
        let before = self.store.route();
        let moves = |before: Route| before != plan.route && before != Route::Nowhere;
        if !self.is_edge() && before.is_some_and(moves) {
            spawn_local(Rc::clone(self).part_slow_commands());
        }
        self.store.change(&plan.settings, &plan.route);
    }

    /// Has the lanes ask their server for a sign of life, whenever there is doubt.
    async fn ask_for_proof(self: Rc<Self>) {
        let Some(links) = self.store.links() else {
            return;
        };
        let mut doubts = self.shared.doubts.subscribe();
        while doubts.changed().await.is_ok() {
            links.ask_for_proof(now() + self.settings().pairing.request_timeout);
        }
    }

    /// Stops all that is on its way whenever the claim of the store is lost to another.
    async fn stop_when_deposed(self: Rc<Self>) {
        let Some(links) = self.store.links() else {
            return;
        };
        let mut depositions = self.shared.tenure.depositions();
        while depositions.changed().await.is_ok() {
            links.depose();
        }
    }

    /// When to look again whether the claim of the store is held; nothing while it is. Whoever waits for it may wait long,
    /// and many may.
    pub fn unclaimed_until(&self) -> Option<Instant> {
        let looks = || now() + self.settings().claim_timeout / CLAIM_LOOKS;
        (!self.shared.tenure.is_held()).then(looks)
    }

    /// Until when a write waits whose stamp is above the mark of the claim; nothing where it need not, or where the guard
    /// refuses it.
    pub fn below_mark(&self, change: Change<'_>) -> Option<Instant> {
        let (Change::Stamped { stamp, .. } | Change::DeleteAt(stamp)) = change else {
            return None;
        };
        let tenure = &self.shared.tenure;
        if tenure.reaches(stamp) || self.is_ahead(stamp) {
            return None;
        }
        tenure.want(stamp);
        Some(now() + LOOK_AGAIN)
    }

    /// Ends its ways to the store. Whether that is known to be done with all that was ever sent.
    pub async fn retire(&self) -> bool {
        let patience = self.settings().pairing.fence_timeout + FENCE_GRACE;
        self.store.retire(patience).await && !self.unfenced.get()
    }

    /// Lets every session finish what it has begun and end.
    pub fn stop(&self) {
        self.stopping.set(true);
        self.stopped.notify_waiters();
    }

    /// Whether the worker is to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Waits until the worker is to stop. Each worker has a signal of its own, so that sessions of different threads
    /// do not meet at one lock, and hear of it in the order in which they wait.
    pub async fn stopped(&self) {
        if !self.is_stopping() {
            self.stopped.notified().await;
        }
    }

    /// Waits until no slow command is under way.
    pub async fn no_slow_command(&self) {
        let all = u32::try_from(self.settings().limits.slow_connections).unwrap_or(u32::MAX);
        let _ = self.slow.acquire_many(all).await;
    }

    /// Parts with a server that is no longer the backend, as far as slow commands go: those under way end, none begins
    /// before everybody has parted.
    pub async fn part_slow_commands(self: Rc<Self>) {
        let all = u32::try_from(self.settings().limits.slow_connections).unwrap_or(u32::MAX);
        let held = self.slow.acquire_many(all).await;
        self.shared.parted().await;
        drop(held);
    }

    /// A source of random numbers for one task.
    pub fn random(&self) -> fastrand::Rng {
        self.random.borrow_mut().fork()
    }

    /// Whether guards judge for this process, and it carries nothing out by itself.
    pub fn is_edge(&self) -> bool {
        self.store.guards().is_some()
    }

    /// The link for a new session, in turn.
    pub fn next_link(&self) -> usize {
        take_turn(&self.next_link, self.settings().lanes)
    }

    /// The link for a new session's large values, in turn, where these have some of their own: they come after all
    /// others.
    pub fn next_bulk_link(&self) -> Option<usize> {
        let Settings { lanes, bulk_lanes, .. } = *self.settings();
        (bulk_lanes > 0 && !self.is_edge()).then(|| lanes + take_turn(&self.next_bulk_link, bulk_lanes))
    }

    /// The way to the store with room for `requests`; without one the caller waits for [`Engine::changed`].
    pub fn via(&self, link: usize, key: Option<&[u8]>, requests: usize) -> Option<Via> {
        let via = self.store.via(link, key, requests);
        if via.is_none() {
            self.wanting.set(true);
            let cause = if self.store.is_up(link) {
                WaitCause::QueueFull
            } else {
                WaitCause::LaneDown
            };
            self.shared.metrics.waits.of(cause).increment(1);
        }
        via
    }

    /// The way to the store for those who do not wait for it.
    pub fn via_now(&self, link: usize, key: Option<&[u8]>) -> Option<Via> {
        self.store.via(link, key, 0)
    }

    /// From when on a link's lane is not waited for any more; nothing while it is up.
    pub fn gives_up_at(&self, link: usize) -> Option<Instant> {
        let down_since = self.store.down_since(link)?;
        Some(down_since + self.settings().pairing.fail_fast_after)
    }

    /// Until when guarded writes are held back; nothing when they are not.
    pub fn hold_until(&self) -> Option<Instant> {
        let until = self.held_until()?;
        self.shared.metrics.waits.of(WaitCause::StartHold).increment(1);
        Some(until)
    }

    /// The same for those who do not wait for it.
    pub fn held_until(&self) -> Option<Instant> {
        if let Some(until) = self.unclaimed_until() {
            return Some(until);
        }
        let until = self.hold_until.get()?;
        let now = now();
        if until <= now {
            self.hold_until.set(self.shared.hold_until(now));
        }
        self.hold_until.get()
    }

    /// What the store can do. To be asked where [`Self::knows_backend`].
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities.get().unwrap_or(Capabilities::UNKNOWN)
    }

    /// Whether the backend answers `misc` without doing anything.
    pub fn denies_misc(&self) -> bool {
        self.denies_misc.get()
    }

    /// Whether the backend has been reached, so that it is known what its commands mean.
    pub fn knows_backend(&self) -> bool {
        self.capabilities.get().is_some()
    }

    /// A session or a lane holds something else now than before.
    pub fn holds(&self, before: Load, now: Load) {
        let settings = self.settings.borrow();
        let memory = &self.shared.memory;
        self.held
            .change(before, now, memory, &settings.limits, settings.workers);
    }

    /// Takes note that a client has answers to be written.
    pub fn touch(&self, client: Rc<dyn Client>) {
        self.touched.borrow_mut().push(client);
    }

    /// Writes what clients are told.
    pub fn flush_touched(&self) {
        let touched = std::mem::take(&mut *self.touched.borrow_mut());
        for client in &touched {
            client.flush();
        }
        // Keeps the allocation.
        let mut slot = self.touched.borrow_mut();
        if slot.is_empty() {
            *slot = touched;
            slot.clear();
        }
    }

    /// What travels with this command, and what its outcome calls for.
    pub fn completion(
        self: &Rc<Self>,
        command: &Command,
        tickets: Tickets,
        purpose: Purpose,
        now: Instant,
    ) -> Completion {
        Completion {
            engine: Rc::clone(self),
            verb: command.verb(),
            queued: now,
            tickets,
            purpose,
        }
    }
}
