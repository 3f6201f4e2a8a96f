//! Replies: bytes to [`Reply`] and back.
//!
//! A reply does not say what it answers, so the [`Shape`] that its command is owed must be known to read it. Layouts
//! are those of the server's own source (`ttserver.c`, the `do_*` functions) and of its protocol page.

mod records;

use bytes::{Buf, Bytes, BytesMut};
use nom::number::streaming::{be_i32, be_i64, be_u64};
use thiserror::Error;

use super::dialect::Dialect;
use super::limits::Limits;
use super::scan::Scan;
use super::sizes::{self, SizeFault, header};
use super::skip::Skip;
use crate::command::function::Part;
use crate::command::{Reply, Shape};
use crate::protocol::outgoing::Outgoing;

pub use records::{Record, RecordsDecoder};

/// The code, which every reply begins with.
const CODE: usize = 1;

/// The code and a size or a count.
const HEAD: usize = CODE + 4;

type Decoded = Result<Option<Reply>, ReplyFault>;

/// Why a reply could not be read. Nothing after it on the connection can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplyFault {
    /// A size or a count that cannot be, or that is over a limit.
    #[error(transparent)]
    Size(#[from] SizeFault),
    /// The command is owed no reply ([`Shape::Nothing`]), so there is none to read.
    #[error("a command that is owed no reply was given one")]
    NotOwed,
    /// Records that are taken one by one have a code of failure at their head.
    #[error("an mget was answered with code {0}")]
    FailedRecords(u8),
    /// The reply has no end ([`Shape::Stream`]), so it cannot be read as a whole.
    #[error("a reply without end cannot be read as a whole")]
    Endless,
}

impl ReplyFault {
    /// A short name that stays the same from release to release, for use as a metric label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Size(fault) => fault.name(),
            Self::NotOwed => "not_owed",
            Self::FailedRecords(_) => "failed_records",
            Self::Endless => "endless",
        }
    }

    /// Whether the reply is only larger than allowed.
    pub fn is_over_limit(&self) -> bool {
        matches!(self, Self::Size(fault) if fault.is_over_limit())
    }
}

/// A whole reply, or what is known of one that was too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A reply within the limits.
    Reply(Reply),
    /// A reply that was dropped as it came.
    Dropped(Dropped),
}

/// What is known of a reply, or of a record of one, that was dropped as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The code at its head.
    pub code: u8,
    /// Bytes that it had in all.
    pub bytes: u64,
    /// The limit that it was over; none where whoever asked for it [had no room](ReplyDecoder::drop_ahead).
    pub fault: Option<SizeFault>,
}

/// A value that has been announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueAhead {
    /// Bytes that it has.
    pub value: usize,
    /// Bytes of the whole reply.
    pub frame: usize,
}

/// Turns the bytes of one connection into replies, one whole reply at a time.
#[derive(Debug)]
pub struct ReplyDecoder {
    limits: Limits,
    /// Where the look through the list at the head of the input stopped for want of bytes.
    scan: Option<Scan>,
    /// The reply at the head of the input is being dropped, and what is known of it so far.
    skip: Option<(Skip, Dropped)>,
}

