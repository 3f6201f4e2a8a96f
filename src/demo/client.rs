//! A blocking client as most are: one request at a time, and after a timeout it goes on using its connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::command::{Command, Reply};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::opcode::Opcode;
use crate::protocol::tyrant::reply::{ReplyDecoder, ReplyFault};
use crate::protocol::tyrant::request;

/// Far above what any exchange on one machine takes.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Not within the client's timeout.
    #[error("no answer in time")]
    TimedOut,
    /// The other side ended the connection.
    #[error("the connection was reset")]
    Ended,
    /// What came is no answer.
    #[error("an answer does not parse: {0}")]
    Unreadable(#[from] ReplyFault),
    /// Anything else.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Self::Ended,
            _ => Self::Io(error),
        }
    }
}

/// One connection of a client.
pub struct Client {
    stream: TcpStream,
    decoder: ReplyDecoder,
    input: BytesMut,
}

impl Client {
    /// Connects to `host_port`; an answer is awaited for as long as any exchange on one machine can take.
    pub fn connect(host_port: &str) -> Result<Self, Fault> {
        let stream = TcpStream::connect(host_port)?;
        stream.set_nodelay(true)?;
        let client = Self {
            stream,
            decoder: ReplyDecoder::new(Limits::REPLY),
            input: BytesMut::new(),
        };
        client.set_timeout(PATIENCE)?;
        Ok(client)
    }

    /// How long an answer is awaited from now on.
    pub fn set_timeout(&self, timeout: Duration) -> Result<(), Fault> {
        Ok(self.stream.set_read_timeout(Some(timeout))?)
    }

    /// Asks, and takes the next answer that comes for the answer to this question.
    pub fn ask(&mut self, command: &Command) -> Result<Reply, Fault> {
        let mut out = Outgoing::new();
        request::encode(command, &mut out);
        self.stream.write_all(&out.take())?;
        let shape = Opcode::of(command.verb()).shape;
        let mut piece = [0; 4096];
        loop {
            if let Some(reply) = self.decoder.decode(shape, &mut self.input)? {
                return Ok(reply);
            }
            match self.stream.read(&mut piece)? {
                0 => return Err(Fault::Ended),
                count => self.input.extend_from_slice(&piece[..count]),
            }
        }
    }

    /// Stores a value; gives the code of the answer.
    pub fn put(&mut self, key: &str, value: &str) -> Result<u8, Fault> {
        let command = Command::Put {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        Ok(self.ask(&command)?.code())
    }

    /// Reads a value; nothing when there is no record.
    pub fn get(&mut self, key: &str) -> Result<Option<String>, Fault> {
        let command = Command::Get {
            key: Bytes::copy_from_slice(key.as_bytes()),
        };
        Ok(match self.ask(&command)? {
            Reply::Value(value) => Some(String::from_utf8_lossy(&value).into_owned()),
            _ => None,
        })
    }
}
