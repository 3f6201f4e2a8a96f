//! The task of a session: reads, has requests carried out, and steps in when the client does not take its answers at once.

mod ahead;
mod cut;
mod linking;
mod overdue;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep_until};

use self::ahead::LookedAhead;
use self::cut::Cut;
pub use self::linking::Edge;
use self::linking::asks_for_link;
use super::stream::stream;
use super::{BACKLOG_PAUSE, End, READ_AHEAD, Session};
use crate::clock::now;
use crate::config::Pipelining;
use crate::engine::apart::{copying, is_long_copy};
use crate::engine::channel::Client;
use crate::engine::pipeline::{Behind, Head, Pipeline, Progress, Submitted};
use crate::engine::request::Request;
use crate::engine::state::Cause;
use crate::pairing::arrivals::Arrivals;
use crate::protocol::Protocol;
use crate::protocol::link::hello::Behalf;
use crate::protocol::request::{self, Decoder, Incoming};
use crate::transport::{self, READ_ROOM, Reader, Writer};

/// After so many bytes of one client the others have their turn: to read 1 MiB takes longer than to serve many of them.
const TURN: usize = 64 * 1024;

/// So many requests are taken up before others have their turn.
const REQUESTS: usize = 1024;

/// So much is read at once while memory is short.
const SHORT_READ: usize = 4096;

/// How far the session's task came with what it has.
enum Pump {
    /// The next request is not all there.
    Hungry,
    /// Something must happen first.
    Stalled,
    /// There is more to do, once others had their turn.
    Busy,
    /// What was next needed nothing to be done; there may be more.
    Again,
}

/// What is waited for when there is nothing to do.
struct Until {
    /// The next request is not all there.
    hungry: bool,
    /// Memory is short.
    is_short: bool,
    /// The client did not take everything.
    blocked: bool,
    /// The timer says when something is overdue.
    armed: bool,
    /// More of the client is read.
    may_read: bool,
}

/// The task of a session.
pub(super) struct Task {
    session: Rc<Session>,
    pub(super) reader: Reader,
    input: BytesMut,
    decoder: Decoder,
    /// Bytes that lay there when the decoder began with the request that it takes apart.
    begun_with: Option<usize>,
    /// The requests that were taken up.
    pipeline: Pipeline,
    /// No further request is taken up; the session ends for this reason once the earlier ones are answered.
    last: Option<End>,
    /// The client has said that nothing more will come.
    at_end: bool,
    /// When bytes came last.
    progress: Instant,
    /// When it was last seen that the client waits for an answer, if it asks nothing more for long.
    served: Instant,
    /// When the request that is not all there began to come.
    begun: Option<Instant>,
    arrivals: Arrivals,
    ahead: LookedAhead,
    /// When the last slow command ended: what was asked behind it could not be answered before.
    clear_from: Option<Instant>,
    /// Bytes that were read since other sessions had their turn for that.
    read_in_turn: usize,
    /// Since when it lets others go first.
    paused: Option<Instant>,
    /// The client is so far behind with reading that nothing more is taken up.
    is_behind: bool,
    /// While the proxy drains: when the client can begin its last request, and when it must have sent that.
    cut: Option<Cut>,
    /// For whom it asks, where it is an edge's connection for one of its clients.
    behalf: Option<Behalf>,
}

impl Task {
    pub(super) fn new(session: Rc<Session>, reader: Reader, input: BytesMut) -> Self {
        let limits = session.engine().settings().limits.request;
        let listener = &session.channel.listener;
        let mut decoder = Decoder::new(limits, listener.protocols, listener.dialect);
        if let Some(hosts) = listener.hosts() {
            decoder = decoder.asked_by(Arc::clone(hosts));
        }
        let client: Rc<dyn Client> = Rc::<Session>::clone(&session);
        let mut arrivals = Arrivals::default();
        if !input.is_empty() {
            arrivals.came(input.len(), now());
        }
        Self {
            pipeline: Pipeline::new(client),
            session,
            reader,
            input,
            decoder,
            begun_with: None,
            last: None,
            at_end: false,
            progress: now(),
            served: now(),
            begun: None,
            arrivals,
            ahead: LookedAhead::default(),
            clear_from: None,
            read_in_turn: 0,
            paused: None,
            is_behind: false,
            cut: None,
            behalf: None,
        }
    }

