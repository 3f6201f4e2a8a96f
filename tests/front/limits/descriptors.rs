//! Clients take what they may of a process's file descriptors and threads, and no more.

use std::process::Command;
use std::time::Instant;

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};
use crate::support::insist::when_served;
use crate::support::scripted::{End, Scripted};
use crate::support::stamped::Clock;

/// ttguard in front of this backend, in a shell that has set its own limits so.
fn limited(ulimit: &str, settings: &str) -> Guarded {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{ulimit} && exec \"$0\" \"$@\"")])
        .arg(BINARY);
    Guarded::start_by(command, settings)
}

/// So many clients that have connected, one after the other, whatever became of them.
fn crowd(guarded: &Guarded, count: usize) -> Vec<Client> {
    (0..count).map(|_| guarded.client()).collect()
}

#[test]
fn clients_cannot_take_the_descriptors_of_admin_and_lanes() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let settings = format!("backend = \"tyrant://{}\"\nworkers = 2", scripted.address());
    let guarded = limited("ulimit -n 256", &settings);
    guarded.expect_log("limits.sessions is 10000, but this process may open 256 files");
    let places = guarded.scrape("ttguard_sessions_max", &[]);
    assert!((20.0..200.0).contains(&places), "{places}");
    let mut first = guarded.client();
    assert_eq!(first.put("k", &clock.value(0)), 0);
    let mut others = crowd(&guarded, 600);
    for path in ["/livez", "/readyz", "/metrics", "/api/status"] {
        assert_eq!(guarded.page(path).0, 200, "{path}");
    }
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "limit")], 601.0 - places);
    assert_eq!(guarded.scrape("ttguard_sessions", &[]), places);
    others[300].expect_reset(PATIENCE);
    // Whoever is served goes on, and a lane that is lost comes again.
    assert_eq!(first.put("k", &clock.value(1)), 0);
    scripted.end_connections(End::Rst);
    when_served(guarded.address(), |_| first.try_get("k"));
    assert_eq!(first.text("k"), Some(clock.text(1)));
    assert!(!guarded.log().contains("cannot be accepted"), "{}", guarded.log());
    drop(others);
    when_served(guarded.address(), |client| client.try_get("k"));
}

#[test]
fn the_limit_of_open_files_is_raised_to_what_the_settings_need() {
    let guarded = limited("ulimit -Sn 128", "backend = \"memory:\"\n[limits]\nsessions = 400");
    assert_eq!(guarded.scrape("ttguard_sessions_max", &[]), 400.0);
    let mut clients = crowd(&guarded, 400);
    for client in &mut clients {
        assert_eq!(client.ask_code(&frame::store(frame::PUT, "k", b"v")), 0);
    }
    assert_eq!(guarded.page("/livez").0, 200);
    assert!(!guarded.log().contains("limits.sessions"), "{}", guarded.log());
}

#[test]
fn a_limit_that_leaves_none_for_clients_is_a_mistake_that_is_said() {
    let script = "ulimit -n 64 && exec \"$0\" serve --backend memory: --listen 127.0.0.1:0 --admin 127.0.0.1:0";
    let output = Command::new("sh")
        .args(["-c", script, BINARY])
        .output()
        .expect("a shell");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("the limit of open files: is 64, which leaves none for clients"),
        "{error}"
    );
}

#[test]
fn slow_commands_of_a_store_in_the_process_have_so_many_threads_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "workers = 1\n[limits]\nslow_connections = 2\n[pairing]\nslow_timeout = \"10m\"";
    for guarded in [
        Guarded::memory(settings),
        Guarded::file(&folder.path().join("store"), settings),
    ] {
        let mut last = guarded.client();
        for hundred in 0..100 {
            let keys: Vec<String> = (0..100).map(|number| format!("key {hundred} {number}")).collect();
            let records: Vec<&[u8]> = keys.iter().flat_map(|key| [key.as_bytes(), b"v"]).collect();
            assert_eq!(last.misc("putlist", &records).0, 0);
        }
        let look = frame::misc("regex", &[b"nothing like it"]);
        let mut clients: Vec<Client> = (0..40).map(|_| guarded.client()).collect();
        for client in &mut clients {
            client.send(&look);
        }
        // Whoever goes leaves behind what it has asked for, and the thread that does it.
        clients.truncate(20);
        last.send(&look);
        clients.push(last);
        for client in &mut clients {
            client.code().expect("an answer");
        }
        let deadline = Instant::now() + PATIENCE;
        while guarded.scrape("ttguard_slow_connections", &[]) > 0.0 {
            assert!(Instant::now() < deadline, "what nobody waits for ends too");
        }
        // There are four for other long work, and one may come before the one before it has gone.
        let threads = guarded.threads();
        let of_runtime = threads.iter().filter(|name| name.starts_with("tokio")).count();
        assert!((1..=2 + 4).contains(&of_runtime), "{threads:?}");
    }
}
