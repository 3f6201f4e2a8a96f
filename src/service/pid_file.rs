//! The file that says which process serves, and whose lock makes it the only one that writes.
//!
//! It holds the number of the process while that may still write to the backend, and is locked for as long. A process
//! that has ended in order leaves it empty; it is never removed, because another process may already wait for its lock.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::files;

/// Why the pid file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// It cannot be opened or written.
    #[error("pid_file: cannot use {path}: {error}; allowed: a file of its own in a folder that can be written")]
    Io {
        /// Its name.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// Another process has it.
    #[error("pid_file: {path} is held by process {pid}; allowed: a file of its own for each, or takeover = true")]
    Held {
        /// Its name.
        path: String,
        /// What is written in it.
        pid: String,
    },
    /// Somebody else takes over already.
    #[error("pid_file: another process takes over {path} already")]
    Taken {
        /// Its name.
        path: String,
    },
    /// The process that has it cannot be told anything.
    #[error("pid_file: the process that holds {path} cannot be told to stop: {error}")]
    Beyond {
        /// Its name.
        path: String,
        /// What the system says.
        error: io::Error,
    },
}

impl PidFileError {
    /// Whether an operator has written something wrong.
    pub fn is_mistake(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Held { .. })
    }
}

/// The file, locked by this process.
#[derive(Debug)]
pub struct PidFile(File);

/// Whose file it is.
#[derive(Debug)]
pub enum Claim {
    /// This process's.
    Ours(PidFile),
    /// Another process's, which this one is to follow.
    Theirs(Heir),
}

/// The right to take over from the process that holds the file. Only one process has it at a time.
#[derive(Debug)]
pub struct Heir {
    path: PathBuf,
    predecessor: Pid,
    /// Locked for as long as the right lasts.
    _right: File,
}

impl PidFile {
    /// Locks the file and writes this process's number to it. Where another process has it, with `takeover`, that one
    /// is to be followed.
    pub fn claim(path: &Path, takeover: bool) -> Result<Claim, PidFileError> {
        let fault = |error| PidFileError::Io {
            path: path.display().to_string(),
            error,
        };
        let mut file = open(path).map_err(fault)?;
        // Another file's content is not ours to take away.
        let pid = content(&mut file).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => return Self::write(file).map(Claim::Ours).map_err(fault),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        let path_text = || path.display().to_string();
        let predecessor = pid.parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw);
        let (true, Some(predecessor)) = (takeover, predecessor) else {
            return Err(PidFileError::Held { path: path_text(), pid });
        };
        test_kill_process(predecessor).map_err(|error| PidFileError::Beyond {
            path: path_text(),
            error: error.into(),
        })?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".next");
        let right = open(Path::new(&beside)).map_err(fault)?;
        match right.try_lock() {
            Ok(()) => Ok(Claim::Theirs(Heir {
                path: path.to_owned(),
                predecessor,
                _right: right,
            })),
            Err(TryLockError::WouldBlock) => Err(PidFileError::Taken { path: path_text() }),
            Err(TryLockError::Error(error)) => Err(fault(error)),
        }
    }

    fn write(mut file: File) -> io::Result<Self> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }

    /// Says that the backend is done with all that this process has sent, and lets go of the file.
    pub fn leave_in_order(self) {
        // When it fails the next process waits somewhat longer.
        let _ = self.0.set_len(0);
    }
}

impl Heir {
    /// The number of the process that has the file.
    pub fn predecessor(&self) -> u32 {
        self.predecessor.as_raw_nonzero().get().unsigned_abs()
    }

    /// Tells it to drain.
    pub fn dismiss(&self) -> io::Result<()> {
        Ok(kill_process(self.predecessor, Signal::TERM)?)
    }

    /// Waits until it has ended; then the file is this process's. Says whether it has ended in order.
    pub fn inherit(self) -> io::Result<(PidFile, bool)> {
        loop {
            let mut file = open(&self.path)?;
            file.lock()?;
            // Whoever removed the file meanwhile has to be forgiven: it is the name that counts.
            if files::is_at(&file, &self.path)? {
                let in_order = content(&mut file)?.is_empty();
                return Ok((PidFile::write(file)?, in_order));
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    Ok(files::hold(path)?)
}

/// What is written in it, without its line's end: a number, or nothing.
fn content(file: &mut File) -> io::Result<String> {
    let mut text = Vec::new();
    file.rewind()?;
    file.take(32).read_to_end(&mut text)?;
    let number = text.trim_ascii_end();
    if text.len() < 32 && number.iter().all(u8::is_ascii_digit) {
        return Ok(String::from_utf8_lossy(number).into_owned());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "holds something else than the number of a process",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_it_and_the_next_learns_how_it_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        for in_order in [true, false] {
            let Ok(Claim::Ours(first)) = PidFile::claim(&path, true) else {
                panic!("nobody else has it")
            };
            let number = format!("{}\n", std::process::id());
            assert_eq!(std::fs::read_to_string(&path).expect("the file"), number);
            let refused = PidFile::claim(&path, false).expect_err("it is held");
            assert!(
                refused.is_mistake() && refused.to_string().contains("takeover = true"),
                "{refused}"
            );
            let Ok(Claim::Theirs(heir)) = PidFile::claim(&path, true) else {
                panic!("it is held")
            };
            assert_eq!(heir.predecessor(), std::process::id());
            assert!(matches!(PidFile::claim(&path, true), Err(PidFileError::Taken { .. })));
            if in_order {
                first.leave_in_order();
            } else {
                drop(first);
            }
            let (_file, found) = heir.inherit().expect("it is free");
            assert_eq!(found, in_order);
        }
    }
}
