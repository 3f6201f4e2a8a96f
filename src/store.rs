//! Carries commands to a store.
//!
//! A store is given whole [commands](crate::command::Command) and gives whole replies. What may be sent, and in which
//! order, is decided before: nothing here knows a stamp.
//!
//! This file is all that the engine asks of any store. Each is a module of its own: a [Tyrant server](tyrant), and the
//! [stores in this process](embedded), in memory and in a file; and for an edge, the [guards] that judge for it. A further one is a module, a variant of [`Store`] and of
//! [`Via`], and a name in [`BackendUrl`]; the compiler says where the variants are missing, which is in this file alone.
//!
//! - A route is asked for with the key that it is for, since a store may have more than one place.
//! - What a store can do is said by its [`Capabilities`], and what becomes of a request by its
//!   [`Completion`]; of what happens to the store itself [`Events`] tells.
//! - To the guard each way is a lane: what is put on it is carried out in that order.

pub mod capabilities;
pub mod completion;
pub mod embedded;
pub mod events;
pub mod guards;
pub mod tyrant;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{spawn_blocking, spawn_local};

use self::capabilities::Capabilities;
use self::completion::Completion;
pub use self::embedded::OpenError;
use self::embedded::line::{Line, LineLimits};
use self::embedded::{Embedded, Fault};
use self::events::Events;
use self::guards::link::Link;
use self::guards::{Asking, At, Guards};
use self::tyrant::lane::{Lane, LaneLoad};
use self::tyrant::links::Links;
use self::tyrant::names;
use crate::claim::Tenure;
use crate::client::route::Route;
use crate::clock::{Clock, now};
use crate::command::{Command, Reply};
use crate::config::{BackendUrl, Settings, StoreSettings};
use crate::pairing::owed::Lost;
use crate::pairing::{LaneId, LaneIds};
use crate::protocol::link::printable::Printable;
use crate::protocol::outgoing::Outgoing;
use crate::recent::lanes;
use crate::transport::tls::Trusted;

/// Descriptors of a store in a file, with its log and a copy of it under way.
const FILE_DESCRIPTORS: u64 = 12;

/// The store of a process, before its workers have their ways to it.
#[derive(Clone, Debug)]
pub enum Opened {
    /// In this process.
    Here(Arc<Embedded>),
    /// A server, which each worker connects to.
    Server,
    /// Guards that judge for this process.
    Guards,
}

/// What a worker's way to the store is made of.
pub struct Opening<'a> {
    /// What the operator decided.
    pub settings: &'a Settings,
    /// How a server is reached.
    pub route: Route,
    /// The guards of an edge; none for others.
    pub guards: &'a Arc<[At]>,
    /// What this process calls itself, for people.
    pub name: &'a Printable,
    /// Where lanes get their ids from.
    pub ids: &'a Arc<LaneIds>,
    /// For how long this process may write to a server.
    pub tenure: &'a Arc<Tenure>,
    /// The time that values with a lifetime are held against.
    pub clock: &'a Clock,
    /// Takes one of the primed lanes, while some are left.
    pub take_prime: &'a dyn Fn() -> bool,
}

impl Opened {
    /// Opens the store that the settings name.
    ///
    /// # Errors
    /// When its file cannot be used.
    pub fn open(settings: &Settings, store: &StoreSettings) -> Result<Self, OpenError> {
        if settings.is_edge() {
            return Ok(Self::Guards);
        }
        Ok(match &settings.backend {
            BackendUrl::Memory => Self::Here(Arc::new(Embedded::new())),
            BackendUrl::File(path) => Self::Here(Arc::new(Embedded::open(path, store)?)),
            BackendUrl::Tyrant(_) | BackendUrl::Tyrants(_) => Self::Server,
        })
    }

    /// Whether it is known to hold nothing.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Here(store) => store.is_empty().unwrap_or(false),
            Self::Server | Self::Guards => false,
        }
    }

    /// The store as one worker knows it.
    pub fn store<P: Completion>(&self, opening: &Opening<'_>) -> Store<P> {
        match self {
            Self::Here(store) => {
                let (clock, limits) = (Arc::clone(opening.clock), line_limits(opening.settings));
                match Line::new(Arc::clone(store), limits, Arc::clone(opening.ids)) {
                    Some(line) => Store::File(Rc::new(line), clock),
                    None => Store::Memory(Memory {
                        store: Arc::clone(store),
                        lane: opening.ids.next(),
                        clock,
                    }),
                }
            }
            Self::Server => Store::Tyrant(Links::new(opening)),
            Self::Guards => Store::Guards(Guards::new(opening)),
        }
    }
}

