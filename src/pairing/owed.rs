//! A lane's queue of owed replies: the one place where an answer meets its question.
//!
//! The backend answers one connection's requests strictly in order, so the oldest request that was written owns the
//! next answer. What was not yet written can still be taken elsewhere; what was may have been carried out.
//!
//! Several requests can share one question, and so one answer: while nothing of it is written, more may
//! [join](Owed::join) the newest. It may be one that is asked otherwise where it is asked for one request alone.

use std::collections::VecDeque;
use std::time::Instant;

use crate::command::Shape;

/// What answers a request.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// An answer of this shape, to it alone.
    Alone(Shape),
    /// One answer of this shape to so many requests, of which this is the first.
    Shared(Shape, usize),
    /// The answer to the first of those before it.
    Joined,
}

/// The answer that must come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// One of this shape, to the oldest request.
    Alone(Shape),
    /// One of this shape, to the oldest so many requests.
    Shared(Shape, usize),
}

/// The newest question, while more requests may join it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joinable {
    /// What answers it once it is shared.
    pub shape: Shape,
    /// Those that it is asked for already.
    pub requests: usize,
}

/// One request of the lane.
#[derive(Debug)]
struct Entry<T> {
    due: Due,
    deadline: Instant,
    /// Where its first byte lies in all that the lane was ever given to write.
    start: u64,
    /// Where its last byte ends.
    end: u64,
    tag: T,
}

/// What became of a request when its lane was taken out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Not a byte of it was written.
    Unsent,
    /// Some or all of it was written: it may have been carried out, or may yet be.
    Sent,
}

/// The requests of a lane that have no answer yet, oldest first.
#[derive(Debug)]
pub struct Owed<T> {
    entries: VecDeque<Entry<T>>,
    queued: u64,
    written: u64,
    /// A byte of the next request has joined the outgoing bytes ahead of it.
    primed: bool,
    /// The question of the newest requests, where others might share it.
    newest: Option<Joinable>,
}

impl<T> Default for Owed<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            queued: 0,
            written: 0,
            primed: false,
            newest: None,
        }
    }
}

