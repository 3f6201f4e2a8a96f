//! A client of any Tyrant server: for everyone who asks on a connection of their own.
//!
//! [`Connection`] is one: whole commands go out, whole replies come in, in their order. Either one question is
//! asked at a time, and its answer and nothing else may come ([`Connection::ask`]); or many are asked ahead, and what is to
//! be sent leaves while answers are awaited ([`Connection::more`]), so that neither side can be kept from reading by what it
//! has to write. [`Blocking`](blocking::Blocking) is the same on a thread that does nothing else.
//!
//! What is held of answers is bounded by the [`Limits`] that it is made with; what is to be sent, by whoever asks.
//! A [`Place`](place::Place) is a server's address, looked up once; a [`Route`] is the way there.

mod alarm;
pub mod blocking;
pub mod fault;
pub mod place;
pub mod route;

use bytes::BytesMut;
use tokio::time::Instant;

use self::alarm::Alarm;
use self::fault::Trouble;
use self::route::Route;
use crate::command::{Command, Reply, Shape};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::opcode::Opcode;
use crate::protocol::tyrant::reply::ReplyDecoder;
use crate::protocol::tyrant::request;
use crate::transport::{Reader, Writer};

/// One connection to a server. Where a deadline is passed, none means that whoever asks sees to it.
#[derive(Debug)]
pub struct Connection {
    reader: Reader,
    writer: Writer,
    decoder: ReplyDecoder,
    input: BytesMut,
    /// What is to be sent.
    pub out: Outgoing,
    received: u64,
    alarm: Alarm,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`Trouble::Connect`], also when the deadline has passed.
    pub async fn connect(route: &Route, limits: Limits, deadline: Option<Instant>) -> Result<Self, Trouble> {
        let mut alarm = Alarm::default();
        let connected = tokio::select! {
            biased;
            connected = route::connect(route) => connected,
            () = alarm.rings(deadline) => Err(std::io::ErrorKind::TimedOut.into()),
        };
        let (reader, writer) = connected.map_err(Trouble::Connect)?;
        Ok(Self {
            reader,
            writer,
            decoder: ReplyDecoder::new(limits),
            input: BytesMut::new(),
            out: Outgoing::new(),
            received: 0,
            alarm,
        })
    }

    /// The connection itself, on which nothing is owed: what had come and was not taken is lost.
    pub fn into_halves(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    /// The writing side of the connection, which knows who is at the other end.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Bytes that have come.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Adds a question to what is to be sent. It leaves when an answer is awaited, or with [`Self::flush`].
    pub fn put(&mut self, command: &Command) {
        request::encode(command, &mut self.out);
    }

    /// Asks one question, of which only its whole answer and nothing else may come.
    ///
    /// # Errors
    /// When it does not come, is none, or more comes.
    pub async fn ask(&mut self, command: &Command, deadline: Option<Instant>) -> Result<Reply, Trouble> {
        self.put(command);
        self.only(Opcode::of(command.verb()).shape, deadline).await
    }

    /// The answer, of this shape, to the only question that is to be sent.
    ///
    /// # Errors
    /// As those of [`Self::ask`].
    pub async fn only(&mut self, shape: Shape, deadline: Option<Instant>) -> Result<Reply, Trouble> {
        let reply = self.next(shape, deadline).await?;
        match self.input.len() {
            0 => Ok(reply),
            unasked => Err(Trouble::Unasked(unasked)),
        }
    }

    /// The next answer, of this shape; what is to be sent leaves while it is awaited.
    ///
    /// # Errors
    /// When it does not come, or is none.
    pub async fn next(&mut self, shape: Shape, deadline: Option<Instant>) -> Result<Reply, Trouble> {
        loop {
            if let Some(reply) = self.take(shape)? {
                return Ok(reply);
            }
            self.more(deadline).await?;
        }
    }

    /// The next answer, of this shape, where it has come.
    ///
    /// # Errors
    /// When it is none.
    pub fn take(&mut self, shape: Shape) -> Result<Option<Reply>, Trouble> {
        Ok(self.decoder.decode(shape, &mut self.input)?)
    }

    /// Sends what is to be sent, and waits until something has come, or some of it has left and more is to follow.
    /// Nothing is lost when it is cancelled.
    ///
    /// # Errors
    /// When the connection ends or breaks, or the deadline passes before that.
    pub async fn more(&mut self, deadline: Option<Instant>) -> Result<(), Trouble> {
        loop {
            if self.writer.write_ready(&mut self.out)? > 0 && !self.out.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                read = self.reader.read(&mut self.input) => {
                    return match read? {
                        0 => Err(Trouble::Ended),
                        count => {
                            self.received += count as u64;
                            Ok(())
                        }
                    };
                }
                writable = self.writer.writable(), if !self.out.is_empty() => writable?,
                () = self.alarm.rings(deadline) => return Err(Trouble::TimedOut),
            }
        }
    }

    /// Sends all that is to be sent, for questions that are owed no answer.
    ///
    /// # Errors
    /// When the connection breaks, or the deadline passes before that.
    pub async fn flush(&mut self, deadline: Option<Instant>) -> Result<(), Trouble> {
        loop {
            self.writer.write_ready(&mut self.out)?;
            if self.out.is_empty() {
                return Ok(());
            }
            tokio::select! {
                biased;
                writable = self.writer.writable() => writable?,
                () = self.alarm.rings(deadline) => return Err(Trouble::TimedOut),
            }
        }
    }
}

#[cfg(test)]
mod tests;