/// The way to a backend that needs no look-up; nowhere for others. `trusted` is for one that is spoken to by TLS.
pub fn direct_route(backend: &BackendUrl, trusted: &Arc<Trusted>) -> Route {
    let route = match backend {
        BackendUrl::Tyrant(address) => names::direct(address),
        BackendUrl::Tyrants(host_port) => host_port.parse().ok().map(|at| Route::to(at, Some(trusted))),
        BackendUrl::Memory | BackendUrl::File(_) => None,
    };
    route.unwrap_or(Route::Nowhere)
}

/// Lanes of all workers that should be up, or links of an edge; none for a store in this process.
pub fn lanes_wanted(settings: &Settings) -> usize {
    match settings.backend {
        _ if settings.is_edge() => settings.lanes * settings.workers,
        BackendUrl::Memory | BackendUrl::File(_) => 0,
        BackendUrl::Tyrant(_) | BackendUrl::Tyrants(_) => settings.links() * settings.workers,
    }
}

/// Descriptors that all workers' ways to the store take at most.
pub fn descriptors(settings: &Settings) -> u64 {
    match settings.backend {
        BackendUrl::Memory => 0,
        BackendUrl::File(_) => FILE_DESCRIPTORS,
        // One that is given up is kept until its end is seen, and another one is opened meanwhile.
        BackendUrl::Tyrant(_) | BackendUrl::Tyrants(_) => {
            (settings.workers * (2 * settings.links() + settings.limits.slow_connections)) as u64
        }
    }
}

fn line_limits(settings: &Settings) -> LineLimits {
    LineLimits {
        requests_max: settings.limits.lane_queue,
        bytes_max: settings.limits.request.frame_max,
    }
}

/// The store in memory. The id stands for the worker, so that the guard keeps workers apart.
#[derive(Clone)]
pub struct Memory {
    store: Arc<Embedded>,
    lane: LaneId,
    clock: Clock,
}

/// The store of one worker.
pub enum Store<P> {
    /// In memory, by this process.
    Memory(Memory),
    /// In a file, by this process.
    File(Rc<Line<P>>, Clock),
    /// A Tyrant server.
    Tyrant(Links<P>),
    /// Guards that judge.
    Guards(Guards<P>),
}

impl<P> std::fmt::Debug for Store<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::File(..) => "File",
            Self::Tyrant(_) => "Tyrant",
            Self::Guards(_) => "Guards",
        })
    }
}

/// Where a request can be put right now.
pub enum Via<P> {
    /// Carried out on the spot.
    Memory(Memory),
    /// On its way to the file.
    File(Rc<Line<P>>, Clock),
    /// A lane that is up and has room.
    Lane(Rc<Lane<P>>),
    /// A link that is up and has room: for whole requests, by [`Via::ask`].
    Link(Rc<Link<P>>),
}

impl<P: Completion> std::fmt::Debug for Via<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Via").field(&self.id()).finish()
    }
}

/// What the engine asks of the store itself.
impl<P: Completion> Store<P> {
    /// Begins to keep its ways up, and tells what happens to them.
    pub fn start(&self, events: &Rc<impl Events>, random: impl FnMut() -> fastrand::Rng) {
        match self {
            Self::Memory(_) => {}
            Self::File(line, _) => drop(spawn_local(Rc::clone(line).attend(Rc::clone(events)))),
            Self::Tyrant(links) => links.keep_up(events, random),
            Self::Guards(guards) => guards.keep_up(events, random),
        }
    }

    /// What it can do, where that is known before it is reached.
    pub fn capabilities(&self) -> Option<Capabilities> {
        match self {
            Self::Memory(_) | Self::File(..) => Some(Capabilities::EMBEDDED),
            Self::Tyrant(_) | Self::Guards(_) => None,
        }
    }

    /// The way for a client of this link, where there is one with room for so many requests now. `key` is what they are
    /// about, where that is one key: each of today's stores has one place for all of them.
    pub fn via(&self, link: usize, _key: Option<&[u8]>, requests: usize) -> Option<Via<P>> {
        match self {
            Self::Memory(memory) => Some(Via::Memory(memory.clone())),
            Self::File(line, clock) => {
                let via = || Via::File(Rc::clone(line), Arc::clone(clock));
                line.has_room(requests).then(via)
            }
            Self::Tyrant(links) => {
                let lane = links.lane(link)?;
                lane.has_room(requests).then_some(Via::Lane(lane))
            }
            Self::Guards(guards) => {
                let link = guards.link(link)?;
                link.has_room(requests).then_some(Via::Link(link))
            }
        }
    }

