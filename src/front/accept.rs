//! From a connection to a session: who may come in, and, where it is spoken, the handshake of TLS.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::config::ListenerSettings;
use crate::front::seat::{Seat, note_stranger};
use crate::front::session::LINGER;
use crate::front::worker::Worker;
use crate::logging::RateLimit;
use crate::metrics::CloseReason;
use crate::transport::tls::Identity;
use crate::transport::{self, Peer, Reader, Writer};

impl Worker {
    /// Looks from where a client comes, before anything else: one that may not connect is reset at once.
    pub fn greet(&self, writer: Writer, listener: &ListenerSettings) -> Option<Writer> {
        if listener.networks.are_all() || listener.networks.admit(writer.peer()) {
            return Some(writer);
        }
        self.engine.shared.metrics.sessions_opened.increment(1);
        note_stranger(&writer.who(), listener);
        self.turn_away(writer, CloseReason::Network);
        None
    }

    /// Serves a client that has connected to a listener with these settings.
    pub fn open(&self, reader: Reader, writer: Writer, listener: Arc<ListenerSettings>) {
        if let Some((writer, seat)) = self.admit(writer) {
            self.serve(reader, writer, listener, seat);
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
        let Some((writer, seat)) = self.admit(writer) else {
            return;
        };
        let Ok((mut reader, writer)) = transport::encrypted(reader, writer, identity) else {
            let closed = &self.engine.shared.metrics.sessions_closed;
            return closed.of(CloseReason::Tls).increment(1);
        };
        let worker = Rc::clone(self);
        spawn_local(async move {
            let engine = &worker.engine;
            let patience = engine.settings().pairing.frame_timeout;
            let shaken = tokio::select! {
                biased;
                () = engine.stopped() => Err(io::ErrorKind::ConnectionAborted.into()),
                shaken = timeout(patience, reader.shake_hands()) => {
                    shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                }
            };
            match shaken {
                Ok(()) => worker.serve(reader, writer, listener, seat),
                Err(error) => {
                    note_no_tls(&error, writer.peer(), &listener);
                    // The client may have been told what is wrong.
                    writer.acknowledged(LINGER).await;
                    worker.turn_away(writer, CloseReason::Tls);
                }
            }
        });
    }

    /// A seat for a client that has connected, unless there are too many.
    fn admit(&self, writer: Writer) -> Option<(Writer, Seat)> {
        self.engine.shared.metrics.sessions_opened.increment(1);
        match Seat::take(&self.gate, &self.engine.settings(), &writer.who()) {
            Ok(seat) => Some((writer, seat)),
            Err(reason) => {
                self.turn_away(writer, reason);
                None
            }
        }
    }

    /// Resets a client that gets no session.
    fn turn_away(&self, writer: Writer, reason: CloseReason) {
        self.engine.shared.metrics.sessions_closed.of(reason).increment(1);
        writer.reset();
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
