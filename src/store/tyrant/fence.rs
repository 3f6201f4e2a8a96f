//! Proof that a server is done with a connection.
//!
//! Closing a connection stops late answers, not late writes: what the server has already buffered is still carried
//! out. So the connection is half-closed and read to its end; only the server's own end proves that it is done.
//!
//! By TLS the half close is our `close_notify`, with FIN behind it, and the server's end is its `close_notify`: a FIN alone
//! can come from whoever is between, from a process that was killed, or from a proxy that has lost patience, so a
//! [`Reader`] of TLS takes it for an error, and it proves nothing. What ends TLS in front of the server proves no more than
//! that itself has ended: for the server it has to pass on both ends, each when it comes. `stunnel` does: it half-closes
//! the server's side when it has read our `close_notify`, and says its own when it has read the server's end; where it
//! stops waiting (`TIMEOUTclose`) or is killed, it says none. Of one that answers `close_notify` by itself, as RFC 5246
//! wants it of TLS 1.2, the end proves nothing about the server: the manual warns of it.

use std::cell::RefCell;
use std::future::pending;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::greeting::Instance;
use super::lane::LaneFault;
use crate::transport::{Reader, Writer};

/// The run of the server that was last seen, so that fences of an earlier run can end: a process that is gone
/// carries nothing out.
#[derive(Debug, Default)]
pub struct LastSeen {
    instance: RefCell<Option<Instance>>,
    changed: Notify,
}

impl LastSeen {
    /// A new connection has learned which run it is.
    pub fn saw(&self, instance: Option<&Instance>) {
        *self.instance.borrow_mut() = instance.cloned();
        self.changed.notify_waiters();
    }

    /// Whether a run that is later than this one was seen. An earlier one says nothing: what it told of itself before it
    /// ended may have come late.
    fn is_gone(&self, instance: Option<&Instance>) -> bool {
        match (instance, self.instance.borrow().as_ref()) {
            (Some(ours), Some(seen)) => seen.is_later_than(ours),
            _ => false,
        }
    }

    async fn gone(&self, instance: Option<&Instance>) {
        loop {
            let changed = self.changed.notified();
            if self.is_gone(instance) {
                return;
            }
            changed.await;
        }
    }
}

/// Half-closes a connection, discards what still comes, and waits until the server ends it. True when that was seen, or
/// when the server's process is known to be gone; false when neither happened within `patience`.
///
/// A reset proves nothing: it can come from between, with the server still at work. So no end counts after an error,
/// which a [`Reader`] sees to: Linux tells a reset once, and then says end of stream. A lane's own fault is such an end
/// only when no error came before it.
pub async fn fence(
    mut reader: Reader,
    writer: Writer,
    fault: &LaneFault,
    instance: Option<&Instance>,
    last_seen: &LastSeen,
    patience: Duration,
) -> bool {
    if matches!(fault, LaneFault::Eof) {
        return true;
    }
    let ended = async {
        if !read_to_end(&mut reader).await {
            pending::<()>().await;
        }
    };
    // While the end is awaited: the server may have to be read before it takes our last word.
    let finished = async {
        let _ = writer.finish().await;
        pending::<()>().await;
    };
    let proof = async {
        tokio::select! {
            biased;
            () = finished => {}
            () = ended => {}
            () = last_seen.gone(instance) => {}
        }
    };
    timeout(patience, proof).await.is_ok()
}

/// True at the end of the stream, false when it broke.
async fn read_to_end(reader: &mut Reader) -> bool {
    let mut discarded = BytesMut::new();
    loop {
        discarded.clear();
        match reader.read(&mut discarded).await {
            Ok(0) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}