    /// The store, where it is in this process, and the id that the guard knows the way to it by.
    pub fn here(&self) -> Option<(Arc<Embedded>, LaneId)> {
        match self {
            Self::Memory(memory) => Some((Arc::clone(&memory.store), memory.lane)),
            Self::File(line, _) => Some((Arc::clone(line.store()), line.id())),
            Self::Tyrant(_) | Self::Guards(_) => None,
        }
    }

    /// The links to a server, where it is one.
    pub fn links(&self) -> Option<&Links<P>> {
        match self {
            Self::Memory(_) | Self::File(..) | Self::Guards(_) => None,
            Self::Tyrant(links) => Some(links),
        }
    }

    /// The guards that judge, where they do.
    pub fn guards(&self) -> Option<&Guards<P>> {
        match self {
            Self::Memory(_) | Self::File(..) | Self::Tyrant(_) => None,
            Self::Guards(guards) => Some(guards),
        }
    }

    /// Whether this change is one for another thread: see [`Via::submit_alone`].
    pub fn takes_long(&self, command: &Command) -> bool {
        match self {
            Self::Memory(memory) => memory.store.takes_long(command),
            Self::File(..) | Self::Tyrant(_) | Self::Guards(_) => false,
        }
    }

    /// How a server is reached, where there is one.
    pub fn route(&self) -> Option<Route> {
        match self {
            Self::Guards(guards) => guards.route(),
            _ => self.links()?.route(),
        }
    }

    /// Since when the way of a link has been down; nothing while it is up.
    pub fn down_since(&self, link: usize) -> Option<Instant> {
        match self {
            Self::Guards(guards) => guards.down_since(link),
            _ => self.links()?.down_since(link),
        }
    }

    /// Whether the way of a link is up, with room or without.
    pub fn is_up(&self, link: usize) -> bool {
        match self {
            Self::Guards(guards) => guards.link(link).is_some(),
            _ => self.links().is_none_or(|links| links.lane(link).is_some()),
        }
    }

    /// Works by other settings from now on, and reaches a server by this route.
    pub fn change(&self, settings: &Settings, route: &Route) {
        match self {
            Self::Memory(_) => {}
            Self::File(line, _) => line.change_limits(line_limits(settings)),
            Self::Tyrant(links) => links.change(settings, route),
            Self::Guards(guards) => guards.change(settings),
        }
    }

    /// The most that any way to it holds.
    pub fn fullest(&self) -> LaneLoad {
        match self {
            Self::Guards(guards) => guards.fullest(),
            _ => self.links().map_or_else(LaneLoad::default, Links::fullest),
        }
    }

    /// What the ways of this worker are like, for the dashboard.
    pub fn shown(&self, worker: usize, now: Instant) -> Vec<lanes::Shown> {
        match self {
            Self::Guards(guards) => guards.shown(worker, now),
            _ => self.links().map_or_else(Vec::new, |links| links.shown(worker, now)),
        }
    }

    /// Ends its ways once nothing is owed on them, each within so long. Whether it is known to be done with all that was
    /// ever sent.
    pub async fn retire(&self, patience: Duration) -> bool {
        match self {
            Self::Memory(_) | Self::File(..) => true,
            Self::Tyrant(links) => links.retire(patience).await,
            Self::Guards(guards) => guards.retire(patience).await,
        }
    }

    /// Drops what is in flight, as the end of the process does.
    pub fn abandon(&self) {
        match self {
            Self::Memory(_) | Self::File(..) => {}
            Self::Tyrant(links) => links.abandon(),
            Self::Guards(guards) => guards.abandon(),
        }
    }
}

/// What the engine asks of a way. To submit gives the bytes that are added to what goes over a wire.
impl<P: Completion> Via<P> {
    /// The id that the guard knows this way by.
    pub fn id(&self) -> LaneId {
        match self {
            Self::Memory(memory) => memory.lane,
            Self::File(line, _) => line.id(),
            Self::Lane(lane) => lane.id(),
            Self::Link(link) => link.id(),
        }
    }

