//! One client connection: requests come in, answers leave in their order.
//!
//! The session's task reads and dispatches. Answers are written by whoever has them, most often the lane that has just
//! read them; the task only steps in when the client does not take them at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep_until, timeout};

use super::account;
use super::slow;
use super::waiting::{GuardWait, Standing, Unfenced};
use super::worker::Worker;
use crate::command::{Command, Reply, Verb};
use crate::config::Pipelining;
use crate::metrics::Outcome;
use crate::pairing::order::{Order, Place};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::reply;
use crate::protocol::tyrant::request::{RequestDecoder, RequestFault};
use crate::transport::{Reader, Writer};

/// So many bytes are read ahead of the requests that are being carried out.
const READ_AHEAD: usize = 64 * 1024;

/// With more answer bytes than this unread, no further request of the session is taken up.
const BACKLOG_PAUSE: usize = 1 << 20;

/// How long a client may take to acknowledge what it is still owed before the connection is reset.
const LINGER: Duration = Duration::from_secs(1);

/// Why a session ends.
#[derive(Debug)]
pub enum End {
    /// The client ended it.
    Client,
    /// A request could not be decoded.
    Fault(RequestFault),
    /// A request was not answered in time.
    Deadline,
    /// A half-sent request made no progress.
    HalfSent,
    /// A second request came while an answer was owed, where that means that the client gave up on the first.
    GaveUp,
    /// A request that must not be sent twice was lost with its lane.
    LaneLost,
    /// The client does not read its answers.
    Backlog,
    /// Half-received requests take too much memory.
    Memory,
    /// A command that is not served here.
    RefusedCommand,
    /// The proxy is stopping.
    Drain,
}

/// One request on its way through the session.
#[derive(Debug)]
pub struct Item {
    /// Its number among the session's requests.
    pub number: u64,
    /// Where its answer belongs; nothing for `putnr`.
    pub place: Option<Place>,
    pub command: Command,
    /// When it had been read whole.
    pub received: Instant,
    pub deadline: Instant,
    /// It was sent before, on a lane that was lost.
    pub retried: bool,
    /// What it comes back to the judge with.
    pub standing: Standing,
}

/// What is needed to conclude a request.
#[derive(Clone, Copy, Debug)]
pub struct Concluding {
    pub verb: Verb,
    pub place: Option<Place>,
    pub received: Instant,
}

impl Item {
    pub fn concluding(&self) -> Concluding {
        Concluding {
            verb: self.command.verb(),
            place: self.place,
            received: self.received,
        }
    }
}

/// What a request waits for before it can be dispatched.
#[derive(Debug)]
pub enum Waiting {
    /// The guard's word.
    Guard(GuardWait),
    /// A lane, or room on it.
    Lane,
    /// The end of the hold after a start.
    Hold(Instant),
    /// More bytes, or the certainty that none follow at once.
    Grace(Instant),
    /// The outcome of everything that the session sent before.
    Settled,
}

/// A command that takes several exchanges.
pub type Step = Pin<Box<dyn Future<Output = Result<(Outcome, Reply), End>>>>;

/// What became of dispatching a request.
pub enum Next {
    Done,
    Wait(Item, Waiting),
    Step(Concluding, Step),
    Stream(Item),
}

#[derive(Debug)]
struct Inner {
    order: Order<Reply>,
    out: Outgoing,
    /// Set once, by whoever finds that the session must end.
    ended: Option<End>,
    /// Requests that a lane lost, to be dispatched again before anything else.
    redo: BTreeMap<u64, Item>,
    /// Requests on a lane, `putnr` included.
    aloft: usize,
    next_number: u64,
    /// The task wants to know when requests have landed.
    watched: bool,
    touched: bool,
    /// The client did not take everything; the task waits until it does.
    blocked: bool,
}

