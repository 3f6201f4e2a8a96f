//! One client connection: requests come in, answers leave in their order.
//!
//! The session's task reads and dispatches. Answers are written by whoever has them, most often the lane that has just
//! read them; the task only steps in when the client does not take them at once.

mod end;
mod ending;
mod saying;
mod stream;
mod taking;
mod task;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

pub use self::end::End;
pub use self::ending::LINGER;
use self::saying::Said;
use self::taking::Taking;
pub use self::task::Edge;
use self::task::Task;
use crate::clock::now;
use crate::command::Answer;
use crate::config::{ListenerSettings, Pipelining};
use crate::engine::Engine;
use crate::engine::apart::{MANY, strings_of};
use crate::engine::channel::{Channel, Client};
use crate::engine::failure::Failure;
use crate::engine::memory::{Load, Room};
use crate::engine::request::{Asked, Request};
use crate::front::context::Context;
use crate::front::counted;
use crate::front::fairness::{Allowance, Share};
use crate::front::served::{Served, SessionLoad};
use crate::metrics::Outcome;
use crate::pairing::order::{Order, Place};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::request;
use crate::protocol::tyrant::dialect::Dialect;
use crate::transport::{READ_ROOM, Reader, Who, Writer};

/// So many bytes are read ahead of the requests that are being carried out.
const READ_AHEAD: usize = 64 * 1024;

/// With more answer bytes than this unread, no further request of the session is taken up.
const BACKLOG_PAUSE: usize = 1 << 20;

/// How long after its deadline a client may still be told, where its protocol has words for that, that a request is given
/// up. Later it may have given up itself, and would take them for the answer to another.
const OVERTIME: Duration = Duration::from_millis(250);

/// After so many looks of the worker, a second apart, at which no bytes had come, a session gives back its buffers.
const RESTING: u8 = 2;

#[derive(Debug)]
struct Inner {
    order: Order<Said>,
    out: Outgoing,
    taking: Taking,
    /// The room of the large answers among what is to be written.
    rooms: Vec<Room>,
    /// Set once, by whoever finds that the session must end.
    ended: Option<End>,
    /// Bytes of all requests that have no answer yet, wherever they are.
    asked: usize,
    /// As many bytes the next answer may well have: those of the last one, or fewer than those of a larger one before.
    expected: usize,
    touched: bool,
    /// The client did not take everything; the task waits until it does.
    blocked: bool,
    /// Bytes lie behind the request that is being dispatched.
    followed: bool,
}

