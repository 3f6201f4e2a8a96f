//! A worker's way to a store in a file: what changes it waits for the committer, what only reads is answered on the spot.
//!
//! To the guard a line is a lane: its changes are carried out in the order in which they were put on it. Nothing is lost
//! on it while the process lives, but a device can take longer than a request may. Then the request is given up, and the
//! line goes on under another id; the old one has ended when everything that travelled under it has its outcome.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep_until;

use super::file::{FileStore, Outcome, weight};
use super::{Embedded, Kept, is_read};
use crate::command::Command;
use crate::pairing::owed::Lost;
use crate::pairing::{LaneId, LaneIds};
use crate::store::completion::Completion;
use crate::store::events::Events;

/// Outcomes that are handed over in one go, at most.
const BATCH: usize = 1024;

/// Bounds of a line.
#[derive(Clone, Copy, Debug)]
pub struct LineLimits {
    /// Requests under way.
    pub requests_max: usize,
    /// Bytes of requests under way, but for one that is larger.
    pub bytes_max: usize,
}

/// A request under way.
struct Entry<P> {
    deadline: Instant,
    bytes: usize,
    /// Nothing once it was given up.
    completion: Option<P>,
}

/// One worker's requests to a store in a file.
pub struct Line<P> {
    store: Arc<Embedded>,
    limits: Cell<LineLimits>,
    ids: Arc<LaneIds>,
    id: Cell<LaneId>,
    owed: RefCell<VecDeque<Entry<P>>>,
    bytes: Cell<usize>,
    /// Requests that were put on the line, and those that have their outcome, since its start.
    sent: Cell<u64>,
    settled: Cell<u64>,
    /// Ids that it had before, each with the number of the last request under it.
    retired: RefCell<VecDeque<(LaneId, u64)>>,
    outlet: UnboundedSender<Outcome>,
    inlet: RefCell<Option<UnboundedReceiver<Outcome>>>,
    /// Told when there is a deadline where there was none.
    begun: Notify,
}

impl<P> std::fmt::Debug for Line<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Line")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<P: Completion> Line<P> {
    /// A line to `store`; nothing where that is in memory, and needs none.
    pub fn new(store: Arc<Embedded>, limits: LineLimits, ids: Arc<LaneIds>) -> Option<Self> {
        file_of(&store)?;
        let (outlet, inlet) = unbounded_channel();
        Some(Self {
            store,
            limits: Cell::new(limits),
            id: Cell::new(ids.next()),
            ids,
            owed: RefCell::default(),
            bytes: Cell::new(0),
            sent: Cell::new(0),
            settled: Cell::new(0),
            retired: RefCell::default(),
            outlet,
            inlet: RefCell::new(Some(inlet)),
            begun: Notify::new(),
        })
    }

    /// Bounds what is put on it from now on by these.
    pub fn change_limits(&self, limits: LineLimits) {
        self.limits.set(limits);
    }

    /// The store that it leads to.
    pub fn store(&self) -> &Arc<Embedded> {
        &self.store
    }

    /// The id that the guard knows it by now.
    pub fn id(&self) -> LaneId {
        self.id.get()
    }

    /// Whether `requests` more may be put on it.
    pub fn has_room(&self, requests: usize) -> bool {
        let limits = self.limits.get();
        self.owed.borrow().len() + requests <= limits.requests_max && self.bytes.get() < limits.bytes_max
    }

    /// Puts a request on its way, or answers it before this returns where it only reads, and not much. `now` is the time since the epoch.
    pub fn submit(&self, command: &Command, now: Duration, deadline: Instant, completion: P) {
        let Some(store) = file_of(&self.store) else {
            return completion.lost(Lost::Unsent);
        };
        // What is too large for this thread is read by the committer, in its turn.
        if is_read(command)
            && completion.may_overtake()
            && let Some(outcome) = store.read_at_once(command, now)
        {
            return hand_over(completion, outcome);
        }
        let bytes = weight(command);
        self.bytes.set(self.bytes.get() + bytes);
        self.sent.set(self.sent.get() + 1);
        let mut owed = self.owed.borrow_mut();
        if owed.is_empty() {
            self.begun.notify_one();
        }
        owed.push_back(Entry {
            deadline,
            bytes,
            completion: Some(completion),
        });
        drop(owed);
        store.submit(command.clone(), now, &self.outlet);
    }

    /// Hands outcomes over as they come, and gives up what is overdue. It goes on until it is dropped.
    pub async fn attend(self: Rc<Self>, events: Rc<impl Events>) {
        let Some(mut inlet) = self.inlet.take() else {
            return;
        };
        let mut outcomes = Vec::with_capacity(BATCH);
        loop {
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                _ = inlet.recv_many(&mut outcomes, BATCH) => {
                    outcomes.drain(..).for_each(|outcome| self.settle(outcome));
                    self.finish_retired(&*events);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => self.give_up(),
                () = self.begun.notified(), if deadline.is_none() => continue,
            }
            events.batch_done();
        }
    }

    /// The outcome of the oldest request.
    fn settle(&self, outcome: Outcome) {
        let Some(entry) = self.owed.borrow_mut().pop_front() else {
            debug_assert!(false, "an outcome belongs to a request");
            return;
        };
        self.settled.set(self.settled.get() + 1);
        self.bytes.set(self.bytes.get() - entry.bytes);
        if let Some(completion) = entry.completion {
            hand_over(completion, outcome);
        }
    }

    /// Deadlines hardly differ: the oldest request's is near enough to the first.
    fn next_deadline(&self) -> Option<Instant> {
        let owed = self.owed.borrow();
        let waiting = owed.iter().find(|entry| entry.completion.is_some());
        waiting.map(|entry| entry.deadline)
    }

    /// Gives up what is overdue. What becomes of it is known to nobody until its outcome comes.
    fn give_up(&self) {
        let now = tokio::time::Instant::now().into_std();
        let mut overdue = Vec::new();
        for entry in self.owed.borrow_mut().iter_mut() {
            if entry.deadline <= now {
                overdue.extend(entry.completion.take());
            }
        }
        if overdue.is_empty() {
            return;
        }
        self.retired.borrow_mut().push_back((self.id.get(), self.sent.get()));
        self.id.set(self.ids.next());
        tracing::warn!(
            requests = overdue.len(),
            "the store did not answer in time: is its device busy?"
        );
        overdue.into_iter().for_each(|completion| completion.lost(Lost::Sent));
    }

    /// Reports ids under which nothing travels any more.
    fn finish_retired(&self, events: &impl Events) {
        let mut retired = self.retired.borrow_mut();
        while let Some((id, last)) = retired.front().copied()
            && last <= self.settled.get()
        {
            retired.pop_front();
            events.fenced(id, true);
        }
    }
}

fn file_of(store: &Embedded) -> Option<&FileStore> {
    match &store.0 {
        Kept::File(store) => Some(store),
        Kept::Memory(_) => None,
    }
}

fn hand_over<P: Completion>(completion: P, outcome: Outcome) {
    match outcome {
        Ok(reply) => completion.answered(reply, 0, tokio::time::Instant::now().into_std()),
        Err(_) => completion.unanswerable(),
    }
}
