//! Reads that share one question: what is on its way to the server anyway takes more keys along.
//!
//! A server of 1.1.41 reads and answers each request by itself, with a system call for each answer: more than half of
//! what a small read costs it. An `mget` of many keys has one answer, and names the key of each record in it, so every
//! reader still gets the record of its own key or none. The server looks the keys up in the order in which they were
//! asked, and leaves out those that have no record (`do_mget` in `ttserver.c`); a record out of that order is taken for
//! the answer to another question.
//!
//! A key may be asked for twice, by two clients: each record then goes to the first that still waits for it. Both asked
//! before the server looked, so both answers were true while they waited.
//!
//! Who reads a key back for the guard asks for two records, that of the key and that of its stamp. It has its answer when
//! all that can come of both has come.

use std::cell::Cell;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::room::make_room;
use super::{Lane, LaneFault, REQUESTS_MAX};
use crate::command::Shape;
use crate::protocol::tyrant::opcode::MAGIC;
use crate::protocol::tyrant::reply::{Dropped, Record, RecordsDecoder};
use crate::protocol::tyrant::request::{self, MGET_COUNT_AT};
use crate::store::completion::Completion;

/// Bytes that an answer should not have more of. The server holds an answer as a whole before it sends it, and whoever
/// asks behind it waits for all of it.
const ANSWER: usize = 64 * 1024;

/// Bytes of records that may be under way for nobody who waits yet: see [`Lane::most_ahead`].
const AHEAD: usize = 1 << 20;

/// So many of them at most, however small they are.
const AHEAD_MAX: usize = 4096;

/// How large what one request finds is, to guess how large an answer will be.
#[derive(Debug)]
pub(super) struct RecordSize(Cell<usize>);

impl RecordSize {
    /// Not known: as large as may be.
    pub(super) fn new() -> Self {
        Self(Cell::new(ANSWER))
    }

    /// Takes note of what was found, or of nothing. What is large counts at once, what is smaller with time.
    fn saw(&self, bytes: usize) {
        let before = self.0.get();
        self.0.set(bytes.max(before - before / 8));
    }

    /// Requests that may share a question.
    fn most_requests(&self) -> usize {
        (ANSWER / self.0.get().max(1)).clamp(1, REQUESTS_MAX)
    }
}

/// An answer that has begun to come.
#[derive(Debug)]
pub(super) struct SharedAnswer {
    /// Records that are still to come.
    records: usize,
    /// The oldest requests of the lane that were passed over, since their key has no record.
    passed: usize,
    /// Requests behind them that share the answer.
    ahead: usize,
    /// Bytes of the longest key that was asked for.
    longest: usize,
    /// Bytes that have come and were not counted for any request.
    bytes: usize,
    /// What has come for the first of those ahead.
    part: Part,
}

/// What has come for one request of several keys.
#[derive(Debug, Default)]
struct Part {
    /// Of its keys nothing more can come for the first so many.
    keys: usize,
    /// The first record: a small `get` has no other, and allocates nothing for it.
    first: Option<(Bytes, Bytes)>,
    more: Vec<(Bytes, Bytes)>,
    dropped: Option<Dropped>,
}

impl Part {
    fn add(&mut self, record: (Bytes, Bytes)) {
        match self.first {
            None => self.first = Some(record),
            Some(_) => self.more.push(record),
        }
    }
}

impl SharedAnswer {
    /// Whether all of it has come.
    pub(super) fn is_whole(&self) -> bool {
        self.records == 0
    }
}

impl<P: Completion> Lane<P> {
    /// As [`Self::submit`] for the records of the completion's [keys](Completion::keys): they are asked for by `mget`, which
    /// names the key of each. Where it `may_join`, and a question that others ask for their keys has not begun to leave, it
    /// shares that.
    pub fn submit_read(&self, deadline: Instant, completion: P, may_join: bool) -> usize {
        let (mut owed, mut out) = (self.owed.borrow_mut(), self.out.borrow_mut());
        let (before, keys) = (out.len(), completion.keys());
        let newest = owed.joinable().filter(|newest| {
            may_join && newest.shape == Shape::Records && newest.requests < self.record_size.most_requests()
        });
        let behind = (owed.queued() - self.count_at.get()) as usize;
        let listed = self.listed.get() + keys.len() as u32;
        if let Some(newest) = newest
            && request::add_to_list(keys, listed, behind, &mut out)
        {
            self.listed.set(listed);
            owed.join(newest, deadline, out.len() - before, Some(completion));
        } else {
            if !owed.is_primed() {
                out.put_u8(MAGIC);
            }
            let ahead = out.len() - before;
            self.count_at.set(owed.queued() + (ahead + MGET_COUNT_AT) as u64);
            self.listed.set(keys.len() as u32);
            request::encode_mget_behind_magic(keys, &mut out);
            owed.push_shared(Shape::Records, deadline, out.len() - before, Some(completion));
        }
        let size = out.len() - before;
        drop((owed, out));
        self.wake_by(deadline);
        size
    }

    /// How many may ask for records that nobody waits for yet, so that what they find is little: see
    /// [`Self::submit_read`]. It is few until records were seen to be small.
    pub fn most_ahead(&self) -> usize {
        (AHEAD / self.record_size.0.get().max(1)).clamp(1, AHEAD_MAX)
    }