    pub(super) async fn run(&mut self) -> End {
        let engine = Rc::clone(self.session.engine());
        let timer = sleep_until(tokio::time::Instant::now());
        tokio::pin!(timer);
        loop {
            self.begin_turn();
            let hungry = match self.pump() {
                Ok(Ok(Pump::Busy)) => {
                    engine.flush_touched();
                    self.session.channel.end_turn();
                    yield_now().await;
                    continue;
                }
                Ok(Ok(pump)) => matches!(pump, Pump::Hungry),
                Ok(Err(request)) => {
                    engine.flush_touched();
                    return Box::pin(stream(&self.session, request, &mut self.reader)).await;
                }
                Err(end) => return end,
            };
            self.look_ahead();
            engine.flush_touched();
            if self.pipeline.waits_for() == Some(Cause::Taken) && self.session.is_taken() {
                // All went at once, of which nobody is told.
                continue;
            }
            let has_asked = match self.finished(hungry) {
                None => false,
                Some(end) if Box::pin(self.asks_on(&end)).await => {
                    self.session.channel.end_turn();
                    self.last = Some(end);
                    true
                }
                Some(end) => return end,
            };
            let is_short = self.weigh();
            let until = Until {
                hungry,
                is_short,
                blocked: self.watch(),
                armed: self.arm(timer.as_mut(), hungry),
                may_read: self.may_read(hungry, is_short, has_asked),
            };
            if let Err(end) = self.wait(until, timer.as_mut()).await {
                return end;
            }
        }
    }

    /// Looks at what has happened meanwhile.
    fn begin_turn(&mut self) {
        if self.session.engine().is_stopping() && self.last.is_none() {
            self.last = Some(End::Drain);
            self.cut = Some(Cut::from(self.session.channel.turn()));
        }
        self.look_at_pause();
        self.look_at_backlog();
    }

    /// Counts what it holds, and gives back what it does not need; whether memory is short.
    fn weigh(&mut self) -> bool {
        if self.session.is_resting() {
            self.rest();
        }
        let is_short = self.session.engine().held.is_short();
        if is_short {
            self.give_back();
        }
        self.session.input.set((self.input.len(), self.input.capacity()));
        self.session.weigh();
        is_short
    }

    /// Whether more is read of the client now. Behind its last request it `has_asked` for more.
    fn may_read(&self, hungry: bool, is_short: bool, has_asked: bool) -> bool {
        !self.at_end
            && !self.session.share.is_paused()
            && !matches!(self.last, Some(End::Fault(_) | End::Done))
            && (has_asked || !self.is_cut(hungry))
            && (hungry || (self.input.len() < READ_AHEAD && !is_short) || self.watches_for_more())
    }

    /// Waits until there is anything to go on with.
    async fn wait(&mut self, until: Until, timer: Pin<&mut Sleep>) -> Result<(), End> {
        let room = if until.is_short { SHORT_READ } else { READ_ROOM };
        if until.may_read {
            self.make_room(room).await?;
        }
        let writer = self.session.writer.borrow().clone();
        let may_progress = self.pipeline.may_progress();
        self.session.channel.end_turn();
        tokio::select! {
            biased;
            () = self.session.channel.wake.notified() => {}
            progress = self.pipeline.progress(), if may_progress => if progress == Progress::SlowEnded {
                self.clear_from = Some(self.session.channel.turn());
            },
            read = self.reader.read_some(&mut self.input, room), if until.may_read => {
                self.received(read)?;
                // While memory is short, whoever makes room has its turn before more is taken.
                if until.is_short || self.read_in_turn > TURN {
                    self.read_in_turn = 0;
                    yield_now().await;
                    self.session.channel.end_turn();
                }
            }
            _ = writable(writer), if until.blocked => self.session.write_ready(),
            () = self.session.engine().stopped(), if self.last.is_none() => {}
            () = timer, if until.armed => if let Some(end) = self.overdue(until.hungry) {
                return Err(end);
            },
        }
        Ok(())
    }

