//! A file on its way to its name: nobody finds it before it is whole and on the device.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::connection::prepare;
use super::place::beside;
use crate::files::{self, Kind, Problem};

/// What the engine may leave beside a file.
const LEFT_BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// Two bytes of the engine's header that say whether a log belongs to the file: 2 and 2 where one does, 1 and 1 where none
/// does. A file without one can be read where nothing can be written.
const LOG_AT: u64 = 18;
const NO_LOG: [u8; 2] = [1, 1];

/// A file beside the one that it is to become. Unless it is published it goes when this is dropped.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    /// Locked for as long as somebody works on it: one that is not is left over, and can go.
    file: File,
    published: bool,
}

impl Draft {
    /// An empty file for what is to be at `target`, for this user alone.
    pub fn begin(target: &Path) -> Result<Self, String> {
        let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
            return Err("is no name of a file".to_owned());
        };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".ttguard-new");
        let path = folder.join(hidden);
        let say = |problem: Problem| format!("cannot be made: {} {problem}", path.display());
        clear(&path)?;
        let file = files::create(&path).map_err(say)?;
        file.try_lock().map_err(|error| format!("cannot be made: {error}"))?;
        Ok(Self {
            path,
            file,
            published: false,
        })
    }

    /// A connection that fills it. It has no journal: what fails is thrown away.
    pub fn connection(&self) -> rusqlite::Result<Connection> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = prepare(Connection::open_with_flags(&self.path, flags)?)?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok(connection)
    }

    /// Says in the file's header that no log belongs to it. To be called when no connection is open any more.
    pub fn without_log(&self) -> io::Result<()> {
        self.file.write_all_at(&NO_LOG, LOG_AT)
    }

    /// Gives it its name, in place of what has it, and has both on the device. To be called when no connection is open any
    /// more.
    pub fn publish(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        if !files::is_at(&self.file, &self.path)? {
            return Err(io::Error::other("somebody else has changed the folder meanwhile"));
        }
        std::fs::rename(&self.path, target)?;
        self.published = true;
        sync_folder(target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published && files::is_at(&self.file, &self.path).unwrap_or(false) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes what a process that was killed has left. What belongs to somebody who is still at work, or is no draft, stays.
fn clear(path: &Path) -> Result<(), String> {
    for suffix in LEFT_BESIDE {
        let beside = beside(path, suffix);
        if files::look(&beside).map_err(|error| error.to_string())?.is_some() {
            return Err(format!("cannot be made: {} is in the way", beside.display()));
        }
    }
    let Some((kind, _)) = files::look(path).map_err(|error| error.to_string())? else {
        return Ok(());
    };
    let is_in_the_way = || format!("cannot be made: {} is in the way, {kind}", path.display());
    if kind != Kind::File {
        return Err(is_in_the_way());
    }
    let left = files::hold(path).map_err(|_| is_in_the_way())?;
    match left.try_lock() {
        Ok(()) => std::fs::remove_file(path).map_err(|error| format!("cannot be made: {error}")),
        Err(TryLockError::WouldBlock) => Err("is being made by another process".to_owned()),
        Err(TryLockError::Error(error)) => Err(format!("cannot be made: {error}")),
    }
}

/// Has the name of the file at `path` on the device.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
