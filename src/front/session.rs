//! One client connection: requests come in, answers leave in their order.
//!
//! The session's task reads and dispatches. Answers are written by whoever has them, most often the lane that has just
//! read them; the task only steps in when the client does not take them at once.

mod denied;
mod ending;
mod item;
mod links;
mod saying;
mod taking;
mod task;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

pub use self::denied::{denial_for_keys, note_copy_of_pytyrant};
pub use self::ending::LINGER;
pub use self::item::{Concluding, End, Item, Next, Step, Waiting};
use self::links::Links;
use self::saying::Said;
use self::taking::Taking;
use self::task::Task;
use crate::command::Answer;
use crate::config::{ListenerSettings, Pipelining};
use crate::engine::Engine;
use crate::engine::account;
use crate::engine::apart::{MANY, strings_of};
use crate::engine::dedicated;
use crate::engine::memory::{Load, Room};
use crate::engine::waiting::Standing;
use crate::front::fairness::{Allowance, Share};
use crate::metrics::Outcome;
use crate::pairing::order::{Order, Place};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::request::Request;
use crate::protocol::tyrant::dialect::Dialect;
use crate::recent::Asker;
use crate::transport::{Peer, READ_ROOM, Reader, Writer};

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
    /// Requests that a lane lost, to be dispatched again before anything else.
    redo: BTreeMap<u64, Item>,
    /// Requests on a lane, `putnr` included.
    aloft: usize,
    /// Those of them that may change something.
    writes_aloft: usize,
    /// The worker's hand-overs when the last of them was sent.
    hand_overs: u64,
    /// Bytes of all requests that have no answer yet, wherever they are.
    asked: usize,
    /// As many bytes the next answer may well have: those of the last one, or fewer than those of a larger one before.
    expected: usize,
    next_number: u64,
    /// The task wants to know when requests have landed.
    watched: bool,
    touched: bool,
    /// The client did not take everything; the task waits until it does.
    blocked: bool,
    /// Bytes lie behind the request that is being dispatched.
    followed: bool,
}

/// How much a session holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLoad {
    /// Bytes of answers that queue up behind the one that the client is taking, once as much as it takes has been written.
    pub backlog: usize,
    /// Requests without an answer.
    pub owed: usize,
    /// Requests on a lane, `putnr` included.
    pub aloft: usize,
}

impl SessionLoad {
    /// The greater of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            backlog: self.backlog.max(other.backlog),
            owed: self.owed.max(other.owed),
            aloft: self.aloft.max(other.aloft),
        }
    }
}

/// One client connection.
pub struct Session {
    pub engine: Rc<Engine>,
    pub links: Links,
    /// How clients are served where this one has connected.
    pub listener: Arc<ListenerSettings>,
    peer: Peer,
    writer: RefCell<Option<Rc<Writer>>>,
    inner: RefCell<Inner>,
    /// Bytes of what it has not asked whole yet, and of the buffer that they are in.
    input: Cell<(usize, usize)>,
    /// What it is known to hold.
    load: Cell<Load>,
    /// Looks of the worker since bytes came last, up to [`RESTING`].
    looks: Cell<u8>,
    share: Share,
    /// When the task's turn began, once that has been asked.
    turn: Cell<Option<Instant>>,
    wake: Notify,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub fn new(engine: Rc<Engine>, writer: Writer, listener: Arc<ListenerSettings>) -> Rc<Self> {
        let link = engine.next_link();
        let bulk_link = engine.next_bulk_link().unwrap_or(link);
        let links = Links::new(link, bulk_link, engine.settings().bulk_size);
        // PyTyrant would wait for ever behind an ordinary end, such as that of a process that is killed.
        if listener.dialect == Dialect::PyTyrant {
            writer.end_by_reset(true);
        }
        Rc::new(Self {
            input: Cell::default(),
            load: Cell::default(),
            engine,
            links,
            listener,
            peer: writer.peer(),
            writer: RefCell::new(Some(Rc::new(writer))),
            inner: RefCell::new(Inner {
                order: Order::new(),
                out: Outgoing::new(),
                taking: Taking::default(),
                rooms: Vec::new(),
                ended: None,
                redo: BTreeMap::new(),
                aloft: 0,
                writes_aloft: 0,
                hand_overs: 0,
                asked: 0,
                expected: 0,
                next_number: 0,
                watched: false,
                touched: false,
                blocked: false,
                followed: false,
            }),
            looks: Cell::new(0),
            share: Share::default(),
            turn: Cell::new(None),
            wake: Notify::new(),
        })
    }

    /// A request has been put on a lane.
    pub fn took_off(&self, writes: bool) {
        let mut inner = self.inner.borrow_mut();
        inner.hand_overs = self.engine.hand_overs.get();
        inner.aloft += 1;
        inner.writes_aloft += usize::from(writes);
    }

    /// A request on a lane has its outcome.
    pub fn landed(&self, writes: bool) {
        let mut inner = self.inner.borrow_mut();
        inner.aloft -= 1;
        inner.writes_aloft -= usize::from(writes);
        if inner.watched {
            self.wake.notify_one();
        }
    }