/// One client connection.
pub struct Session {
    pub worker: Rc<Worker>,
    pub link: usize,
    writer: RefCell<Option<Rc<Writer>>>,
    inner: RefCell<Inner>,
    wake: Notify,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub fn new(worker: Rc<Worker>, writer: Writer) -> Rc<Self> {
        let link = worker.next_link();
        Rc::new(Self {
            worker,
            link,
            writer: RefCell::new(Some(Rc::new(writer))),
            inner: RefCell::new(Inner {
                order: Order::new(),
                out: Outgoing::new(),
                ended: None,
                redo: BTreeMap::new(),
                aloft: 0,
                next_number: 0,
                watched: false,
                touched: false,
                blocked: false,
            }),
            wake: Notify::new(),
        })
    }

    /// A request has been put on a lane.
    pub fn took_off(&self) {
        self.inner.borrow_mut().aloft += 1;
    }

    /// A request on a lane has its outcome.
    pub fn landed(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.aloft -= 1;
        if inner.watched {
            self.wake.notify_one();
        }
    }

    /// Requests on a lane.
    pub fn aloft(&self) -> usize {
        self.inner.borrow().aloft
    }

    /// Answers a request and counts it. The answer leaves when all earlier ones have.
    pub fn conclude(self: &Rc<Self>, what: Concluding, outcome: Outcome, reply: Reply, now: Instant) {
        let metrics = &self.worker.shared.metrics;
        metrics.requests.of(what.verb, outcome).increment(1);
        metrics
            .request_seconds
            .record(now.saturating_duration_since(what.received));
        let Some(place) = what.place else {
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
        let Inner { order, out, .. } = &mut *inner;
        order.answer(place, reply);
        while let Some(reply) = order.take_next() {
            reply::encode(&reply, out);
        }
        let touched = std::mem::replace(&mut inner.touched, true);
        drop(inner);
        if !touched {
            self.worker.touch(Rc::clone(self));
        }
    }

    /// Where pipelining is forbidden, bytes behind a request mean that the client no longer waits for its answer.
    fn client_gave_up(&self) -> bool {
        if self.worker.shared.settings.pairing.pipelining == Pipelining::Allow {
            return false;
        }
        self.writer.borrow().as_ref().is_some_and(|writer| writer.has_unread())
    }

    /// A lane lost this request, and it may be sent again.
    pub fn retry(&self, item: Item) {
        self.inner.borrow_mut().redo.insert(item.number, item);
        self.wake.notify_one();
    }

    /// A request cannot be answered: the session ends, rather than say something wrong.
    pub fn fail(&self, verb: Verb, end: End) {
        self.worker
            .shared
            .metrics
            .requests
            .of(verb, Outcome::Closed)
            .increment(1);
        self.end(end);
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
        let written = writer.write_ready(&mut inner.out);
        let was_blocked = inner.blocked;
        inner.blocked = !inner.out.is_empty();
        let backlog_max = self.worker.shared.settings.limits.session_backlog;
        if written.is_err() {
            inner.ended = Some(End::Client);
        } else if inner.out.len() > backlog_max {
            inner.ended = Some(End::Backlog);
        }
        if inner.ended.is_some() || inner.blocked != was_blocked {
            self.wake.notify_one();
        }
    }

    /// Writes bytes that are no answer, and waits until they are written.
    pub async fn write_all(&self, bytes: &Bytes) -> std::io::Result<()> {
        let Some(writer) = self.writer.borrow().clone() else {
            return Err(std::io::ErrorKind::NotConnected.into());
        };
        let mut out = Outgoing::new();
        out.put_bytes(bytes);
        while !out.is_empty() {
            writer.writable().await?;
            writer.write_ready(&mut out)?;
        }
        Ok(())
    }

    /// Serves the client until either side ends it.
    pub async fn serve(self: Rc<Self>, reader: Reader) {
        let mut task = Task::new(Rc::clone(&self), reader);
        let end = task.run().await;
        tracing::debug!(?end, "a session ends");
        self.worker
            .shared
            .metrics
            .sessions_closed
            .of(account::close(&end))
            .increment(1);
        if let End::Fault(fault) = &end {
            let index = RequestFault::NAMES.iter().position(|name| *name == fault.name());
            self.worker
                .shared
                .metrics
                .request_faults
                .of(index.unwrap_or(0))
                .increment(1);
        }
        self.inner.borrow_mut().ended.get_or_insert(End::Client);
        self.close(&end).await;
        drop(task);
    }

    /// Gives the client what it is still owed, then resets the connection; a client that has ended it itself gets an
    /// ordinary end.
    async fn close(&self, end: &End) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        if matches!(end, End::Client) {
            return;
        }
        let mut out = std::mem::take(&mut self.inner.borrow_mut().out);
        if !matches!(end, End::Backlog) {
            let rest = async {
                while !out.is_empty() && writer.writable().await.is_ok() && writer.write_ready(&mut out).is_ok() {}
            };
            let _ = timeout(LINGER, rest).await;
            writer.acknowledged(LINGER).await;
        }
        if let Ok(writer) = Rc::try_unwrap(writer) {
            writer.reset();
        }
    }
}

