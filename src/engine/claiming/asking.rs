//! What is asked of a store about its claim, on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::claim::record::{self, Record};
use crate::claim::{EPOCH, HOLDER};
use crate::client::Connection;
use crate::client::fault::Trouble;
use crate::client::route::Route;
use crate::command::{Command, Reply, Shape};
use crate::protocol::tyrant::limits::Limits;
use crate::store::capabilities::Keys;
use crate::store::tyrant::greeting::Greeting;

/// Bounds of what is answered, of which `stat` is the longest.
const LIMITS: Limits = Limits {
    argument_max: 64 << 10,
    frame_max: 160 << 10,
    arguments_max: 16,
    ..Limits::REPLY
};

/// What a store holds of its claim.
#[derive(Debug)]
pub struct Stored {
    /// The epoch; nothing where there is none.
    pub epoch: Option<u64>,
    /// The record; nothing where there is none.
    pub record: Option<Record>,
}

/// Why nothing came of asking.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The connection is of no use any more.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// The store cannot keep a claim, and why.
    #[error("{0}")]
    Unkeepable(&'static str),
}

/// A connection on which nothing else is asked.
pub struct Asking {
    connection: Connection,
    patience: Duration,
}

impl Asking {
    /// Connects to a store, and sees that it can keep a claim. Each answer may take so long.
    ///
    /// # Errors
    /// When it cannot be reached, or is one that holds no records under names.
    pub async fn connect(route: &Route, patience: Duration) -> Result<Self, Problem> {
        let deadline = Some(Instant::now() + patience);
        let connection = Connection::connect(route, LIMITS, deadline).await?;
        let mut asking = Self { connection, patience };
        let Reply::Value(stat) = asking.ask(&Command::Stat).await? else {
            return Err(Trouble::Unfit("stat was not answered with lines".to_owned()).into());
        };
        if Greeting::parse(&stat).kind.capabilities().keys == Keys::Numbers {
            return Err(Problem::Unkeepable(
                "a fixed-length database holds no record under a name",
            ));
        }
        Ok(asking)
    }

    /// What the store holds of the claim.
    ///
    /// # Errors
    /// When there is no answer, or none that can be one.
    pub async fn look(&mut self) -> Result<Stored, Problem> {
        let reply = self.ask(&both()).await?;
        stored(reply)
    }

    /// Raises the epoch above `known`, which the store may have dropped; returns what it is then.
    ///
    /// # Errors
    /// When there is no answer, or the store does not do it.
    pub async fn raise_above(&mut self, known: u64) -> Result<u64, Problem> {
        let epoch = self.raise(1).await?;
        if epoch > known {
            return Ok(epoch);
        }
        self.raise(known + 1 - epoch).await
    }

    /// Raises the epoch by so much, in one step of the store's.
    async fn raise(&mut self, by: u64) -> Result<u64, Problem> {
        let number = i32::try_from(by).map_err(|_| Problem::Unkeepable("its epoch cannot be raised so far"))?;
        let key = Bytes::from_static(EPOCH);
        match self.ask(&Command::AddInt { key, number }).await? {
            Reply::Number(epoch) => u64::try_from(epoch).map_err(|_| Problem::Unkeepable("its epoch is below zero")),
            _ => Err(Problem::Unkeepable(
                "it does not carry out addint: does its mask deny it?",
            )),
        }
    }

    /// Writes the record, and looks what the store holds then: both are on their way at once, in this order.
    ///
    /// # Errors
    /// When there is no answer, or the store does not do it.
    pub async fn write(&mut self, record: &Record) -> Result<Stored, Problem> {
        let deadline = Some(Instant::now() + self.patience);
        self.connection.put(&Command::Put {
            key: Bytes::from_static(HOLDER),
            value: record.encode(),
        });
        self.connection.put(&both());
        let put = self.connection.next(Shape::Code, deadline).await?;
        let looked = self.connection.only(Shape::Records, deadline).await?;
        if put.code() != 0 {
            return Err(Problem::Unkeepable("it does not carry out put: does its mask deny it?"));
        }
        stored(looked)
    }

    async fn ask(&mut self, command: &Command) -> Result<Reply, Trouble> {
        let deadline = Some(Instant::now() + self.patience);
        self.connection.ask(command, deadline).await
    }
}

fn both() -> Command {
    Command::Mget {
        keys: vec![Bytes::from_static(EPOCH), Bytes::from_static(HOLDER)],
    }
}

fn stored(reply: Reply) -> Result<Stored, Problem> {
    let Reply::Records(found) = reply else {
        return Err(Problem::Unkeepable(
            "it does not carry out mget: does its mask deny it?",
        ));
    };
    let of = |wanted: &[u8]| found.iter().find(|(key, _)| key == wanted).map(|(_, value)| &value[..]);
    Ok(Stored {
        epoch: of(EPOCH).and_then(record::epoch),
        record: of(HOLDER).and_then(Record::decode),
    })
}