    /// Takes up as much as there is. The inner error is a command whose answer is a stream.
    fn pump(&mut self) -> Result<Result<Pump, Request>, End> {
        for _ in 0..REQUESTS {
            if let Some(end) = self.session.inner.borrow_mut().ended.take() {
                return Err(end);
            }
            let request = match self.pipeline.head(self.is_followed()) {
                Head::Goes(request) => request,
                Head::Stalled => return Ok(Ok(Pump::Stalled)),
                Head::Free => match self.take_up()? {
                    Ok(request) => request,
                    Err(Pump::Again) => continue,
                    Err(pump) => return Ok(Ok(pump)),
                },
            };
            self.begun = None;
            self.session.inner.borrow_mut().followed = !self.input.is_empty();
            match self.pipeline.submit(request, self.behind()) {
                Submitted::Gone => {}
                Submitted::Stalled => return Ok(Ok(Pump::Stalled)),
                Submitted::Streams(request) => return Ok(Err(request)),
            }
        }
        Ok(Ok(Pump::Busy))
    }

    /// Whether anything lies behind what was taken up, or nothing will come any more.
    fn is_followed(&self) -> bool {
        !self.input.is_empty() || matches!(self.last, Some(End::Client | End::Fault(_) | End::Done))
    }

    /// What lies behind the request that is being taken up.
    fn behind(&self) -> Behind {
        let protocols = self.session.channel.listener.protocols;
        match self.input.first() {
            None => Behind::Nothing,
            Some(byte) if Protocol::begun_by(*byte).is_some_and(|protocol| protocols.serve(protocol)) => {
                Behind::Request
            }
            Some(_) => Behind::Else,
        }
    }

    /// The next request of the input.
    fn take_up(&mut self) -> Result<Result<Request, Pump>, End> {
        if matches!(self.last, Some(End::Fault(_) | End::Done)) || self.is_full() {
            return Ok(Err(Pump::Stalled));
        }
        if self.session.share.is_paused() {
            return Ok(Err(Pump::Stalled));
        }
        let before = self.begun_with.take().unwrap_or(self.input.len());
        match self.decoder.decode(&mut self.input) {
            Ok(Some(_)) if self.watches_for_more() => Err(End::GaveUp),
            Ok(Some(Incoming::Request(request))) if asks_for_link(&request) => {
                self.ask_for_link(request, before - self.input.len())?;
                Ok(Err(Pump::Again))
            }
            Ok(Some(Incoming::Request(request))) => Ok(Ok(self.admit(request, before - self.input.len()))),
            Ok(Some(Incoming::Unknown { words })) => {
                self.begun = None;
                self.session.note_unknown(words);
                Ok(Err(Pump::Again))
            }
            Ok(Some(Incoming::Quit)) => {
                self.last = Some(End::Done);
                Ok(Err(Pump::Stalled))
            }
            Ok(None) if self.decoder.is_busy() => {
                self.begun_with = Some(before);
                Ok(Err(Pump::Busy))
            }
            Ok(None) => {
                if !self.input.is_empty() {
                    self.begun.get_or_insert(self.progress);
                }
                if let Some(words) = self.decoder.go_ahead() {
                    self.session.interject(words);
                }
                Ok(Err(Pump::Hungry))
            }
            Err(fault) => {
                self.last = Some(End::Fault(fault));
                Ok(Err(Pump::Stalled))
            }
        }
    }

    /// Takes up a request that came in so many bytes.
    fn admit(&mut self, request: request::Request, size: usize) -> Request {
        if request.form.is_last() {
            self.last = Some(End::Done);
        }
        let arrived = self.arrivals.taken(self.input.len()).max(self.clear_from);
        let received = arrived.unwrap_or_else(|| self.session.channel.turn());
        let request = self.session.admit(request, received, size);
        if size > READ_AHEAD {
            // What is left would keep the memory of all of it.
            transport::let_go(&mut self.input);
        }
        let bytes = &self.session.engine().shared.metrics.request_bytes;
        let verb = request.command.verb();
        bytes.of(request.protocol(), verb).increment(size as u64);
        request
    }

