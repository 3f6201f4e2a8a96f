//! The guard's side of a link: one connection of an edge, on which many clients of that one ask at once.
//!
//! What is said there is in [`protocol::link`](crate::protocol::link). The link's `task` reads frames; each client is a
//! `stream`, which is to the engine what a session is, and `carrying` has its requests carried out in their order.
//! Their answers leave as they come. A link that takes the place of another begins when that one has ended: see
//! `fencing`.

mod carrying;
mod clients;
mod end;
mod stream;
mod task;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

pub(super) use self::clients::peer_of;
use self::end::End;
use crate::command::Reply;
use crate::config::ListenerSettings;
use crate::engine::Engine;
use crate::engine::memory::{Load, Room};
use crate::front::context::Context;
use crate::front::served::{Served, SessionLoad};
use crate::protocol::link::Kind;
use crate::protocol::link::hello::Hello;
use crate::protocol::link::sending::Sending;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::reply;
use crate::recent::edges;
use crate::transport::{self, Who, Writer};

/// With more bytes than this unwritten, or of requests that nobody has taken up, nothing more is read of the edge.
const PAUSE: usize = 1 << 20;

/// What is to be told, and who is owed it.
#[derive(Debug, Default)]
struct Inner {
    sending: Sending<Option<Room>>,
    /// The requests without an answer, by their ids.
    owed: HashMap<u64, Owed>,
    /// Set once, by whoever finds that the link must end.
    ended: Option<End>,
    /// Bytes of the requests that have no answer.
    asked: usize,
    /// Bytes of those that nobody has taken up.
    queued: usize,
    /// Somebody is about to write.
    touched: bool,
    /// The edge did not take everything.
    blocked: bool,
    /// When much was unwritten, and how much had been written by then.
    slow: Option<(Instant, u64)>,
    /// The same, while others wait for room.
    pressed: Option<(Instant, u64)>,
}

/// A request without an answer.
#[derive(Clone, Copy, Debug)]
struct Owed {
    /// The number of the stream that it came on; nothing where that is not served.
    stream: Option<u64>,
    /// Bytes that it came in.
    bytes: usize,
}

impl Inner {
    /// Bytes of room that what is unwritten has.
    fn with_room(&self) -> usize {
        self.sending.tags().flatten().map(Room::bytes).sum()
    }

    /// Unwritten bytes that have no room of their own.
    fn loose(&self) -> usize {
        self.sending.len().saturating_sub(self.with_room())
    }
}

/// Tells an edge that the connection is what it has asked for: a link, or that of one of its clients.
///
/// # Errors
/// When the connection is broken.
pub(super) async fn grant(writer: &Writer) -> io::Result<()> {
    answer(writer, 0, Vec::new()).await
}

/// Answers an edge that has asked for that.
///
/// # Errors
/// When the connection is broken.
pub(super) async fn answer(writer: &Writer, code: u8, strings: Vec<Bytes>) -> io::Result<()> {
    let mut out = Outgoing::new();
    reply::encode(&Reply::Strings { code, strings }, &mut out);
    while !out.is_empty() {
        writer.writable().await?;
        writer.write_ready(&mut out)?;
    }
    Ok(())
}

/// One connection of an edge.
pub struct Link {
    context: Rc<Context>,
    writer: RefCell<Option<Rc<Writer>>>,
    listener: Arc<ListenerSettings>,
    /// Its other end, and the certificate that the edge has shown.
    who: Who,
    inner: RefCell<Inner>,
    /// Told when its task has something to go on with.
    wake: Notify,
    /// Streams that carry requests.
    carrying: Cell<usize>,
    /// Told when there is one less.
    carried: Notify,
    /// Told to all who wait for anything of it when it ends.
    over: Notify,
    /// Its number among the connections of the process.
    number: u64,
    /// Who the edge is, once it has said so, and when that was.
    hello: RefCell<Option<(Hello, Duration)>>,
    /// Requests that were asked so far.
    requests: Cell<u64>,
    /// The newest stamp that the edge was told of.
    seen: Cell<u64>,
    /// Bytes of what has not been asked whole.
    input: Cell<usize>,
    /// What it is known to hold.
    load: Cell<Load>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Link")
            .field("who", &self.who)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Of an edge that has asked for it at a listener with these settings.
    pub fn new(context: Rc<Context>, writer: Writer, listener: Arc<ListenerSettings>) -> Rc<Self> {
        writer.end_by_reset(false);
        Rc::new(Self {
            number: context.engine.shared.lane_ids.next().0,
            hello: RefCell::default(),
            requests: Cell::new(0),
            seen: Cell::new(0),
            context,
            who: writer.who(),
            writer: RefCell::new(Some(Rc::new(writer))),
            listener,
            inner: RefCell::default(),
            wake: Notify::new(),
            carrying: Cell::new(0),
            carried: Notify::new(),
            over: Notify::new(),
            input: Cell::new(0),
            load: Cell::default(),
        })
    }

