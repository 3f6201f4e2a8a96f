//! How a session's connection ends.

use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;

use super::{End, Session};
use crate::clock::now;
use crate::logging::RateLimit;
use crate::protocol::memcached;
use crate::protocol::request::Fault;
use crate::transport::Reader;

/// How long a client may take to acknowledge what it is still owed before the connection is reset.
pub const LINGER: Duration = Duration::from_secs(1);

/// So many bytes are read of a client that has been told its last, so that it may see the end.
const DISCARD_MAX: usize = 1 << 20;

impl Session {
    /// Counts a line of which no command could be made, and says so to the client where it is owed an answer.
    pub(super) fn note_unknown(self: &Rc<Self>, words: Option<&'static [u8]>) {
        self.note_fault(&memcached::request::Fault::UnknownVerb.into());
        if let Some(words) = words {
            self.interject(words);
        }
    }

    /// Counts what a client did wrong, and says once in a while where a protocol is not served.
    pub(super) fn note_fault(&self, fault: &Fault) {
        static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
        let index = Fault::NAMES.iter().position(|name| *name == fault.name());
        let faults = &self.engine().shared.metrics.request_faults;
        faults.of(index.unwrap_or(0)).increment(1);
        if let Fault::NotServed(protocol) = fault
            && let Some(suppressed) = LOG.admit(now())
        {
            let listener = &self.channel.listener.address;
            tracing::warn!(%protocol, %listener, suppressed, "a client speaks a protocol that is not served here");
        }
    }

    /// Gives the client what it is still owed, then resets the connection; a client that has ended it itself gets an
    /// ordinary end, and so does one that is told why, or that knows that the connection ends. One that gave up gets
    /// nothing more: it would take the rest of the old answer for the new one.
    pub(super) async fn close(&self, end: &End, reader: &mut Reader) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        if matches!(end, End::Client) {
            writer.end_by_reset(false);
            writer.say_end();
            return;
        }
        let mut out = std::mem::take(&mut self.inner.borrow_mut().out);
        let words = match end {
            End::Fault(fault) => fault.last_words(),
            _ => None,
        };
        out.put_slice(words.as_deref().unwrap_or_default().as_bytes());
        if !matches!(end, End::Backlog | End::GaveUp | End::Memory) {
            let rest = async {
                while !out.is_empty() && writer.writable().await.is_ok() && writer.write_ready(&mut out).is_ok() {}
            };
            let _ = timeout(LINGER, rest).await;
            if words.is_some() || matches!(end, End::Done) {
                writer.end_by_reset(false);
                let _ = writer.shutdown_write();
                let _ = timeout(LINGER, discard(reader)).await;
                return;
            }
            writer.acknowledged(LINGER).await;
        }
        if let Ok(writer) = Rc::try_unwrap(writer) {
            writer.reset();
        }
    }
}

/// Reads a client to its end, or as much of it as it is worth. Closing while bytes of it lie unread would reset the
/// connection, and the client might lose what it was told last.
async fn discard(reader: &mut Reader) {
    let mut bytes = BytesMut::new();
    let mut left = DISCARD_MAX;
    while let Ok(count @ 1..) = reader.read(&mut bytes).await
        && count < left
    {
        left -= count;
        bytes.clear();
    }
}