/// One client connection.
pub struct Session {
    context: Rc<Context>,
    channel: Channel,
    writer: RefCell<Option<Rc<Writer>>>,
    inner: RefCell<Inner>,
    /// Bytes of what it has not asked whole yet, and of the buffer that they are in.
    input: Cell<(usize, usize)>,
    /// What it is known to hold.
    load: Cell<Load>,
    /// Looks of the worker since bytes came last, up to [`RESTING`].
    looks: Cell<u8>,
    share: Share,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl Client for Session {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn answered(self: Rc<Self>, asked: Asked, outcome: Outcome, answer: Answer, now: Instant) {
        if asked.place.is_some() && asked.deadline <= now {
            return self.failed(asked, Failure::Deadline);
        }
        self.answer(asked, outcome, answer, now);
    }

    /// Where its protocol has words for that they are the answer; else the session ends, rather than say something wrong.
    fn failed(self: Rc<Self>, asked: Asked, failure: Failure) {
        let now = now();
        if asked.place.is_some() && asked.form.can_say_unavailable() && now < asked.deadline + OVERTIME {
            return self.answer(asked, Outcome::Failed, Answer::Unavailable, now);
        }
        counted::unanswered(&self.engine().shared, &asked);
        self.inner.borrow_mut().asked -= asked.bytes;
        self.end(failure.into());
    }

    /// Behind any at all there is no place for a large one: who does not read does not stand in the line for room either.
    fn has_place_for(&self, bytes: usize) -> bool {
        let unread = self.inner.borrow().out.len();
        let limits = &self.engine().settings().limits;
        unread == 0 || (unread + bytes <= limits.session_backlog && !limits.is_large_answer(bytes))
    }

    fn is_taken(&self) -> bool {
        self.inner.borrow().out.is_empty()
    }

    fn take_room(&self, room: Option<Room>, bytes: usize) {
        let mut inner = self.inner.borrow_mut();
        inner.expected = bytes.max(inner.expected - inner.expected / 8);
        if let Some(room) = room {
            inner.rooms.push(room);
            inner.taking.is_left_alone();
        }
    }

    fn flush(&self) {
        self.write_ready();
    }
}

impl Session {
    /// Of a client that has connected to a listener with these settings.
    pub fn new(context: Rc<Context>, writer: Writer, who: Who, listener: Arc<ListenerSettings>) -> Rc<Self> {
        // PyTyrant would wait for ever behind an ordinary end, such as that of a process that is killed.
        if listener.dialect == Dialect::PyTyrant {
            writer.end_by_reset(true);
        }
        Rc::new(Self {
            input: Cell::default(),
            load: Cell::default(),
            channel: Channel::new(Rc::clone(&context.engine), who, listener),
            context,
            writer: RefCell::new(Some(Rc::new(writer))),
            inner: RefCell::new(Inner {
                order: Order::new(),
                out: Outgoing::new(),
                taking: Taking::default(),
                rooms: Vec::new(),
                ended: None,
                asked: 0,
                expected: 0,
                touched: false,
                blocked: false,
                followed: false,
            }),
            looks: Cell::new(0),
            share: Share::default(),
        })
    }

    /// What carries its requests out.
    fn engine(&self) -> &Rc<Engine> {
        &self.context.engine
    }

    /// Answers a request and counts it.
    fn answer(self: &Rc<Self>, asked: Asked, outcome: Outcome, answer: Answer, now: Instant) {
        counted::answered(&self.engine().shared, &asked, outcome, &answer, now);
        self.inner.borrow_mut().asked -= asked.bytes;
        if let Answer::Reply(reply) = &answer {
            self.channel.links.answered(reply);
        }
        if asked.place.is_some() && strings_of(&answer) > MANY {
            self.say_apart(asked, answer);
        } else {
            self.say(asked.place, Said::Short(asked, answer), now);
        }
    }

    /// Puts what is said into its place, and whatever may leave now behind what is to be written.
    fn say(self: &Rc<Self>, place: Option<Place>, said: Said, now: Instant) {
        let Some(place) = place else {
            return;
        };
        if self.client_gave_up() {
            self.end(End::GaveUp);
            return;
        }
        let mut inner = self.inner.borrow_mut();
        if inner.ended.is_some() {
            return;
        }
        inner.order.answer(place, said);
        let moved = self.take_answers(&mut inner);
        drop(inner);
        if moved > 0 {
            self.share.answered(now);
        }
        self.moved(moved, now);
    }

    /// Queues for writing what may leave now, and returns its bytes.
    fn take_answers(self: &Rc<Self>, inner: &mut Inner) -> usize {
        let backlog = self.engine().settings().limits.session_backlog;
        let Inner { order, out, taking, .. } = inner;
        let unwritten = out.len();
        while let Some(said) = order.take_next() {
            let before = out.len();
            let answered = said.put(out);
            let bytes = out.len() - before;
            taking.queue(bytes, before, backlog);
            if let Some((protocol, verb)) = answered {
                let reply_bytes = &self.engine().shared.metrics.reply_bytes;
                reply_bytes.of(protocol, verb).increment(bytes as u64);
            }
        }
        let moved = out.len() - unwritten;
        if !std::mem::replace(&mut inner.touched, true) {
            let client: Rc<dyn Client> = Rc::<Self>::clone(self);
            self.engine().touch(client);
        }
        moved
    }