    fn engine(&self) -> &Rc<Engine> {
        &self.context.engine
    }

    /// Tells the edge something that answers no request.
    fn say(&self, kind: Kind, id: u64, put: impl FnOnce(&mut Outgoing)) {
        let mut inner = self.inner.borrow_mut();
        if inner.ended.is_none() {
            inner.sending.add(kind, id, None, put);
        }
    }

    /// A request is owed an answer from now on: whether none with that id was before.
    fn owes(&self, id: u64, owed: Owed) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.asked += owed.bytes;
        self.requests.set(self.requests.get() + 1);
        inner.owed.insert(id, owed).is_none()
    }

    /// Requests without an answer.
    fn owed(&self) -> usize {
        self.inner.borrow().owed.len()
    }

    /// Tells the edge of a stamp that one of its clients is about to see, where that is newer than all it was told of.
    fn saw(&self, stamp: u64) {
        if self.seen.get() < stamp {
            self.seen.set(stamp);
            self.say(Kind::Seen, stamp, |_| {});
        }
    }

    /// Tells what became of a request of this stream, where that is still owed: the bytes of that.
    fn tell(&self, id: u64, stream: Option<u64>, room: Option<Room>, put: impl FnOnce(&mut Outgoing)) -> Option<usize> {
        let mut inner = self.inner.borrow_mut();
        let owed = inner.owed.get(&id).filter(|owed| owed.stream == stream).copied()?;
        inner.owed.remove(&id);
        inner.asked = inner.asked.saturating_sub(owed.bytes);
        if inner.ended.is_some() {
            return None;
        }
        let before = inner.sending.len();
        inner.sending.add(Kind::Told, id, room, put);
        Some(inner.sending.len() - before)
    }

    /// Somebody is going to write what is told: whether that is whoever asks.
    fn touch(&self) -> bool {
        !std::mem::replace(&mut self.inner.borrow_mut().touched, true)
    }

    /// What was told leaves when the other streams that are ready have had their turn: a store in this process answers each
    /// of them at once, and one write takes all that.
    fn leaves_soon(&self) {
        if self.inner.borrow().touched {
            self.wake.notify_one();
        }
    }

    /// Requests of so many bytes wait to be taken up, or were taken up.
    fn queued(&self, more: usize, less: usize) {
        let mut inner = self.inner.borrow_mut();
        let was_full = inner.queued > PAUSE;
        inner.queued = (inner.queued + more).saturating_sub(less);
        if was_full && inner.queued <= PAUSE {
            self.wake.notify_one();
        }
    }

    /// Whether nothing more is read of the edge, as it does not take its answers, or asks more than is taken up.
    fn is_full(&self) -> bool {
        let inner = self.inner.borrow();
        inner.loose() > PAUSE || inner.queued > PAUSE.max(self.engine().settings().limits.session_backlog)
    }

    /// Whether so little is unwritten that there is place behind it for what is not large.
    fn has_place(&self) -> bool {
        let backlog = self.engine().settings().limits.session_backlog;
        self.inner.borrow().loose() <= backlog / 2
    }

    fn is_over(&self) -> bool {
        self.inner.borrow().ended.is_some()
    }

    fn end(&self, end: End) {
        self.inner.borrow_mut().ended.get_or_insert(end);
        self.wake.notify_one();
    }

    /// Writes as much as the edge takes now.
    fn write_ready(&self) {
        let Some(writer) = self.writer.borrow().clone() else {
            return;
        };
        let mut inner = self.inner.borrow_mut();
        inner.touched = false;
        if inner.ended.is_some() || inner.sending.is_empty() {
            return;
        }
        let was_full = inner.loose() > PAUSE;
        let written = inner.sending.write(|out| writer.write_ready(out));
        let was_blocked = std::mem::replace(&mut inner.blocked, false);
        inner.blocked = !inner.sending.is_empty();
        let goes_on = was_full && inner.loose() <= PAUSE;
        if written.is_err() {
            inner.ended = Some(End::Edge);
        }
        let may_leave = self.engine().is_stopping();
        if inner.ended.is_some() || inner.blocked != was_blocked || goes_on || may_leave {
            self.wake.notify_one();
        }
        drop(inner);
        self.weigh();
    }

    /// Until when an edge with much unwritten has to take some of it.
    fn taken_until(&self, now: Instant) -> Option<Instant> {
        let settings = self.engine().settings();
        let inner = &mut *self.inner.borrow_mut();
        if inner.sending.len() <= settings.limits.session_backlog.min(PAUSE) {
            inner.slow = None;
            return None;
        }
        let written = inner.sending.written();
        match inner.slow {
            Some((since, before)) if before == written => Some(since + settings.pairing.frame_timeout),
            _ => {
                inner.slow = Some((now, written));
                Some(now + settings.pairing.frame_timeout)
            }
        }
    }

    /// Counts what it holds now.
    fn weigh(&self) {
        let inner = self.inner.borrow();
        let unwritten = inner.sending.len();
        let held = self.input.get() + inner.asked + unwritten;
        let loose = if inner.ended.is_some() {
            0
        } else {
            held - unwritten.min(inner.with_room())
        };
        drop(inner);
        let now = Load { held, loose };
        let before = self.load.replace(now);
        if before != now {
            self.engine().holds(before, now);
        }
    }
}