/// How far the session's task came with what it has.
enum Pump {
    /// The next request is not all there.
    Hungry,
    /// Something must happen first.
    Stalled,
}

/// The task of a session.
struct Task {
    session: Rc<Session>,
    reader: Reader,
    input: BytesMut,
    decoder: RequestDecoder,
    waiting: Option<(Item, Waiting)>,
    step: Option<(Concluding, Step)>,
    /// No further request is taken up; the session ends for this reason once the earlier ones are answered.
    last: Option<End>,
    /// When bytes came last.
    progress: Instant,
    /// Bytes of `input` that are counted in the sum of all sessions.
    charged: usize,
}

impl Task {
    fn new(session: Rc<Session>, reader: Reader) -> Self {
        let limits = session.worker.shared.settings.limits.request;
        Self {
            session,
            reader,
            input: BytesMut::new(),
            decoder: RequestDecoder::new(limits),
            waiting: None,
            step: None,
            last: None,
            progress: now(),
            charged: 0,
        }
    }

    async fn run(&mut self) -> End {
        let worker = Rc::clone(&self.session.worker);
        let mut stopping = worker.shared.stopping.subscribe();
        let timer = sleep_until(tokio::time::Instant::now());
        tokio::pin!(timer);
        loop {
            if worker.shared.is_stopping() && self.last.is_none() {
                self.last = Some(End::Drain);
            }
            let hungry = match self.pump() {
                Ok(Ok(pump)) => matches!(pump, Pump::Hungry),
                Ok(Err(stream)) => return slow::stream(&self.session, stream, &mut self.reader).await,
                Err(end) => return end,
            };
            worker.flush_touched();
            if let Some(end) = self.finished(hungry) {
                return end;
            }
            let blocked = self.watch();
            let armed = self.arm(timer.as_mut(), hungry);
            let may_read = !matches!(self.last, Some(End::Client | End::Fault(_)))
                && (hungry || self.input.len() < READ_AHEAD || self.watches_for_more());
            let writer = self.session.writer.borrow().clone();
            let (step, waiting) = (&mut self.step, &mut self.waiting);
            tokio::select! {
                biased;
                () = self.session.wake.notified() => {}
                result = advance(step), if step.is_some() => {
                    if let Some((what, _)) = step.take() {
                        self.concluded(what, result);
                    }
                }
                woken = woken(waiting), if matches!(waiting, Some((_, Waiting::Guard(_)))) => {
                    self.wakened(woken);
                }
                () = worker.changed.notified(), if matches!(waiting, Some((_, Waiting::Lane))) => {}
                read = self.reader.read(&mut self.input), if may_read => {
                    if let Err(end) = self.received(read) {
                        return end;
                    }
                }
                _ = writable(writer), if blocked => self.session.flush(),
                _ = stopping.changed(), if self.last.is_none() => {}
                () = &mut timer, if armed => {
                    if let Some(end) = self.overdue(hungry) {
                        return end;
                    }
                }
            }
        }
    }

    /// Dispatches as much as there is. The inner error is a command whose answer is a stream.
    fn pump(&mut self) -> Result<Result<Pump, Item>, End> {
        loop {
            if let Some(end) = self.session.inner.borrow_mut().ended.take() {
                return Err(end);
            }
            if self.step.is_some() {
                return Ok(Ok(Pump::Stalled));
            }
            let item = match self.next_item()? {
                Ok(item) => item,
                Err(pump) => return Ok(Ok(pump)),
            };
            match self.session.dispatch(item, self.input.first().copied()) {
                Next::Done => {}
                Next::Wait(item, waiting) => {
                    self.waiting = Some((item, waiting));
                    return Ok(Ok(Pump::Stalled));
                }
                Next::Step(what, step) => self.step = Some((what, step)),
                Next::Stream(item) => return Ok(Err(item)),
            }
        }
    }

