//! Records in a file of this machine: one thread writes ([`commit`]), every other reads what it has committed.
//!
//! The engine is SQLite with a write-ahead log. Among the engines that were measured it is the one that goes on after a
//! full disk; the others want to be opened again.

mod backup;
mod commit;
mod connection;
mod draft;
mod format;
mod place;
mod queue;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::mpsc::UnboundedSender;

use super::answer::settled;
use super::answering::{Answering, State};
use super::records::{Fault, Records};
use super::stat::Origin;
use crate::command::function::until_nul;
use crate::command::{Command, Reply};
use crate::config::{StoreSettings, Sync};
use crate::logging::RateLimit;
use commit::Committer;
use format::Found;
use place::Lock;
pub use place::OpenError;
use queue::{Job, Queue, ReplyTo, Work};
pub use queue::{Outcome, weight};
use table::Table;

/// Connections that are kept for the next reader. Those who walk all records can be many at once; their memory is not kept.
const READERS_KEPT: usize = 16;

/// Bytes of values that are read by a thread that has others to serve: to look through a megabyte takes about one
/// thousandth of a second, where the system has it in memory.
const AT_ONCE: usize = 1 << 20;

/// Free pages that are given back between two transactions of others.
const SHRINK_PAGES: u32 = 256;

/// A store in a file, to be shared by the threads of this process; no other process has it open meanwhile.
pub struct FileStore {
    path: PathBuf,
    state: Arc<State>,
    queue: Arc<Queue>,
    committer: Option<JoinHandle<()>>,
    /// Connections that nobody uses just now.
    readers: Mutex<Vec<Connection>>,
    /// The one folder that copies are in; without one there are none.
    copy_dir: Option<PathBuf>,
    /// One copy at a time, or one restore.
    copying: Mutex<()>,
    /// Given back after everything else is closed.
    _lock: Lock,
}

