//! A client as most are: one request at a time, and after a timeout it goes on using its connection.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;

use crate::client::blocking::Blocking;
use crate::client::fault::{self, Trouble};
use crate::client::place::Place;
use crate::command::{Command, Reply};
use crate::config::Address;
use crate::protocol::tyrant::reply::ReplyFault;

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

impl From<fault::Fault> for Fault {
    fn from(fault: fault::Fault) -> Self {
        match fault.trouble {
            Trouble::Connect(error) | Trouble::Broken(error) => error.into(),
            Trouble::TimedOut => Self::TimedOut,
            Trouble::Ended => Self::Ended,
            Trouble::Unreadable(fault) => Self::Unreadable(fault),
            other @ (Trouble::Unasked(_) | Trouble::Unfit(_)) => Self::Io(io::Error::other(other)),
        }
    }
}

/// One connection of a client.
pub struct Client(Blocking);

impl Client {
    /// Connects to `host_port`; an answer is awaited for as long as any exchange on one machine can take.
    pub fn connect(host_port: &str) -> Result<Self, Fault> {
        let place = Place::of(&Address::Tcp(host_port.to_owned()), PATIENCE)?;
        Ok(Self(Blocking::connect(&place, PATIENCE)?))
    }

    /// How long an answer is awaited from now on.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.0.set_patience(timeout);
    }

    /// Stores a value; gives the code of the answer.
    pub fn put(&mut self, key: &str, value: &str) -> Result<u8, Fault> {
        let command = Command::Put {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        Ok(self.0.ask(&command)?.code())
    }

    /// Reads a value; nothing when there is no record.
    pub fn get(&mut self, key: &str) -> Result<Option<String>, Fault> {
        let command = Command::Get {
            key: Bytes::copy_from_slice(key.as_bytes()),
        };
        Ok(match self.0.ask(&command)? {
            Reply::Value(value) => Some(String::from_utf8_lossy(&value).into_owned()),
            _ => None,
        })
    }
}