    /// The next request to dispatch: one that a lane lost, the one that waited, or the next one of the input.
    fn next_item(&mut self) -> Result<Result<Item, Pump>, End> {
        if let Some(item) = self.next_redo() {
            return Ok(Ok(item));
        }
        if let Some((item, waiting)) = self.waiting.take() {
            if self.is_over(&waiting) {
                return Ok(Ok(item));
            }
            self.waiting = Some((item, waiting));
            return Ok(Err(Pump::Stalled));
        }
        if matches!(self.last, Some(End::Fault(_) | End::Drain)) || self.is_full() {
            return Ok(Err(Pump::Stalled));
        }
        match self.decoder.decode(&mut self.input) {
            Ok(Some(_)) if self.watches_for_more() => Err(End::GaveUp),
            Ok(Some(command)) => Ok(Ok(self.session.admit(command))),
            Ok(None) => Ok(Err(Pump::Hungry)),
            Err(fault) => {
                self.last = Some(End::Fault(fault));
                Ok(Err(Pump::Stalled))
            }
        }
    }

    /// The first request that a lane lost, unless an earlier one is waiting. What waited goes behind it.
    fn next_redo(&mut self) -> Option<Item> {
        let mut inner = self.session.inner.borrow_mut();
        let first = *inner.redo.first_key_value()?.0;
        if let Some((item, _)) = &self.waiting
            && item.number < first
        {
            return None;
        }
        let (_, redo) = inner.redo.pop_first()?;
        if let Some((item, _)) = self.waiting.take() {
            inner.redo.insert(item.number, item);
        }
        Some(redo)
    }

    fn is_over(&self, waiting: &Waiting) -> bool {
        match waiting {
            Waiting::Guard(_) => false,
            // Trying again is how one finds out.
            Waiting::Lane => true,
            Waiting::Hold(until) => *until <= now(),
            Waiting::Grace(until) => *until <= now() || !self.input.is_empty() || self.last.is_some(),
            Waiting::Settled => self.session.aloft() == 0,
        }
    }

    fn is_full(&self) -> bool {
        let inner = self.session.inner.borrow();
        let pipeline_max = self.session.worker.shared.settings.limits.pipeline;
        inner.aloft >= pipeline_max || inner.order.owed() >= pipeline_max || inner.out.len() > BACKLOG_PAUSE
    }

    /// Whether any further byte would mean that the client gave up on its request.
    fn watches_for_more(&self) -> bool {
        let pipelining = self.session.worker.shared.settings.pairing.pipelining;
        pipelining == Pipelining::Forbid && self.session.inner.borrow().order.owed() > 0
    }

    /// The reason to end, once everything that was asked before is answered and written.
    fn finished(&mut self, hungry: bool) -> Option<End> {
        let last = self.last.as_ref()?;
        let inner = self.session.inner.borrow();
        let all_taken_up = hungry || !matches!(last, End::Client);
        let is_done = self.waiting.is_none()
            && self.step.is_none()
            && inner.redo.is_empty()
            && inner.aloft == 0
            && inner.out.is_empty()
            && all_taken_up;
        drop(inner);
        if is_done { self.last.take() } else { None }
    }

    /// Says whether the task wants to know when requests land; returns whether the client is behind with reading.
    fn watch(&self) -> bool {
        let stalled = self.last.is_some() || self.is_full() || matches!(self.waiting, Some((_, Waiting::Settled)));
        let mut inner = self.session.inner.borrow_mut();
        inner.watched = stalled;
        inner.blocked
    }