impl FileStore {
    /// Opens the file at `path`, or makes it. What was committed before a crash is there.
    ///
    /// # Errors
    /// When the path is not for us, in use, or damaged.
    pub fn open(path: &Path, settings: StoreSettings) -> Result<Self, OpenError> {
        let refuse = |problem: String| OpenError::new(path, problem);
        let resolved = place::resolve(path).map_err(refuse)?;
        let found = format::examine(&resolved).map_err(refuse)?;
        place::is_alone(&resolved).map_err(refuse)?;
        let lock = Lock::take(&resolved).map_err(refuse)?;
        if found == Found::Nothing && format::examine(&resolved).map_err(refuse)? == Found::Nothing {
            format::create(&resolved).map_err(refuse)?;
        }
        let damaged = |fault: Fault| refuse(format!("cannot be opened: {fault}"));
        let connection =
            connection::writer(&resolved, settings.sync == Sync::Always).map_err(|error| damaged(error.into()))?;
        if !format::has_our_tables(&connection).map_err(|error| damaged(error.into()))? {
            return Err(refuse("has other tables than a store".to_owned()));
        }
        // Whoever cannot even count will not serve.
        Table::new(&connection, &resolved).len().map_err(damaged)?;
        let state = Arc::new(State::new(Origin {
            kind: "hash",
            path: resolved.display().to_string(),
        }));
        let queue = Arc::new(Queue::default());
        let committer = Committer::new(
            connection,
            resolved.clone(),
            Arc::clone(&state),
            Arc::clone(&queue),
            settings.clone(),
        );
        let thread = std::thread::Builder::new().name("committer".into());
        let committer = thread
            .spawn(move || committer.run())
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            path: resolved,
            state,
            queue,
            committer: Some(committer),
            readers: Mutex::default(),
            copy_dir: settings.copy_dir,
            copying: Mutex::default(),
            _lock: lock,
        })
    }

    /// Carries out a command of any kind, and waits until its outcome cannot be lost any more.
    ///
    /// # Errors
    /// Where something was asked and could not be found out.
    pub fn execute(&self, command: &Command, now: Duration) -> Outcome {
        match command {
            Command::Copy { path } => settled(command, self.copy(path)),
            Command::Restore { path, timestamp, .. } => settled(command, self.restore(path, *timestamp, now)),
            command if super::answer::is_read(command) => self.read(command, now),
            command => {
                let reply = self.request(Work::Command {
                    command: command.clone(),
                    now,
                });
                match reply {
                    // The parameters were found good; only then is anything moved.
                    Ok(reply) if is_optimize(command) && reply.code() == 0 => {
                        settled(command, self.optimize().map(|()| reply))
                    }
                    other => other,
                }
            }
        }
    }

    /// Carries out a command that changes nothing, on what has been committed.
    ///
    /// # Errors
    /// When it could not be found out.
    pub fn read(&self, command: &Command, now: Duration) -> Outcome {
        let outcome = self.read_from(|table| table, command, now);
        self.settled_read(command, outcome)
    }

    /// As [`Self::read`], for a thread that has others to serve; nothing where the values are too large for that.
    pub fn read_at_once(&self, command: &Command, now: Duration) -> Option<Outcome> {
        match self.read_from(|table| table.at_most(AT_ONCE), command, now) {
            Err(Fault::Large) => None,
            outcome => Some(self.settled_read(command, outcome)),
        }
    }

    fn read_from(
        &self,
        bounded: impl for<'t> FnOnce(Table<'t>) -> Table<'t>,
        command: &Command,
        now: Duration,
    ) -> Outcome {
        self.with_reader(|connection| {
            let at = Answering {
                state: &self.state,
                records: &bounded(Table::new(connection, &self.path)),
            };
            at.execute(command, now)
        })
    }

    fn settled_read(&self, command: &Command, outcome: Outcome) -> Outcome {
        if let Err(fault) = &outcome {
            static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
            if let Some(suppressed) = LOG.admit(Instant::now()) {
                let path = self.path.display();
                tracing::error!(%path, %fault, suppressed, verb = ?command.verb(), "the store cannot be read");
            }
        }
        settled(command, outcome)
    }

    /// Puts a command on its way; the outcomes of those that go to the same line come in the order in which they went.
    pub fn submit(&self, command: Command, now: Duration, line: &UnboundedSender<Outcome>) {
        self.queue.push(Job {
            work: Work::Command { command, now },
            reply_to: ReplyTo::Line(line.clone()),
        });
    }

    /// How many records there are.
    pub fn len(&self) -> Result<u64, Fault> {
        self.with_reader(|connection| Table::new(connection, &self.path).len())
    }

    fn with_reader<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        let idle = self.readers.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connection::reader(&self.path)?,
        };
        let found = read(&connection);
        let mut idle = self.readers.lock();
        if idle.len() < READERS_KEPT {
            idle.push(connection);
        }
        found
    }

    /// Has the committer do something, and waits for it.
    fn request(&self, work: Work) -> Outcome {
        let (sender, outcome) = mpsc::channel();
        self.queue.push(Job {
            work,
            reply_to: ReplyTo::Caller(sender),
        });
        outcome.recv().unwrap_or(Err(Fault::Closing))
    }

    /// Gives back what deleted records took: free pages to the system, bit by bit so that others can write meanwhile, then
    /// the log.
    fn optimize(&self) -> Result<(), Fault> {
        while self.request(Work::Shrink { pages: SHRINK_PAGES })? != Reply::Count(0) {}
        self.request(Work::Checkpoint).map(drop)
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        // Before the committer's connection: only one that knows itself to be the last puts the log away, and of two that
        // close at once neither does.
        self.readers.lock().clear();
        self.queue.close();
        if let Some(committer) = self.committer.take() {
            let _ = committer.join();
        }
    }
}

fn is_optimize(command: &Command) -> bool {
    match command {
        Command::Optimize { .. } => true,
        Command::Misc { function, .. } => until_nul(function) == b"optimize",
        _ => false,
    }
}
