//! How a lane reads and writes, and when it is given up.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::task::yield_now;
use tokio::time::sleep_until;

use super::answers::Answers;
use super::{Lane, LaneFault, is_awaited, now};
use crate::command::Command;
use crate::protocol::tyrant::opcode::MAGIC;
use crate::store::completion::Completion;
use crate::transport::{self, Reader, Writer};

/// Bytes that are written in one go, at most: to copy 1 MiB takes longer than to serve many small requests.
const WRITE_TURN: usize = 256 * 1024;

/// For so long answers are handed over before others have their turn.
const READ_TURN: Duration = Duration::from_millis(1);

/// A read buffer of more bytes is not kept for the next answers: it came of a large one.
const ROOM_KEPT: usize = 256 * 1024;

/// How often a lane lets others add to the batch before it writes, while the batch still grows.
const GATHER_ROUNDS: usize = 4;

impl<P: Completion> Lane<P> {
    /// Carries requests and answers until the lane has to be taken out of service. `after_batch` is called when all
    /// answers of one read have been handed over.
    pub async fn run(self: &Rc<Self>, reader: &mut Reader, writer: &Writer, after_batch: impl Fn()) -> LaneFault {
        match self.carry(reader, writer, after_batch).await {
            Ok(never) => match never {},
            Err(fault) => fault,
        }
    }

    async fn carry(
        &self,
        reader: &mut Reader,
        writer: &Writer,
        after_batch: impl Fn(),
    ) -> Result<std::convert::Infallible, LaneFault> {
        let mut input = BytesMut::new();
        let mut answers = Answers::new(self.limits.reply);
        let timer = sleep_until(tokio::time::Instant::now());
        tokio::pin!(timer);
        let mut armed: Option<Instant> = None;
        // Since others had their turn.
        let mut worked = Duration::ZERO;
        loop {
            self.may_go_on()?;
            let next = self.next_due();
            if let (Some(next), true) = (next, armed.is_none() || next < armed) {
                timer.as_mut().reset(next.into());
                armed = Some(next);
            }
            let blocked = !self.out.borrow().is_empty();
            tokio::select! {
                biased;
                read = reader.read(&mut input) => {
                    if read? == 0 {
                        return Err(LaneFault::Eof);
                    }
                    let now = now();
                    self.take(&mut answers, &mut input, now)?;
                    after_batch();
                    // A server that never stops sending would keep the timer from being asked.
                    if self.next_deadline.get().is_some_and(|next| next <= now) {
                        self.check_deadlines()?;
                    }
                    worked += super::now().saturating_duration_since(now);
                    if worked > READ_TURN {
                        worked = Duration::ZERO;
                        yield_now().await;
                    }
                }
                ready = writer.writable(), if blocked => {
                    ready?;
                    self.write(writer)?;
                    // Others have their turn while a large request leaves.
                    if !self.out.borrow().is_empty() {
                        yield_now().await;
                    }
                }
                () = self.wake.notified() => {
                    self.gather().await;
                    self.write(writer)?;
                }
                () = &mut timer, if armed.is_some() => {
                    armed = None;
                    self.check_deadlines()?;
                    self.end_spell();
                }
            }
        }
    }

    /// Whether it has anything left to do.
    fn may_go_on(&self) -> Result<(), LaneFault> {
        if self.deposed.get() {
            return Err(LaneFault::Unclaimed);
        }
        if self.retired.get() && !self.is_awaited() {
            return Err(if self.handed_over.get() {
                LaneFault::HandedOver
            } else {
                LaneFault::Retired
            });
        }
        Ok(())
    }

    /// When it has to look after something at the latest, without anything that comes or is to leave.
    fn next_due(&self) -> Option<Instant> {
        self.next_deadline
            .get()
            .into_iter()
            .chain(self.priming.borrow().until())
            .min()
    }

    /// Hands over what has come, and keeps no more room for what is to come than it needs.
    fn take(&self, answers: &mut Answers, input: &mut BytesMut, now: Instant) -> Result<(), LaneFault> {
        let room = input.capacity();
        self.deliver(answers, input, now)?;
        if room > ROOM_KEPT && input.len() < room / 4 {
            transport::let_go(input);
        }
        self.half_received
            .set(if input.is_empty() { 0 } else { input.capacity() });
        Ok(())
    }

    /// Lets the tasks that are ready add their requests, so that one write takes them all. Where a single request is
    /// all there is, nobody else is likely to have one: it leaves at once.
    async fn gather(&self) {
        if self.owed.borrow().len() <= 1 {
            return;
        }
        for _ in 0..GATHER_ROUNDS {
            let before = self.out.borrow().len();
            yield_now().await;
            if self.out.borrow().len() == before {
                return;
            }
        }
    }

    fn write(&self, writer: &Writer) -> Result<(), LaneFault> {
        if self.changes.get() && !self.tenure.holds(now) {
            return Err(LaneFault::Unclaimed);
        }
        self.prime();
        let written = writer.write_some(&mut self.out.borrow_mut(), WRITE_TURN)?;
        self.owed.borrow_mut().wrote(written);
        if self.out.borrow().is_empty() {
            self.changes.set(false);
        }
        Ok(())
    }

    /// Sends the first byte of the next request with those that are about to leave, where that pays.
    fn prime(&self) {
        let (mut owed, mut out) = (self.owed.borrow_mut(), self.out.borrow_mut());
        // A server that has not answered the question that ended a spell would be asked for another one: where a large
        // request goes out in many writes, one for each spell of them.
        let may_prime = self.limits.priming.is_some() && !self.retired.get() && !self.asking.get() && !owed.is_primed();
        if may_prime && !out.is_empty() && self.priming.borrow_mut().batch(now()) {
            out.put_u8(MAGIC);
            owed.prime();
        }
    }

    /// Lets the server's thread go when it was kept for long enough: what it waits for becomes a question about a key
    /// that cannot exist.
    fn end_spell(&self) {
        let now = now();
        if let Some(patience) = self.limits.priming
            && self.priming.borrow_mut().is_over(now)
            && self.owed.borrow().is_primed()
        {
            self.asking.set(true);
            self.queue(&Command::Vsiz { key: Bytes::new() }, now + patience, None);
        }
    }

    fn check_deadlines(&self) -> Result<(), LaneFault> {
        let earliest = self.owed.borrow().earliest_deadline(is_awaited);
        self.next_deadline.set(earliest);
        match earliest {
            Some(deadline) if deadline <= now() => Err(LaneFault::Deadline),
            _ => Ok(()),
        }
    }
}
