//! One pipelined connection: everything queued goes out in one write, and it reads while it writes.

mod answers;
mod reads;
mod room;
mod writes;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep_until;

use self::answers::Answers;
use self::reads::RecordSize;
use super::priming::Priming;
use crate::command::{Command, Reply};
use crate::pairing::LaneId;
use crate::pairing::owed::{Lost, Owed};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::opcode::{MAGIC, Opcode};
use crate::protocol::tyrant::reply::{Dropped, ReplyFault};
use crate::protocol::tyrant::request;
use crate::transport::{self, Reader, Writer};

/// Bytes that are written in one go, at most: to copy 1 MiB takes longer than to serve many small requests.
const WRITE_TURN: usize = 256 * 1024;

/// For so long answers are handed over before others have their turn.
const READ_TURN: Duration = Duration::from_millis(1);

/// A read buffer of more bytes is not kept for the next answers: it came of a large one.
const ROOM_KEPT: usize = 256 * 1024;

/// How often a lane lets others add to the batch before it writes, while the batch still grows.
const GATHER_ROUNDS: usize = 4;

/// An answer of no more bytes is taken, and handed over, without a question whether there is room: a session has some for
/// as many as it may ask for.
pub const ALWAYS_FITS: usize = 64 * 1024;

/// Requests that may share a question.
const REQUESTS_MAX: usize = 64;

/// What travels on a lane with each request, and is told what became of it.
pub trait Passenger: 'static {
    /// The keys whose records are asked for, where nothing else is and it [may share](Lane::submit_read) its request.
    fn keys(&self) -> &[Bytes];
    /// Its answer, where these records of its keys were found.
    fn answer_of(&self, found: impl Iterator<Item = (Bytes, Bytes)>) -> Reply;
    /// Whether there is room for a value of so many bytes, which the server has announced and which is not all there.
    /// Asked again with more of it, those who had room have it still. Where there is none it is
    /// [dropped](Self::dropped) as it comes.
    fn has_room_for(&mut self, bytes: usize) -> bool;
    /// Bytes of the room that has been set apart for its answer.
    fn room(&self) -> usize;
    /// Whether the answer can belong to the question.
    fn accepts(&self, reply: &Reply) -> bool;
    /// The answer has come, in so many bytes. `now` is when it was read.
    fn answered(self, reply: Reply, bytes: usize, now: Instant);
    /// The record that it is to store, key and value, where it does nothing else and [may share](Lane::submit_write) its
    /// request.
    fn record(&self) -> Option<(&Bytes, &Bytes)>;
    /// The answer to those who share its request has come, in so many bytes: with this code, which says that what one of
    /// them asked for was not done, and not which.
    fn undone(self, code: u8, bytes: usize, now: Instant);
    /// The answer has come, was over a limit or [without room](Self::has_room_for), and is gone. `now` is when its last
    /// byte was read.
    fn dropped(self, dropped: Dropped, now: Instant);
    /// The lane is out of service: no answer will come from it.
    fn lost(self, lost: Lost);
    /// Who asked goes to ask elsewhere, where it only asks, and nothing that it has asked on this lane changes anything:
    /// that is returned. What stays takes the answer when it comes, and does nothing with it.
    fn part(&mut self) -> Option<Self>
    where
        Self: Sized;
    /// Whether somebody waits for the answer.
    fn is_awaited(&self) -> bool;
}

/// Why a lane was taken out of service.
#[derive(Debug, thiserror::Error)]
pub enum LaneFault {
    /// A request was still unanswered at its deadline.
    #[error("a request was not answered before its deadline")]
    Deadline,
    /// An answer that is none.
    #[error("an answer does not parse: {0}")]
    BadAnswer(#[from] ReplyFault),
    /// An answer that belongs to another question.
    #[error("an answer belongs to another question")]
    Mismatch,
    /// Bytes that nobody asked for.
    #[error("{0} bytes came that nobody asked for")]
    Unasked(usize),
    /// The server ended the connection: it is done with all that it had read.
    #[error("the server closed the connection")]
    Eof,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The proxy is stopping.
    #[error("the proxy is stopping")]
    Retired,
    /// Another lane has taken its place, and nobody waits for anything more: what the server still sends, if anything, are
    /// answers to reads.
    #[error("another lane has taken its place")]
    HandedOver,
}

/// How far a question for a sign of life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Unasked,
    Asked,
    Given,
}

