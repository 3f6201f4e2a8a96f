//! What became of a request.
//!
//! ```text
//! what: u8 | which: u8 (| a whole reply of Tyrant's binary protocol, of the shape that `which` says)
//! ```

use bytes::{Buf, BytesMut};

use super::{Fault, Kind};
use crate::command::{Answer, Reason, Reply, Shape};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::reply::{self, ReplyDecoder};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It has an answer.
    Answer(Answer),
    /// There is none.
    Failed(Failed),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It was not answered in time.
    Deadline,
    /// The store is out of reach, and has been for too long to wait for it.
    BackendDown,
    /// It must not be sent twice, and was lost on its way to the store.
    LaneLost,
    /// The store's answer is larger than allowed.
    ReplyTooLarge,
    /// It is not served there.
    Refused,
    /// The guard is stopping. Nothing was done.
    Stopping,
    /// The guard does not serve: it waits for its store's claim. Nothing was done.
    Waits,
}

const REPLY: u8 = 0;
const NO_RECORD: u8 = 1;
const UNAVAILABLE: u8 = 2;
const FAILED: u8 = 3;
/// The reason is added to this.
const REFUSED: u8 = 16;

const SHAPES: [(u8, Shape); 8] = [
    (0, Shape::Code),
    (1, Shape::Value),
    (2, Shape::Number),
    (3, Shape::Double),
    (4, Shape::Count),
    (5, Shape::Records),
    (6, Shape::Keys),
    (7, Shape::Strings),
];

const REASONS: [(u8, Reason); 5] = [
    (0, Reason::Stale),
    (1, Reason::Tie),
    (2, Reason::Future),
    (3, Reason::Unstamped),
    (4, Reason::Denied),
];

const FAILURES: [(u8, Failed); 7] = [
    (0, Failed::Deadline),
    (1, Failed::BackendDown),
    (2, Failed::LaneLost),
    (3, Failed::ReplyTooLarge),
    (4, Failed::Refused),
    (5, Failed::Stopping),
    (6, Failed::Waits),
];

fn number_of<T: PartialEq>(table: &[(u8, T)], one: &T) -> u8 {
    let found = table.iter().find(|(_, known)| known == one);
    found.map_or(0, |(number, _)| *number)
}

fn numbered<T: Copy>(table: &[(u8, T)], number: u8) -> Option<T> {
    let found = table.iter().find(|(known, _)| *known == number);
    found.map(|(_, one)| *one)
}

fn shape_of(reply: &Reply) -> Shape {
    match reply {
        Reply::Code(_) => Shape::Code,
        Reply::Value(_) => Shape::Value,
        Reply::Number(_) => Shape::Number,
        Reply::Double { .. } => Shape::Double,
        Reply::Count(_) => Shape::Count,
        Reply::Records(_) => Shape::Records,
        Reply::Keys(_) => Shape::Keys,
        Reply::Strings { .. } => Shape::Strings,
    }
}

impl Told {
    /// Adds the body to `out`.
    pub fn put(&self, out: &mut Outgoing) {
        match self {
            Self::Answer(Answer::Reply(reply)) => put_reply(REPLY, reply, out),
            Self::Answer(Answer::Refused { reason, told }) => {
                put_reply(REFUSED + number_of(&REASONS, reason), told, out);
            }
            Self::Answer(Answer::NoRecord) => out.put_slice(&[NO_RECORD, 0]),
            Self::Answer(Answer::Unavailable) => out.put_slice(&[UNAVAILABLE, 0]),
            Self::Failed(failed) => out.put_slice(&[FAILED, number_of(&FAILURES, failed)]),
        }
    }

    /// Reads a body, whose strings are slices of it.
    ///
    /// # Errors
    /// When it is none, or when its reply is over the limits.
    pub fn parse(mut body: BytesMut, limits: Limits) -> Result<Self, Fault> {
        let fault = Fault::Body(Kind::Told);
        let (&what, &which) = (body.first().ok_or(fault)?, body.get(1).ok_or(fault)?);
        body.advance(2);
        let told = match what {
            FAILED => Self::Failed(numbered(&FAILURES, which).ok_or(fault)?),
            NO_RECORD => Self::Answer(Answer::NoRecord),
            UNAVAILABLE => Self::Answer(Answer::Unavailable),
            _ => {
                let shape = numbered(&SHAPES, which).ok_or(fault)?;
                let reply = ReplyDecoder::new(limits).decode(shape, &mut body);
                let reply = reply.map_err(|_| fault)?.ok_or(fault)?;
                Self::Answer(match what.checked_sub(REFUSED) {
                    Some(reason) => Answer::Refused {
                        reason: numbered(&REASONS, reason).ok_or(fault)?,
                        told: reply,
                    },
                    None if what == REPLY => Answer::Reply(reply),
                    None => return Err(fault),
                })
            }
        };
        if body.is_empty() { Ok(told) } else { Err(fault) }
    }
}

fn put_reply(what: u8, told: &Reply, out: &mut Outgoing) {
    out.put_slice(&[what, number_of(&SHAPES, &shape_of(told))]);
    reply::encode(told, out);
}
