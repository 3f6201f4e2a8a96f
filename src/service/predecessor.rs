//! The process that is taken over from, by a handle that means no other process.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::front::control::Control;

/// The process before.
#[derive(Debug)]
pub struct Predecessor {
    pid: u32,
    /// Whatever process has the number later, this stays the one that had it when it was opened.
    process: OwnedFd,
    pid_file: PathBuf,
}

impl Predecessor {
    /// The process of this number, which holds the lock of the pid file.
    ///
    /// # Errors
    /// When there is none, or the system knows no such handles (before Linux 5.3).
    pub fn open(pid: u32, pid_file: &Path) -> io::Result<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self {
            pid,
            process: pidfd_open(number, PidfdFlags::empty())?,
            pid_file: pid_file.to_owned(),
        })
    }

    /// What the system says that it does, in a word.
    fn state(&self) -> &'static str {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        match stat.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next()) {
            Some('T' | 't') => "stopped",
            Some('Z' | 'X') => "dead",
            Some('D') => "stuck in the system",
            Some(_) => "running",
            None => "unknown",
        }
    }

    /// Whether it is this process that holds the lock, as the system tells: what is written in the file is only a number.
    fn holds_lock(&self) -> bool {
        let Ok(file) = fs::metadata(&self.pid_file) else {
            return false;
        };
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        locks.lines().any(|line| holds(line, self.pid, file.ino()))
    }

    /// Ends it at once.
    fn kill(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.process, Signal::KILL)?)
    }
}

/// Whether a line of `/proc/locks` says that a process holds the `flock` of this inode.
fn holds(line: &str, pid: u32, inode: u64) -> bool {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let [_, "FLOCK", _, _, holder, file, ..] = fields[..] else {
        // One that waits has an arrow in the second place.
        return false;
    };
    let found = file.rsplit_once(':').and_then(|(_, inode)| inode.parse().ok());
    holder.parse() == Ok(pid) && found == Some(inode)
}

/// Waits until the process before has ended, which drops the other end of `ended`. Where that takes longer than the
/// `patience` that an orderly end needs at most, it says so, and ends that process where it `may_kill`.
pub fn watch(
    predecessor: &Predecessor,
    control: &Arc<Control>,
    ended: &Receiver<()>,
    patience: Duration,
    may_kill: bool,
) {
    if ended.recv_timeout(patience) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let Predecessor { pid, .. } = predecessor;
    let state = predecessor.state();
    tracing::error!(
        predecessor = pid,
        state,
        "the process before was told to stop, and has not ended in {patience:?}: guarded writes are held, and clients may \
         still be led to it"
    );
    control.predecessor_overdue(format!("the process before, {pid} ({state}), has not ended"));
    if !may_kill {
        return;
    }
    if !predecessor.holds_lock() {
        tracing::error!(
            predecessor = pid,
            "it is not known to hold the pid file: it is not killed"
        );
        return;
    }
    match predecessor.kill() {
        Ok(()) => tracing::warn!(
            predecessor = pid,
            "the process before was killed, as takeover_kill says"
        ),
        Err(error) => tracing::error!(predecessor = pid, %error, "the process before cannot be killed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_is_read_from_what_the_system_tells() {
        let line = "1: FLOCK  ADVISORY  WRITE 18169 fd:00:123456 0 EOF";
        assert!(holds(line, 18169, 123_456));
        for (line, pid, inode) in [
            (line, 18168, 123_456),
            (line, 18169, 12345),
            ("1: POSIX  ADVISORY  WRITE 18169 fd:00:123456 0 EOF", 18169, 123_456),
            ("1: -> FLOCK  ADVISORY  WRITE 18169 fd:00:123456 0 EOF", 18169, 123_456),
            ("1: FLOCK", 18169, 123_456),
            ("", 18169, 123_456),
        ] {
            assert!(!holds(line, pid, inode), "{line}");
        }
    }

    #[test]
    fn a_process_is_known_to_hold_what_it_has_locked_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        let file = fs::File::create(&path).expect("a file");
        let this = Predecessor::open(std::process::id(), &path).expect("this process");
        assert!(!this.holds_lock());
        file.lock().expect("a lock");
        assert!(this.holds_lock());
        assert_eq!(this.state(), "running");
        assert!(Predecessor::open(0, &path).is_err() && Predecessor::open(u32::MAX, &path).is_err());
    }
}