    /// Makes room for the next bytes where there is none and much would have to be copied for that: by another thread.
    async fn make_room(&mut self, room: usize) -> Result<(), End> {
        let bytes = self.input.len();
        if is_long_copy(bytes) && self.input.capacity() - bytes < room {
            let mut input = std::mem::take(&mut self.input);
            self.input = copying(bytes, move || {
                input.reserve(bytes.max(room));
                input
            })
            .await?;
        }
        Ok(())
    }

    /// Gives back buffers until the client asks again.
    fn rest(&mut self) {
        self.give_back();
        self.arrivals.shrink();
        self.session.shrink();
    }

    /// Gives back what is not needed of the buffer. One that is half full is as large as it has to be: a request that
    /// grows is not copied for each of its pieces.
    fn give_back(&mut self) {
        if self.input.capacity() > 2 * self.input.len() {
            transport::let_go(&mut self.input);
        }
    }

    /// What was asked behind answers that the client had not taken could not be answered before it had.
    fn look_at_backlog(&mut self) {
        let is_behind = self.session.is_behind();
        if self.is_behind && !is_behind {
            self.clear_from = Some(self.session.channel.turn());
        }
        self.is_behind = is_behind;
    }

    /// Ends a pause that is over. What the client could not do in the meantime is not held against it, nor that it has had
    /// the answers before.
    fn look_at_pause(&mut self) {
        let Some(until) = self.session.share.paused_until() else {
            return;
        };
        let now = self.session.channel.turn();
        let from = *self.paused.get_or_insert(now);
        if now < until {
            return;
        }
        self.clear_from = self.session.share.goes_on().max(self.clear_from);
        self.paused = None;
        self.progress = now;
        if let Some(begun) = &mut self.begun {
            *begun += now.saturating_duration_since(from);
        }
    }

    fn is_full(&self) -> bool {
        let (inner, in_flight) = (self.session.inner.borrow(), self.session.channel.in_flight());
        let settings = self.session.engine().settings();
        let pipeline_max = settings.limits.pipeline;
        in_flight >= pipeline_max
            || inner.order.owed() >= pipeline_max
            || inner.out.len() > BACKLOG_PAUSE
            || in_flight.saturating_mul(inner.expected) > settings.limits.session_backlog
            || (in_flight > 0 && settings.limits.is_large_answer(inner.expected))
            || (in_flight > 0 && !self.session.share.has_room_beside(in_flight))
    }

    /// Whether any further byte would mean that the client gave up on its request.
    fn watches_for_more(&self) -> bool {
        self.session.pipelining() == Pipelining::Forbid && self.session.owes()
    }

    /// The reason to end, once everything that was asked before is answered and written.
    fn finished(&mut self, hungry: bool) -> Option<End> {
        let last = self.last.as_ref()?;
        let inner = self.session.inner.borrow();
        let all_taken_up = match last {
            End::Client => hungry,
            // A request that has begun to come is waited for, as long as it comes on.
            End::Drain => hungry && (self.input.is_empty() || self.at_end || self.is_cut(hungry)),
            _ => true,
        };
        let is_done = self.pipeline.is_empty() && inner.order.owed() == 0 && inner.out.is_empty() && all_taken_up;
        drop(inner);
        if is_done { self.last.take() } else { None }
    }

    /// Says whether the task wants to know when requests land; returns whether the client is behind with reading.
    fn watch(&self) -> bool {
        let stalled = self.last.is_some() || self.is_full() || self.pipeline.waits_for() == Some(Cause::Earlier);
        self.session.channel.watch(stalled);
        self.session.inner.borrow().blocked
    }

    fn received(&mut self, read: std::io::Result<usize>) -> Result<(), End> {
        match read {
            Ok(0) => {
                self.at_end = true;
                self.last.get_or_insert(End::Client);
                Ok(())
            }
            Ok(bytes) => {
                self.progress = self.session.channel.turn();
                self.read_in_turn += bytes;
                self.session.looks.set(0);
                self.session.moved(bytes, self.progress);
                let came = self.session.context.heartbeat.came(self.progress);
                self.arrivals.came(bytes, came);
                self.session.engine().busy_poll.worked();
                if self.watches_for_more() {
                    return Err(End::GaveUp);
                }
                Ok(())
            }
            Err(_) => Err(End::Client),
        }
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