impl ReplyDecoder {
    /// A decoder for one connection, which accepts frames up to `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            scan: None,
            skip: None,
        }
    }

    /// Takes the next reply, of this shape, off the front of `input`, or `None` when it is not all there.
    ///
    /// Strings are slices of `input`, not copies. Bytes leave `input` with a whole reply only: after `None` call again
    /// with the same shape, the same bytes and more behind them. No memory is taken for bytes that have only been
    /// announced.
    ///
    /// # Errors
    /// What the peer did wrong, as soon as a header says so. The input stays as it is, so the same fault comes back
    /// whenever it is asked again.
    pub fn decode(&mut self, shape: Shape, input: &mut BytesMut) -> Result<Option<Reply>, ReplyFault> {
        let code = input.first().copied();
        match shape {
            Shape::Nothing => Err(ReplyFault::NotOwed),
            Shape::Stream => Err(ReplyFault::Endless),
            Shape::Strings => self.misc(code, input),
            _ if code != Some(0) => Ok(alone(code, input)),
            Shape::Code => Ok(alone(code, input)),
            Shape::Value => self.value(input),
            Shape::Number => {
                let number = header(be_i32, input.get(CODE..));
                Ok(fixed(number.map(Reply::Number), 4, input))
            }
            Shape::Double => {
                let parts = header((be_i64, be_i64), input.get(CODE..));
                let reply = parts.map(|(integral, fractional)| Reply::Double { integral, fractional });
                Ok(fixed(reply, 16, input))
            }
            Shape::Count => {
                let count = header(be_u64, input.get(CODE..));
                Ok(fixed(count.map(Reply::Count), 8, input))
            }
            Shape::Records => Ok(self
                .list::<2>(input)?
                .map(|(list, count)| Reply::Records(sizes::records(list, count)))),
            Shape::Keys => Ok(self
                .list::<1>(input)?
                .map(|(list, count)| Reply::Keys(sizes::strings(list, count)))),
        }
    }

    /// How many elements the list at the head of `input` has, once it has come whole; nothing of what is no list. So that
    /// whoever has much to do besides can leave the decoding of a long one to another thread.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn list_ahead(&mut self, shape: Shape, input: &[u8]) -> Result<Option<usize>, ReplyFault> {
        let is_list =
            shape == Shape::Strings || matches!(shape, Shape::Keys | Shape::Records) && input.first() == Some(&0);
        let Some(count) = header(be_i32, input.get(CODE..)).filter(|_| is_list) else {
            return Ok(None);
        };
        let count = self.limits.count(count)?;
        let scan = self.scan.get_or_insert_with(|| Scan::new(HEAD, count));
        let whole = match shape {
            Shape::Records => scan.run::<2>(input, &self.limits, |_| Part::Other)?,
            _ => scan.run::<1>(input, &self.limits, |_| Part::Other)?,
        };
        Ok(whole.map(|_| count))
    }

    /// As [`Self::decode`], but a reply that is over a limit is dropped as it comes, and what comes behind it is read:
    /// a size that is over a limit still says where the reply ends. Of such a reply nothing is kept but the sizes of one
    /// element, and what had come of it before its sizes said that it was too large. How long that may take is for the
    /// caller to see to: what is announced may never come.
    ///
    /// # Errors
    /// As [`Self::decode`], for what is no reply at all.
    pub fn decode_or_drop(&mut self, shape: Shape, input: &mut BytesMut) -> Result<Option<Taken>, ReplyFault> {
        let begins = self.skip.is_none();
        if begins {
            match self.decode(shape, input) {
                Err(ReplyFault::Size(fault)) if fault.is_over_limit() => {
                    let code = input.first().copied().unwrap_or(0);
                    self.skip = Some((
                        self.skip_of(shape, input),
                        Dropped {
                            code,
                            bytes: 0,
                            fault: Some(fault),
                        },
                    ));
                }
                decoded => return Ok(decoded?.map(Taken::Reply)),
            }
        }
        let Some((skip, dropped)) = &mut self.skip else {
            return Ok(None);
        };
        let end = skip.run(input);
        if begins {
            // What is left behind it is little; the room that a long list took until it became too long is much.
            *input = BytesMut::from(&input[..]);
        }
        let taken = end?.map(|bytes| Taken::Dropped(Dropped { bytes, ..*dropped }));
        if taken.is_some() {
            self.skip = None;
        }
        Ok(taken)
    }

    /// The value that the head of `input` announces, alone or in the only record of a list, and that has not come whole;
    /// nothing of anything else, and of what is over a limit. So that whoever asked for it can say that there is no room for
    /// it before it comes.
    pub fn value_ahead(&self, shape: Shape, input: &[u8]) -> Option<ValueAhead> {
        if self.skip.is_some() || input.first() != Some(&0) {
            return None;
        }
        let (value, around) = match shape {
            Shape::Value => (header(be_i32, input.get(CODE..))?, 0),
            Shape::Records => {
                let (_, key, value) =
                    header((be_i32, be_i32, be_i32), input.get(CODE..)).filter(|(count, ..)| *count == 1)?;
                (value, 2 * sizes::SIZE + self.limits.argument(key).ok()?)
            }
            _ => return None,
        };
        let value = self.limits.argument(value).ok()?;
        let ahead = ValueAhead {
            value,
            frame: HEAD + around + value,
        };
        (input.len() < ahead.frame).then_some(ahead)
    }

    /// The reply with the value that was [announced](Self::value_ahead) is dropped as it comes.
    pub fn drop_ahead(&mut self, ahead: ValueAhead) {
        let dropped = Dropped {
            code: 0,
            bytes: 0,
            fault: None,
        };
        self.scan = None;
        self.skip = Some((Skip::new(ahead.frame as u64, 0, 0), dropped));
    }

    /// The way past the reply at the head of the input, whose sizes so far are over a limit and not below zero.
    fn skip_of(&mut self, shape: Shape, input: &BytesMut) -> Skip {
        let announced = header(be_i32, input.get(CODE..)).map_or(0, i32::unsigned_abs) as usize;
        let list = self.scan.take().unwrap_or(Scan::new(HEAD, announced));
        match shape {
            Shape::Records => list.into_skip(2),
            Shape::Keys | Shape::Strings => list.into_skip(1),
            _ => Skip::new((HEAD + announced) as u64, 0, 0),
        }
    }

    /// `misc` counts its strings whatever the code.
    fn misc(&mut self, code: Option<u8>, input: &mut BytesMut) -> Decoded {
        let (Some(code), Some((list, count))) = (code, self.list::<1>(input)?) else {
            return Ok(None);
        };
        let strings = sizes::strings(list, count);
        Ok(Some(Reply::Strings { code, strings }))
    }

    fn value(&self, input: &mut BytesMut) -> Decoded {
        let Some(size) = header(be_i32, input.get(CODE..)) else {
            return Ok(None);
        };
        let size = HEAD.saturating_add(self.limits.argument(size)?);
        if input.len() < self.limits.frame(size)? {
            return Ok(None);
        }
        let mut frame = input.split_to(size);
        frame.advance(HEAD);
        Ok(Some(Reply::Value(frame.freeze())))
    }

    /// Takes a frame that is a list off `input`: its elements, of `SIZES` sizes each, and how many they are.
    fn list<const SIZES: usize>(&mut self, input: &mut BytesMut) -> Result<Option<(Bytes, usize)>, ReplyFault> {
        let Some(count) = header(be_i32, input.get(CODE..)) else {
            return Ok(None);
        };
        let count = self.limits.count(count)?;
        let scan = self.scan.get_or_insert_with(|| Scan::new(HEAD, count));
        let Some(size) = scan.run::<SIZES>(input, &self.limits, |_| Part::Other)? else {
            return Ok(None);
        };
        self.scan = None;
        let mut frame = input.split_to(size).freeze();
        frame.advance(HEAD);
        Ok(Some((frame, count)))
    }
}