    /// Sets the timer to the next instant at which something is overdue; false when there is none.
    fn arm(&self, timer: Pin<&mut Sleep>, hungry: bool) -> bool {
        let waited_for = self.waiting.as_ref().map(|(item, waiting)| match waiting {
            Waiting::Hold(until) | Waiting::Grace(until) => (*until).min(item.deadline),
            _ => item.deadline,
        });
        let half_sent = (hungry && !self.input.is_empty())
            .then(|| self.progress + self.session.worker.shared.settings.pairing.frame_timeout);
        let Some(next) = waited_for.into_iter().chain(half_sent).min() else {
            return false;
        };
        if timer.deadline() != next.into() {
            timer.reset(next.into());
        }
        true
    }

    fn overdue(&self, hungry: bool) -> Option<End> {
        let now = now();
        if let Some((item, _)) = &self.waiting
            && item.deadline <= now
        {
            self.session.fail(item.command.verb(), End::Deadline);
            return Some(End::Deadline);
        }
        let patience = self.session.worker.shared.settings.pairing.frame_timeout;
        (hungry && !self.input.is_empty() && self.progress + patience <= now).then_some(End::HalfSent)
    }

    fn received(&mut self, read: std::io::Result<usize>) -> Result<(), End> {
        match read {
            Ok(0) => {
                self.last.get_or_insert(End::Client);
                Ok(())
            }
            Ok(_) => {
                self.progress = now();
                if self.watches_for_more() {
                    return Err(End::GaveUp);
                }
                self.charge()
            }
            Err(_) => Err(End::Client),
        }
    }

    /// Counts what a large half-received request takes in the sum of all sessions.
    fn charge(&mut self) -> Result<(), End> {
        let held = if self.input.len() > READ_AHEAD {
            self.input.len()
        } else {
            0
        };
        let buffered = &self.session.worker.shared.buffered;
        buffered.fetch_sub(self.charged, Ordering::Relaxed);
        self.charged = held;
        let sum = buffered.fetch_add(held, Ordering::Relaxed) + held;
        if held > 0 && sum > self.session.worker.shared.settings.limits.buffer_memory {
            return Err(End::Memory);
        }
        Ok(())
    }

    fn wakened(&mut self, woken: Result<Standing, Unfenced>) {
        let Some((mut item, _)) = self.waiting.take() else {
            return;
        };
        match woken {
            // Whether it was stored is not known and will not be.
            Err(Unfenced) if item.retried => self.session.fail(item.command.verb(), End::LaneLost),
            Err(Unfenced) => self.session.retry(item),
            Ok(standing) => {
                item.standing = standing;
                self.session.retry(item);
            }
        }
    }

    fn concluded(&self, what: Concluding, result: Result<(Outcome, Reply), End>) {
        match result {
            Ok((outcome, reply)) => self.session.conclude(what, outcome, reply, now()),
            Err(end) => self.session.fail(what.verb, end),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.session
            .worker
            .shared
            .buffered
            .fetch_sub(self.charged, Ordering::Relaxed);
    }
}

impl Session {
    /// Gives a request its number, its place among the answers and its deadline.
    fn admit(&self, command: Command) -> Item {
        let received = now();
        let mut inner = self.inner.borrow_mut();
        let number = inner.next_number;
        inner.next_number += 1;
        let place = (command.verb() != Verb::PutNr).then(|| inner.order.open());
        let timeouts = &self.worker.shared.settings.pairing;
        let patience = if slow::is_slow(&command) {
            timeouts.slow_timeout
        } else {
            timeouts.request_timeout
        };
        Item {
            number,
            place,
            command,
            received,
            deadline: received + patience,
            retried: false,
            standing: Standing::default(),
        }
    }
}

/// This instant, on the clock that tests can pause.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn advance(step: &mut Option<(Concluding, Step)>) -> Result<(Outcome, Reply), End> {
    match step {
        Some((_, step)) => step.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn woken(waiting: &mut Option<(Item, Waiting)>) -> Result<Standing, Unfenced> {
    match waiting {
        Some((_, Waiting::Guard(wait))) => wait.woken().await,
        _ => std::future::pending().await,
    }
}

async fn writable(writer: Option<Rc<Writer>>) {
    match writer {
        Some(writer) => {
            let _ = writer.writable().await;
        }
        None => std::future::pending().await,
    }
}