    /// Who asks what this item asks.
    pub fn asker(&self, item: &Item) -> Asker {
        Asker {
            peer: self.peer,
            protocol: item.protocol(),
        }
    }

    /// When the turn of its task began: the clock is read once a turn.
    pub fn turn(&self) -> Instant {
        let turn = self.turn.get().unwrap_or_else(now);
        self.turn.set(Some(turn));
        turn
    }

    /// Whether requests may be on another lane than the one that the next would go by.
    pub fn is_elsewhere(&self) -> bool {
        let inner = self.inner.borrow();
        inner.aloft > 0 && inner.hand_overs != self.engine.hand_overs.get()
    }

    /// Requests on a lane.
    pub fn aloft(&self) -> usize {
        self.inner.borrow().aloft
    }

    /// How much it holds now; nothing once it is to end.
    pub fn load(&self) -> SessionLoad {
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
            aloft: inner.aloft,
        }
    }

    /// Answers a request and counts it, unless it is too late for an answer. The answer leaves when all earlier ones have.
    pub fn conclude(self: &Rc<Self>, what: Concluding, outcome: Outcome, answer: Answer, now: Instant) {
        if what.place.is_some() && what.deadline <= now {
            return self.fail(what, End::Deadline);
        }
        self.answer(what, outcome, answer, now);
    }

    fn answer(self: &Rc<Self>, what: Concluding, outcome: Outcome, answer: Answer, now: Instant) {
        let metrics = &self.engine.shared.metrics;
        let protocol = what.form.protocol();
        metrics.requests.of(protocol, what.verb, outcome).increment(1);
        metrics
            .request_seconds
            .of(protocol, what.verb)
            .record(now.saturating_duration_since(what.received));
        self.engine.shared.tally.answered(what.verb, what.keys, &answer);
        self.inner.borrow_mut().asked -= what.bytes;
        if let Answer::Reply(reply) = &answer {
            self.links.answered(reply);
        }
        if what.place.is_some() && strings_of(&answer) > MANY {
            self.say_apart(what, answer);
        } else {
            self.say(what.place, Said::Short(what, answer), now);
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
        let backlog = self.engine.settings().limits.session_backlog;
        let Inner { order, out, taking, .. } = inner;
        let unwritten = out.len();
        while let Some(said) = order.take_next() {
            let before = out.len();
            let answered = said.put(out);
            let bytes = out.len() - before;
            taking.queue(bytes, before, backlog);
            if let Some((protocol, verb)) = answered {
                let reply_bytes = &self.engine.shared.metrics.reply_bytes;
                reply_bytes.of(protocol, verb).increment(bytes as u64);
            }
        }
        let moved = out.len() - unwritten;
        if !std::mem::replace(&mut inner.touched, true) {
            self.engine.touch(Rc::clone(self));
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
        let settings = self.engine.settings();
        let allowance = Allowance {
            rate: settings.limits.heavy_rate as u64,
            request: settings.pairing.request_timeout,
        };
        if self.engine.fairness.moved(&self.share, bytes, allowance, now) {
            self.engine.shared.metrics.heavy_pauses.increment(1);
        }
    }

    /// Whether the client waits for an answer, or for the rest of one.
    fn owes(&self) -> bool {
        let inner = self.inner.borrow();
        inner.order.owed() > 0 || !inner.out.is_empty()
    }

    /// Whether the client may send a request while an answer is owed. PyTyrant never does.
    fn pipelining(&self) -> Pipelining {
        match self.listener.dialect {
            Dialect::PyTyrant => Pipelining::Forbid,
            Dialect::Tyrant => self.engine.settings().pairing.pipelining,
        }
    }

    /// Where pipelining is forbidden, bytes behind a request mean that the client no longer waits for its answer.
    fn client_gave_up(&self) -> bool {
        if self.pipelining() == Pipelining::Allow {
            return false;
        }
        self.inner.borrow().followed || self.writer.borrow().as_ref().is_some_and(|writer| writer.has_unread())
    }

    /// A lane lost this request, and it may be sent again.
    pub fn retry(&self, item: Item) {
        self.inner.borrow_mut().redo.insert(item.number, item);
        self.wake.notify_one();
    }

    /// A request cannot be answered. Where its protocol has words for that they are the answer; else the session ends,
    /// rather than say something wrong.
    pub fn fail(self: &Rc<Self>, what: Concluding, end: End) {
        let now = now();
        if what.place.is_some() && what.form.can_say_unavailable() && now < what.deadline + OVERTIME {
            self.answer(what, Outcome::Failed, Answer::Unavailable, now);
            return;
        }
        let metrics = &self.engine.shared.metrics;
        metrics
            .requests
            .of(what.form.protocol(), what.verb, Outcome::Closed)
            .increment(1);
        self.inner.borrow_mut().asked -= what.bytes;
        self.end(end);
    }

    /// The worker looks whether the client asks anything. Most clients rest most of the time, and there can be many.
    pub fn look(&self) {
        let looks = self.looks.get();
        if looks < RESTING {
            self.looks.set(looks + 1);
            if looks + 1 == RESTING {
                self.wake.notify_one();
            }
        }
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

    /// The proxy waits for it no longer.
    pub fn cut(&self) {
        self.end(End::Drain);
    }

    fn end(&self, end: End) {
        self.inner.borrow_mut().ended.get_or_insert(end);
        self.wake.notify_one();
    }

    /// Writes as much as the client takes now.
    pub fn flush(&self) {
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
        if !inner.rooms.is_empty() && !self.engine.settings().limits.is_large_answer(unread) {
            inner.rooms.clear();
        }
        if written.is_err() {
            inner.ended = Some(End::Client);
        } else if inner.taking.backlog(unread) > self.engine.settings().limits.session_backlog {
            inner.ended = Some(End::Backlog);
        }
        if inner.ended.is_some() || inner.blocked != was_blocked || goes_on {
            self.wake.notify_one();
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

    /// Whether the client has taken everything that was to be written.
    pub fn is_written(&self) -> bool {
        self.inner.borrow().out.is_empty()
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

    /// Serves the client until either side ends it.
    pub async fn serve(self: Rc<Self>, reader: Reader) {
        let mut task = Task::new(Rc::clone(&self), reader);
        let end = task.run().await;
        tracing::debug!(?end, "a session ends");
        let metrics = &self.engine.shared.metrics;
        metrics.sessions_closed.of(account::close(&end)).increment(1);
        if let Some(rule) = account::reset_by_rule(&end) {
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
        self.engine.flush_touched();
    }
}

impl Session {
    /// Gives a request, asked at `received`, its number, its place among the answers and its deadline.
    fn admit(&self, request: Request, received: Instant, bytes: usize) -> Item {
        let Request {
            mut command,
            edit,
            form,
        } = request;
        let keys = &self.listener.keys;
        let unlooked = !keys.is_open() && denied::is_long_list(&command);
        let barred = !keys.is_open()
            && !unlooked
            && !form.asks_for_version()
            && !keys.enter(&mut command, &self.engine.settings().limits.request);
        let mut inner = self.inner.borrow_mut();
        let number = inner.next_number;
        inner.next_number += 1;
        inner.asked += bytes;
        let place = (!form.is_silent(&command)).then(|| inner.order.open());
        let settings = self.engine.settings();
        let patience = dedicated::patience(&command, &settings.pairing);
        Item {
            number,
            place,
            command,
            bytes,
            barred,
            unlooked,
            edit,
            form,
            wants: 0,
            room: None,
            received,
            deadline: received + patience,
            retried: false,
            apart: false,
            standing: Standing::default(),
        }
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
            self.engine.holds(before, now);
        }
    }

    /// Bytes that it holds without room of their own; nothing once it is to end.
    pub fn loose(&self) -> usize {
        self.load.get().loose
    }

    /// Has it give back the buffer that it does not need this moment; how many bytes that will be.
    pub fn give_back(&self) -> usize {
        let (len, room) = self.input.get();
        let spare = if len == 0 { room } else { 0 };
        if spare > 0 {
            self.wake.notify_one();
        }
        spare
    }

    /// Ends it, since it holds more than others and memory is short.
    pub fn shed(&self) {
        self.end(End::Memory);
        self.weigh();
    }

    /// Ends it where it has room for an answer that its client does not take, for which others wait.
    pub fn make_way(&self, patience: Duration, now: Instant) {
        let mut inner = self.inner.borrow_mut();
        let unread = inner.out.len();
        if !inner.rooms.is_empty() && inner.taking.is_in_the_way(unread, READ_ROOM, patience, now) {
            drop(inner);
            self.end(End::Backlog);
        }
    }

    /// Takes the room of an answer of so many bytes that it is about to be given.
    pub fn take_room(&self, room: Option<Room>, bytes: usize) {
        let mut inner = self.inner.borrow_mut();
        inner.expected = bytes.max(inner.expected - inner.expected / 8);
        if let Some(room) = room {
            inner.rooms.push(room);
            inner.taking.is_left_alone();
        }
    }

    /// Whether an answer of so many bytes can be put behind those that the client has not taken. Behind any at all there
    /// is no place for a large one: who does not read does not stand in the line for room either.
    pub fn has_place_for(&self, bytes: usize) -> bool {
        let unread = self.inner.borrow().out.len();
        let limits = &self.engine.settings().limits;
        unread == 0 || (unread + bytes <= limits.session_backlog && !limits.is_large_answer(bytes))
    }

    /// Whether it has requests on a lane that may change something.
    pub fn writes(&self) -> bool {
        self.inner.borrow().writes_aloft > 0
    }

    /// Whether so much is unread that no further request is taken up.
    fn is_behind(&self) -> bool {
        self.inner.borrow().out.len() > BACKLOG_PAUSE
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.holds(self.load.take(), Load::default());
    }
}

/// This instant, on the clock that tests can pause.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