/// How much a lane takes.
#[derive(Clone, Copy, Debug)]
pub struct LaneLimits {
    /// Requests that are queued or unanswered; the question that ends a spell of [priming](super::priming) may go
    /// beyond it.
    pub requests_max: usize,
    /// Bytes that are not written yet; one request more may go beyond it.
    pub bytes_max: usize,
    /// How large an answer may be; one that is larger is dropped as it comes.
    pub reply: Limits,
    /// A value of more bytes, with others waiting behind it, is what a lane [is handed over](Lane::hand_over) for; never
    /// where there is no such size.
    pub large: Option<usize>,
    /// Whether the lane may be [primed](super::priming), and then how long the question may take that ends a spell.
    pub priming: Option<Duration>,
}

/// How much a lane holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneLoad {
    /// Requests that are queued or unanswered.
    pub requests: usize,
    /// Bytes that are not written yet.
    pub bytes: usize,
}

impl LaneLoad {
    /// The greater of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            requests: self.requests.max(other.requests),
            bytes: self.bytes.max(other.bytes),
        }
    }
}

/// What a lane holds for an answer that is not whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HalfReceived {
    /// Bytes in all.
    pub bytes: usize,
    /// Those of them for which who asked [has room](Passenger::room) set apart.
    pub roomed: usize,
}

/// One pipelined connection to the server.
#[derive(Debug)]
pub struct Lane<P> {
    id: LaneId,
    limits: LaneLimits,
    /// Questions without a passenger are the lane's own.
    owed: RefCell<Owed<Option<P>>>,
    out: RefCell<Outgoing>,
    priming: RefCell<Priming>,
    /// A question of the lane's own, which ended a spell or asks for a sign of life, is not answered.
    asking: Cell<bool>,
    /// A sign of life is wanted, or was given.
    proof: Cell<Proof>,
    /// It has given an answer of the kind that was asked for.
    useful: Cell<bool>,
    /// Where the count of strings lies in the newest question that is or may be shared, in all that the lane was given
    /// to write.
    count_at: Cell<u64>,
    /// How many strings the newest question has that is or may be shared; none while it is a `put` of its own.
    listed: Cell<u32>,
    record_size: RecordSize,
    /// Bytes of the buffer that an answer is in which is not whole.
    half_received: Cell<usize>,
    /// Those of them for which room has been set apart.
    roomed: Cell<usize>,
    /// The place among the oldest requests of the one that is being given something large.
    large_for: Cell<Option<usize>>,
    /// Told when others wait behind that.
    held_up: Notify,
    /// The earliest deadline, or an earlier instant when requests were answered since.
    next_deadline: Cell<Option<Instant>>,
    wake: Notify,
    retired: Cell<bool>,
    /// Another lane has taken its place.
    handed_over: Cell<bool>,
}

impl<P: Passenger> Lane<P> {
    /// A lane with nothing on it.
    pub fn new(id: LaneId, limits: LaneLimits) -> Self {
        Self {
            id,
            limits,
            owed: RefCell::new(Owed::new()),
            out: RefCell::new(Outgoing::new()),
            priming: RefCell::default(),
            asking: Cell::new(false),
            proof: Cell::new(Proof::Unasked),
            useful: Cell::new(false),
            count_at: Cell::new(0),
            listed: Cell::new(0),
            record_size: RecordSize::new(),
            half_received: Cell::new(0),
            roomed: Cell::new(0),
            large_for: Cell::new(None),
            held_up: Notify::new(),
            next_deadline: Cell::new(None),
            wake: Notify::new(),
            retired: Cell::new(false),
            handed_over: Cell::new(false),
        }
    }

    /// Which connection this is.
    pub fn id(&self) -> LaneId {
        self.id
    }

    /// Whether `requests` more may join the queue. When not, they wait in their session.
    pub fn has_room(&self, requests: usize) -> bool {
        self.owed.borrow().len() + requests <= self.limits.requests_max
            && self.out.borrow().len() <= self.limits.bytes_max
    }

    /// How much it holds now.
    pub fn load(&self) -> LaneLoad {
        LaneLoad {
            requests: self.owed.borrow().len(),
            bytes: self.out.borrow().len(),
        }
    }

    /// What is held for an answer that is not whole.
    pub fn half_received(&self) -> HalfReceived {
        let bytes = self.half_received.get();
        HalfReceived {
            bytes,
            roomed: self.roomed.get().min(bytes),
        }
    }

    /// Puts a request into the queue; returns how many bytes it takes there. The caller has seen to it that there is
    /// [room](Self::has_room).
    pub fn submit(&self, command: &Command, deadline: Instant, passenger: P) -> usize {
        self.queue(command, deadline, Some(passenger))
    }