    /// Whether `requests` more may go this way.
    pub fn has_room(&self, requests: usize) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::File(line, _) => line.has_room(requests),
            Self::Lane(lane) => lane.has_room(requests),
            Self::Link(link) => link.has_room(requests),
        }
    }

    /// How many may look keys up this way ahead of their turn: see [`Lane::most_ahead`]. Where every look is answered on
    /// the spot, none has to.
    pub fn most_ahead(&self) -> usize {
        match self {
            Self::Memory(_) | Self::File(..) | Self::Link(_) => 0,
            Self::Lane(lane) => lane.most_ahead(),
        }
    }

    /// Whether a read shares its question with others this way, which then asks for records by their keys.
    pub fn shares_reads(&self, command: &Command) -> bool {
        matches!(
            (self, command),
            (Self::Lane(_), Command::Get { .. } | Command::Mget { .. })
        )
    }

    /// Puts a read on its way that [shares](Self::shares_reads) its question with others; the answer names its keys: see
    /// [`Lane::submit_read`].
    pub fn submit_read(&self, command: &Command, deadline: Instant, completion: P, may_join: bool) -> usize {
        match self {
            Self::Lane(lane) if self.shares_reads(command) => lane.submit_read(deadline, completion, may_join),
            _ => self.submit(command, deadline, completion),
        }
    }

    /// Puts a write on its way which may share its request with others where it goes over a wire: see
    /// [`Lane::submit_write`].
    pub fn submit_write(&self, command: &Command, deadline: Instant, completion: P) -> usize {
        match self {
            Self::Lane(lane) => lane.submit_write(command, deadline, completion),
            Self::Memory(_) | Self::File(..) | Self::Link(_) => self.submit(command, deadline, completion),
        }
    }

    /// As [`Self::submit`], for a change that has its key to itself: where it takes long to store it in memory, that is
    /// done by another thread, and the completion is told later. Nothing of the key can go before it meanwhile.
    pub fn submit_alone(&self, command: &Command, deadline: Instant, completion: P) -> usize {
        let Self::Memory(memory) = self else {
            return self.submit(command, deadline, completion);
        };
        if !memory.store.takes_long(command) {
            return self.submit(command, deadline, completion);
        }
        let (store, command, time) = (Arc::clone(&memory.store), command.clone(), (memory.clock)());
        spawn_local(async move {
            let outcome = spawn_blocking(move || store.execute(&command, time)).await;
            tell(completion, outcome.ok());
        });
        0
    }

    /// Puts a request on its way. With the store in memory its completion is told the answer before this returns.
    pub fn submit(&self, command: &Command, deadline: Instant, completion: P) -> usize {
        match self {
            Self::Lane(lane) => lane.submit(command, deadline, completion),
            Self::File(line, clock) => {
                line.submit(command, clock(), deadline, completion);
                0
            }
            Self::Memory(memory) => {
                let outcome = memory.store.execute(command, (memory.clock)());
                tell(completion, Some(outcome));
                0
            }
            // What guards are asked says who asks: nothing was done of this.
            Self::Link(_) => {
                completion.lost(Lost::Unsent);
                0
            }
        }
    }

    /// Asks a guard a whole request, as its client has asked it. By any other way nothing is done.
    pub fn ask(&self, asking: Asking, command: &Command, deadline: Instant, completion: P) -> usize {
        match self {
            Self::Link(link) => link.submit(asking, command, deadline, completion),
            Self::Memory(_) | Self::File(..) | Self::Lane(_) => {
                completion.lost(Lost::Unsent);
                0
            }
        }
    }

    /// As [`Self::ask`], where the bytes of the command have been put together already.
    pub fn ask_bytes(&self, asking: Asking, command: Outgoing, deadline: Instant, completion: P) -> usize {
        match self {
            Self::Link(link) => link.submit_bytes(asking, command, deadline, completion),
            Self::Memory(_) | Self::File(..) | Self::Lane(_) => {
                completion.lost(Lost::Unsent);
                0
            }
        }
    }
}

/// Tells a completion what came of its request; nothing where nobody knows.
fn tell<P: Completion>(completion: P, outcome: Option<Result<Reply, Fault>>) {
    match outcome {
        Some(Ok(reply)) if completion.accepts(&reply) => completion.answered(reply, 0, now()),
        Some(Ok(_)) | None => completion.lost(Lost::Sent),
        Some(Err(_)) => completion.unanswerable(),
    }
}
