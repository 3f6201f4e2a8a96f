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
use crate::transport::Who;

/// One client's place among all clients, and among those of its host, given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    shared: Arc<Shared>,
    _place: Place,
}

impl Seat {
    /// A seat for this client, among those of its host.
    ///
    /// # Errors
    /// When there are too many, and of whom.
    pub fn take(gate: &Gate, settings: &Settings, who: &Who) -> Result<Self, CloseReason> {
        let shared = &gate.shared;
        let Some(place) = gate
            .admission
            .enter(who.peer.host(), settings.limits.sessions_per_client)
        else {
            note_full(who);
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

    /// A seat for a client of an edge's, where it may connect to a listener with these settings.
    ///
    /// # Errors
    /// When it may not, or there are too many, and of whom.
    pub fn through_an_edge(gate: &Gate, listener: &ListenerSettings, who: &Who) -> Result<Self, CloseReason> {
        if listener.networks.admit(who.peer) {
            return Self::take(gate, &gate.shared.settings(), who);
        }
        note_stranger(who, listener);
        Err(CloseReason::Network)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Says once in a while that a client has all the sessions that it may have.
fn note_full(who: &Who) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    if let Some(suppressed) = LOG.admit(Instant::now()) {
        let (host, edge) = (who.peer.host(), who.edge().map(tracing::field::display));
        tracing::warn!(%host, edge, suppressed, "a client has as many sessions as limits.sessions_per_client allows: another was reset");
    }
}

/// Says once in a while who may not connect.
pub fn note_stranger(who: &Who, listener: &ListenerSettings) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    if let Some(suppressed) = LOG.admit(Instant::now()) {
        let (client, listener) = (who.peer.host(), &listener.address);
        let edge = who.edge().map(tracing::field::display);
        tracing::warn!(%client, edge, %listener, suppressed, "a connection from a network that may not connect was reset");
    }
}
