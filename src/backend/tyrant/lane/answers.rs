//! What the server sends, cut into answers and handed to who asked.

use std::time::Instant;

use bytes::BytesMut;

use super::reads::SharedAnswer;
use super::{ALWAYS_FITS, Lane, LaneFault, Passenger, Proof};
use crate::command::Shape;
use crate::pairing::owed::{Expected, Lost};
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::reply::{RecordsDecoder, ReplyDecoder, Taken};

/// Makes room for a value of so many bytes, some of which may lie in `input`: what grew with them would be copied again
/// and again.
pub(super) fn make_room(input: &mut BytesMut, size: usize) {
    input.reserve((size + HEADS).saturating_sub(input.len()));
}

/// More than what lies around a value.
const HEADS: usize = 4096;

/// How far the answers of a lane have been read.
#[derive(Debug)]
pub(super) struct Answers {
    replies: ReplyDecoder,
    records: RecordsDecoder,
    /// The one that has begun, where it is shared.
    shared: Option<SharedAnswer>,
}

impl Answers {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            replies: ReplyDecoder::new(limits),
            records: RecordsDecoder::new(limits),
            shared: None,
        }
    }
}

impl<P: Passenger> Lane<P> {
    /// Pairs each whole answer, or the end of one that was too large, with the oldest request, and each record of an
    /// answer that requests share with one of them.
    pub(super) fn deliver(&self, answers: &mut Answers, input: &mut BytesMut, now: Instant) -> Result<(), LaneFault> {
        self.large_for.set(None);
        self.roomed.set(0);
        while !input.is_empty() {
            if let Some(shared) = &mut answers.shared {
                if !self.take_shared(shared, &mut answers.records, input, now)? {
                    break;
                }
            } else {
                let expected = self.owed.borrow().expected();
                match expected.ok_or(LaneFault::Unasked(input.len()))? {
                    Expected::Alone(shape) => {
                        if !self.take_alone(shape, &mut answers.replies, input, now)? {
                            break;
                        }
                    }
                    Expected::Shared(Shape::Strings, requests) => {
                        if !self.take_stored(requests, &mut answers.replies, input, now)? {
                            break;
                        }
                    }
                    Expected::Shared(_, requests) => {
                        answers.shared = self.begin_shared(requests, &mut answers.records, input, now)?;
                        if answers.shared.is_none() {
                            break;
                        }
                    }
                }
            }
            answers.shared.take_if(|shared| shared.is_whole());
            if answers.shared.is_none() {
                self.useful.set(true);
            }
        }
        Ok(())
    }

    /// Takes an answer to the oldest request; returns false when it is not all there.
    fn take_alone(
        &self,
        shape: Shape,
        decoder: &mut ReplyDecoder,
        input: &mut BytesMut,
        now: Instant,
    ) -> Result<bool, LaneFault> {
        let before = input.len();
        if let Some(size) = decoder.value_ahead(shape, input) {
            if self.has_room_for(0, size) {
                make_room(input, size);
            } else {
                decoder.drop_ahead(size);
            }
        }
        let Some(taken) = decoder.decode_or_drop(shape, input)? else {
            return Ok(false);
        };
        let bytes = before - input.len();
        let passenger = self.owed.borrow_mut().answered();
        match (passenger, taken) {
            (Some(Some(passenger)), Taken::Dropped(dropped)) => passenger.dropped(dropped, now),
            (Some(Some(passenger)), Taken::Reply(reply)) if passenger.accepts(&reply) => {
                passenger.answered(reply, bytes, now);
            }
            (Some(Some(passenger)), Taken::Reply(_)) => {
                passenger.lost(Lost::Sent);
                return Err(LaneFault::Mismatch);
            }
            (Some(None), _) => {
                self.asking.set(false);
                if self.proof.get() == Proof::Asked {
                    self.proof.set(Proof::Given);
                }
            }
            (None, _) => {}
        }
        Ok(true)
    }

    /// Whether one of the oldest requests, by its place among them, has room for a value of so many bytes.
    pub(super) fn has_room_for(&self, place: usize, size: usize) -> bool {
        let mut owed = self.owed.borrow_mut();
        if self.limits.large.is_some_and(|large| size > large) {
            self.large_for.set(Some(place));
            if owed.len() > 1 {
                self.held_up.notify_one();
            }
        }
        if size <= ALWAYS_FITS {
            return true;
        }
        let passenger = owed.tags_mut().nth(place).and_then(Option::as_mut);
        passenger.is_none_or(|passenger| {
            let has_room = passenger.has_room_for(size);
            self.roomed.set(if has_room { passenger.room() } else { 0 });
            has_room
        })
    }
}