/// A code with nothing behind it.
fn alone(code: Option<u8>, input: &mut BytesMut) -> Option<Reply> {
    let reply = Reply::Code(code?);
    input.advance(CODE);
    Some(reply)
}

/// A reply that is the code and `size` bytes of numbers.
fn fixed(reply: Option<Reply>, size: usize, input: &mut BytesMut) -> Option<Reply> {
    let reply = reply?;
    input.advance(CODE + size);
    Some(reply)
}

/// Adds `reply` to `out`: exactly the bytes that it was decoded from.
///
/// Large strings are not copied.
pub fn encode(reply: &Reply, out: &mut Outgoing) {
    encode_in(Dialect::Tyrant, reply, out);
}

/// The same for a client that speaks `dialect`.
pub fn encode_in(dialect: Dialect, reply: &Reply, out: &mut Outgoing) {
    out.put_u8(reply.code());
    if reply.code() != 0 && !dialect.counts_when_failed() {
        return;
    }
    match reply {
        Reply::Code(_) => {}
        Reply::Value(value) => string(out, value),
        Reply::Number(number) => out.put_slice(&number.to_be_bytes()),
        Reply::Double { integral, fractional } => {
            out.put_slice(&integral.to_be_bytes());
            out.put_slice(&fractional.to_be_bytes());
        }
        Reply::Count(count) => out.put_slice(&count.to_be_bytes()),
        Reply::Records(records) => {
            size(out, records.len());
            for (key, value) in records {
                size(out, key.len());
                size(out, value.len());
                out.put_bytes(key);
                out.put_bytes(value);
            }
        }
        Reply::Keys(strings) | Reply::Strings { strings, .. } => {
            size(out, strings.len());
            strings.iter().for_each(|one| string(out, one));
        }
    }
}

fn size(out: &mut Outgoing, size: usize) {
    out.put_slice(&(size as u32).to_be_bytes());
}

fn string(out: &mut Outgoing, string: &Bytes) {
    size(out, string.len());
    out.put_bytes(string);
}

#[cfg(test)]
mod tests;
