//! Where a store's file lies: its one path, what lies beside it, and who may have it open.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::files::{self, Kind, Problem};

/// What belongs to a store beside its file.
pub const SUFFIXES: [&str; 5] = ["-wal", "-shm", "-journal", "-lock", "-new"];

/// Why a path cannot be used: one line that says which, why, and what can be.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; allowed: a file that ttguard made, or a path in a folder of yours where there is nothing yet", path.display())]
pub struct OpenError {
    path: PathBuf,
    problem: String,
}

impl OpenError {
    pub(super) fn new(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// The path of a file that belongs to the one at `path`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The one path by which a file is known, however it was named.
pub fn resolve(path: &Path) -> Result<PathBuf, String> {
    let say = |error: io::Error| error.to_string();
    match files::look(path).map_err(say)? {
        Some((Kind::Link, _)) => path
            .canonicalize()
            .map_err(|error| format!("is a link that leads nowhere: {error}")),
        Some(_) => path.canonicalize().map_err(say),
        None => {
            let path = std::path::absolute(path).map_err(say)?;
            match (path.parent(), path.file_name()) {
                (Some(folder), Some(name)) => Ok(folder.canonicalize().map_err(say)?.join(name)),
                _ => Err("is no name of a file".to_owned()),
            }
        }
    }
}

/// Looks whether a file, and what lies beside it, are for this process alone.
///
/// # Errors
/// What is wrong, in words: by a second name another process could have the same file open, and know nothing of us.
pub fn is_alone(path: &Path) -> Result<(), String> {
    let look = |path: &Path| files::look(path).map_err(|error| error.to_string());
    if let Some((_, found)) = look(path)? {
        if found.nlink() > 1 {
            return Err(Problem::Shared.to_string());
        }
        if found.permissions().mode() & 0o002 != 0 {
            return Err(Problem::Writable.to_string());
        }
    }
    for suffix in ["-wal", "-shm", "-journal"] {
        let beside = beside(path, suffix);
        match look(&beside)? {
            Some((Kind::File, found)) if found.nlink() == 1 => {}
            Some((Kind::File, _)) => return Err(format!("cannot be used: {} {}", beside.display(), Problem::Shared)),
            Some((kind, _)) => return Err(format!("cannot be used: {} is {kind}", beside.display())),
            None => {}
        }
    }
    Ok(())
}

/// The right to have a file open: as long as it lives, no other process gets it. The system takes it back when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Nobody is to find it afterwards.
    removed: bool,
}

impl Lock {
    /// Takes the lock of the file at `path`, which lies beside it, as the engine's own locks forbid that anyone else opens
    /// the file itself.
    pub fn take(path: &Path) -> Result<Self, String> {
        let lock = beside(path, "-lock");
        let cannot = |problem: Problem| format!("cannot be locked: {} {problem}", lock.display());
        loop {
            let mut file = files::hold(&lock).map_err(cannot)?;
            let mut pid = String::new();
            let read = Read::by_ref(&mut file).take(32).read_to_string(&mut pid);
            if read.is_err() || !pid.trim_end().bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!(
                    "cannot be locked: {} is a file of something else",
                    lock.display()
                ));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(match pid.trim().parse::<u32>() {
                        Ok(pid) => format!("is in use by another process, pid {pid}"),
                        Err(_) => "is in use by another process".to_owned(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(cannot(error.into())),
            }
            // Whoever has removed it meanwhile had it before: it is the name that counts.
            if files::is_at(&file, &lock).map_err(|error| cannot(error.into()))? {
                // Only for the words of whoever comes second.
                let _ = file.set_len(0).and_then(|()| file.rewind());
                let _ = writeln!(file, "{}", std::process::id());
                let (path, removed) = (lock, false);
                return Ok(Self { file, path, removed });
            }
        }
    }

    /// The same for a moment: what was made for it goes with it.
    pub fn take_for_now(path: &Path) -> Result<Self, String> {
        let was_there = files::look(&beside(path, "-lock"))
            .map_err(|error| error.to_string())?
            .is_some();
        let mut lock = Self::take(path)?;
        lock.removed = !was_there;
        Ok(lock)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.removed && files::is_at(&self.file, &self.path).unwrap_or(false) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
