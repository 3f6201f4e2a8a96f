//! Hostile files and paths: each path that the settings name, against each thing that can lie there. It is used as it
//! should be, or refused in one line with exit code 2; nothing waits, and what lies there stays as it was.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::client::PATIENCE;
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq)]
enum There {
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

const ALL: [There; 13] = [
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

const TEXT: &[u8] = b"of someone else, and long enough\n";

/// What has been laid out, and whoever listens there.
struct Scene {
    folder: tempfile::TempDir,
    path: PathBuf,
    _listener: Option<UnixListener>,
}

impl Scene {
    fn of(there: There, content: &[u8]) -> Self {
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
    fn state(&self) -> Vec<(PathBuf, String, Vec<u8>)> {
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

/// What came of it.
#[derive(Debug)]
enum Outcome {
    Serves,
    Refused(String),
}

/// Runs ttguard until it serves or has ended.
fn outcome(arguments: &[&str], what: &str) -> Outcome {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run ttguard");
    let stdout = child.stdout.take().expect("stdout");
    let (said, first) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = said.send(line);
    });
    let Ok(line) = first.recv_timeout(PATIENCE) else {
        let _ = child.kill();
        panic!("{what}: it waits for something");
    };
    let _ = if line.starts_with("ttguard: listening on ") {
        child.kill()
    } else {
        Ok(())
    };
    let status = child.wait().expect("its end");
    if !line.is_empty() {
        return Outcome::Serves;
    }
    let mut text = String::new();
    child
        .stderr
        .take()
        .expect("stderr")
        .read_to_string(&mut text)
        .expect("text");
    assert_eq!(status.code(), Some(2), "{what}: {text}");
    assert_eq!(text.lines().count(), 1, "{what}: {text}");
    Outcome::Refused(text)
}

/// A path that the settings name: how, what it holds where it is as it should be, and what else it may be.
struct Row {
    name: &'static str,
    settings: fn(&str) -> String,
    content: &'static [u8],
    allowed: &'static [There],
}

const TOKEN: &[u8] = b"0123456789abcdef\n";

const ROWS: [Row; 9] = [
    Row {
        name: "listen",
        settings: |path| format!("listen = [\"unix:{path}\"]"),
        content: TEXT,
        allowed: &[There::DeadSocket],
    },
    Row {
        name: "listen with takeover",
        settings: |path| format!("listen = [\"unix:{path}\"]\npid_file = \"{path}.pid\"\ntakeover = true"),
        content: TEXT,
        // A live one is taken over, which is what takeover is for.
        allowed: &[There::DeadSocket, There::LiveSocket],
    },
    Row {
        name: "pid_file",
        settings: |path| format!("pid_file = \"{path}\""),
        content: TEXT,
        allowed: &[],
    },
    Row {
        name: "a pid_file that was one",
        settings: |path| format!("pid_file = \"{path}\""),
        content: b"4711\n",
        allowed: &[There::File],
    },
    Row {
        name: "log.file",
        settings: |path| format!("log.file = \"{path}\""),
        content: TEXT,
        allowed: &[There::File, There::Open],
    },
    Row {
        name: "backend",
        settings: |path| format!("backend = \"file:{path}\""),
        content: TEXT,
        allowed: &[],
    },
    Row {
        name: "store.copy_dir",
        settings: |path| format!("backend = \"file:{path}.store\"\nstore.copy_dir = \"{path}\""),
        content: TEXT,
        allowed: &[There::Folder, There::LinkToFolder],
    },
    Row {
        name: "admin_token_file",
        settings: |path| format!("admin = \"127.0.0.1:0\"\nadmin_token_file = \"{path}\""),
        content: TOKEN,
        allowed: &[There::File, There::SecondName, There::LinkToFile],
    },
    Row {
        name: "tls.cert",
        settings: |path| format!("tls.cert = \"{path}\"\ntls.key = \"{path}\""),
        content: TEXT,
        allowed: &[],
    },
];

#[test]
fn each_path_of_the_settings_is_looked_at_before_anything_is_done_to_it() {
    let settings = tempfile::tempdir().expect("a folder");
    let settings = settings.path().join("ttguard.toml");
    for Row {
        name,
        settings: say,
        content,
        allowed,
    } in ROWS
    {
        for there in ALL {
            if there == There::Device && name == "listen with takeover" {
                continue; // its pid file would lie among the devices
            }
            let scene = Scene::of(there, content);
            let mut text = say(scene.path.to_str().expect("text"));
            for (key, value) in [("listen", "[\"127.0.0.1:0\"]"), ("admin", "\"\"")] {
                if !text.contains(&format!("{key} =")) {
                    text = format!("{key} = {value}\n{text}");
                }
            }
            std::fs::write(&settings, text).expect("the settings");
            let what = format!("{name}, {there:?}");
            let before = scene.state();
            let arguments = ["serve", "--config", settings.to_str().expect("text")];
            match outcome(&arguments, &what) {
                Outcome::Serves => assert!(allowed.contains(&there), "{what} is used"),
                Outcome::Refused(line) => {
                    assert!(!allowed.contains(&there), "{what}: {line}");
                    let kept = scene.state();
                    // What ttguard makes beside what it was told of is its own.
                    let kept: Vec<_> = kept
                        .iter()
                        .filter(|(path, ..)| before.iter().any(|(old, ..)| old == path))
                        .collect();
                    assert_eq!(kept, before.iter().collect::<Vec<_>>(), "{what}: {line}");
                }
            }
        }
    }
}

#[test]
fn a_settings_file_is_an_ordinary_one() {
    let allowed = [There::File, There::SecondName, There::LinkToFile];
    for there in ALL {
        let scene = Scene::of(there, b"listen = [\"127.0.0.1:0\"]\nadmin = \"\"\n");
        let path = scene.path.to_str().expect("text");
        let what = format!("--config, {there:?}");
        for verb in ["serve", "check"] {
            let served = matches!(outcome(&[verb, "--config", path], &what), Outcome::Serves);
            assert_eq!(served, allowed.contains(&there), "{what}");
        }
    }
}

#[test]
fn an_export_replaces_a_file_of_lines_and_nothing_else() {
    let guarded = Guarded::memory("");
    assert_eq!(guarded.client().put("k", b"v"), 0);
    let server = guarded.address().to_string();
    for there in ALL {
        let scene = Scene::of(there, TEXT);
        let before = scene.state();
        let path = scene.path.to_str().expect("text");
        let run = |verb: &str| {
            Command::new(BINARY)
                .args([verb, &server, path])
                .output()
                .expect("run ttguard")
        };
        let output = run("export");
        let text = String::from_utf8(output.stderr).expect("text");
        if matches!(there, There::File | There::Open) {
            assert_eq!(output.status.code(), Some(0), "{there:?}: {text}");
            assert_eq!(std::fs::read(&scene.path).expect("lines"), b"k\tv\n");
        } else {
            assert_eq!(
                (output.status.code(), text.lines().count()),
                (Some(2), 1),
                "{there:?}: {text}"
            );
            assert_eq!(scene.state(), before, "{there:?}");
        }
        // A person at a shell reads a FIFO as any other program does.
        if !matches!(there, There::Fifo | There::LinkToFifo) {
            let output = run("import");
            let code = output.status.code();
            let fits = matches!(there, There::File | There::Open);
            assert_eq!(code, Some(if fits { 0 } else { 2 }), "{there:?}: {output:?}");
        }
    }
}

/// What was a file at the start is something else when it is opened again.
#[test]
fn files_that_change_while_it_runs_hold_up_neither_reload_nor_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let fifo = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    let text = format!("log.file = \"{}\"\n", log.display());
    let guarded = Guarded::start(&text);
    let moved = folder.path().join("log.1");
    std::fs::rename(&log, &moved).expect("moved");
    fifo(&log);
    guarded.signal(libc::SIGUSR1);
    wait_for(&moved, "the log goes on in its old file");
    guarded.replace_settings(fifo);
    guarded.signal(libc::SIGHUP);
    wait_for(&moved, "settings were not reloaded");
    assert_eq!(guarded.ask_admin("POST", "/api/reload", "").0, 409);
    assert_eq!(guarded.client().put("k", b"v"), 0);
    assert_eq!(guarded.terminate().code(), Some(0));
}

fn wait_for(file: &Path, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(file).expect("a file").contains(text) {
        assert!(Instant::now() < deadline, "no {text:?} in {}", file.display());
        thread::yield_now();
    }
}

/// A guard on a file, whose copies are in the folder beside it.
fn with_copies(folder: &Path, more: &str) -> Guarded {
    let copies = folder.join("copies");
    std::fs::create_dir_all(&copies).expect("a folder");
    Guarded::file(
        &folder.join("store"),
        &format!("{more}\nstore.copy_dir = \"{}\"", copies.display()),
    )
}

#[test]
fn copies_are_denied_without_a_folder_and_stay_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let copied = folder.path().join("copies/daily");
    let ask = |guarded: &Guarded, request: &[u8]| guarded.client().ask_code(request);
    for allowed in [
        "",
        "allow = [\"copy\", \"restore\", \"copy_command\"]",
        "allow = [\"all\"]",
    ] {
        let guarded = Guarded::file(&folder.path().join("store"), allowed);
        for name in ["daily", "/tmp/daily", "store-wal", "@/bin/true"] {
            assert_eq!(ask(&guarded, &frame::copy(name)), 5, "{allowed} {name}");
            assert_eq!(ask(&guarded, &frame::restore(name, 0)), 5, "{allowed} {name}");
        }
        guarded.expect_log("store.copy_dir has to name a folder");
    }
    let guarded = with_copies(folder.path(), "");
    assert_eq!(guarded.client().put("k", b"v"), 0);
    assert_eq!(ask(&guarded, &frame::copy("daily")), 0);
    assert_eq!(
        ask(&guarded, &frame::restore("daily", 0)),
        5,
        "only where it is allowed"
    );
    assert_eq!(copied.metadata().expect("the copy").permissions().mode() & 0o777, 0o600);
    // Whatever is logged of a name stays on its line.
    assert_eq!(ask(&guarded, &frame::copy("x\nERROR forged\u{1b}[2J")), 1);
    guarded.expect_log("no copy was made");
    assert!(!guarded.log().contains("\nERROR forged") && !guarded.log().contains('\u{1b}'));
    // A store that somebody has open is no copy.
    let other = Guarded::file(&folder.path().join("copies/other"), "");
    assert_eq!(other.client().put("k", b"other"), 0);
    assert_eq!(ask(&guarded, &frame::copy("other")), 1);
    guarded.expect_log("is in use by another process");
    drop(guarded);
    assert_eq!(other.client().text("k").as_deref(), Some("other"));
    let guarded = with_copies(folder.path(), "deny = [\"copy\"]");
    assert_eq!(ask(&guarded, &frame::copy("daily")), 5);
}

#[test]
fn a_log_that_a_copy_must_not_touch_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let settings = format!("store.copy_dir = \"{}\"", folder.path().display());
    let mut guarded = Guarded::file(&path, &settings);
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"v"), 0);
    // Now the log is empty.
    assert_eq!(client.ask_code(&frame::keyed(frame::OPTIMIZE, "")), 0);
    assert_eq!(client.ask_code(&frame::copy("store-wal")), 1);
    for number in 0..100 {
        assert_eq!(client.put(&format!("key {number}"), b"v"), 0);
    }
    guarded.kill();
    assert_eq!(Guarded::file(&path, &settings).client().rnum(), 101);
}
