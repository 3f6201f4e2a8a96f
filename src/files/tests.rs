//! Each use of a path against each thing that can lie there, one table for all.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType as RawType, Mode, mknodat};
use tempfile::TempDir;

use super::*;

/// What lies at the path that is used.
#[derive(Clone, Copy, Debug, PartialEq)]
enum There {
    Nothing,
    File,
    /// A file that all may write to.
    Open,
    /// A file with a second name.
    Shared,
    Database,
    Folder,
    Fifo,
    Device,
    /// A socket that nobody listens at any more.
    DeadSocket,
    LiveSocket,
    LinkTo(Behind),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Behind {
    Nothing,
    File,
    Folder,
    Fifo,
    Device,
    Socket,
}

const ALL: [There; 16] = [
    There::Nothing,
    There::File,
    There::Open,
    There::Shared,
    There::Database,
    There::Folder,
    There::Fifo,
    There::Device,
    There::DeadSocket,
    There::LiveSocket,
    There::LinkTo(Behind::Nothing),
    There::LinkTo(Behind::File),
    There::LinkTo(Behind::Folder),
    There::LinkTo(Behind::Fifo),
    There::LinkTo(Behind::Device),
    There::LinkTo(Behind::Socket),
];

/// What a file says before it is used.
const TEXT: &str = "4711\n";

/// A folder with that thing in it, and whoever listens there.
struct Scene {
    folder: TempDir,
    path: PathBuf,
    _listener: Option<UnixListener>,
}

impl Scene {
    fn with(there: There) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("path");
        let behind = folder.path().join("behind");
        let mut listener = None;
        let write = |path: &Path, bytes: &[u8]| std::fs::write(path, bytes).expect("a file");
        let fifo = |path: &Path| mknodat(CWD, path, RawType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        let listen = |path: &Path| UnixListener::bind(path).expect("a socket");
        match there {
            There::Nothing => {}
            There::File => write(&path, TEXT.as_bytes()),
            There::Open => {
                write(&path, TEXT.as_bytes());
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("a mode");
            }
            There::Shared => {
                write(&behind, TEXT.as_bytes());
                std::fs::hard_link(&behind, &path).expect("a second name");
            }
            There::Database => write(&path, b"SQLite format 3\0 and more"),
            There::Folder => std::fs::create_dir(&path).expect("a folder"),
            There::Fifo => fifo(&path),
            // No privileges are needed to name one by a folder of the system's: it is the same device.
            There::Device => {
                return Self {
                    folder,
                    path: "/dev/full".into(),
                    _listener: None,
                };
            }
            There::DeadSocket => drop(listen(&path)),
            There::LiveSocket => listener = Some(listen(&path)),
            There::LinkTo(what) => {
                match what {
                    Behind::Nothing => {}
                    Behind::File => write(&behind, TEXT.as_bytes()),
                    Behind::Folder => std::fs::create_dir(&behind).expect("a folder"),
                    Behind::Fifo => fifo(&behind),
                    Behind::Device => symlink("/dev/full", &behind).expect("a link"),
                    Behind::Socket => drop(listen(&behind)),
                }
                symlink(&behind, &path).expect("a link");
            }
        }
        Self {
            folder,
            path,
            _listener: listener,
        }
    }

    /// What lies where in the folder, and what it says.
    fn state(&self) -> Vec<(String, Kind, Vec<u8>)> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder");
        let entry = |entry: io::Result<std::fs::DirEntry>| {
            let path = entry.expect("an entry").path();
            let (kind, _) = look(&path).expect("looked").expect("something");
            let text = match kind {
                Kind::File => std::fs::read(&path).expect("a file"),
                _ => Vec::new(),
            };
            (
                path.file_name().expect("a name").to_string_lossy().into_owned(),
                kind,
                text,
            )
        };
        let mut state: Vec<_> = entries.map(entry).collect();
        state.sort_by(|one, other| one.0.cmp(&other.0));
        state
    }
}

/// A use of a path: its name, what it does, and where it is let.
type Use = (&'static str, fn(&Path) -> Result<(), Problem>, &'static [There]);

