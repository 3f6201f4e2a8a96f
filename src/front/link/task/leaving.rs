//! How a link ends: nothing more of it is taken, what waits is not carried out, and what is in flight goes on.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::time::timeout;

use super::Task;
use crate::clock::now;
use crate::front::gate::Gate;
use crate::front::link::Link;
use crate::front::link::end::{End, Fault};
use crate::front::session::LINGER;
use crate::logging::RateLimit;
use crate::protocol::link;
use crate::transport::{Reader, Writer};

/// For so long nothing must have been asked of a guard that stops: what its edge had sent before it heard of that is
/// answered.
const PAUSE: Duration = Duration::from_millis(100);

/// So many bytes are read of an edge that has been told its last, so that it may see the end.
const DISCARD_MAX: usize = 1 << 20;

impl Task {
    /// Whether all was answered that was asked of a guard that stops, and nothing more seems to come.
    pub(super) fn has_left(&self, now: Instant) -> bool {
        let inner = self.link.inner.borrow();
        let is_half = !self.input.is_empty() || self.receiving.kept() > 0 || self.decoding.is_some();
        let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let is_done = inner.owed.is_empty() && inner.sending.is_empty();
        is_done && is_over(self.leaves_from()) && (!is_half || is_over(self.leaving.map(|since| since + LINGER)))
    }

    fn leaves_from(&self) -> Option<Instant> {
        self.leaving.map(|since| since.max(self.asked) + PAUSE)
    }

    /// When it may leave, as far as the time goes.
    pub(super) fn leaves_at(&self, now: Instant) -> Option<Instant> {
        let ends = [self.leaves_from(), self.leaving.map(|since| since + LINGER)];
        ends.into_iter().flatten().filter(|at| *at > now).min()
    }
}

impl Link {
    /// Serves the edge until either side ends the link, of which so much was read already.
    pub async fn serve(self: Rc<Self>, reader: Reader, input: BytesMut, gate: Arc<Gate>) {
        let edges = &self.engine().shared.metrics.edges;
        edges.increment(1);
        let mut task = Task::new(Rc::clone(&self), reader, input, gate);
        let place = task.greet().await;
        let end = match place {
            Ok(mut place) => {
                let end = task.run(&mut place).await;
                self.stop(end, &mut task).await;
                // From here on the next one may begin.
                drop(place);
                end
            }
            Err(end) => {
                self.stop(end, &mut task).await;
                end
            }
        };
        self.note_end(end);
        self.close(end, &mut task.reader).await;
        drop(task);
        self.input.set(0);
        self.weigh();
        self.engine().flush_touched();
        edges.decrement(1);
    }

    /// Waits until nothing of it is carried out any more but what is in flight.
    async fn stop(&self, end: End, task: &mut Task) {
        self.inner.borrow_mut().ended.get_or_insert(end);
        task.clients.go();
        self.over.notify_waiters();
        while self.carrying.get() > 0 {
            self.carried.notified().await;
        }
        let inner = &mut *self.inner.borrow_mut();
        inner.owed.clear();
        (inner.asked, inner.queued) = (0, 0);
    }

    fn note_end(&self, end: End) {
        static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
        let metrics = &self.engine().shared.metrics;
        metrics.sessions_closed.of(end.counted()).increment(1);
        let (edge, listener) = (self.edge(), &self.listener.address);
        tracing::debug!(?end, %edge, "a link ends");
        if let End::Fault(fault) = end {
            metrics.link_faults.increment(1);
            if let Some(suppressed) = LOG.admit(now()) {
                let name = fault.name();
                tracing::warn!(%edge, %listener, name, %fault, suppressed, "the link of an edge has ended: what it said is wrong");
            }
        }
    }

    /// Ends the connection: in order where the edge has been told all, else by a reset, so that it sees that at once.
    async fn close(&self, end: End, reader: &mut Reader) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        match end {
            End::Edge => writer.say_end(),
            // What it was told says why.
            End::Fault(Fault::Frame(link::Fault::Version { .. })) => finish(&writer, reader).await,
            End::Drain if self.inner.borrow().sending.is_empty() => {
                finish(&writer, reader).await;
            }
            _ => {
                if let Ok(writer) = Rc::try_unwrap(writer) {
                    writer.reset();
                }
            }
        }
    }
}

/// Says that nothing more will come, and reads the edge to its end, or as much of it as it is worth.
async fn finish(writer: &Writer, reader: &mut Reader) {
    let _ = writer.shutdown_write();
    let rest = async {
        let (mut bytes, mut left) = (BytesMut::new(), DISCARD_MAX);
        while let Ok(count @ 1..) = reader.read(&mut bytes).await
            && count < left
        {
            left -= count;
            bytes.clear();
        }
    };
    let _ = timeout(LINGER, rest).await;
}
