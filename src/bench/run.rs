//! What all threads of a measurement share, and when what is done.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Fault;
use super::check::Checker;
use super::clock::Clock;
use super::oracle::Oracle;
use super::trouble::Trouble;
use crate::client::Connection;
use crate::client::place::Place;
use crate::config::{End, Load};
use crate::protocol::tyrant::limits::Limits;

/// When what is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// From here on requests are sent.
    pub begin: Instant,
    /// From here on they are measured.
    pub measure_from: Instant,
    /// Here they end; nothing where their number ends them.
    pub end: Option<Instant>,
}

impl Plan {
    fn from_now(load: &Load) -> Self {
        let begin = Instant::now();
        let measure_from = begin + load.warmup;
        Self {
            begin,
            measure_from,
            end: match load.end {
                End::After(duration) => Some(measure_from + duration),
                End::Requests(_) => None,
            },
        }
    }

    /// Whether a request that is meant to start then is measured.
    pub fn measures(&self, intended: Instant) -> bool {
        intended >= self.measure_from && self.end.is_none_or(|end| intended < end)
    }
}

/// What all threads of a measurement share.
#[derive(Debug)]
pub(super) struct Run {
    pub place: Place,
    pub load: Load,
    /// The first of its keys.
    pub first_key: u32,
    pub clock: Clock,
    pub oracle: Arc<Oracle>,
    pub checker: Checker,
    /// Set to end before the plan does.
    pub stop: AtomicBool,
    /// Requests that were answered or, where no answer is owed, sent: of the filling and the warm-up too.
    pub done: AtomicU64,
    /// Requests that may still be measured, where their number ends the measurement.
    turns: AtomicU64,
    /// The next key that is to have a first record.
    filled: AtomicU32,
    plan: OnceLock<Plan>,
    fault: Mutex<Option<Fault>>,
}

impl Run {
    pub fn new(place: Place, load: Load, first_key: u32, clock: Clock, oracle: Arc<Oracle>) -> Self {
        let turns = match load.end {
            End::After(_) => 0,
            End::Requests(count) => count,
        };
        let checker = Checker {
            base: clock.base(),
            allow_misses: load.allow_misses,
        };
        Self {
            place,
            load,
            first_key,
            clock,
            oracle,
            checker,
            stop: AtomicBool::new(false),
            done: AtomicU64::new(0),
            turns: AtomicU64::new(turns),
            filled: AtomicU32::new(0),
            plan: OnceLock::new(),
            fault: Mutex::new(None),
        }
    }

    /// Takes one of the requests that end the measurement; false when there are no more.
    pub fn take_turn(&self) -> bool {
        let taken = self
            .turns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.is_ok()
    }

    /// Of the requests that end the measurement, those that are left.
    pub fn turns_left(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// The place of the next key that is to have a first record, while there are any.
    pub fn next_to_fill(&self) -> Option<u32> {
        if self.stopped() {
            return None;
        }
        let next = self.filled.fetch_add(1, Ordering::Relaxed);
        (next < self.load.keys).then_some(next)
    }

    /// The plan, made now where none is yet: all clients are ready.
    pub fn begin(&self) -> Plan {
        *self.plan.get_or_init(|| Plan::from_now(&self.load))
    }

    /// The plan, once all clients are ready.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.get()
    }

    /// Connects to the target.
    pub async fn connect(&self) -> Result<Connection, Trouble> {
        connect(&self.place, self.load.timeout).await
    }

    /// Ends all, as it cannot begin: the first fault is the one that is told.
    pub fn fail(&self, doing: &'static str, trouble: Trouble) {
        self.fault
            .lock()
            .get_or_insert(Fault::target(&self.place, doing, trouble));
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Why it could not begin, where that is so.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().take()
    }

    /// Whether all is to end now.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Opens one connection.
pub(super) async fn connect(place: &Place, patience: Duration) -> Result<Connection, Trouble> {
    let deadline = Instant::now() + patience;
    Ok(Connection::connect(place.route(), Limits::REPLY, Some(deadline)).await?)
}

/// How long nothing may be answered before all ends.
pub(super) fn patience(load: &Load) -> Duration {
    load.timeout * 2
}
