//! One pipelined connection: everything queued goes out in one write, and it reads while it writes.

mod answers;
mod carrying;
mod fault;
mod load;
mod reads;
mod room;
mod writes;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

pub use self::fault::LaneFault;
pub use self::load::{HalfReceived, LaneLimits, LaneLoad};
use self::reads::RecordSize;
use super::priming::Priming;
use crate::claim::Tenure;
use crate::command::Command;
use crate::pairing::LaneId;
use crate::pairing::owed::{Lost, Owed};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::opcode::Opcode;
use crate::protocol::tyrant::request;
use crate::store::completion::Completion;

/// An answer of no more bytes is taken, and handed over, without a question whether there is room: a session has some for
/// as many as it may ask for.
pub const ALWAYS_FITS: usize = 64 * 1024;

/// Requests that may share a question.
const REQUESTS_MAX: usize = 64;

/// How far a question for a sign of life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Unasked,
    Asked,
    Given,
}

/// One pipelined connection to the server.
#[derive(Debug)]
pub struct Lane<P> {
    id: LaneId,
    limits: LaneLimits,
    /// Questions without a completion are the lane's own.
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
    /// The claim of the store was lost to another.
    deposed: Cell<bool>,
    /// For how long this process may write to the store.
    tenure: Arc<Tenure>,
    /// Something that may change anything has not been written yet.
    changes: Cell<bool>,
}

impl<P: Completion> Lane<P> {
    /// A lane with nothing on it. What may change anything is written for as long as the tenure lasts, and no longer.
    pub fn new(id: LaneId, limits: LaneLimits, tenure: Arc<Tenure>) -> Self {
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
            deposed: Cell::new(false),
            tenure,
            changes: Cell::new(false),
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
    pub fn submit(&self, command: &Command, deadline: Instant, completion: P) -> usize {
        self.note_change(&completion);
        self.queue(command, deadline, Some(completion))
    }

    /// Takes note of what is about to be queued.
    fn note_change(&self, completion: &P) {
        self.changes.set(self.changes.get() || completion.changes());
    }

    fn queue(&self, command: &Command, deadline: Instant, completion: Option<P>) -> usize {
        let (mut owed, mut out) = (self.owed.borrow_mut(), self.out.borrow_mut());
        let before = out.len();
        if owed.is_primed() {
            request::encode_behind_magic(command, &mut out);
        } else {
            request::encode(command, &mut out);
        }
        let size = out.len() - before;
        owed.push(Opcode::of(command.verb()).shape, deadline, size, completion);
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

    /// Stops at once what is on its way: the claim of the store was lost to another.
    pub fn depose(&self) {
        self.deposed.set(true);
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
        lost.filter_map(|(lost, completion)| Some((lost, completion?)))
    }
}

/// Whether somebody waits for the answer to this; the lane itself does for that to a question of its own.
fn is_awaited<P: Completion>(tag: &Option<P>) -> bool {
    tag.as_ref().is_none_or(Completion::is_awaited)
}

/// This instant, on the clock that tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