    /// Says something that is no answer to a request, once all that was asked before is answered.
    fn interject(self: &Rc<Self>, words: &'static [u8]) {
        let mut inner = self.inner.borrow_mut();
        if inner.ended.is_none() {
            let place = inner.order.open();
            inner.order.answer(place, Said::Words(words));
            self.take_answers(&mut inner);
        }
    }

    /// Counts bytes that were read, or are about to be written. Whoever moves many of them lets others go first.
    fn moved(&self, bytes: usize, now: Instant) {
        let settings = self.engine().settings();
        let allowance = Allowance {
            rate: settings.limits.heavy_rate as u64,
            request: settings.pairing.request_timeout,
        };
        if self.context.fairness.moved(&self.share, bytes, allowance, now) {
            self.engine().shared.metrics.heavy_pauses.increment(1);
        }
    }

    /// Whether the client waits for an answer, or for the rest of one.
    fn owes(&self) -> bool {
        let inner = self.inner.borrow();
        inner.order.owed() > 0 || !inner.out.is_empty()
    }

    /// Whether the client may send a request while an answer is owed. PyTyrant never does.
    fn pipelining(&self) -> Pipelining {
        match self.channel.listener.dialect {
            Dialect::PyTyrant => Pipelining::Forbid,
            Dialect::Tyrant => self.engine().settings().pairing.pipelining,
        }
    }

    /// Where pipelining is forbidden, bytes behind a request mean that the client no longer waits for its answer.
    fn client_gave_up(&self) -> bool {
        if self.pipelining() == Pipelining::Allow {
            return false;
        }
        self.inner.borrow().followed || self.writer.borrow().as_ref().is_some_and(|writer| writer.has_unread())
    }

    fn is_resting(&self) -> bool {
        self.looks.get() == RESTING
    }

    /// Gives back room that a client who asks nothing does not need.
    fn shrink(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.out.shrink();
        inner.order.shrink();
        inner.rooms.shrink_to_fit();
    }

    fn end(&self, end: End) {
        self.inner.borrow_mut().ended.get_or_insert(end);
        self.channel.wake.notify_one();
    }

    /// Writes as much as the client takes now.
    fn write_ready(&self) {
        let Some(writer) = self.writer.borrow().clone() else {
            return;
        };
        let mut inner = self.inner.borrow_mut();
        inner.touched = false;
        if inner.ended.is_some() || inner.out.is_empty() {
            return;
        }
        let was_full = inner.out.len() > BACKLOG_PAUSE;
        let written = writer.write_ready(&mut inner.out);
        let was_blocked = inner.blocked;
        inner.blocked = !inner.out.is_empty();
        // Whoever has stopped taking up requests has to hear of it, also when all went at once.
        let goes_on = was_full && inner.out.len() <= BACKLOG_PAUSE;
        let unread = inner.out.len();
        if !inner.rooms.is_empty() && !self.engine().settings().limits.is_large_answer(unread) {
            inner.rooms.clear();
        }
        if written.is_err() {
            inner.ended = Some(End::Client);
        } else if inner.taking.backlog(unread) > self.engine().settings().limits.session_backlog {
            inner.ended = Some(End::Backlog);
        }
        if inner.ended.is_some() || inner.blocked != was_blocked || goes_on {
            self.channel.wake.notify_one();
        }
        drop(inner);
        self.weigh();
    }

    /// Puts bytes that are no answer behind the answers that the client has not taken yet.
    pub fn queue(&self, bytes: &Bytes) {
        let mut inner = self.inner.borrow_mut();
        let unread = inner.out.len();
        inner.out.put_bytes(bytes);
        inner.taking.queue(bytes.len(), unread, usize::MAX);
    }

    /// Waits until the client takes some of what is to be written.
    pub async fn write_some(&self) -> std::io::Result<()> {
        let Some(writer) = self.writer.borrow().clone() else {
            return Err(std::io::ErrorKind::NotConnected.into());
        };
        writer.writable().await?;
        writer.write_ready(&mut self.inner.borrow_mut().out)?;
        Ok(())
    }

