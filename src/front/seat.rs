//! The seats of clients: not more than there may be, of one host and in all.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::config::{ListenerSettings, Settings};
use crate::engine::shared::Shared;
use crate::front::admission::Place;
use crate::front::gate::Gate;
use crate::logging::RateLimit;
use crate::metrics::CloseReason;
use crate::transport::{Host, Peer};

/// One client's place among all clients, and among those of its host, given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    shared: Arc<Shared>,
    _place: Place,
}

impl Seat {
    /// A seat for a client of this host.
    ///
    /// # Errors
    /// When there are too many, and of whom.
    pub fn take(gate: &Gate, settings: &Settings, host: Host) -> Result<Self, CloseReason> {
        let shared = &gate.shared;
        let Some(place) = gate.admission.enter(host, settings.limits.sessions_per_client) else {
            note_full(host);
            return Err(CloseReason::ClientLimit);
        };
        let sessions = shared.sessions.fetch_add(1, Ordering::Relaxed);
        let seat = Self {
            shared: Arc::clone(shared),
            _place: place,
        };
        if sessions >= shared.sessions_max(settings) {
            return Err(CloseReason::Limit);
        }
        Ok(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says once in a while that a client has all the sessions that it may have.
fn note_full(host: Host) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    if let Some(suppressed) = LOG.admit(Instant::now()) {
        tracing::warn!(%host, suppressed, "a client has as many sessions as limits.sessions_per_client allows: another was reset");
    }
}

/// Says once in a while who may not connect.
pub fn note_stranger(peer: Peer, listener: &ListenerSettings) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    if let Some(suppressed) = LOG.admit(Instant::now()) {
        let (client, listener) = (peer.host(), &listener.address);
        tracing::warn!(%client, %listener, suppressed, "a connection from a network that may not connect was reset");
    }
}
