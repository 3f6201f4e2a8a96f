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

use std::cell::Cell;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{Lane, LaneFault, Passenger, REQUESTS_MAX};
use crate::command::{Reply, Shape};
use crate::protocol::tyrant::opcode::MAGIC;
use crate::protocol::tyrant::reply::{Record, RecordsDecoder};
use crate::protocol::tyrant::request::{self, MGET_COUNT_AT};

/// Bytes that an answer should not have more of. The server holds an answer as a whole before it sends it, and whoever
/// asks behind it waits for all of it.
const ANSWER: usize = 64 * 1024;

/// What a `get` is answered where there is no record.
const MISS: u8 = 1;

/// How large records are, to guess how large an answer will be.
#[derive(Debug)]
pub(super) struct RecordSize(Cell<usize>);

impl RecordSize {
    /// Not known: as large as may be.
    pub(super) fn new() -> Self {
        Self(Cell::new(ANSWER))
    }

    /// Takes note of a record, or of none. One that is large counts at once, smaller ones with time.
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
}

impl SharedAnswer {
    /// Whether all of it has come.
    pub(super) fn is_whole(&self) -> bool {
        self.records == 0
    }
}

impl<P: Passenger> Lane<P> {
    /// As [`Self::submit`] for the record of this [key](Passenger::key): it is asked for by `mget`, which names the key of
    /// each record, and the answer is that to a `get`. Where it `may_join`, and a question that others ask for their keys
    /// has not begun to leave, it shares that.
    pub fn submit_read(&self, key: &Bytes, deadline: Instant, passenger: P, may_join: bool) -> usize {
        let (mut owed, mut out) = (self.owed.borrow_mut(), self.out.borrow_mut());
        let before = out.len();
        let newest = owed.joinable().filter(|newest| {
            may_join && newest.shape == Shape::Records && newest.requests < self.record_size.most_requests()
        });
        let behind = (owed.queued() - self.count_at.get()) as usize;
        if let Some(newest) = newest
            && request::add_to_list([key], newest.requests as u32 + 1, behind, &mut out)
        {
            owed.join(newest, deadline, out.len() - before, Some(passenger));
        } else {
            if !owed.is_primed() {
                out.put_u8(MAGIC);
            }
            let ahead = out.len() - before;
            self.count_at.set(owed.queued() + (ahead + MGET_COUNT_AT) as u64);
            request::encode_mget_behind_magic(key, &mut out);
            owed.push_shared(Shape::Records, deadline, out.len() - before, Some(passenger));
        }
        let size = out.len() - before;
        drop((owed, out));
        self.wake_by(deadline);
        size
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
        if records > requests {
            return Err(LaneFault::Mismatch);
        }
        let mut answer = SharedAnswer {
            records,
            passed: 0,
            ahead: requests,
            longest: self.longest_key(requests),
            bytes: before - input.len(),
        };
        if answer.is_whole() {
            self.finish_shared(&mut answer, now);
        }
        Ok(Some(answer))
    }

    fn longest_key(&self, requests: usize) -> usize {
        let owed = self.owed.borrow();
        let keys = owed.tags_from(0).take(requests).filter_map(|tag| tag.as_ref()?.key());
        keys.map(Bytes::len).max().unwrap_or(0)
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
        let record = decoder.record(input, answer.longest)?;
        answer.bytes += before - input.len();
        let Some(record) = record else {
            return Ok(false);
        };
        self.record_size.saw(answer.bytes);
        let (Record::Whole(key, _) | Record::Dropped(key, _)) = &record;
        let passenger = self.asker_of(answer, key).ok_or(LaneFault::Mismatch)?;
        let bytes = std::mem::take(&mut answer.bytes);
        match record {
            Record::Whole(_, value) => passenger.answered(Reply::Value(value), bytes, now),
            Record::Dropped(_, dropped) => passenger.dropped(dropped, now),
        }
        answer.records -= 1;
        if answer.is_whole() {
            self.finish_shared(answer, now);
        }
        Ok(true)
    }

    /// Takes the next of those who asked for this key out of the queue.
    fn asker_of(&self, answer: &mut SharedAnswer, key: &Bytes) -> Option<P> {
        let mut owed = self.owed.borrow_mut();
        let asks = |tag: &Option<P>| tag.as_ref().is_some_and(|passenger| passenger.key() == Some(key));
        let over = owed.tags_from(answer.passed).take(answer.ahead).position(asks)?;
        answer.passed += over;
        answer.ahead -= over + 1;
        owed.take(answer.passed)?
    }

    /// Answers those whose key has no record.
    fn finish_shared(&self, answer: &mut SharedAnswer, now: Instant) {
        for _ in 0..answer.passed + answer.ahead {
            self.record_size.saw(0);
            let passenger = self.owed.borrow_mut().take(0).flatten();
            if let Some(passenger) = passenger {
                passenger.answered(Reply::Code(MISS), std::mem::take(&mut answer.bytes), now);
            }
        }
    }
}
