//! SIGHUP and `POST /api/reload`.

use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use super::free_address;
use crate::support::client::{Client, PATIENCE};
use crate::support::guarded::Guarded;
use crate::support::load;
use crate::support::scripted::Scripted;
use crate::support::stamped::Clock;

/// Settings in front of a backend, without a hold, and with what else is given.
fn settings(scripted: &Scripted, more: &str) -> String {
    let backend = scripted.address();
    format!("backend = \"tyrant://{backend}\"\nworkers = 1\npairing.start_hold = \"0s\"\n{more}")
}

fn reload(guarded: &Guarded) -> (u16, String) {
    guarded.ask_admin("POST", "/api/reload", "")
}

#[test]
fn the_guard_is_told_to_enforce_and_knows_what_it_let_through() {
    let scripted = Scripted::start();
    let guarded = Guarded::start(&settings(&scripted, "guard.mode = \"observe\""));
    let clock = Clock::start();
    let mut client = guarded.client();
    assert_eq!(client.put("kept", &clock.value(0)), 0);
    assert_eq!(client.put("k", &clock.value(0)), 0);
    assert_eq!(client.put("k", &clock.value(-9)), 0, "it only observes");
    guarded.rewrite(&settings(&scripted, "guard.mode = \"enforce\""));
    assert_eq!(reload(&guarded), (200, "changed: guard.mode\n".to_owned()));
    let lookups = guarded.scrape("ttguard_lookups_total", &[]);
    // The ledger is what it was: no lookup is needed to know better.
    assert_eq!(client.put("kept", &clock.value(-1)), 2);
    assert_eq!(guarded.scrape("ttguard_lookups_total", &[]), lookups);
    // What was let through in spite of the verdict is what is stored, and what later ones are held against.
    assert_eq!(client.put("k", &clock.value(-10)), 2);
    assert_eq!(client.put("k", &clock.value(-5)), 0);
    assert_eq!(scripted.text("k"), Some(clock.text(-5)));
    guarded.rewrite(&settings(&scripted, "guard.mode = \"observe\""));
    guarded.signal(libc::SIGHUP);
    guarded.expect_log("changed=\"guard.mode\"");
    let deadline = Instant::now() + PATIENCE;
    while client.put("kept", &clock.value(-1)) != 0 {
        assert!(Instant::now() < deadline, "it still enforces");
    }
    assert_eq!(reload(&guarded), (200, "nothing has changed\n".to_owned()));
}

#[test]
fn limits_and_tolerances_change_under_an_open_session() {
    let scripted = Scripted::start();
    let guarded = Guarded::start(&settings(&scripted, "guard.future_tolerance = \"1h\""));
    let clock = Clock::start();
    let mut client = guarded.client();
    assert_eq!(client.put("k", &clock.value(1_800_000)), 0);
    guarded.rewrite(&settings(
        &scripted,
        "guard.future_tolerance = \"1m\"\nguard.stale_reply = \"ok\"\nlimits.sessions = 1",
    ));
    let keys = "guard.future_tolerance, guard.stale_reply, limits.sessions";
    assert_eq!(reload(&guarded), (200, format!("changed: {keys}\n")));
    assert_eq!(client.put("other", &clock.value(1_800_000)), 3);
    // Let in under the greater tolerance, and still the newest.
    assert_eq!(
        client.put("k", &clock.value(0)),
        0,
        "stale, in the words of stale_reply"
    );
    assert_eq!(scripted.text("k"), Some(clock.text(1_800_000)));
    guarded.client().expect_reset(PATIENCE);
}

#[test]
fn listeners_come_go_and_change_and_sessions_stay() {
    let [first, second, third] = [free_address(), free_address(), free_address()];
    let table = |address, dialect| format!("[[listener]]\naddress = \"{address}\"\ndialect = \"{dialect}\"\n");
    let two = format!("{}{}", table(first, "tyrant"), table(second, "tyrant"));
    let guarded = Guarded::launch(&two, &["--admin", "127.0.0.1:0"], |_| {});
    assert_eq!(guarded.addresses(), [first, second]);
    let (mut stays, mut orphan) = (Client::connect(first), Client::connect(second));
    assert_eq!((stays.put("a", b"1"), orphan.put("b", b"2")), (0, 0));
    guarded.rewrite(&format!("{}{}", table(first, "pytyrant"), table(third, "tyrant")));
    assert_eq!(
        reload(&guarded),
        (200, "changed: dialect, listen, listener\n".to_owned())
    );
    assert_eq!(
        (stays.text("a"), orphan.text("b")),
        (Some("1".to_owned()), Some("2".to_owned()))
    );
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(second).is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
        thread::yield_now();
    }
    assert_eq!(Client::connect(third).text("a"), Some("1".to_owned()));
    assert_eq!(Client::connect(first).text("a"), Some("1".to_owned()));
    assert_eq!(orphan.put("b", b"3"), 0, "its listener is gone, and it is not");
}

