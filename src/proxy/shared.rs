//! What all workers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::inquiry::Inquiries;
use super::records::HiddenCount;
use super::waiting::Notice;
use crate::backend::tyrant::greeting::{Greeting, Instance};
use crate::config::Settings;
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::pairing::LaneIds;

/// Time since the epoch, as the stamps count it.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What is known of the backend from its greetings.
#[derive(Debug)]
struct Backend {
    /// Which run of the server was seen last; `None` before the first.
    instance: Option<Option<Instance>>,
    /// Guarded writes wait until then, for what a former process of ours may have left in the server's buffers.
    hold_until: Option<Instant>,
}

/// What all workers share: the guard, the settings, the metrics, and what is known of the backend.
pub struct Shared {
    /// The judge.
    pub guard: Guard<Notice>,
    /// What the operator decided.
    pub settings: Settings,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How many records are hidden.
    pub hidden: HiddenCount,
    /// The clock that stamps are held against.
    pub clock: Clock,
    /// Where backend connections get their ids from.
    pub lane_ids: Arc<LaneIds>,
    /// Open client connections.
    pub sessions: AtomicUsize,
    /// Lanes that are up.
    pub lanes: AtomicUsize,
    /// Lanes that may still become primed ones.
    primes: AtomicUsize,
    /// Requests on lanes without an answer.
    pub in_flight: AtomicI64,
    /// Bytes of half-received requests, of all sessions.
    pub buffered: AtomicUsize,
    /// Becomes true when the proxy is to stop.
    pub stopping: watch::Sender<bool>,
    /// What operators ask.
    pub inquiries: Inquiries,
    backend: Mutex<Backend>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The state of a proxy that has just started. `hidden` says whether the backend is known to be empty.
    pub fn new(
        settings: Settings,
        guard: Guard<Notice>,
        metrics: Arc<Metrics>,
        hidden: HiddenCount,
        clock: Clock,
    ) -> Arc<Self> {
        let primes = AtomicUsize::new(settings.primed_lanes);
        Arc::new(Self {
            guard,
            settings,
            metrics,
            hidden,
            clock,
            lane_ids: Arc::default(),
            sessions: AtomicUsize::new(0),
            lanes: AtomicUsize::new(0),
            primes,
            in_flight: AtomicI64::new(0),
            buffered: AtomicUsize::new(0),
            stopping: watch::Sender::new(false),
            inquiries: Inquiries::default(),
            backend: Mutex::new(Backend {
                instance: None,
                hold_until: None,
            }),
        })
    }

    /// A lane has greeted the server. When it turns out to be another run than before, nothing that is remembered of it
    /// holds any more: it may have come back empty, or with older records.
    pub fn greeted(&self, greeting: &Greeting, now: Instant) {
        let mut backend = self.backend.lock();
        let is_same = match (&backend.instance, &greeting.instance) {
            (None, _) => {
                backend.hold_until = Some(now + self.settings.pairing.start_hold);
                true
            }
            (Some(Some(before)), Some(now)) => before.is_same_run(now),
            _ => false,
        };
        backend.instance = Some(greeting.instance.clone());
        drop(backend);
        if !is_same {
            tracing::warn!("the backend was started again: everything that was known of its records is forgotten");
            self.guard.distrust_everything((self.clock)());
            self.hidden.doubt();
        }
    }

    /// Whether one lane more may be primed.
    pub fn take_prime(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.primes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// Until when guarded writes wait after a start; nothing when that is over.
    pub fn hold_until(&self, now: Instant) -> Option<Instant> {
        let mut backend = self.backend.lock();
        if backend.hold_until.is_some_and(|until| until <= now) {
            backend.hold_until = None;
        }
        backend.hold_until
    }

    /// Whether the proxy is to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Sets the gauges that mirror state.
    pub fn refresh_gauges(&self) {
        let metrics = &self.metrics;
        let ledger = self.guard.ledger();
        metrics.sessions.set(self.sessions.load(Ordering::Relaxed) as f64);
        metrics.lanes.set(self.lanes.load(Ordering::Relaxed) as f64);
        metrics.in_flight.set(self.in_flight.load(Ordering::Relaxed) as f64);
        metrics.buffered.set(self.buffered.load(Ordering::Relaxed) as f64);
        metrics.ledger_entries.set(ledger.len() as f64);
        metrics.ledger_bytes.set(ledger.bytes() as f64);
        metrics.ledger_evicted.absolute(ledger.evicted());
        metrics.pending_keys.set(self.guard.pending() as f64);
        metrics.horizon_age.set(self.horizon_age());
    }

    /// Now minus the horizon, in seconds; 0 where stamps are no time.
    fn horizon_age(&self) -> f64 {
        let (format, horizon) = (self.guard.rules().stamp, self.guard.ledger().horizon());
        let Some(now) = format.at((self.clock)()) else {
            return 0.0;
        };
        let ahead = format.between(now, horizon).unwrap_or_default();
        let behind = format.between(horizon, now).unwrap_or_default();
        behind.as_secs_f64() - ahead.as_secs_f64()
    }
}
