//! A store in a file, through the built binary: it is killed, refused, filled up, copied and brought back.

mod kills;

use std::path::Path;
use std::process::{Command, Output};

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded, on_file};
use crate::support::stamped::{Clock, tell_story};
use crate::support::{http, memcached};

/// Runs ttguard on a store that it must refuse; gives the one line that it says.
fn refusal(path: &Path) -> String {
    let folder = tempfile::tempdir().expect("a folder for the settings");
    let file = folder.path().join("ttguard.toml");
    std::fs::write(&file, on_file(path, "")).expect("write the settings");
    let output: Output = Command::new(BINARY)
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "", "--config"])
        .arg(&file)
        .output()
        .expect("run ttguard");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let line = String::from_utf8(output.stderr).expect("text");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(
        line.starts_with("ttguard: backend: ") && line.contains("; allowed: "),
        "{line}"
    );
    line
}

fn copy_to(client: &mut Client, name: &str) -> u8 {
    client.ask_code(&frame::path(frame::COPY, name))
}

#[test]
fn records_and_their_guard_outlive_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let clock = Clock::start();
    let guarded = Guarded::file(&path, "");
    assert_eq!(tell_story(guarded.address(), "k", clock), [0, 0, 2]);
    assert_eq!(guarded.client().put("gone", &clock.value(-10_000)), 0);
    assert_eq!(guarded.client().out("gone"), 0);
    assert!(guarded.terminate().success());
    assert!(!path.with_file_name("store-wal").exists(), "closed in order");

    let guarded = Guarded::file(&path, "");
    let mut client = guarded.client();
    assert_eq!(client.text("k"), Some(clock.text(0)));
    assert_eq!(client.put("k", &clock.value(-1)), 2);
    assert_eq!(client.put("gone", &clock.value(-9_000)), 2, "what was deleted stays so");
    assert_eq!(client.put("k", &clock.value(1)), 0);
    assert_eq!((client.rnum(), client.fwmkeys("")), (1, vec!["k".to_owned()]));
}

#[test]
fn a_second_process_and_what_is_not_ours_are_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let mut guarded = Guarded::file(&path, "");
    assert!(refusal(&path).contains(&format!("is in use by another process, pid {}", guarded.pid())));
    assert_eq!(guarded.client().put("k", b"v"), 0);
    guarded.kill();
    assert_eq!(Guarded::file(&path, "").client().text("k").as_deref(), Some("v"));

    let foreign = folder.path().join("casket.tch");
    std::fs::write(&foreign, b"ToKyO CaBiNeT\n").expect("a file");
    assert!(refusal(&foreign).contains("is a file of something else"));
    assert!(refusal(folder.path()).contains("is a folder"));
    std::fs::write(&path, &std::fs::read(&path).expect("the file")[..1000]).expect("cut it");
    assert!(refusal(&path).contains("cannot be opened: "));
}

#[test]
fn a_copy_opens_as_a_store_and_its_records_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, copy) = (folder.path().join("store"), folder.path().join("copy"));
    let clock = Clock::start();
    let settings = format!(
        "allow = [\"restore\"]\nstore.copy_dir = \"{}\"",
        folder.path().display()
    );
    let guarded = Guarded::file(&path, &settings);
    let mut client = guarded.client();
    assert_eq!(client.put("k", &clock.value(0)), 0);
    assert_eq!(copy_to(&mut client, "copy"), 0);
    assert_eq!(client.put("k", &clock.value(5)), 0);
    assert_eq!(client.put("late", &clock.value(0)), 0);
    assert_eq!(copy_to(&mut client, "no/such/folder"), 1);

    assert_eq!(client.ask_code(&frame::restore("copy", 0)), 0);
    assert_eq!(client.text("k"), Some(clock.text(0)));
    assert_eq!(client.text("late"), Some(clock.text(0)));
    // What the guard knew of the record that was replaced does not count any more.
    assert_eq!(client.put("k", &clock.value(3)), 0);

    let guarded = Guarded::file(&copy, "");
    let mut client = guarded.client();
    assert_eq!(client.text("k"), Some(clock.text(0)));
    assert_eq!(client.text("late"), None);
}

#[test]
fn a_full_disk_fails_writes_and_nothing_else_until_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    // A disk of its own that needs no privileges. Its ballast can be taken away.
    let script = r#"mount -t tmpfs -o size=24m tmpfs "$0" && head -c 8M /dev/zero >"$0/ballast" && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script]).arg(folder.path());
    if !Command::new("unshare")
        .args(["-rm", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: no namespaces here: a_full_disk");
        return;
    }
    command.arg(BINARY);
    let guarded = Guarded::start_by(command, &on_file(&folder.path().join("store"), ""));
    let mut client = guarded.client();
    let value = |number: usize| format!("{number:04}").repeat(5_000).into_bytes();
    let stored = (0..2000).take_while(|number| {
        let code = client.put(&format!("key {number}"), &value(*number));
        assert!(matches!(code, 0 | 6), "code {code}");
        code == 0
    });
    let stored = stored.count();
    assert!((100..1000).contains(&stored), "{stored}");
    assert_eq!(client.ask_code(&frame::store(frame::PUTKEEP, "new", &value(1))), 6);
    let large = String::from_utf8(value(1)).expect("text");
    for verb in ["set", "add"] {
        client.expect(&memcached::store(verb, "new", &large), "SERVER_ERROR unavailable\r\n");
    }
    for mode in ["0", "1", "2"] {
        let put = http::request("PUT", "/new", &[&format!("X-TT-PDMODE: {mode}")], &large);
        assert_eq!(http::ask(&mut client, &put).0, 503, "mode {mode}");
    }
    // It may be small enough to be carried out, but the record is there.
    let deleted = http::ask(&mut client, &http::request("DELETE", "/key%201", &[], "")).0;
    assert!(matches!(deleted, 200 | 503), "{deleted}");
    assert_eq!(client.get("key 1").is_none(), deleted == 200);
    let stored = if deleted == 200 { stored - 1 } else { stored };
    for number in [0, stored / 2, stored - 1] {
        assert!(client.get(&format!("key {number}")) == Some(value(number)), "{number}");
    }
    assert_eq!(client.rnum(), stored as u64);
    guarded.expect_log("the disk is full");

    let inside = format!("/proc/{}/root{}/ballast", guarded.pid(), folder.path().display());
    std::fs::remove_file(inside).expect("take the ballast away");
    for number in stored..stored + 100 {
        assert_eq!(client.put(&format!("key {number}"), &value(number)), 0);
    }
    guarded.expect_log("the store can write again");
    assert_eq!(client.rnum(), stored as u64 + 100);
}

#[test]
fn pipelined_reads_see_the_writes_before_them_and_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let guarded = Guarded::file(&folder.path().join("store"), "");
    let mut client = guarded.client();
    let mut requests = Vec::new();
    for number in 0..200 {
        requests.extend(frame::store(frame::PUT, "k", format!("{number}").as_bytes()));
        requests.extend(frame::keyed(frame::GET, "k"));
        requests.extend(frame::keyed(frame::OUT, "k"));
        requests.extend(frame::keyed(frame::GET, "k"));
    }
    client.send(&requests);
    for number in 0..200 {
        assert_eq!(client.code().expect("a code"), 0);
        assert_eq!(
            client.read_value().expect("a value"),
            Some(format!("{number}").into_bytes())
        );
        assert_eq!(client.code().expect("a code"), 0);
        assert_eq!(client.read_value().expect("an answer"), None);
    }
}
