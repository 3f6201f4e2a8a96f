//! How a link reads and writes, and when it is given up.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::task::{spawn_blocking, spawn_local, yield_now};
use tokio::time::sleep_until;

use super::Link;
use crate::clock::now;
use crate::command::Answer;
use crate::pairing::owed::Lost;
use crate::protocol::link::hello::{Pong, Standing};
use crate::protocol::link::receiving::{Received, Receiving};
use crate::protocol::link::told::{Failed, Told};
use crate::protocol::link::{Fault, HEAD, Kind};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::reply::Dropped;
use crate::protocol::tyrant::sizes::SizeFault;
use crate::store::completion::Completion;
use crate::store::events::Events;
use crate::store::guards::fault::LinkFault;
use crate::store::guards::opening::Opened;
use crate::store::guards::round_trip::RoundTrip;
use crate::store::tyrant::lane::{ALWAYS_FITS, HalfReceived};
use crate::transport::{self, Writer};

/// Bytes that are written in one go, at most.
const WRITE_TURN: usize = 256 * 1024;

/// For so long answers are handed over before others have their turn.
const READ_TURN: Duration = Duration::from_millis(1);

/// A read buffer of more bytes is not kept for the next answers.
const ROOM_KEPT: usize = 256 * 1024;

/// So much is read at once.
const READ_ROOM: usize = 64 * 1024;

/// How often a link lets others add to the batch before it writes, while the batch still grows.
const GATHER_ROUNDS: usize = 4;

/// An answer of more bytes is taken apart by another thread: it may be a list of very many strings.
const LONG_ANSWER: usize = 256 * 1024;

/// What a frame has beside the answer itself.
const AROUND: usize = 64;

/// A sign of life is asked for so many times in the time in which the guard has to be heard.
const PINGS: u32 = 4;

/// How long behind its deadline a request may stay without a word of the guard's, which gives it up by itself.
const UNANSWERED: Duration = Duration::from_secs(1);

/// The question for a sign of life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ping {
    id: u64,
    asked: Instant,
    is_answered: bool,
}

impl Ping {
    /// None has been asked.
    pub(super) fn none(now: Instant) -> Self {
        Self {
            id: 0,
            asked: now,
            is_answered: true,
        }
    }
}

impl<P: Completion> Link<P> {
    /// Carries requests and answers until the link has to be taken out of service.
    pub(in crate::store::guards) async fn run<E: Events>(self: &Rc<Self>, opened: Opened, events: &Rc<E>) -> LinkFault {
        match self.carry(opened, events).await {
            Ok(never) => match never {},
            Err(fault) => fault,
        }
    }

    async fn carry<E: Events>(
        self: &Rc<Self>,
        opened: Opened,
        events: &Rc<E>,
    ) -> Result<std::convert::Infallible, LinkFault> {
        let Opened {
            mut reader,
            writer,
            mut receiving,
            mut input,
            welcome,
            ..
        } = opened;
        let guard = welcome.instance;
        let timer = sleep_until(tokio::time::Instant::now());
        tokio::pin!(timer);
        let mut held = Held(Rc::clone(events), HalfReceived::default());
        let mut worked = Duration::ZERO;
        self.take(guard, &mut receiving, &mut input, events, now())?;
        loop {
            self.may_go_on()?;
            let next = self.next_due();
            if timer.is_elapsed() || timer.deadline() > next.into() {
                timer.as_mut().reset(next.into());
            }
            let blocked = !self.sending.borrow().is_empty();
            tokio::select! {
                biased;
                read = reader.read_some(&mut input, READ_ROOM) => {
                    if read? == 0 {
                        return Err(LinkFault::Eof);
                    }
                    let begun = now();
                    self.heard.set(begun);
                    self.take(guard, &mut receiving, &mut input, events, begun)?;
                    held.now(self.half_received(&receiving, &input));
                    events.batch_done();
                    worked += now().saturating_duration_since(begun);
                    if worked > READ_TURN {
                        worked = Duration::ZERO;
                        yield_now().await;
                    }
                }
                ready = writer.writable(), if blocked => {
                    ready?;
                    self.write(&writer)?;
                    // Others have their turn while something large leaves.
                    yield_now().await;
                }
                () = self.wake.notified() => {
                    self.gather().await;
                    self.write(&writer)?;
                }
                () = &mut timer => self.look_after(events)?,
            }
        }
    }

