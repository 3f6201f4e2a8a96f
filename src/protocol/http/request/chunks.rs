//! A body whose size is not known beforehand: chunks, each with its size before it (RFC 9112, 7.1).
//!
//! Every line ends with CR LF and nothing else, sizes are hexadecimal digits and nothing else: where two readers could see
//! a chunk end in two places, one client's bytes could pass for another's request. Extensions and trailers are read over.

use bytes::BytesMut;
use nom::bytes::streaming::{tag, take_while, take_while_m_n};
use nom::character::streaming::{char, space0};
use nom::combinator::opt;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::Fault;
use super::line::header;
use crate::command::function::Part;
use crate::protocol::text;
use crate::protocol::tyrant::limits::Limits;

/// Bytes of the longest line between the data, with its end.
const LINE_MAX: usize = 1024;

/// Bytes of all extensions and trailers of a body.
const ASIDE_MAX: usize = 64 * 1024;

/// Digits of the longest size.
const DIGITS_MAX: usize = 16;

/// What is behind a head.
#[derive(Debug)]
pub(super) enum Body {
    /// So many bytes.
    Sized(usize),
    /// As many as the chunks say.
    Chunked(Chunks),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The size of a chunk is to come.
    Size,
    /// So many bytes of data are to come.
    Data(usize),
    /// The end of the data is to come.
    DataEnd,
    /// What follows the last chunk.
    Trailer,
    /// All of it has come.
    Whole,
}

/// A chunked body as far as it has come. What lies between the data is taken out of the input as it comes, so that the data
/// is in one piece, and no more memory is held than it needs.
#[derive(Debug)]
pub(super) struct Chunks {
    part: Part,
    phase: Phase,
    /// Bytes of data in one piece.
    pub size: usize,
    /// Bytes of extensions and trailers.
    aside: usize,
}

impl Chunks {
    /// None yet of a body that is this part of a request.
    pub fn of(part: Part) -> Self {
        Self {
            part,
            phase: Phase::Size,
            size: 0,
            aside: 0,
        }
    }

    /// Takes what has come behind a head of so many bytes; whether that is all. Each byte is looked at once.
    pub fn take(&mut self, input: &mut BytesMut, head: usize, limits: &Limits) -> Result<bool, Fault> {
        // What is read next, behind what is taken out, behind the data in one piece.
        let mut at = head + self.size;
        loop {
            let rest = &input[at..];
            let line = &rest[..rest.len().min(LINE_MAX)];
            let taken = match self.phase {
                Phase::Whole => break,
                Phase::Size => self.size_line(line, head, limits)?,
                Phase::Data(left) => {
                    let size = left.min(rest.len());
                    input.copy_within(at..at + size, head + self.size);
                    self.size += size;
                    self.phase = if size == left {
                        Phase::DataEnd
                    } else {
                        Phase::Data(left - size)
                    };
                    (size > 0).then_some(size)
                }
                Phase::DataEnd => parsed(tag::<_, _, ()>(&b"\r\n"[..]).parse(line), line)?.map(|(taken, _)| {
                    self.phase = Phase::Size;
                    taken
                }),
                Phase::Trailer => self.trailer(line)?,
            };
            let Some(taken) = taken else {
                break;
            };
            at += taken;
        }
        let end = head + self.size;
        if at > end {
            let left = input.len() - at;
            input.copy_within(at.., end);
            input.truncate(end + left);
        }
        Ok(self.phase == Phase::Whole)
    }

    /// The line before a chunk; its bytes, once it is all there.
    fn size_line(&mut self, line: &[u8], head: usize, limits: &Limits) -> Result<Option<usize>, Fault> {
        let Some((taken, digits)) = parsed(size_line(line), line)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(digits).map_err(|_| Fault::BadChunk)?;
        let size = u64::from_str_radix(text, 16).map_err(|_| Fault::BadChunk)?;
        let all = i128::from(size) + self.size as i128;
        let all = text::size(all, self.part, limits)?;
        limits.frame(head + all)?;
        self.phase = match all - self.size {
            0 => Phase::Trailer,
            size => Phase::Data(size),
        };
        self.read_over(taken - digits.len())?;
        Ok(Some(taken))
    }

    /// A line behind the last chunk; its bytes, once it is all there.
    fn trailer(&mut self, line: &[u8]) -> Result<Option<usize>, Fault> {
        let is_text = |byte: u8| byte != b'\r' && byte != b'\n';
        let trailer = terminated(take_while(is_text), tag::<_, _, ()>(&b"\r\n"[..])).parse(line);
        let Some((taken, trailer)) = parsed(trailer, line)? else {
            return Ok(None);
        };
        if trailer.is_empty() {
            self.phase = Phase::Whole;
        } else {
            header(trailer).map_err(|_| Fault::BadHeader)?;
            self.read_over(taken)?;
        }
        Ok(Some(taken))
    }

    /// Counts bytes that mean nothing. The end of a line always belongs to it.
    fn read_over(&mut self, bytes: usize) -> Result<(), Fault> {
        self.aside += bytes.saturating_sub(2);
        if self.aside > ASIDE_MAX {
            Err(Fault::BadChunk)
        } else {
            Ok(())
        }
    }
}

/// What was parsed of a line, and its bytes; nothing when it is not all there.
fn parsed<'a>(found: IResult<&'a [u8], &'a [u8], ()>, line: &[u8]) -> Result<Option<(usize, &'a [u8])>, Fault> {
    match found {
        Ok((rest, found)) => Ok(Some((line.len() - rest.len(), found))),
        Err(nom::Err::Incomplete(_)) if line.len() < LINE_MAX => Ok(None),
        Err(_) => Err(Fault::BadChunk),
    }
}

/// The digits of a size, perhaps an extension, and the end of the line.
fn size_line(line: &[u8]) -> IResult<&[u8], &[u8], ()> {
    let is_text = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7F);
    let digits = take_while_m_n(1, DIGITS_MAX, |byte: u8| byte.is_ascii_hexdigit());
    let extension = preceded((space0, char(';')), take_while(is_text));
    terminated(digits, (opt(extension), tag(&b"\r\n"[..]))).parse(line)
}