const USES: [Use; 8] = [
    (
        "read",
        |path| read(path, 64).map(drop),
        &[There::File, There::Shared, There::Database, There::LinkTo(Behind::File)],
    ),
    (
        "read_text",
        |path| read_text(path, 64).map(drop),
        &[There::File, There::Shared, There::Database, There::LinkTo(Behind::File)],
    ),
    (
        "open_to_read",
        |path| open_to_read(path).map(drop),
        &[There::File, There::Open, There::Shared, There::Database],
    ),
    (
        "hold",
        |path| hold(path).map(drop),
        &[There::Nothing, There::File, There::Database],
    ),
    (
        "append",
        |path| append(path).map(drop),
        &[There::Nothing, There::File, There::Open],
    ),
    (
        "replace",
        |path| replace(path).map(drop),
        &[There::Nothing, There::File, There::Open],
    ),
    ("create", |path| create(path).map(drop), &[There::Nothing]),
    ("clear_socket", clear_socket, &[There::Nothing, There::DeadSocket]),
];

#[test]
fn what_lies_at_a_path_is_looked_at_before_anything_is_done_to_it() {
    for (name, act, allowed) in USES {
        for there in ALL {
            let scene = Scene::with(there);
            let before = scene.state();
            let outcome = act(&scene.path);
            assert_eq!(
                outcome.is_ok(),
                allowed.contains(&there),
                "{name}, {there:?}: {outcome:?}"
            );
            if let Err(problem) = outcome {
                assert_eq!(scene.state(), before, "{name}, {there:?}: {problem}");
                assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    }
}

#[test]
fn each_says_what_is_wrong() {
    let said =
        |there, act: fn(&Path) -> Result<(), Problem>| act(&Scene::with(there).path).expect_err("refused").to_string();
    let (holding, reading) = (USES[3].1, USES[0].1);
    assert_eq!(said(There::Folder, holding), "is a folder");
    assert_eq!(said(There::Fifo, holding), "is a FIFO");
    assert_eq!(said(There::Device, holding), "is a device");
    assert_eq!(said(There::LinkTo(Behind::File), holding), "is a symbolic link");
    assert_eq!(said(There::Shared, holding), "has a second name (a hard link)");
    assert_eq!(said(There::Open, reading), "can be written to by all (chmod o-w)");
    assert_eq!(said(There::LinkTo(Behind::Fifo), reading), "is a FIFO");
    assert_eq!(
        said(There::LiveSocket, clear_socket),
        "is a socket that a process listens at"
    );
    assert_eq!(said(There::Database, |path| append(path).map(drop)), "holds a database");
    let scene = Scene::with(There::File);
    assert_eq!(
        read(&scene.path, 4).expect_err("5 bytes").to_string(),
        "has more than 4 bytes"
    );
    assert_eq!(read_text(&scene.path, 5).expect("5 bytes"), TEXT);
}

#[test]
fn what_is_made_is_for_its_owner_or_by_the_users_mask() {
    let scene = Scene::with(There::Nothing);
    let file = create(&scene.path).expect("made");
    assert_eq!(file.metadata().expect("its mode").permissions().mode() & 0o777, 0o600);
    assert!(is_at(&file, &scene.path).expect("looked"));
    std::fs::remove_file(&scene.path).expect("removed");
    assert!(!is_at(&file, &scene.path).expect("looked"));
}

#[test]
fn a_folder_is_one_that_not_all_may_write_to_by_its_own_name() {
    let scene = Scene::with(There::LinkTo(Behind::Folder));
    let behind = scene.folder.path().canonicalize().expect("a name").join("behind");
    assert_eq!(folder(&scene.path).expect("a folder"), behind);
    std::fs::set_permissions(&behind, std::fs::Permissions::from_mode(0o777)).expect("a mode");
    assert!(matches!(folder(&scene.path), Err(Problem::Writable)));
    for there in [There::File, There::Fifo, There::Device, There::Nothing] {
        assert!(folder(&Scene::with(there).path).is_err(), "{there:?}");
    }
}