    fn half_received(&self, receiving: &Receiving, input: &BytesMut) -> HalfReceived {
        let bytes = receiving.kept() + if input.is_empty() { 0 } else { input.capacity() };
        HalfReceived {
            bytes,
            roomed: self.roomed.borrow().bytes().min(bytes),
        }
    }

    /// Hands over what has come of this guard.
    fn take<E: Events>(
        self: &Rc<Self>,
        guard: u64,
        receiving: &mut Receiving,
        input: &mut BytesMut,
        events: &Rc<E>,
        now: Instant,
    ) -> Result<(), LinkFault> {
        let room = input.capacity();
        while let Some(received) = receiving.next(input)? {
            match received {
                Received::Whole {
                    kind: Kind::Told,
                    id,
                    body,
                } => self.told(id, body, events, now)?,
                Received::Begun {
                    kind: Kind::Told,
                    id,
                    total,
                } => {
                    if !self.has_room_for(id, total)? {
                        receiving.drop_rest(id);
                    }
                }
                Received::Dropped {
                    kind: Kind::Told,
                    id,
                    total,
                } => self.dropped(id, total, now)?,
                Received::Whole {
                    kind: Kind::Standing,
                    body,
                    ..
                } => {
                    if Standing::parse(&body)?.0 != Standing::Serves {
                        self.stop_serving();
                    }
                }
                Received::Whole {
                    kind: Kind::Pong,
                    id,
                    body,
                } => self.pong(guard, id, Pong::parse(&body)?, events, now),
                Received::Whole {
                    kind: Kind::Seen, id, ..
                } => events.saw(id),
                Received::Whole { kind, .. } | Received::Begun { kind, .. } | Received::Dropped { kind, .. } => {
                    return Err(Fault::Unexpected(kind).into());
                }
            }
        }
        if room > ROOM_KEPT && input.len() < room / 4 {
            transport::let_go(input);
        }
        Ok(())
    }

    /// Whether who asked has room for an answer of about so many bytes, which has begun to come.
    fn has_room_for(&self, id: u64, total: usize) -> Result<bool, LinkFault> {
        let mut ids = self.ids.borrow_mut();
        let Some(completion) = ids.waiting(id)? else {
            return Ok(false);
        };
        if total > self.limits.reply.frame_max.saturating_add(AROUND) {
            return Ok(false);
        }
        if total <= ALWAYS_FITS {
            return Ok(true);
        }
        let has_room = completion.has_room_for(total);
        if has_room {
            self.roomed.borrow_mut().ids.push((id, completion.room()));
        }
        Ok(has_room)
    }

    /// What became of a request.
    fn told<E: Events>(
        self: &Rc<Self>,
        id: u64,
        body: BytesMut,
        events: &Rc<E>,
        now: Instant,
    ) -> Result<(), LinkFault> {
        self.roomed.borrow_mut().ids.retain(|(one, _)| *one != id);
        let completion = self.ids.borrow_mut().answered(id)?;
        let Some(completion) = completion else {
            return Ok(());
        };
        let bytes = body.len() + HEAD;
        if bytes < LONG_ANSWER {
            return give(completion, Told::parse(body, Limits::WIRE), bytes, now);
        }
        let (link, events) = (Rc::clone(self), Rc::clone(events));
        spawn_local(async move {
            let told = spawn_blocking(move || Told::parse(body, Limits::WIRE)).await;
            let told = told.unwrap_or(Err(Fault::Body(Kind::Told)));
            if give(completion, told, bytes, crate::clock::now()).is_err() {
                link.retire();
            }
            events.batch_done();
        });
        Ok(())
    }

    /// An answer has come that was not kept.
    fn dropped(&self, id: u64, total: usize, now: Instant) -> Result<(), LinkFault> {
        let completion = self.ids.borrow_mut().answered(id)?;
        let max = self.limits.reply.frame_max;
        let is_over = total > max.saturating_add(AROUND);
        let dropped = Dropped {
            code: 0,
            bytes: total as u64,
            fault: is_over.then_some(SizeFault::FrameTooLarge { size: total, max }),
        };
        if let Some(completion) = completion {
            completion.dropped(dropped, now);
        }
        Ok(())
    }

