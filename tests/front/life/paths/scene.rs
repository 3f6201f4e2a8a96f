//! What can lie at a path.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum There {
    File,
    /// A file that all may write to.
    Open,
    SecondName,
    /// Ends within the header of a database.
    Database,
    Folder,
    Fifo,
    Device,
    DeadSocket,
    LiveSocket,
    LinkToFile,
    LinkToFifo,
    LinkToFolder,
    LinkToNothing,
}

pub const ALL: [There; 13] = [
    There::File,
    There::Open,
    There::SecondName,
    There::Database,
    There::Folder,
    There::Fifo,
    There::Device,
    There::DeadSocket,
    There::LiveSocket,
    There::LinkToFile,
    There::LinkToFifo,
    There::LinkToFolder,
    There::LinkToNothing,
];

pub const TEXT: &[u8] = b"of someone else, and long enough\n";

/// What has been laid out, and whoever listens there.
pub struct Scene {
    folder: tempfile::TempDir,
    pub path: PathBuf,
    _listener: Option<UnixListener>,
}

impl Scene {
    pub fn of(there: There, content: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, behind) = (folder.path().join("path"), folder.path().join("behind"));
        let mut listener = None;
        let write = |path: &Path, bytes: &[u8]| std::fs::write(path, bytes).expect("a file");
        let fifo = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        match there {
            There::File => write(&path, content),
            There::Open => {
                write(&path, content);
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("a mode");
            }
            There::SecondName => {
                write(&behind, content);
                std::fs::hard_link(&behind, &path).expect("a second name");
            }
            There::Database => write(&path, b"SQLite format 3\0 of something"),
            There::Folder => std::fs::create_dir(&path).expect("a folder"),
            There::Fifo => fifo(&path),
            There::Device => {
                return Self {
                    folder,
                    path: "/dev/full".into(),
                    _listener: None,
                };
            }
            There::DeadSocket => drop(UnixListener::bind(&path).expect("a socket")),
            There::LiveSocket => listener = Some(UnixListener::bind(&path).expect("a socket")),
            There::LinkToFile => write(&behind, content),
            There::LinkToFifo => fifo(&behind),
            There::LinkToFolder => std::fs::create_dir(&behind).expect("a folder"),
            There::LinkToNothing => {}
        }
        if matches!(
            there,
            There::LinkToFile | There::LinkToFifo | There::LinkToFolder | There::LinkToNothing
        ) {
            symlink(&behind, &path).expect("a link");
        }
        Self {
            folder,
            path,
            _listener: listener,
        }
    }

    /// What lies where, and what it says.
    pub fn state(&self) -> Vec<(PathBuf, String, Vec<u8>)> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder");
        let entry = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.expect("an entry").path();
            let kind = path.symlink_metadata().expect("its kind").file_type();
            let text = if kind.is_file() {
                std::fs::read(&path).expect("a file")
            } else {
                Vec::new()
            };
            (path, format!("{kind:?}"), text)
        };
        let mut state: Vec<_> = entries.map(entry).collect();
        state.sort();
        state
    }
}
