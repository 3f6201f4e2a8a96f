//! Requests: bytes to [`Command`].

mod fault;
mod line;

use bytes::{Bytes, BytesMut};

pub use self::fault::Fault;
use self::line::Verb;
use super::reply::{Asked, Form};
use crate::command::Command;
use crate::command::edit::Edit;
use crate::protocol::text::{self, Search};
use crate::protocol::tyrant::limits::Limits;

/// Bytes of the longest line.
pub const LINE_MAX: usize = 1 << 20;

/// What ends a block of bytes.
const BLOCK_END: &[u8] = b"\r\n";

/// One whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// To be carried out.
    Request {
        /// What is asked, in Tyrant's verbs.
        command: Command,
        /// How that differs from what Tyrant's verb does.
        edit: Option<Edit>,
        /// How it is answered.
        form: Form,
    },
    /// `quit`: the client wants the connection to end.
    Quit,
    /// A line of a verb that is not known, behind which no value follows: it is answered [`ERROR`].
    Unknown {
        /// `noreply`: nothing is said.
        silent: bool,
    },
}

/// What is said to a line of a verb that is not known.
pub const ERROR: &[u8] = b"ERROR\r\n";

/// What begins with a capital letter, as requests of HTTP do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capitals {
    /// A line of memcached's that somebody has typed in capital letters. So written its verb is not known.
    Line(Incoming),
    /// It is too early to say.
    Undecided,
    /// No line of memcached's, or one that a value may follow.
    Other,
}

/// Takes a line of a verb in capital letters off the front of `input`, where it can be nothing else.
pub fn take_capitals(input: &mut BytesMut) -> Capitals {
    match line::in_capitals(input) {
        line::Capitals::Line(size) => {
            let line = input.split_to(size).freeze();
            Capitals::Line(incoming(Verb::Unknown, &line, Bytes::new()))
        }
        line::Capitals::Undecided => Capitals::Undecided,
        line::Capitals::Other => Capitals::Other,
    }
}

/// Turns the bytes of one connection into requests, one whole request at a time.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    search: Search,
    /// The sizes of the line and of the value behind it, once the line has been read.
    block: Option<(usize, usize)>,
}

impl Decoder {
    /// A decoder for one connection, which accepts requests up to `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            search: Search::default(),
            block: None,
        }
    }

    /// Takes the next request off the front of `input`, or `None` when it is not all there.
    ///
    /// As with the binary protocol: arguments are slices of `input`, bytes leave it with a whole request only, and
    /// after `None` the same bytes with more behind them are to come.
    ///
    /// # Errors
    /// What the peer did wrong, as soon as it is seen. The input stays as it is, so the same fault comes back whenever
    /// it is asked again.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, Fault> {
        if let Some((line, value)) = self.block {
            return self.with_block(input, line, value);
        }
        let Some(verb) = line::verb(input)? else {
            return Ok(None);
        };
        let max = if verb == Verb::Unknown {
            line::UNKNOWN_MAX
        } else {
            LINE_MAX
        };
        let max = max.min(self.limits.frame_max);
        let found = self.search.line_feed(input);
        if found.unwrap_or(input.len()) >= max {
            return Err(Fault::LineTooLong(max));
        }
        let Some(line_feed) = found else {
            return Ok(None);
        };
        let line = line_feed + 1;
        match line::check(verb, &input[..line], &self.limits)? {
            Some(value) => {
                self.limits.frame(line + value + BLOCK_END.len())?;
                self.block = Some((line, value));
                self.with_block(input, line, value)
            }
            None => {
                let line = self.cut(input, line);
                Ok(Some(incoming(verb, &line, Bytes::new())))
            }
        }
    }

    /// A request whose value is `value` bytes behind its line.
    fn with_block(&mut self, input: &mut BytesMut, line: usize, value: usize) -> Result<Option<Incoming>, Fault> {
        let end = line + value;
        let behind = input.get(end..).unwrap_or_default();
        let behind = &behind[..behind.len().min(BLOCK_END.len())];
        if !BLOCK_END.starts_with(behind) {
            return Err(Fault::UnterminatedValue);
        }
        if behind.len() < BLOCK_END.len() {
            return Ok(None);
        }
        let Some(verb) = line::verb(input)? else {
            return Ok(None);
        };
        let mut frame = self.cut(input, end + BLOCK_END.len());
        let value = frame.split_off(line).split_to(value);
        Ok(Some(incoming(verb, &frame, value)))
    }

    fn cut(&mut self, input: &mut BytesMut, size: usize) -> Bytes {
        self.search = Search::default();
        self.block = None;
        input.split_to(size).freeze()
    }
}

/// The request that a checked line makes, with the value behind it.
fn incoming(verb: Verb, line: &Bytes, value: Bytes) -> Incoming {
    let word = |at: usize| text::words(line).nth(at).unwrap_or_default();
    let silent_at = |places: &[usize]| places.iter().any(|at| word(*at) == b"noreply");
    let key = line.slice_ref(word(1));
    let (command, edit, asked, silent) = match verb {
        Verb::Quit => return Incoming::Quit,
        Verb::Unknown => {
            let silent = text::words(line).last() == Some(b"noreply");
            return Incoming::Unknown { silent };
        }
        Verb::Set => (Command::Put { key, value }, None, Asked::Set, silent_at(&[5])),
        Verb::Add => (Command::PutKeep { key, value }, None, Asked::Add, silent_at(&[5])),
        Verb::Replace => {
            let command = Command::Put { key, value };
            (command, Some(Edit::IfPresent), Asked::Edit, silent_at(&[5]))
        }
        Verb::Append => {
            let command = Command::PutCat { key, value };
            (command, Some(Edit::IfPresent), Asked::Edit, silent_at(&[5]))
        }
        Verb::Prepend => {
            let command = Command::PutCat { key, value };
            (command, Some(Edit::Prepend), Asked::Edit, silent_at(&[5]))
        }
        Verb::Get => {
            let keys = text::words(line).skip(1).map(|key| line.slice_ref(key)).collect();
            (Command::Mget { keys }, None, Asked::Values, false)
        }
        Verb::Delete => (Command::Out { key }, None, Asked::Delete, silent_at(&[2, 3])),
        Verb::Incr | Verb::Decr => {
            let by = line::amount(word(2)).unwrap_or_default();
            let by = if verb == Verb::Decr { by.wrapping_neg() } else { by };
            let number = by.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            let command = Command::AddInt { key, number };
            (command, Some(Edit::Decimal(by)), Asked::Number, silent_at(&[3]))
        }
        Verb::Stats => (Command::Stat, None, Asked::Stats, false),
        Verb::Version => (Command::Stat, None, Asked::Version, false),
        Verb::FlushAll => (Command::Vanish, None, Asked::Flush, silent_at(&[1, 2])),
    };
    Incoming::Request {
        command,
        edit,
        form: Form { asked, silent },
    }
}

#[cfg(test)]
mod tests;