    fn queue(&self, command: &Command, deadline: Instant, passenger: Option<P>) -> usize {
        let (mut owed, mut out) = (self.owed.borrow_mut(), self.out.borrow_mut());
        let before = out.len();
        if owed.is_primed() {
            request::encode_behind_magic(command, &mut out);
        } else {
            request::encode(command, &mut out);
        }
        let size = out.len() - before;
        owed.push(Opcode::of(command.verb()).shape, deadline, size, passenger);
        drop((owed, out));
        self.wake_by(deadline);
        size
    }

    /// Something is to be written, and its answer due by then.
    fn wake_by(&self, deadline: Instant) {
        if self.next_deadline.get().is_none_or(|next| deadline < next) {
            self.next_deadline.set(Some(deadline));
        }
        self.wake.notify_one();
        if self.large_for.get().is_some() {
            self.held_up.notify_one();
        }
    }

    /// Whether it has given an answer of the kind that was asked for.
    pub fn was_useful(&self) -> bool {
        self.useful.get()
    }

    /// Asks the server for a sign of life, by a question that changes nothing. A lane whose server is gone is given up by
    /// the deadline at the latest; of one that answers, [`Self::take_proof`] says so, once.
    pub fn ask_for_proof(&self, deadline: Instant) {
        if self.proof.get() != Proof::Asked && !self.asking.replace(true) {
            self.proof.set(Proof::Asked);
            self.queue(&Command::Vsiz { key: Bytes::new() }, deadline, None);
        }
    }

    /// Whether the server has given the sign of life that was asked for.
    pub fn take_proof(&self) -> bool {
        self.proof.get() == Proof::Given && self.proof.replace(Proof::Unasked) == Proof::Given
    }

    /// Asks the lane to end: nothing more will be sent on it.
    pub fn retire(&self) {
        self.retired.set(true);
        self.wake.notify_one();
    }

    /// Whether others wait behind something large, and would not on another lane.
    pub fn holds_up(&self) -> bool {
        self.large_for.get().is_some() && self.owed.borrow().len() > 1 && !self.retired.get()
    }

    /// Waits until it may be that it [holds up](Self::holds_up) others.
    pub async fn held_up(&self) {
        self.held_up.notified().await;
    }

    /// Another lane takes its place: nothing more will be sent on it, and it ends once nobody waits for what is owed on
    /// it. Returns who waits behind something large, and only asks: they ask again on the other lane.
    pub fn hand_over(&self) -> Vec<P> {
        self.retire();
        self.handed_over.set(true);
        let given = self.large_for.take();
        let mut owed = self.owed.borrow_mut();
        let behind = owed.tags_mut().enumerate().filter(|(place, _)| given != Some(*place));
        behind.filter_map(|(_, tag)| tag.as_mut()?.part()).collect()
    }

    /// Whether somebody waits for something that is owed; the lane's own questions are its own affair.
    fn is_awaited(&self) -> bool {
        let owed = self.owed.borrow();
        owed.tags_from(0).any(is_awaited)
    }

    /// Every request without an answer, oldest first, once the lane is out of service.
    pub fn abandon(&self) -> impl Iterator<Item = (Lost, P)> + use<P> {
        let lost = self.owed.borrow_mut().abandon();
        *self.out.borrow_mut() = Outgoing::new();
        lost.filter_map(|(lost, passenger)| Some((lost, passenger?)))
    }

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
            if self.retired.get() && !self.is_awaited() {
                return Err(if self.handed_over.get() {
                    LaneFault::HandedOver
                } else {
                    LaneFault::Retired
                });
            }
            let next = self
                .next_deadline
                .get()
                .into_iter()
                .chain(self.priming.borrow().until())
                .min();
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
                    let room = input.capacity();
                    self.deliver(&mut answers, &mut input, now)?;
                    if room > ROOM_KEPT && input.len() < room / 4 {
                        transport::let_go(&mut input);
                    }
                    self.half_received.set(if input.is_empty() { 0 } else { input.capacity() });
                    after_batch();
                    // A server that never stops sending would keep the timer from being asked.
                    if self.next_deadline.get().is_some_and(|next| next <= now) {
                        self.check_deadlines()?;
                    }
                    worked += self::now().saturating_duration_since(now);
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

    fn write(&self, writer: &Writer) -> io::Result<()> {
        self.prime();
        let written = writer.write_some(&mut self.out.borrow_mut(), WRITE_TURN)?;
        self.owed.borrow_mut().wrote(written);
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

/// Whether somebody waits for the answer to this; the lane itself does for that to a question of its own.
fn is_awaited<P: Passenger>(tag: &Option<P>) -> bool {
    tag.as_ref().is_none_or(Passenger::is_awaited)
}

/// This instant, on the clock that tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
