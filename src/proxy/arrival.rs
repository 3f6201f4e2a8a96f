//! From a connection to a session: who may come in, and, where it is spoken, the handshake of TLS.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::spawn_local;
use tokio::time::timeout;

use super::crew::Crew;
use super::session::LINGER;
use crate::config::ListenerSettings;
use crate::logging::RateLimit;
use crate::metrics::CloseReason;
use crate::transport::tls::Identity;
use crate::transport::{self, Peer, Reader, Writer};

impl Crew {
    /// Serves a client that has connected to a listener with these settings.
    pub fn open(&self, reader: Reader, writer: Writer, listener: Arc<ListenerSettings>) {
        if let Some(writer) = self.admit(writer, &listener) {
            self.serve(reader, writer, listener);
        }
    }

    /// As [`Self::open`], for a client that has to speak by TLS.
    pub fn open_encrypted(
        self: &Rc<Self>,
        reader: Reader,
        writer: Writer,
        listener: Arc<ListenerSettings>,
        identity: &Identity,
    ) {
        let Some(writer) = self.admit(writer, &listener) else {
            return;
        };
        let Ok((mut reader, writer)) = transport::encrypted(reader, writer, identity) else {
            return self.turn_away(CloseReason::Tls);
        };
        let crew = Rc::clone(self);
        spawn_local(async move {
            let worker = &crew.worker;
            let patience = worker.settings().pairing.frame_timeout;
            let shaken = tokio::select! {
                biased;
                () = worker.stopped() => Err(io::ErrorKind::ConnectionAborted.into()),
                shaken = timeout(patience, reader.shake_hands()) => {
                    shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                }
            };
            match shaken {
                Ok(()) => crew.serve(Reader::Tls(reader), writer, listener),
                Err(error) => {
                    note_no_tls(&error, writer.peer(), &listener);
                    // The client may have been told what is wrong.
                    writer.acknowledged(LINGER).await;
                    writer.reset();
                    crew.turn_away(CloseReason::Tls);
                }
            }
        });
    }

    /// Counts a client that has connected, unless it may not.
    fn admit(&self, writer: Writer, listener: &ListenerSettings) -> Option<Writer> {
        let shared = &self.worker.shared;
        let metrics = &shared.metrics;
        metrics.sessions_opened.increment(1);
        if !listener.networks.are_all() && !listener.networks.admit(writer.peer()) {
            metrics.sessions_closed.of(CloseReason::Network).increment(1);
            note_stranger(writer.peer(), listener);
            writer.reset();
            return None;
        }
        if shared.sessions.fetch_add(1, Ordering::Relaxed) >= self.worker.settings().limits.sessions {
            self.turn_away(CloseReason::Limit);
            writer.reset();
            return None;
        }
        Some(writer)
    }

    /// A client that was counted has no session.
    fn turn_away(&self, reason: CloseReason) {
        let shared = &self.worker.shared;
        shared.sessions.fetch_sub(1, Ordering::Relaxed);
        shared.metrics.sessions_closed.of(reason).increment(1);
    }
}

/// Says once in a while whose handshake failed. One that went without a word, as health checks do, is no news.
fn note_no_tls(error: &io::Error, peer: Peer, listener: &ListenerSettings) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    let (client, listener) = (peer.host(), &listener.address);
    if error.kind() == io::ErrorKind::UnexpectedEof {
        tracing::debug!(%client, %listener, "a client went before it had spoken TLS");
    } else if let Some(suppressed) = LOG.admit(Instant::now()) {
        tracing::warn!(%error, %client, %listener, suppressed, "a client could not be spoken to by TLS");
    }
}

/// Says once in a while who may not connect.
fn note_stranger(peer: Peer, listener: &ListenerSettings) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    if let Some(suppressed) = LOG.admit(Instant::now()) {
        let (client, listener) = (peer.host(), &listener.address);
        tracing::warn!(%client, %listener, suppressed, "a connection from a network that may not connect was reset");
    }
}
