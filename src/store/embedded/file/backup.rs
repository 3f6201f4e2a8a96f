//! Copies of the file while it is written to, and their records brought back: in one folder that the settings name, by
//! plain names in it. A client that may ask for a copy can do no more than make one.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::backup::{Backup, StepResult};

use super::FileStore;
use super::connection;
use super::draft::Draft;
use super::format::{self, Found};
use super::place::{self, Lock, beside};
use super::queue::Work;
use super::table::Table;
use crate::command::function::until_nul;
use crate::command::{Command, Reply};
use crate::files;
use crate::store::embedded::answering::FAILED;
use crate::store::embedded::records::{Cursor, Fault, Records};

/// Records that a restore brings back in one step, at most, and about how many bytes of them.
const PAGE_RECORDS: usize = 512;
const PAGE_BYTES: usize = 1 << 20;

/// All pages at once: what is copied is one point in time, and those who write go on behind it.
const ALL_PAGES: i32 = -1;

/// Bytes of a copy's name, at most: what lies beside it while it is made has a longer one, and no name has more than 255.
const NAME_MAX: usize = 200;

impl FileStore {
    /// Makes a copy of this name, as of one point in time. It is whole and on the device, or not there.
    ///
    /// Only an earlier copy is replaced, and no store that a process has open.
    pub(super) fn copy(&self, name: &[u8]) -> Result<Reply, Fault> {
        let name = until_nul(name);
        match self.try_copy(name) {
            Ok(()) => {
                tracing::info!(name = ?shown(name), "a copy was made");
                Ok(Reply::OK)
            }
            Err(problem) => {
                tracing::warn!(name = ?shown(name), ?problem, "no copy was made");
                Ok(FAILED)
            }
        }
    }

    fn try_copy(&self, name: &[u8]) -> Result<(), String> {
        let path = self.path_of(name)?;
        let _one_at_a_time = self.copying.try_lock().ok_or(BUSY)?;
        let _lock = self.lock(&path)?;
        format::examine(&path)?;
        self.copy_to(&path).map_err(|error| error.to_string())
    }

    fn copy_to(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let draft = Draft::begin(path)?;
        let source = connection::reader(&self.path)?;
        let mut copy = draft.connection()?;
        let backup = Backup::new(&source, &mut copy)?;
        let copied = backup.step(ALL_PAGES)?;
        drop(backup);
        if copied != StepResult::Done {
            return Err("the store was busy".into());
        }
        copy.close().map_err(|(_, error)| error)?;
        draft.without_log()?;
        Ok(draft.publish(path)?)
    }

    /// Stores every record of the copy of this name again, over what has the same key; what has another stays.
    ///
    /// The server's own `restore` replays a log from a time on. A copy knows no times, so any but 0 fails.
    pub(super) fn restore(&self, name: &[u8], timestamp: u64, now: Duration) -> Result<Reply, Fault> {
        let name = until_nul(name);
        let refuse = |problem: &str| {
            tracing::warn!(name = ?shown(name), ?problem, "nothing is restored from there");
            Ok(FAILED)
        };
        if timestamp != 0 {
            return refuse("a copy knows no times: the timestamp must be 0");
        }
        let found = self.path_of(name).and_then(|path| {
            let one_at_a_time = self.copying.try_lock().ok_or(BUSY)?;
            let lock = self.lock(&path)?;
            match format::examine(&path)? {
                Found::Ours => Ok((path, one_at_a_time, lock)),
                Found::Nothing => Err("is not there".to_owned()),
            }
        });
        let (path, _one_at_a_time, _lock) = match found {
            Ok(found) => found,
            Err(problem) => return refuse(&problem),
        };
        let connection = connection::archive(&path)?;
        match format::damage(&connection) {
            Ok(None) => {}
            Ok(Some(problem)) => return refuse(&problem),
            Err(error) => return refuse(&error.to_string()),
        }
        let restored = self.restore_from(&Table::new(&connection, &path), now);
        match &restored {
            Ok(count) => tracing::info!(name = ?shown(name), count, "records were restored"),
            Err(fault) => tracing::error!(name = ?shown(name), %fault, "not all records were restored"),
        }
        restored.map(|_| Reply::OK)
    }

    fn restore_from(&self, table: &Table<'_>, now: Duration) -> Result<u64, Fault> {
        let (mut cursor, mut count) = (Cursor::START, 0);
        loop {
            let (mut arguments, mut bytes) = (Vec::new(), 0);
            table.walk(&mut cursor, |key, value| {
                bytes += key.len() + value.len();
                arguments.extend([key, value]);
                arguments.len() < 2 * PAGE_RECORDS && bytes < PAGE_BYTES
            })?;
            if arguments.is_empty() {
                return Ok(count);
            }
            count += arguments.len() as u64 / 2;
            let command = Command::Misc {
                function: Bytes::from_static(b"putlist"),
                options: 0,
                arguments,
            };
            let reply = self.request(Work::Command { command, now })?;
            if reply.code() != 0 {
                return Err(Fault::Full);
            }
        }
    }

    /// Where a copy of this name is.
    fn path_of(&self, name: &[u8]) -> Result<PathBuf, String> {
        let folder = self
            .copy_dir
            .as_ref()
            .ok_or("store.copy_dir names no folder for copies")?;
        Ok(folder.join(plain(name)?))
    }

    /// Keeps others from opening what is there as a store. What is in use, or was not closed, is no copy: a log beside it
    /// would be taken for that of the copy.
    fn lock(&self, path: &Path) -> Result<Lock, String> {
        let look = |path: &Path| files::look(path).map_err(|error| error.to_string());
        let one = |path| Ok::<_, String>(look(path)?.map(|(_, found)| (found.dev(), found.ino())));
        let ours = one(&self.path)?;
        if ours.is_some() && one(path)? == ours {
            // To open it once more and close it again would give back the engine's own locks.
            return Err("is the store itself".to_owned());
        }
        let lock = Lock::take_for_now(path)?;
        for suffix in ["-wal", "-journal"] {
            if look(&beside(path, suffix))?.is_some_and(|(_, found)| !found.is_file() || found.len() > 0) {
                return Err("is a store that is open, or was not closed".to_owned());
            }
        }
        Ok(lock)
    }
}

const BUSY: &str = "another copy or restore is under way";

/// A name that leads nowhere else, and is not that of something that belongs to a store.
fn plain(name: &[u8]) -> Result<&str, &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "is no UTF-8 text")?;
    if name.is_empty() || name.len() > NAME_MAX {
        return Err("has no byte, or more than 200");
    }
    if name.starts_with(['.', '@']) || name.chars().any(|c| c == '/' || c.is_control()) {
        return Err("is no plain name: no path, no dot or @ at its head, no control characters");
    }
    if place::SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        return Err("is the name of what belongs to a store");
    }
    Ok(name)
}

/// A name as it is logged: its beginning, and on one line whatever is in it.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(NAME_MAX)]).into_owned()
}