#[test]
fn a_mistake_changes_nothing_and_is_said_where_it_is() {
    let guarded = Guarded::memory("workers = 1\nlog.level = \"info\"");
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"v"), 0);
    guarded.rewrite("backend = \"memory:\"\nworkers = 1\nguard.unstamped = \"refuse\"\nlimits.sessions = 0");
    let (status, text) = reload(&guarded);
    assert_eq!(status, 409);
    assert!(
        text.contains("ttguard.toml:4: limits.sessions is 0; allowed: "),
        "{text}"
    );
    assert!(
        text.ends_with("nothing was changed\n") && text.lines().count() == 1,
        "{text}"
    );
    guarded.rewrite("workers = 2\nguard.unstamped = \"refuse\"\nstamp.digits = 10");
    let (status, text) = reload(&guarded);
    assert_eq!(status, 409);
    assert!(
        text.starts_with("cannot change while ttguard runs: stamp.digits, stamp.unit, workers;"),
        "{text}"
    );
    let taken = Guarded::memory("");
    guarded.rewrite("workers = 1\nguard.unstamped = \"refuse\"\nadmin_token_file = \"/nowhere/at/all\"");
    let (status, text) = reload(&guarded);
    assert_eq!(status, 409);
    assert!(text.contains("cannot read /nowhere/at/all"), "{text}");
    drop(taken);
    assert_eq!(client.put("k", b"w"), 0, "nothing of all that is in effect");
    guarded.signal(libc::SIGHUP);
    guarded.expect_log("settings were not reloaded");
    assert_eq!(client.put("k", b"x"), 0);
}

#[test]
fn an_address_that_is_taken_changes_nothing() {
    let (ours, taken) = (free_address(), Guarded::memory(""));
    let listen = |addresses: &str, more: &str| format!("listen = [{addresses}]\nworkers = 1\n{more}");
    let guarded = Guarded::launch(&listen(&format!("\"{ours}\""), ""), &["--admin", "127.0.0.1:0"], |_| {});
    let both = format!("\"{ours}\", \"{}\"", taken.address());
    guarded.rewrite(&listen(&both, "guard.unstamped = \"refuse\""));
    let (status, text) = reload(&guarded);
    assert_eq!(status, 409);
    assert!(
        text.starts_with(&format!("listen: cannot listen on {}: ", taken.address())),
        "{text}"
    );
    assert_eq!(guarded.client().put("k", b"v"), 0);
}

#[test]
fn another_backend_takes_over_without_a_session_lost_and_nothing_known_of_the_first_holds() {
    let (first, second) = (Scripted::start(), Scripted::start());
    let guarded = Guarded::start(&settings(&first, ""));
    let clock = Clock::start();
    let mut client = guarded.client();
    assert_eq!(client.put("k", &clock.value(0)), 0);
    second.insert("k", &clock.value(-60_000));
    guarded.rewrite(&settings(&second, ""));
    assert_eq!(reload(&guarded), (200, "changed: backend\n".to_owned()));
    let deadline = Instant::now() + PATIENCE;
    while client.text("k") != Some(clock.text(-60_000)) {
        assert!(Instant::now() < deadline, "the lanes stay where they were");
    }
    assert_eq!(client.put("k", &clock.value(-61_000)), 2, "older than what is there");
    assert_eq!(
        client.put("k", &clock.value(-30_000)),
        0,
        "newer, though the first backend has a newer one"
    );
    assert_eq!(second.text("k"), Some(clock.text(-30_000)));
    assert_eq!(first.text("k"), Some(clock.text(0)));
    first.expect_whole_requests();
}

#[test]
fn busy_clients_do_not_notice_a_reload() {
    let scripted = Scripted::start();
    // As PyTyrant's listener: what its clients send, all others may too.
    let listener = "dialect = \"pytyrant\"";
    let guarded = Guarded::start(&settings(&scripted, listener));
    let seen = load::under_load(guarded.address(), |seen| {
        for round in 0..10 {
            seen.wait_for(200);
            let tie = if round % 2 == 0 { "first" } else { "last" };
            guarded.rewrite(&settings(
                &scripted,
                &format!("guard.tie = \"{tie}\"\nlimits.sessions = {}\n{listener}", 100 + round),
            ));
            let (status, text) = reload(&guarded);
            assert_eq!(status, 200, "{text}");
        }
        seen.wait_for(200);
    });
    assert_eq!(seen.resets.load(Ordering::Relaxed), 0, "no session was dropped");
}
