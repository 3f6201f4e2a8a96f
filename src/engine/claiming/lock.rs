//! The lock beside the Unix socket of a store: what the kernel says of who is there.
//!
//! A process that is paused still holds it, and a dead one does not. It says nothing of guards that reach the same store
//! another way, so it comes before the claim, and not in its place.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::now;
use crate::files;
use crate::logging::RateLimit;

/// What is added to the name of the socket.
const SUFFIX: &str = ".claim";

/// The lock, as far as it is had.
#[derive(Debug, Default)]
pub struct SocketLock(Option<(PathBuf, File)>);

/// Who has the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// This process, or there is none to be had here: that is for the store to say.
    Ours,
    /// Another process, with what it wrote there about itself.
    Theirs(String),
}

impl SocketLock {
    /// Takes the lock beside this socket, and lets go of that beside another. Where the folder cannot be written to there
    /// is none, which is said.
    pub fn take(&mut self, socket: &Path, holder: &str) -> Locked {
        static LOG: RateLimit = RateLimit::new(Duration::from_secs(60));
        let mut path = socket.as_os_str().to_owned();
        path.push(SUFFIX);
        let path = PathBuf::from(path);
        if self.0.as_ref().is_some_and(|(held, _)| *held == path) {
            return Locked::Ours;
        }
        self.0 = None;
        match lock(&path, holder) {
            Ok(Ok(file)) => {
                self.0 = Some((path, file));
                Locked::Ours
            }
            Ok(Err(holder)) => Locked::Theirs(holder),
            Err(error) => {
                if let Some(suppressed) = LOG.admit(now()) {
                    let path = path.display();
                    tracing::warn!(%path, %error, suppressed, "there can be no lock beside the store's socket: its claim alone says who writes");
                }
                Locked::Ours
            }
        }
    }
}

/// The file, locked; or what whoever has it wrote there.
fn lock(path: &Path, holder: &str) -> io::Result<Result<File, String>> {
    let mut file = files::hold_alone(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut said = String::new();
            let _ = file.take(256).read_to_string(&mut said);
            return Ok(Err(crate::claim::record::plain(said.trim())));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{holder}")?;
    Ok(Ok(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_it_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("sock");
        let (mut one, mut other) = (SocketLock::default(), SocketLock::default());
        assert_eq!(one.take(&socket, "one"), Locked::Ours);
        assert_eq!(one.take(&socket, "one"), Locked::Ours, "still");
        assert_eq!(other.take(&socket, "other"), Locked::Theirs("one".to_owned()));
        drop(one);
        assert_eq!(other.take(&socket, "other"), Locked::Ours);
    }

    #[test]
    fn what_lies_there_and_is_no_file_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (socket, elsewhere) = (folder.path().join("sock"), folder.path().join("elsewhere"));
        std::fs::write(&elsewhere, "kept").expect("a file");
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("sock.claim")).expect("a link");
        assert_eq!(SocketLock::default().take(&socket, "one"), Locked::Ours);
        assert_eq!(std::fs::read(&elsewhere).expect("the file"), b"kept");
        std::fs::remove_file(folder.path().join("sock.claim")).expect("no link any more");
        std::fs::hard_link(&elsewhere, folder.path().join("sock.claim")).expect("a second name");
        assert_eq!(SocketLock::default().take(&socket, "one"), Locked::Ours);
        assert_eq!(std::fs::read(&elsewhere).expect("the file"), b"kept");
    }
}
