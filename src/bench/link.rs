//! One connection with one question at a time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::check::Wrong;
use crate::command::{Reply, Shape};
use crate::config::Address;
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::reply::ReplyDecoder;
use crate::transport::{self, Reader, Writer};

/// Why a question has no answer that could be checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// There is no connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The server ended the connection.
    #[error("the connection was ended: {0}")]
    Ended(io::Error),
    /// The answer is wrong.
    #[error("{0}")]
    Wrong(Wrong),
    /// The answer says that it was not done.
    #[error("answered with code {0}")]
    Failed(u8),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Ended(error)
    }
}

/// The one address of the target's name that all connections are to go to; nothing for a path. This blocks.
pub(super) fn look_up(target: &Address, patience: Duration) -> Result<Option<SocketAddr>, Trouble> {
    match target {
        Address::Tcp(host_port) => transport::one_address(host_port, patience)
            .map(Some)
            .map_err(Trouble::Connect),
        Address::Unix(_) => Ok(None),
    }
}

/// A connection that is up.
#[derive(Debug)]
pub(super) struct Link {
    reader: Reader,
    writer: Writer,
    decoder: ReplyDecoder,
    input: BytesMut,
    /// What is to be sent.
    pub out: Outgoing,
    /// Bytes that have come.
    pub received: u64,
    /// Goes off when an answer may be late. It is set again only then: a timer for each question would cost more than
    /// the question.
    alarm: Pin<Box<Sleep>>,
}

impl Link {
    /// Connects: to this address of the target's name, where it has one.
    pub async fn connect(target: &Address, at: Option<SocketAddr>, patience: Duration) -> Result<Self, Trouble> {
        let connecting = async {
            match (target, at) {
                (Address::Tcp(_), Some(at)) => transport::connect_tcp(at).await,
                (Address::Tcp(_), None) => Err(io::ErrorKind::AddrNotAvailable.into()),
                (Address::Unix(path), _) => transport::connect_unix(path).await,
            }
        };
        match timeout(patience, connecting).await {
            Ok(Ok((reader, writer))) => Ok(Self::over(reader, writer)),
            Ok(Err(error)) => Err(Trouble::Connect(error)),
            Err(_) => Err(Trouble::Connect(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Over a connection that is up.
    pub fn over(reader: Reader, writer: Writer) -> Self {
        Self {
            reader,
            writer,
            decoder: ReplyDecoder::new(Limits::REPLY),
            input: BytesMut::new(),
            out: Outgoing::new(),
            received: 0,
            alarm: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// Sends what is in `out` and awaits its answer until `deadline`; nothing where none is owed.
    pub async fn ask(&mut self, shape: Shape, deadline: Instant) -> Result<Option<Reply>, Trouble> {
        loop {
            self.writer.write_ready(&mut self.out)?;
            if self.out.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                writable = self.writer.writable() => writable?,
                () = self.alarm.as_mut() => rearm(&mut self.alarm, deadline)?,
            }
        }
        if shape == Shape::Nothing {
            return Ok(None);
        }
        loop {
            let read = tokio::select! {
                biased;
                read = self.reader.read(&mut self.input) => read?,
                () = self.alarm.as_mut() => {
                    rearm(&mut self.alarm, deadline)?;
                    continue;
                }
            };
            if read == 0 {
                return Err(Trouble::Ended(io::ErrorKind::UnexpectedEof.into()));
            }
            self.received += read as u64;
            match self.decoder.decode(shape, &mut self.input) {
                Ok(None) => {}
                // Nobody asked for more than one.
                Ok(reply) if self.input.is_empty() => return Ok(reply),
                _ => return Err(Trouble::Wrong(Wrong::Shape)),
            }
        }
    }
}

fn rearm(alarm: &mut Pin<Box<Sleep>>, deadline: Instant) -> Result<(), Trouble> {
    if Instant::now() >= deadline {
        return Err(Trouble::TimedOut);
    }
    alarm.as_mut().reset(deadline);
    Ok(())
}