    /// Serves the client, of whom so much was read already, until either side ends it, or it turns out to be an edge, whose
    /// connection goes on.
    pub async fn serve(self: Rc<Self>, reader: Reader, input: BytesMut) -> Option<Edge> {
        let mut task = Task::new(Rc::clone(&self), reader, input);
        let end = task.run().await;
        if matches!(end, End::Link) {
            self.inner.borrow_mut().ended.get_or_insert(End::Link);
            return Some(task.into_edge());
        }
        tracing::debug!(?end, "a session ends");
        let metrics = &self.engine().shared.metrics;
        metrics.sessions_closed.of(end.counted()).increment(1);
        if let Some(rule) = end.intervention() {
            metrics.interventions.of(rule).increment(1);
        }
        if let End::Fault(fault) = &end {
            self.note_fault(fault);
        }
        self.inner.borrow_mut().ended.get_or_insert(End::Client);
        // Boxed, as most of the time a session is not ending: its room would be kept for as long as it lives.
        Box::pin(self.close(&end, &mut task.reader)).await;
        drop(task);
        self.input.set((0, 0));
        self.weigh();
        // With an answer that is not written it would stay among those that have one until another session has one.
        self.engine().flush_touched();
        None
    }
}

impl Session {
    /// Takes up a request that was asked at `received`, in so many bytes.
    fn admit(&self, request: request::Request, received: Instant, bytes: usize) -> Request {
        let inner = &mut *self.inner.borrow_mut();
        inner.asked += bytes;
        self.channel
            .admit(request, None, received, bytes, || inner.order.open())
    }
}

/// What it holds of the memory that all sessions share.
impl Session {
    /// Counts what it holds now.
    fn weigh(&self) {
        let inner = self.inner.borrow();
        let with_room: usize = inner.rooms.iter().map(Room::bytes).sum();
        let (unread, (_, input)) = (inner.out.len(), self.input.get());
        let held = input + inner.asked + unread;
        // One that is about to end gives back all of it: nobody else has to.
        let is_ending = inner.ended.is_some();
        let loose = if is_ending { 0 } else { held - unread.min(with_room) };
        let now = Load { held, loose };
        drop(inner);
        let before = self.load.replace(now);
        if before != now {
            self.engine().holds(before, now);
        }
    }

    /// Whether so much is unread that no further request is taken up.
    fn is_behind(&self) -> bool {
        self.inner.borrow().out.len() > BACKLOG_PAUSE
    }
}

impl Served for Session {
    /// Most clients rest most of the time, and there can be many.
    fn look(&self) {
        let looks = self.looks.get();
        if looks < RESTING {
            self.looks.set(looks + 1);
            if looks + 1 == RESTING {
                self.channel.wake.notify_one();
            }
        }
    }

    fn cut(&self) {
        self.end(End::Drain);
    }

    fn load(&self) -> SessionLoad {
        let inner = self.inner.borrow();
        if inner.ended.is_some() {
            return SessionLoad::default();
        }
        SessionLoad {
            backlog: if inner.touched {
                0
            } else {
                inner.taking.backlog(inner.out.len())
            },
            owed: inner.order.owed(),
            in_flight: self.channel.in_flight(),
        }
    }

    fn loose(&self) -> usize {
        self.load.get().loose
    }

    fn give_back(&self) -> usize {
        let (len, room) = self.input.get();
        let spare = if len == 0 { room } else { 0 };
        if spare > 0 {
            self.channel.wake.notify_one();
        }
        spare
    }

    fn shed(&self) {
        self.end(End::Memory);
        self.weigh();
    }

    fn make_way(&self, patience: Duration, now: Instant) {
        let mut inner = self.inner.borrow_mut();
        let unread = inner.out.len();
        if !inner.rooms.is_empty() && inner.taking.is_in_the_way(unread, READ_ROOM, patience, now) {
            drop(inner);
            self.end(End::Backlog);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine().holds(self.load.take(), Load::default());
    }
}