impl Link {
    /// The edge has said who it is.
    fn greeted(&self, hello: Hello) {
        let time = (self.engine().shared.clock)();
        self.hello.replace(Some((hello, time)));
        self.tell_how_it_is();
    }

    /// The edge, as those who come through it are told apart by it.
    fn edge(&self) -> transport::Edge {
        let hello = self.hello.borrow();
        transport::Edge {
            name: hello.as_ref().and_then(|(hello, _)| hello.name.clone()),
            host: self.who.peer.host(),
            certificate: self.who.certificate().cloned(),
        }
    }

    /// Tells what it is like, for the dashboard.
    fn tell_how_it_is(&self) {
        let hello = self.hello.borrow();
        let Some((hello, since)) = &*hello else {
            return;
        };
        let shown = edges::Shown {
            edge: format!("{:016x}", hello.instance),
            name: hello.name.as_ref().map(ToString::to_string),
            from: self.who.peer.to_string(),
            certificate: self.who.certificate().map(ToString::to_string),
            release: String::from_utf8_lossy(&hello.release).into_owned().into(),
            since: since.as_secs_f64(),
            clients: self.carrying.get(),
            requests: self.requests.get(),
            owed: self.owed(),
        };
        self.engine().shared.recent.edges.tell(self.number, shown);
    }
}

impl Served for Link {
    fn look(&self) {
        self.tell_how_it_is();
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
            backlog: if inner.touched { 0 } else { inner.loose() },
            // Each of its clients has its own bound, and together they have that of the link.
            ..SessionLoad::default()
        }
    }

    fn loose(&self) -> usize {
        self.load.get().loose
    }

    fn give_back(&self) -> usize {
        0
    }

    fn shed(&self) {
        self.end(End::Memory);
        self.weigh();
    }

    fn make_way(&self, patience: Duration, now: Instant) {
        let inner = &mut *self.inner.borrow_mut();
        let written = inner.sending.written();
        if inner.with_room() == 0 || !inner.blocked {
            inner.pressed = None;
            return;
        }
        match inner.pressed {
            Some((since, before)) if before == written => {
                if now.saturating_duration_since(since) >= patience {
                    inner.ended.get_or_insert(End::Backlog);
                    self.wake.notify_one();
                }
            }
            _ => inner.pressed = Some((now, written)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.engine().holds(self.load.take(), Load::default());
        self.engine().shared.recent.edges.gone(self.number);
    }
}
