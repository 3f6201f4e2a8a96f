//! The stores behind the backend URLs `memory:` and `file:PATH`: they answer as `ttserver *` 1.1.41 does, without a
//! server. `memory:` is gone when the process ends; `file:` survives it.
//!
//! There is no script extension, no update log and no replication. Where the server's success would rest on one of
//! these, the command fails, because a success that is none is worse:
//!
//! - `ext` fails, as on a server without a script. `repl` cannot be answered and fails.
//! - `optimize` with `capnum` or `capsiz` fails: the server would begin to drop records that it acknowledged.
//! - `setmst` succeeds and shows in `stat`, with a delay that only grows, as for a master that is out of reach.
//! - `copy` and `restore` fail on `memory:`. On `file:` they make a copy of the file while others write, and bring the
//!   records of a copy back, in the one folder that the settings name and by plain names in it; `@command` and times fail.
//!
//! Keys over 1,048,575 bytes are kept whole; the server cuts them there. On `file:` a key and its value have 10^9 bytes
//! together at most.
//!
//! What concerns the records' order differs from the server's hash: `memory:` has parts, each in the order of its keys,
//! `file:` is in the order of its keys throughout.
//!
//! In memory single keys take well under a microsecond, in a file some microseconds where the system has its pages, and a
//! change as long as the device needs. `fwmkeys` takes as long as its answer is long, `misc regex` walks every record: the
//! calling thread waits.

mod answer;
mod answering;
mod bounds;
mod change;
mod file;
pub mod line;
mod memory;
mod misc;
pub mod number;
mod pattern;
mod records;
#[cfg(test)]
mod replay;
mod shard;
mod stat;
#[cfg(test)]
mod tests;

pub use self::misc::{asked_part, part};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use crate::command::function::until_nul;
use crate::command::{Command, Reply};
use crate::config::StoreSettings;
pub use answer::is_read;
use answering::{Answering, State};
use file::FileStore;
pub use file::OpenError;
use memory::Memory;
pub use records::Fault;
use records::Records;
use stat::Origin;

/// To copy so many bytes takes long: 32 MiB into memory that the system has to provide took 8 to 15 ms.
pub const LONG_COPY: usize = 4 << 20;

/// A store in this process, to be shared by its threads.
pub struct Embedded(Kept);

enum Kept {
    Memory(Box<InMemory>),
    File(FileStore),
}

struct InMemory {
    records: Memory,
    state: State,
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Embedded")
            .field("records", &self.len().ok())
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// An empty store in memory, which counts its age from now and ends with the process.
    pub fn new() -> Self {
        Self(Kept::Memory(Box::new(InMemory {
            records: Memory::default(),
            state: State::new(Origin::memory()),
        })))
    }

    /// A store in the file at `path`, which is made where there is none. No other process can have it open.
    ///
    /// # Errors
    /// When the path is not for us, in use, or damaged: one line that says so.
    pub fn open(path: &Path, settings: &StoreSettings) -> Result<Self, OpenError> {
        FileStore::open(path, settings.clone()).map(|store| Self(Kept::File(store)))
    }

    /// How many records there are.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn len(&self) -> Result<u64, Fault> {
        match &self.0 {
            Kept::Memory(memory) => memory.records.len(),
            Kept::File(store) => store.len(),
        }
    }

    /// Whether there is no record.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_empty(&self) -> Result<bool, Fault> {
        self.len().map(|len| len == 0)
    }

    /// Whether a change copies so many bytes that it takes long, in memory: to do it is for another thread than one that
    /// serves others.
    pub fn takes_long(&self, command: &Command) -> bool {
        let memory = match &self.0 {
            Kept::Memory(memory) => memory,
            Kept::File(_) => return false,
        };
        let stored = |key: &Bytes| memory.records.value_size(key).ok().flatten().unwrap_or(0);
        let copied = match command {
            Command::Put { value, .. } | Command::PutKeep { value, .. } | Command::PutNr { value, .. } => value.len(),
            Command::PutCat { key, value } | Command::PutShl { key, value, .. } => value.len() + stored(key),
            Command::Misc {
                function, arguments, ..
            } if let [key, value, ..] = &arguments[..] => match until_nul(function) {
                b"put" | b"putkeep" | b"putlist" => value.len(),
                b"putcat" => value.len() + stored(key),
                _ => 0,
            },
            _ => 0,
        };
        copied >= LONG_COPY
    }

    /// Carries out `command`, completely, before it returns. `now` is the time since the epoch, and only `stat` tells it.
    /// In a file a change takes as long as the device needs.
    ///
    /// `putnr` answers [`Reply::OK`], which the caller keeps from the client. A failure is code 1, the only one that the
    /// server knows, or 6 where the file cannot be written. Keys and values are copied, never kept as slices of the
    /// command.
    ///
    /// # Errors
    /// Where something was asked and could not be found out: no answer of the protocol says that.
    pub fn execute(&self, command: &Command, now: Duration) -> Result<Reply, Fault> {
        match &self.0 {
            Kept::Memory(memory) => {
                let InMemory { records, state } = &**memory;
                Answering { state, records }.execute(command, now)
            }
            Kept::File(store) => store.execute(command, now),
        }
    }
}
