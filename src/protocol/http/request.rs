//! Requests: bytes to [`Command`].

mod chunks;
mod fault;
mod form;
mod head;
mod line;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use self::chunks::Body;
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
    /// The size of the head and what is behind it, once the head has been read.
    head: Option<(usize, Body)>,
    /// The client waits for word that the body is wanted.
    go_ahead: bool,
    /// What was wrong with a request of which something has left the input.
    fault: Option<Fault>,
    /// Names by which may be asked, beside `localhost` and addresses; nothing where any will do.
    hosts: Option<Arc<[String]>>,
}

/// What is said to a client that waits for word that the body is wanted.
const GO_AHEAD: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Decoder {
    /// A decoder for one connection, which accepts requests up to `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            search: Search::default(),
            line: 0,
            head: None,
            go_ahead: false,
            fault: None,
            hosts: None,
        }
    }

    /// As it is, but requests are refused unless they ask for an address, `localhost` or one of `hosts`.
    pub fn asked_by(mut self, hosts: Arc<[String]>) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// What is to be said to a client that has sent the head of a request, and waits for that before it sends the body.
    /// Once for each request.
    pub fn go_ahead(&mut self) -> Option<&'static [u8]> {
        std::mem::take(&mut self.go_ahead).then_some(GO_AHEAD)
    }

    /// The fault of a request of which something has left the input: what lies there now may be behind it.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Takes the next request off the front of `input`, or `None` when it is not all there.
    ///
    /// As with the binary protocol: arguments are slices of `input` but for those that came with escapes, bytes leave it
    /// with a whole request only, but for what lies between the data of chunks, and after `None` what is left there with
    /// more behind it is to come.
    ///
    /// # Errors
    /// What the peer did wrong, as soon as it is seen. The same fault comes back whenever it is asked again.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<(Command, Form)>, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.head.is_none() {
            if !head::has_method(input)? {
                return Ok(None);
            }
            let Some(size) = self.head_size(input)? else {
                return Ok(None);
            };
            let head = Head::read(&input[..size], self.hosts.as_deref())?;
            let body = head.body(&self.limits)?;
            let known = if let Body::Sized(body) = body { body } else { 0 };
            self.limits.frame(size + known)?;
            // Who sends the body at once does not wait.
            self.go_ahead = head.awaits_go_ahead() && input.len() == size;
            self.head = Some((size, body));
        }
        let Some((head, body)) = &mut self.head else {
            return Ok(None);
        };
        let (is_whole, head, body) = match body {
            Body::Sized(body) => (input.len() >= *head + *body, *head, *body),
            Body::Chunked(chunks) => {
                let taken = chunks.take(input, *head, &self.limits);
                let is_whole = taken.inspect_err(|fault| self.fault = Some(*fault))?;
                (is_whole, *head, chunks.size)
            }
        };
        if !is_whole {
            return Ok(None);
        }
        let head = input.split_to(head).freeze();
        let body = input.split_to(body).freeze();
        let hosts = self.hosts.take();
        *self = Self {
            hosts,
            ..Self::new(self.limits)
        };
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
            let line = text::without_end(&input[self.line..=line_feed]);
            if line.is_empty() {
                return Ok(Some(line_feed + 1));
            }
            if self.line == 0 {
                // What is no HTTP may have no other line.
                Head::request_line(line)?;
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
    let head = Head::read(bytes, None)?;
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
    let form = Form {
        asked,
        close: !head.keep,
        says_kept: head.keep && head.is_old,
    };
    Ok((command, form))
}

#[cfg(test)]
mod tests;
