//! Copies of the file while it is written to, and their records brought back.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::FileStore;
use super::format::{self, Found, beside};
use super::queue::Work;
use super::table::Table;
use crate::backend::embedded::answer::FAILED;
use crate::backend::embedded::records::{Cursor, Fault, Records};
use crate::command::function::until_nul;
use crate::command::{Command, Reply};

/// Records that a restore brings back in one step, at most, and about how many bytes of them.
const PAGE_RECORDS: usize = 512;
const PAGE_BYTES: usize = 1 << 20;

/// All pages at once: what is copied is one point in time, and those who write go on behind it.
const ALL_PAGES: i32 = -1;

impl FileStore {
    /// Makes a copy at `path`, as of one point in time. It is whole and on the device, or not there.
    ///
    /// Only an earlier copy is replaced. `@command`, which has the server run something, fails.
    pub(super) fn copy(&self, path: &[u8]) -> Result<Reply, Fault> {
        let Some(path) = self.foreign_path(path) else {
            return Ok(FAILED);
        };
        let _one_at_a_time = self.copying.lock();
        if let Err(problem) = format::examine(&path) {
            tracing::warn!(path = %path.display(), problem, "no copy is made there");
            return Ok(FAILED);
        }
        let draft = beside(&path, "-new");
        match self.copy_to(&draft, &path) {
            Ok(()) => {
                tracing::info!(path = %path.display(), "a copy was made");
                Ok(Reply::OK)
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "no copy could be made");
                let _ = format::remove(&draft);
                Ok(FAILED)
            }
        }
    }

    fn copy_to(&self, draft: &Path, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        format::remove(draft)?;
        let source = format::reader(&self.path)?;
        let mut copy = Connection::open(draft)?;
        let backup = Backup::new(&source, &mut copy)?;
        let copied = backup.step(ALL_PAGES)?;
        drop(backup);
        if copied != StepResult::Done {
            return Err("the store was busy".into());
        }
        // Without a log it can be read where nothing can be written.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        copy.close().map_err(|(_, error)| error)?;
        format::publish(draft, path)?;
        Ok(())
    }

    /// Stores every record of the copy at `path` again, over what has the same key; what has another stays.
    ///
    /// The server's own `restore` replays a log from a time on. A copy knows no times, so any but 0 fails.
    pub(super) fn restore(&self, path: &[u8], timestamp: u64, now: Duration) -> Result<Reply, Fault> {
        let Some(path) = self.foreign_path(path).filter(|_| timestamp == 0) else {
            return Ok(FAILED);
        };
        let log = std::fs::metadata(beside(&path, "-wal")).map_or(0, |log| log.len());
        let problem = match format::examine(&path) {
            Ok(Found::Ours) if log == 0 => None,
            Ok(Found::Ours) => Some("is a store that is open, or was not closed".to_owned()),
            Ok(Found::Nothing) => Some("is not there".to_owned()),
            Err(problem) => Some(problem),
        };
        if let Some(problem) = problem {
            tracing::warn!(path = %path.display(), problem, "nothing is restored from there");
            return Ok(FAILED);
        }
        let restored = self.restore_from(&path, now);
        match &restored {
            Ok(count) => tracing::info!(path = %path.display(), count, "records were restored"),
            Err(fault) => tracing::error!(path = %path.display(), %fault, "not all records were restored"),
        }
        restored.map(|_| Reply::OK)
    }

    fn restore_from(&self, path: &Path, now: Duration) -> Result<u64, Fault> {
        let connection = format::archive(path)?;
        let table = Table::new(&connection, path);
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

    /// A path that a client names, unless it is the store's own or no path at all.
    fn foreign_path(&self, path: &[u8]) -> Option<PathBuf> {
        let path = until_nul(path);
        if path.is_empty() || path.starts_with(b"@") {
            return None;
        }
        let path = format::resolve(Path::new(OsStr::from_bytes(path))).ok()?;
        (path != self.path).then_some(path)
    }
}
