//! What the server sends, cut into answers and handed to who asked.

use std::time::Instant;

use bytes::BytesMut;

use super::reads::SharedAnswer;
use super::room::make_room;
use super::{Lane, LaneFault, Proof};
use crate::command::Shape;
use crate::pairing::owed::{Expected, Lost};
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::reply::{RecordsDecoder, ReplyDecoder, Taken};
use crate::store::completion::Completion;

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

impl<P: Completion> Lane<P> {
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
        if let Some(ahead) = decoder.value_ahead(shape, input) {
            if self.has_room_for(0, ahead.value) {
                make_room(input, ahead.value);
            } else {
                decoder.drop_ahead(ahead);
            }
        }
        let Some(taken) = decoder.decode_or_drop(shape, input)? else {
            return Ok(false);
        };
        let bytes = before - input.len();
        let completion = self.owed.borrow_mut().answered();
        match (completion, taken) {
            (Some(Some(completion)), Taken::Dropped(dropped)) => completion.dropped(dropped, now),
            (Some(Some(completion)), Taken::Reply(reply)) if completion.accepts(&reply) => {
                completion.answered(reply, bytes, now);
            }
            (Some(Some(completion)), Taken::Reply(_)) => {
                completion.lost(Lost::Sent);
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
}
