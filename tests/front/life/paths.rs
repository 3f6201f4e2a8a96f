//! Hostile files and paths: each path that the settings name, against each thing that can lie there. It is used as it
//! should be, or refused in one line with exit code 2; nothing waits, and what lies there stays as it was.

mod scene;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use self::scene::{ALL, Scene, TEXT, There};
use crate::support::client::PATIENCE;
use crate::support::guarded::{BINARY, Guarded};

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
