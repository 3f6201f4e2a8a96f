//! A connection of its own for one command that may take long, so that it holds up nobody.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::task::spawn_blocking;

use super::greeting::{self, Run};
use crate::client::route::Route;
use crate::command::{Command, Reply};
use crate::protocol::link::hello::Behalf;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::opcode::Opcode;
use crate::protocol::tyrant::reply::ReplyDecoder;
use crate::protocol::tyrant::request;
use crate::transport::{Reader, Writer};

use super::lane::LaneFault;

/// A list of more elements than this is taken apart by another thread: this one has others to serve.
const MANY: usize = 4096;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub struct Dedicated {
    /// What the server sends.
    pub reader: Reader,
    /// What the server is sent.
    pub writer: Writer,
}

/// An answer, and what it took.
#[derive(Debug)]
pub struct Exchange {
    /// The answer.
    pub reply: Reply,
    /// Bytes of the question.
    pub sent: usize,
    /// Bytes of the answer.
    pub received: usize,
}

impl Dedicated {
    /// Opens it, says for whom where it leads to a guard, and asks which run of the server it has reached.
    pub async fn connect(route: &Route, behalf: Option<&Behalf>) -> io::Result<(Self, Run)> {
        let (reader, writer, run) = greeting::open_aside(route, behalf).await?;
        Ok((Self { reader, writer }, run))
    }

    /// Asks one question and waits for its answer. After an error the connection must be fenced: the question may
    /// have been carried out, or may yet be.
    pub async fn exchange(&mut self, command: &Command, limits: Limits) -> Result<Exchange, LaneFault> {
        let sent = self.send(command).await?;
        let shape = Opcode::of(command.verb()).shape;
        let mut decoder = ReplyDecoder::new(limits);
        let mut input = BytesMut::new();
        loop {
            if self.reader.read(&mut input).await? == 0 {
                return Err(LaneFault::Eof);
            }
            let received = input.len();
            let decoded = if decoder.list_ahead(shape, &input)?.is_some_and(|count| count > MANY) {
                let taken = spawn_blocking(move || {
                    let decoded = decoder.decode(shape, &mut input);
                    (decoded, decoder, input)
                });
                let decoded;
                (decoded, decoder, input) = taken.await.map_err(io::Error::other)?;
                decoded
            } else {
                decoder.decode(shape, &mut input)
            };
            if let Some(reply) = decoded? {
                return if input.is_empty() {
                    Ok(Exchange { reply, sent, received })
                } else {
                    Err(LaneFault::Unasked(input.len()))
                };
            }
        }
    }

    /// Sends a question whose answer never ends; returns how many bytes it has.
    pub async fn send(&mut self, command: &Command) -> io::Result<usize> {
        let mut out = Outgoing::new();
        request::encode(command, &mut out);
        let bytes = out.len();
        while !out.is_empty() {
            self.writer.writable().await?;
            self.writer.write_ready(&mut out)?;
        }
        Ok(bytes)
    }

    /// The next bytes of an answer that never ends; nothing at its end.
    pub async fn next_bytes(&mut self, input: &mut BytesMut) -> io::Result<Option<Bytes>> {
        match self.reader.read(input).await? {
            0 => Ok(None),
            _ => Ok(Some(input.split().freeze())),
        }
    }
}