    /// Takes the head of an answer to the oldest `requests`; returns what has begun with it, or nothing when it is not
    /// all there.
    pub(super) fn begin_shared(
        &self,
        requests: usize,
        decoder: &mut RecordsDecoder,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<Option<SharedAnswer>, LaneFault> {
        let before = input.len();
        let Some(records) = decoder.head(input)? else {
            return Ok(None);
        };
        let (keys, longest) = self.keys_of(requests);
        if records > keys {
            return Err(LaneFault::Mismatch);
        }
        let mut answer = SharedAnswer {
            records,
            passed: 0,
            ahead: requests,
            longest,
            bytes: before - input.len(),
            part: Part::default(),
        };
        if answer.is_whole() {
            self.finish_shared(&mut answer, now);
        }
        Ok(Some(answer))
    }

    /// How many keys the oldest `requests` ask for, and how long the longest is.
    fn keys_of(&self, requests: usize) -> (usize, usize) {
        let owed = self.owed.borrow();
        let tags = owed.tags_from(0).take(requests).flatten();
        let sizes = tags.flat_map(|completion| completion.keys().iter().map(Bytes::len));
        sizes.fold((0, 0), |(count, longest), size| (count + 1, longest.max(size)))
    }

    /// Takes the next record of an answer, and the end of the answer with its last one; returns false when it is not all
    /// there.
    pub(super) fn take_shared(
        &self,
        answer: &mut SharedAnswer,
        decoder: &mut RecordsDecoder,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<bool, LaneFault> {
        let before = input.len();
        if let Some((key, size)) = decoder.ahead(input)
            && let Some((over, _)) = self.asker_of(answer, key)
        {
            if self.has_room_for(answer.passed + over, size) {
                make_room(input, size);
            } else {
                decoder.drop_ahead(input);
            }
        }
        let record = decoder.record(input, answer.longest)?;
        let bytes = before - input.len();
        let Some(record) = record else {
            answer.bytes += bytes;
            return Ok(false);
        };
        let (Record::Whole(key, _) | Record::Dropped(key, _)) = &record;
        let (over, place) = self.asker_of(answer, key).ok_or(LaneFault::Mismatch)?;
        for _ in 0..over {
            self.pass_over(answer, now);
        }
        answer.bytes += bytes;
        answer.part.keys = place + 1;
        match record {
            Record::Whole(key, value) => answer.part.add((key, value)),
            Record::Dropped(_, dropped) => answer.part.dropped = Some(dropped),
        }
        if self.is_last_key(answer) {
            self.pass_over(answer, now);
        }
        answer.records -= 1;
        if answer.is_whole() {
            self.finish_shared(answer, now);
        }
        Ok(true)
    }

    /// Who is next to have asked for this key: how many of those ahead come before, and its place among the keys of that
    /// request. Nothing is changed: where nobody is, nothing of the answer is to be believed.
    fn asker_of(&self, answer: &SharedAnswer, key: &[u8]) -> Option<(usize, usize)> {
        let owed = self.owed.borrow();
        let ahead = owed.tags_from(answer.passed).take(answer.ahead);
        ahead.enumerate().find_map(|(over, tag)| {
            let from = if over == 0 { answer.part.keys } else { 0 };
            let place = tag.as_ref()?.keys().get(from..)?.iter().position(|one| **one == *key)?;
            Some((over, from + place))
        })
    }

    fn is_last_key(&self, answer: &SharedAnswer) -> bool {
        let owed = self.owed.borrow();
        let first = owed.tags_from(answer.passed).next().and_then(Option::as_ref);
        first.is_none_or(|completion| answer.part.keys >= completion.keys().len())
    }

    /// Nothing more comes for the first of those ahead. It has its answer where something has; those who asked for what is
    /// not there have theirs at the end, once all of the answer is seen to be one.
    fn pass_over(&self, answer: &mut SharedAnswer, now: Instant) {
        let Part {
            first, more, dropped, ..
        } = std::mem::take(&mut answer.part);
        answer.ahead -= 1;
        if first.is_none() && dropped.is_none() {
            answer.passed += 1;
            return;
        }
        let bytes = std::mem::take(&mut answer.bytes);
        self.record_size.saw(bytes);
        let completion = self.owed.borrow_mut().take(answer.passed).flatten();
        match (completion, dropped) {
            (Some(completion), Some(dropped)) => completion.dropped(dropped, now),
            (Some(completion), None) => {
                let reply = completion.answer_of(first.into_iter().chain(more));
                completion.answered(reply, bytes, now);
            }
            (None, _) => {}
        }
    }

    /// Answers those whose keys have no record.
    fn finish_shared(&self, answer: &mut SharedAnswer, now: Instant) {
        while answer.ahead > 0 {
            self.pass_over(answer, now);
        }
        for _ in 0..answer.passed {
            self.record_size.saw(0);
            let completion = self.owed.borrow_mut().take(0).flatten();
            if let Some(completion) = completion {
                let reply = completion.answer_of(std::iter::empty());
                completion.answered(reply, std::mem::take(&mut answer.bytes), now);
            }
        }
    }
}