    fn pong(&self, guard: u64, id: u64, pong: Pong, events: &Rc<impl Events>, now: Instant) {
        let ping = self.ping.get();
        if id != ping.id || ping.is_answered {
            return;
        }
        self.ping.set(Ping {
            is_answered: true,
            ..ping
        });
        let time = now.saturating_duration_since(ping.asked);
        let mut trips = self.trips.borrow_mut();
        trips.saw(RoundTrip::of(time, (self.clock)(), pong.clock, now));
        let best = trips.best();
        drop(trips);
        if pong.standing == Standing::Serves && !events.heard(guard, pong.epoch, ping.asked) {
            return self.stop_serving();
        }
        if let Some(best) = best {
            events.told_time(best.at, best.theirs, best.offset);
        }
    }

    /// When it has to look after something at the latest, without anything that comes or is to leave.
    fn next_due(&self) -> Instant {
        let ping = self.ping.get();
        let until = match ping.is_answered {
            true => ping.asked + self.limits.patience / PINGS,
            false => self.heard.get().max(ping.asked) + self.limits.patience,
        };
        self.ids.borrow().next_deadline().map_or(until, |next| next.min(until))
    }

    /// Gives up what is overdue, and the link where its guard shows no sign of life.
    fn look_after(&self, events: &Rc<impl Events>) -> Result<(), LinkFault> {
        let now = now();
        let ping = self.ping.get();
        let silence = now.saturating_duration_since(self.heard.get().max(ping.asked));
        if !ping.is_answered && silence >= self.limits.patience {
            return Err(LinkFault::Silent(silence.as_millis()));
        }
        if ping.is_answered && ping.asked + self.limits.patience / PINGS <= now {
            let id = ping.id.wrapping_add(1);
            self.sending.borrow_mut().add(Kind::Ping, id, (), |_| {});
            self.ping.set(Ping {
                id,
                asked: now,
                is_answered: false,
            });
            self.wake.notify_one();
        }
        let dead = now.checked_sub(UNANSWERED).unwrap_or(now);
        let due = self.ids.borrow().next_deadline().is_some_and(|next| next <= now);
        if !due {
            return Ok(());
        }
        let (overdue, is_dead) = self.ids.borrow_mut().give_up(now, dead);
        for completion in overdue {
            completion.told(Told::Failed(Failed::Deadline), 0, now);
        }
        events.batch_done();
        if is_dead {
            return Err(LinkFault::Unanswered);
        }
        Ok(())
    }

    /// Lets the tasks that are ready add their requests, so that one write takes them all. Where a single request is
    /// all there is, nobody else is likely to have one: it leaves at once.
    async fn gather(&self) {
        if self.ids.borrow().len() <= 1 {
            return;
        }
        for _ in 0..GATHER_ROUNDS {
            let before = self.sending.borrow().len();
            yield_now().await;
            if self.sending.borrow().len() == before {
                return;
            }
        }
    }

    fn write(&self, writer: &Writer) -> Result<(), LinkFault> {
        let mut most = WRITE_TURN;
        self.sending.borrow_mut().write(|out: &mut Outgoing| {
            let written = writer.write_some(out, most)?;
            most -= written.min(most);
            Ok(if most == 0 { 0 } else { written })
        })?;
        Ok(())
    }
}

/// What a link holds for answers that are not whole, until it ends.
struct Held<E: Events>(Rc<E>, HalfReceived);

impl<E: Events> Held<E> {
    fn now(&mut self, now: HalfReceived) {
        self.0.half_received(std::mem::replace(&mut self.1, now), now);
    }
}

impl<E: Events> Drop for Held<E> {
    fn drop(&mut self) {
        self.now(HalfReceived::default());
    }
}

/// Gives an answer to who asked. One that cannot be an answer to the question is none.
fn give<P: Completion>(completion: P, told: Result<Told, Fault>, bytes: usize, now: Instant) -> Result<(), LinkFault> {
    match told {
        Ok(Told::Answer(Answer::Reply(reply))) if !completion.accepts(&reply) => {
            completion.lost(Lost::Sent);
            Err(LinkFault::Mismatch)
        }
        Ok(told) => {
            completion.told(told, bytes, now);
            Ok(())
        }
        Err(fault) => {
            completion.lost(Lost::Sent);
            Err(fault.into())
        }
    }
}