impl<T> Owed<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests without an answer, written or not.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no answer is owed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes note that the first byte of the next request has joined the lane's outgoing bytes, ahead of the rest.
    ///
    /// That byte alone is no request: when nothing else of it was written, the request still counts as unsent.
    pub fn prime(&mut self) {
        debug_assert!(!self.primed, "a request has one first byte");
        self.queued += 1;
        self.primed = true;
    }

    /// Whether the first byte of the next request has gone ahead.
    pub fn is_primed(&self) -> bool {
        self.primed
    }

    /// Adds a request of `size` bytes that has joined the lane's outgoing bytes. What went
    /// [ahead](Self::prime) is not counted again.
    pub fn push(&mut self, shape: Shape, deadline: Instant, size: usize, tag: T) {
        self.add(Due::Alone(shape), deadline, size, tag);
        self.newest = None;
    }

    /// The same for one whose question, with an answer of this shape, others may [join](Self::join).
    pub fn push_shared(&mut self, shape: Shape, deadline: Instant, size: usize, tag: T) {
        self.add(Due::Shared(shape, 1), deadline, size, tag);
        self.newest = Some(Joinable { shape, requests: 1 });
    }

    /// The same for one that is asked for by a question of its own, with an answer of the shape `alone`, as long as no
    /// other [joins](Self::join) it. Before one does, [it is asked otherwise](Self::ask_newest_otherwise).
    pub fn push_joinable(&mut self, alone: Shape, shared: Shape, deadline: Instant, size: usize, tag: T) {
        self.add(Due::Alone(alone), deadline, size, tag);
        self.newest = Some(Joinable {
            shape: shared,
            requests: 1,
        });
    }

    /// The newest question, when one more may join it: not once a byte of it is written, nor once anything else has
    /// joined the outgoing bytes behind it.
    pub fn joinable(&self) -> Option<Joinable> {
        let newest = self.newest?;
        let first = self.entries.len().checked_sub(newest.requests)?;
        let may = !self.primed && self.entries[first].start >= self.written;
        may.then_some(newest)
    }

    /// Takes note that the newest request, [which others may join](Self::joinable), is asked for by the question that
    /// they can share: its last bytes, `before` of them, have become `after` others.
    pub fn ask_newest_otherwise(&mut self, newest: Joinable, before: usize, after: usize) {
        debug_assert_eq!(self.joinable(), Some(newest), "nothing of it is written");
        debug_assert_eq!(newest.requests, 1, "nobody shares it");
        self.queued = self.queued - before as u64 + after as u64;
        if let Some(entry) = self.entries.back_mut() {
            entry.due = Due::Shared(newest.shape, 1);
            entry.end = self.queued;
        }
    }

    /// Adds a request to the newest question, [which allows it](Self::joinable): so many bytes more at its end.
    pub fn join(&mut self, newest: Joinable, deadline: Instant, size: usize, tag: T) {
        debug_assert_eq!(self.joinable(), Some(newest), "the newest question allows it");
        let requests = newest.requests + 1;
        let first = self.entries.len() - newest.requests;
        self.entries[first].due = Due::Shared(newest.shape, requests);
        self.add(Due::Joined, deadline, size, tag);
        self.newest = Some(Joinable { requests, ..newest });
    }

    fn add(&mut self, due: Due, deadline: Instant, size: usize, tag: T) {
        let start = self.queued;
        self.queued += size as u64;
        self.primed = false;
        self.entries.push_back(Entry {
            due,
            deadline,
            start,
            end: self.queued,
            tag,
        });
    }

    /// Bytes that joined the lane's outgoing bytes so far.
    pub fn queued(&self) -> u64 {
        self.queued
    }

    /// Takes note that `bytes` more were written.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
        self.check();
    }

    /// The answer that must come next; nothing when no answer can come, because none is owed or because the oldest
    /// question has not been written whole.
    pub fn expected(&self) -> Option<Expected> {
        let head = self.entries.front()?;
        let (last, expected) = match head.due {
            Due::Alone(shape) => (head, Expected::Alone(shape)),
            Due::Shared(shape, requests) => (self.entries.get(requests - 1)?, Expected::Shared(shape, requests)),
            // The answer that it shared in has begun, and is taken apart already.
            Due::Joined => return None,
        };
        (last.end <= self.written).then_some(expected)
    }

    /// The oldest request's answer has come: takes it out of the queue.
    pub fn answered(&mut self) -> Option<T> {
        self.expected()?;
        self.take(0)
    }

    /// Takes out one of the oldest requests, by its place among them, which has its part of the answer that they share.
    /// No other answer is expected before the last of them is taken.
    pub fn take(&mut self, place: usize) -> Option<T> {
        if let Some(head) = self.entries.front_mut()
            && matches!(head.due, Due::Shared(..))
        {
            head.due = Due::Joined;
        }
        let entry = self.entries.remove(place)?;
        self.newest = self.newest.filter(|newest| newest.requests <= self.entries.len());
        self.check();
        Some(entry.tag)
    }

    /// The oldest requests, from this place among them on.
    pub fn tags_from(&self, place: usize) -> impl Iterator<Item = &T> {
        self.entries
            .range(place.min(self.entries.len())..)
            .map(|entry| &entry.tag)
    }

    /// The requests, oldest first, to be changed.
    pub fn tags_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|entry| &mut entry.tag)
    }

    /// The earliest deadline of all requests that somebody waits for, so that a timer can be set.
    pub fn earliest_deadline(&self, is_awaited: impl Fn(&T) -> bool) -> Option<Instant> {
        let awaited = self.entries.iter().filter(|entry| is_awaited(&entry.tag));
        awaited.map(|entry| entry.deadline).min()
    }

    /// The lane is out of service: every request, oldest first, with whether it may have been carried out.
    pub fn abandon(&mut self) -> impl Iterator<Item = (Lost, T)> + use<T> {
        let written = self.written;
        std::mem::take(&mut self.entries).into_iter().map(move |entry| {
            let lost = if entry.start < written {
                Lost::Sent
            } else {
                Lost::Unsent
            };
            (lost, entry.tag)
        })
    }

    /// What must hold after every step.
    fn check(&self) {
        debug_assert!(self.written <= self.queued, "no byte is written that was not queued");
        let ahead = u64::from(self.primed);
        debug_assert!(self.entries.back().is_none_or(|last| last.end + ahead <= self.queued));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queue_of(sizes: &[usize]) -> Owed<usize> {
        let now = Instant::now();
        let mut owed = Owed::new();
        for (tag, size) in sizes.iter().enumerate() {
            owed.push(Shape::Code, now + Duration::from_secs(tag as u64), *size, tag);
        }
        owed
    }

    #[test]
    fn answers_belong_to_requests_in_order_and_only_to_whole_ones() {
        let mut owed = queue_of(&[4, 3, 2]);
        assert_eq!(owed.expected(), None);
        assert_eq!(owed.answered(), None);
        owed.wrote(3);
        assert_eq!(owed.expected(), None, "a half-sent request cannot have been answered");
        owed.wrote(1);
        assert_eq!(owed.answered(), Some(0));
        assert_eq!(owed.answered(), None);
        owed.wrote(5);
        assert_eq!(
            (owed.answered(), owed.answered(), owed.answered()),
            (Some(1), Some(2), None)
        );
    }

    #[test]
    fn what_was_touched_by_a_write_counts_as_sent() {
        for (written, expected) in [
            (0, [Lost::Unsent, Lost::Unsent, Lost::Unsent]),
            (1, [Lost::Sent, Lost::Unsent, Lost::Unsent]),
            (4, [Lost::Sent, Lost::Unsent, Lost::Unsent]),
            (5, [Lost::Sent, Lost::Sent, Lost::Unsent]),
            (9, [Lost::Sent, Lost::Sent, Lost::Sent]),
        ] {
            let mut owed = queue_of(&[4, 3, 2]);
            owed.wrote(written);
            let lost: Vec<_> = owed.abandon().collect();
            assert_eq!(lost, expected.into_iter().zip(0..3).collect::<Vec<_>>());
            assert!(owed.is_empty());
        }
    }

    #[test]
    fn a_first_byte_that_went_ahead_makes_no_request_sent() {
        let mut owed = queue_of(&[4]);
        owed.prime();
        owed.wrote(5);
        assert!(owed.is_primed());
        owed.push(Shape::Code, Instant::now(), 7, 1);
        assert!(!owed.is_primed());
        assert_eq!(owed.answered(), Some(0));
        assert_eq!(owed.expected(), None, "only its first byte was written");
        assert_eq!(owed.abandon().collect::<Vec<_>>(), [(Lost::Unsent, 1)]);
    }

    #[test]
    fn a_primed_request_is_whole_when_its_rest_is_written() {
        let mut owed = Owed::new();
        owed.prime();
        owed.push(Shape::Code, Instant::now(), 7, "primed");
        owed.wrote(7);
        assert_eq!(owed.expected(), None);
        owed.wrote(1);
        assert_eq!(owed.answered(), Some("primed"));
    }

    #[test]
    fn the_earliest_deadline_need_not_be_the_oldest_request() {
        let now = Instant::now();
        let mut owed = Owed::new();
        assert_eq!(owed.earliest_deadline(|_| true), None);
        owed.push(Shape::Code, now + Duration::from_secs(2), 1, ());
        owed.push(Shape::Code, now + Duration::from_secs(1), 1, ());
        assert_eq!(owed.earliest_deadline(|_| true), Some(now + Duration::from_secs(1)));
    }

    /// How many share the newest question, where others may.
    fn sharing<T>(owed: &Owed<T>) -> Option<usize> {
        owed.joinable().map(|newest| newest.requests)
    }

    fn join<T>(owed: &mut Owed<T>, size: usize, tag: T) {
        let newest = owed.joinable().expect("the newest question allows it");
        owed.join(newest, Instant::now(), size, tag);
    }

    #[test]
    fn those_who_share_a_question_are_owed_one_answer_once_all_of_it_is_written() {
        let now = Instant::now();
        let mut owed = queue_of(&[4]);
        assert_eq!(sharing(&owed), None, "a question of one request is not shared");
        owed.push_shared(Shape::Records, now, 10, 1);
        join(&mut owed, 5, 2);
        join(&mut owed, 5, 3);
        owed.push(Shape::Code, now, 2, 4);
        assert_eq!(sharing(&owed), None, "something is behind it");
        owed.wrote(4);
        assert_eq!(owed.answered(), Some(0));
        owed.wrote(19);
        assert_eq!(owed.expected(), None, "a byte is missing");
        owed.wrote(1);
        assert_eq!(owed.expected(), Some(Expected::Shared(Shape::Records, 3)));
        assert!(owed.tags_from(1).eq(&[2, 3, 4]));
        assert_eq!(owed.take(1), Some(2), "in whatever order");
        assert_eq!(owed.expected(), None, "the rest of an answer is no new one");
        assert_eq!(owed.take(0), Some(1));
        assert_eq!(owed.take(0), Some(3));
        owed.wrote(2);
        assert_eq!(owed.expected(), Some(Expected::Alone(Shape::Code)));
    }

    #[test]
    fn nobody_joins_a_question_that_has_begun_to_leave_or_has_a_byte_behind_it() {
        let now = Instant::now();
        let mut owed = Owed::new();
        assert_eq!(sharing(&owed), None);
        owed.prime();
        owed.push_shared(Shape::Records, now, 9, 0);
        owed.wrote(1);
        assert_eq!(sharing(&owed), Some(1), "its first byte alone is no request");
        join(&mut owed, 5, 1);
        assert_eq!(sharing(&owed), Some(2));
        owed.prime();
        assert_eq!(sharing(&owed), None);
        owed.push_shared(Shape::Records, now, 9, 2);
        assert_eq!(sharing(&owed), Some(1));
        owed.wrote(14);
        assert_eq!(
            sharing(&owed),
            Some(1),
            "the first byte of the newest is not yet written"
        );
        owed.wrote(2);
        assert_eq!(sharing(&owed), None);
        assert_eq!(
            owed.abandon().collect::<Vec<_>>(),
            [(Lost::Sent, 0), (Lost::Sent, 1), (Lost::Sent, 2)]
        );
    }

    #[test]
    fn of_those_who_share_a_question_only_those_count_as_sent_whose_bytes_were_touched() {
        let now = Instant::now();
        let mut owed = Owed::new();
        owed.push_shared(Shape::Records, now, 10, 0);
        join(&mut owed, 5, 1);
        owed.wrote(10);
        assert_eq!(owed.expected(), None);
        assert_eq!(owed.abandon().collect::<Vec<_>>(), [(Lost::Sent, 0), (Lost::Unsent, 1)]);
    }

    #[test]
    fn a_question_of_its_own_becomes_one_that_is_shared_when_another_joins_it() {
        let now = Instant::now();
        let mut owed = Owed::new();
        owed.push_joinable(Shape::Code, Shape::Strings, now, 10, 0);
        owed.wrote(10);
        assert_eq!(owed.expected(), Some(Expected::Alone(Shape::Code)), "nobody has joined");
        assert_eq!(owed.answered(), Some(0));
        owed.prime();
        owed.push_joinable(Shape::Code, Shape::Strings, now, 9, 1);
        owed.wrote(1);
        owed.ask_newest_otherwise(owed.joinable().expect("nobody has joined"), 9, 20);
        join(&mut owed, 5, 2);
        assert_eq!(sharing(&owed), Some(2));
        owed.push(Shape::Code, now, 2, 3);
        assert_eq!(owed.joinable(), None);
        owed.wrote(24);
        assert_eq!(owed.expected(), None, "a byte is missing");
        owed.wrote(1);
        assert_eq!(owed.expected(), Some(Expected::Shared(Shape::Strings, 2)));
        assert_eq!((owed.take(0), owed.take(0)), (Some(1), Some(2)));
        owed.wrote(2);
        assert_eq!(owed.answered(), Some(3));
        assert_eq!(owed.queued(), 38);
    }
}
