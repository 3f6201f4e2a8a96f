//! The task of a stream: has its client's requests carried out, one after the other.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::yield_now;
use tokio::time::{Sleep, sleep_until};

use super::stream::Stream;
use crate::engine::channel::Client;
use crate::engine::failure::Failure;
use crate::engine::pipeline::{Behind, Head, Pipeline, Submitted};
use crate::engine::state::{Cause, Settled};

/// So many requests are taken up before others have their turn.
const REQUESTS: usize = 256;

/// Carries a client's requests until it has gone. By then nothing that has not begun will, and the edge is told of all.
pub(super) async fn carry(stream: Rc<Stream>) {
    let engine = Rc::clone(&stream.channel.engine);
    let client: Rc<dyn Client> = Rc::<Stream>::clone(&stream);
    let mut pipeline = Pipeline::new(client);
    let timer = sleep_until(tokio::time::Instant::now());
    tokio::pin!(timer);
    while !stream.is_gone.get() {
        stream.look_at_pause();
        let is_busy = stream.pump(&mut pipeline);
        stream.link.leaves_soon();
        if is_busy {
            stream.channel.end_turn();
            yield_now().await;
            continue;
        }
        if pipeline.waits_for() == Some(Cause::Taken) && stream.is_taken() {
            // All went at once, of which nobody is told.
            continue;
        }
        stream.watch(&pipeline);
        let armed = stream.arm(&pipeline, timer.as_mut());
        let may_progress = pipeline.may_progress();
        stream.channel.end_turn();
        tokio::select! {
            biased;
            () = stream.channel.wake.notified() => {}
            _ = pipeline.progress(), if may_progress => {}
            () = timer.as_mut(), if armed => {
                pipeline.fail_overdue(stream.channel.turn());
            }
        }
    }
    drop(pipeline);
    stream.part().await;
    engine.flush_touched();
}

impl Stream {
    /// Takes up as much as there is; whether there is more to do once others had their turn.
    fn pump(self: &Rc<Self>, pipeline: &mut Pipeline) -> bool {
        for _ in 0..REQUESTS {
            let is_followed = !self.queue.borrow().is_empty();
            let request = match pipeline.head(is_followed) {
                Head::Goes(request) => request,
                Head::Stalled => return false,
                Head::Free if self.share.is_paused() || self.is_full() => return false,
                Head::Free => match self.take_up() {
                    Some(request) => request,
                    None => return false,
                },
            };
            // It came whole: what is behind it is the edge's next word, and none of its client's.
            match pipeline.submit(request, Behind::Request) {
                Submitted::Gone => {}
                Submitted::Stalled => return false,
                // Whoever wants a stream opens a connection for it.
                Submitted::Streams(request) => {
                    Rc::clone(self).failed(request.settled(Settled::Failed), Failure::RefusedCommand);
                }
            }
        }
        true
    }

    /// Ends a pause that is over.
    fn look_at_pause(&self) {
        if self
            .share
            .paused_until()
            .is_some_and(|until| until <= self.channel.turn())
        {
            self.share.goes_on();
        }
    }

    /// Says whether its task wants to know when requests land.
    fn watch(&self, pipeline: &Pipeline) {
        let waits = !self.queue.borrow().is_empty() || pipeline.waits_for() == Some(Cause::Earlier);
        self.channel.watch(waits);
    }

    /// Sets the timer to an instant at or before the next at which something is due; false when there is none.
    fn arm(&self, pipeline: &Pipeline, timer: Pin<&mut Sleep>) -> bool {
        let waiting: Option<Instant> = self.queue.borrow().front().and(self.share.paused_until());
        let Some(next) = [pipeline.looks_at(), waiting].into_iter().flatten().min() else {
            return false;
        };
        if timer.is_elapsed() || timer.deadline() > next.into() {
            timer.reset(next.into());
        }
        true
    }

    /// Its client has gone. What waits is not carried out; of what is in flight the edge is told what became of it, as long
    /// as its link lasts.
    async fn part(self: &Rc<Self>) {
        while let Some(request) = self.take_up() {
            Rc::clone(self).failed(request.settled(Settled::Failed), Failure::LaneLost);
        }
        self.channel.watch(true);
        while self.channel.in_flight() > 0 && !self.link.is_over() {
            tokio::select! {
                () = self.channel.wake.notified() => {}
                () = self.link.over.notified() => {}
            }
        }
        self.link.forget(self.number());
    }
}
