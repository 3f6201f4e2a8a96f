//! A client on a thread that does nothing else.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::Connection;
use super::fault::{Fault, Trouble};
use super::place::Place;
use crate::command::{Command, Reply};
use crate::protocol::tyrant::limits::Limits;
use crate::protocol::tyrant::opcode::Opcode;

/// A connection whose methods block, and whose faults say which server it was.
pub struct Blocking {
    connection: Connection,
    runtime: Runtime,
    server: String,
    patience: Duration,
}

impl Blocking {
    /// Connects, for as long as the system tries. From then on the server may be silent for `patience` while something
    /// is owed.
    ///
    /// # Errors
    /// When nobody takes the connection.
    pub fn connect(place: &Place, patience: Duration) -> Result<Self, Fault> {
        let connect = || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(Trouble::Connect)?;
            let connection = runtime.block_on(Connection::connect(place.route(), Limits::REPLY, None))?;
            Ok((runtime, connection))
        };
        let server = place.to_string();
        match connect() {
            Ok((runtime, connection)) => Ok(Self {
                connection,
                runtime,
                server,
                patience,
            }),
            Err(trouble) => Err(Fault { server, trouble }),
        }
    }

    /// For how long the server may be silent from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Adds a question to what is to be sent. It leaves when an answer has to be waited for.
    pub fn put(&mut self, command: &Command) {
        self.connection.put(command);
    }

    /// The next answer, to such a command.
    ///
    /// # Errors
    /// When it does not come, or is none.
    pub fn next(&mut self, command: &Command) -> Result<Reply, Fault> {
        let shape = Opcode::of(command.verb()).shape;
        loop {
            match self.connection.take(shape) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(trouble) => return Err(self.fault(trouble)),
            }
            let patience = self.patience;
            let more = self.runtime.block_on(async {
                // An instant so far away that there is none is no deadline.
                self.connection.more(Instant::now().checked_add(patience)).await
            });
            more.map_err(|trouble| self.fault(trouble))?;
        }
    }

    /// Asks, and takes the next answer that comes for the answer to this question.
    ///
    /// # Errors
    /// As those of [`Self::next`].
    pub fn ask(&mut self, command: &Command) -> Result<Reply, Fault> {
        self.put(command);
        self.next(command)
    }

    /// Has the connection used otherwise, until that is done.
    ///
    /// # Errors
    /// What that says, of this server.
    pub fn run(&mut self, talk: impl AsyncFnOnce(&mut Connection) -> Result<(), Trouble>) -> Result<(), Fault> {
        let done = self.runtime.block_on(talk(&mut self.connection));
        done.map_err(|trouble| self.fault(trouble))
    }

    /// What the trouble with this server is.
    pub fn fault(&self, trouble: Trouble) -> Fault {
        let server = self.server.clone();
        Fault { server, trouble }
    }

    /// An answer of this server says something else than it may.
    pub fn unfit(&self, problem: impl Into<String>) -> Fault {
        self.fault(Trouble::Unfit(problem.into()))
    }
}
