//! Requests: bytes to [`Command`].

mod fault;
mod form;
mod head;

use bytes::{Bytes, BytesMut};

pub use self::fault::Fault;
use self::head::{Function, Head, Method};
use super::escape;
use super::reply::{Asked, Form};
use crate::command::Command;
use crate::command::function::Part;
use crate::protocol::text::{self, Search};
use crate::protocol::tyrant::limits::Limits;

/// Bytes of the longest head: request line, header lines, and the empty line behind them.
pub const HEAD_MAX: usize = 64 * 1024;

/// Turns the bytes of one connection into requests, one whole request at a time.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    search: Search,
    /// Where the line begins whose end is searched for.
    line: usize,
    /// The sizes of head and body, once the head has been read.
    sizes: Option<(usize, usize)>,
    /// What was wrong with a request that has left the input.
    fault: Option<Fault>,
}

impl Decoder {
    /// A decoder for one connection, which accepts requests up to `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            search: Search::default(),
            line: 0,
            sizes: None,
            fault: None,
        }
    }

    /// The fault of a request that has left the input: what lies there now is behind it.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Takes the next request off the front of `input`, or `None` when it is not all there.
    ///
    /// As with the binary protocol: arguments are slices of `input` but for those that came with escapes, bytes leave it
    /// with a whole request only, and after `None` the same bytes with more behind them are to come.
    ///
    /// # Errors
    /// What the peer did wrong, as soon as it is seen. The same fault comes back whenever it is asked again.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<(Command, Form)>, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (head, body) = match self.sizes {
            Some(sizes) => sizes,
            None => {
                if head::method(input)?.is_none() {
                    return Ok(None);
                }
                let Some(size) = self.head_size(input)? else {
                    return Ok(None);
                };
                let head = Head::read(&input[..size])?;
                let sizes = (size, head.body_size(&self.limits)?);
                self.limits.frame(sizes.0 + sizes.1)?;
                *self.sizes.insert(sizes)
            }
        };
        if input.len() < head + body {
            return Ok(None);
        }
        let head = input.split_to(head).freeze();
        let body = input.split_to(body).freeze();
        *self = Self::new(self.limits);
        request(&head, body, &self.limits)
            .map(Some)
            .inspect_err(|fault| self.fault = Some(*fault))
    }

    /// The bytes up to the end of the head, once they are all there.
    fn head_size(&mut self, input: &[u8]) -> Result<Option<usize>, Fault> {
        let max = HEAD_MAX.min(self.limits.frame_max);
        while let Some(line_feed) = self.search.line_feed(input) {
            if line_feed >= max {
                break;
            }
            if text::without_end(&input[self.line..=line_feed]).is_empty() {
                return Ok(Some(line_feed + 1));
            }
            self.search.pass();
            self.line = line_feed + 1;
        }
        if input.len() >= max {
            return Err(Fault::HeadTooLarge(max));
        }
        Ok(None)
    }
}

/// The request that a whole head makes, with the body behind it.
fn request(bytes: &Bytes, body: Bytes, limits: &Limits) -> Result<(Command, Form), Fault> {
    let head = Head::read(bytes)?;
    let key = || {
        let key = escape::decode(bytes.slice_ref(head.path())).ok_or(Fault::BadEscape)?;
        text::size(key.len() as i128, Part::Key, limits)?;
        Ok::<_, Fault>(key)
    };
    let (command, asked) = match head.method {
        Method::Get => (Command::Get { key: key()? }, Asked::Get),
        Method::Head => (Command::Vsiz { key: key()? }, Asked::Head),
        Method::Delete => (Command::Out { key: key()? }, Asked::Delete),
        Method::Options => (Command::Stat, Asked::Options),
        Method::Put => {
            let (key, value) = (key()?, body);
            match head.pd_mode {
                1 => (Command::PutKeep { key, value }, Asked::PutKeep),
                2 => (Command::PutCat { key, value }, Asked::Put),
                _ => (Command::Put { key, value }, Asked::Put),
            }
        }
        Method::Post => match head.function()? {
            Function::Script { name, options } => {
                let command = Command::Ext {
                    function: bytes.slice_ref(name),
                    options,
                    key: key()?,
                    value: body,
                };
                (command, Asked::Script)
            }
            Function::Misc { name, options } => {
                let command = Command::Misc {
                    function: bytes.slice_ref(name),
                    options,
                    arguments: form::values(&body, name, limits)?,
                };
                (command, Asked::Misc)
            }
        },
    };
    let close = !head.keep;
    Ok((command, Form { asked, close }))
}

#[cfg(test)]
mod tests;
