//! Only the guard that holds a store's claim writes there.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::client::PATIENCE;
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};
use crate::support::process::stop;
use crate::support::real::Real;
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

const STALE: u8 = 2;

/// The record that names the holder.
const HOLDER: &str = "timestamp.timestamp.ttguard.claim";

/// The record that keeps the epoch.
const EPOCH: &str = "timestamp.timestamp.ttguard.epoch";

const SETTINGS: &str = "workers = 1\nclaim_timeout = \"400ms\"\n[pairing]\nstart_hold = \"50ms\"\n";

const STANDBY: &str = "workers = 1\nclaim_timeout = \"400ms\"\nstandby = true\n[pairing]\nstart_hold = \"50ms\"\n";

/// Runs a guard that is not to serve, to its end.
fn refused(backend: SocketAddr, settings: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("t.toml");
    std::fs::write(
        &file,
        format!("backend = \"tyrant://{backend}\"\nadmin = \"\"\n{settings}"),
    )
    .expect("settings");
    let mut command = Command::new(BINARY);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&file);
    command.output().expect("run ttguard")
}

fn column(scripted: &Scripted, name: &str) -> Option<String> {
    let record = scripted.text(HOLDER)?;
    let mut parts = record.split('\0');
    while let (Some(one), Some(value)) = (parts.next(), parts.next()) {
        if one == name {
            return Some(value.to_owned());
        }
    }
    None
}

#[track_caller]
fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !until() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_second_guard_says_who_writes_and_ends() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let first = Guarded::before(scripted.address(), SETTINGS);
    first.expect_ready();
    assert_eq!(first.client().put("k", &clock.value(0)), 0);
    let output = refused(scripted.address(), SETTINGS);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    let line = said.lines().last().unwrap_or_default();
    let holder = format!("process {} on ", first.pid());
    for part in [holder.as_str(), "writes to tyrant://", "standby = true"] {
        assert!(line.contains(part), "{part:?} in {line:?}");
    }
    assert_eq!(first.client().put("k", &clock.value(1)), 0, "the first goes on");
    assert_eq!(
        column(&scripted, "epoch").as_deref(),
        Some("1"),
        "and nothing was taken from it"
    );
}

#[test]
fn pb_pc_pa_by_three_guards_leaves_pc_since_only_one_of_them_writes() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let mut first = Guarded::before(scripted.address(), STANDBY);
    first.expect_ready();
    let mut second = Guarded::before(scripted.address(), STANDBY);
    let third = Guarded::before(scripted.address(), STANDBY);
    for standby in [&second, &third] {
        wait("the holder's name", || {
            let (code, why) = standby.page("/readyz");
            code == 503 && why.contains(&format!("held by process {} on", first.pid()))
        });
    }
    assert_eq!(first.client().put("packet", &clock.value(-59_000)), 0, "PB");
    assert_eq!(
        second.client().text("packet"),
        Some(clock.text(-59_000)),
        "a standby reads"
    );
    first.kill();
    wait("one of the others", || {
        [&second, &third].iter().any(|standby| standby.page("/readyz").0 == 200)
    });
    let (mut holder, other) = if second.page("/readyz").0 == 200 {
        (second, third)
    } else {
        (third, second)
    };
    assert_eq!(holder.client().put("packet", &clock.value(0)), 0, "PC");
    holder.kill();
    second = other;
    second.expect_ready();
    assert_eq!(second.client().put("packet", &clock.value(-60_000)), STALE, "PA");
    assert_eq!(second.client().text("packet"), Some(clock.text(0)));
    assert_eq!(column(&scripted, "epoch").as_deref(), Some("3"));
}

#[test]
fn a_holder_that_stood_still_writes_nothing_more_and_ends() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let first = Guarded::before(scripted.address(), SETTINGS);
    first.expect_ready();
    let mut late = first.client();
    assert_eq!(late.put("k", &clock.value(0)), 0);
    let second = Guarded::before(scripted.address(), STANDBY);
    stop(first.pid());
    // In its queue when it goes on: newer than all that it knows.
    late.send(&frame::store(frame::PUT, "k", &clock.value(5)));
    second.expect_ready();
    assert_eq!(second.client().put("k", &clock.value(10)), 0);
    first.signal(libc::SIGCONT);
    late.expect_reset(PATIENCE);
    let log_holder = format!("process {} on", second.pid());
    first.expect_log("the claim of the store was lost to");
    assert!(first.log().contains(&log_holder), "{}", first.log());
    assert_eq!(first.ended().code(), Some(1));
    assert_eq!(second.client().text("k"), Some(clock.text(10)));
    assert!(
        !scripted.see(|state| {
            let late = clock.value(5);
            state
                .connections
                .iter()
                .flat_map(|one| &one.requests)
                .any(|request| request.arguments.contains(&late))
        }),
        "it was not even sent"
    );
    assert_eq!(second.client().put("k", &clock.value(11)), 0);
}

#[test]
fn what_ends_in_order_gives_the_claim_and_the_mark_to_the_next() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let first = Guarded::before(scripted.address(), SETTINGS);
    first.expect_ready();
    assert_eq!(first.client().put("k", &clock.value(0)), 0);
    assert!(first.terminate().success());
    assert_eq!(column(&scripted, "left").as_deref(), Some("1"));
    let next = Guarded::before(scripted.address(), SETTINGS);
    next.expect_ready();
    let mut client = next.client();
    // Above what was let in before: nothing has to be looked up, though no key is known.
    for number in 0..20 {
        assert_eq!(client.put(&format!("k{number}"), &clock.value(20_000 + number)), 0);
    }
    assert_eq!(next.scrape("ttguard_lookups_total", &[]), 0.0);
    // And what is below is.
    assert_eq!(client.put("k", &clock.value(-1)), STALE);
    assert_eq!(next.scrape("ttguard_lookups_total", &[]), 1.0);
    assert_eq!(column(&scripted, "epoch").as_deref(), Some("2"));
}

#[test]
fn no_stamp_is_let_in_above_the_mark_that_the_store_holds() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let first = Guarded::before(scripted.address(), SETTINGS);
    first.expect_ready();
    let mark = || {
        column(&scripted, "mark")
            .and_then(|mark| mark.parse::<i64>().ok())
            .expect("a mark")
    };
    let far: i64 = clock.digits(30_000).parse().expect("a stamp");
    assert!(mark() < far);
    assert_eq!(first.client().put("k", &clock.value(30_000)), 0);
    assert!(mark() >= far, "it was raised before");
    // What is refused does not raise it.
    let before = mark();
    assert_eq!(first.client().put("k", &clock.value(900_000)), 3);
    assert!(mark() <= before.max(clock.digits(65_000).parse().expect("a stamp")));
}

#[test]
fn clients_neither_see_the_claim_nor_touch_it() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    guarded.expect_ready();
    let mut client = guarded.client();
    assert_eq!(client.put("k", &clock.value(0)), 0);
    assert_eq!((client.rnum(), client.iterate()), (1, vec!["k".to_owned()]));
    assert_eq!(client.fwmkeys("timestamp."), Vec::<String>::new());
    for key in [HOLDER, EPOCH] {
        assert_eq!(client.put(key, &clock.value(1)), 5, "{key}");
        assert_eq!(client.out(key), 5, "{key}");
    }
    assert_eq!(client.put("k", &clock.value(2)), 0);
}

#[test]
fn a_store_that_was_emptied_is_claimed_anew() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    guarded.expect_ready();
    let mut client = guarded.client();
    assert_eq!(client.put("k", &clock.value(0)), 0);
    assert_eq!(client.misc("vanish", &[]).0, 0);
    wait("a claim", || column(&scripted, "epoch").as_deref() == Some("2"));
    assert_eq!(
        client.put("k", &clock.value(-5)),
        0,
        "nothing is stored that it could be older than"
    );
    assert_eq!(client.rnum(), 1);
    scripted.stop(crate::support::scripted::End::Rst);
    scripted.forget();
    scripted.return_again();
    wait("a claim", || column(&scripted, "epoch").is_some());
    guarded.expect_ready();
    assert_eq!(guarded.client().put("k", &clock.value(1)), 0);
}

#[test]
fn while_the_store_cannot_be_reached_writes_wait_and_then_go_on() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    guarded.expect_ready();
    let instance = column(&scripted, "instance");
    scripted.stop(crate::support::scripted::End::Rst);
    guarded.expect_metric("ttguard_claim_changes_total", &[("change", "lapsed")], 1.0);
    scripted.return_again();
    assert_eq!(guarded.client().put("k", &clock.value(0)), 0);
    assert_eq!(column(&scripted, "instance"), instance);
    assert_eq!(
        guarded.scrape("ttguard_claim_changes_total", &[("change", "taken")]),
        1.0,
        "it was not lost"
    );
}

#[test]
fn a_store_that_cannot_keep_a_claim_is_said_at_the_start() {
    for (opcode, why) in [(frame::ADDINT, "addint"), (frame::PUT, "put")] {
        let scripted = Scripted::start();
        scripted.rule(Rule {
            left: usize::MAX,
            ..Rule::once(Act::Fail(1), move |request| request.opcode == opcode)
        });
        let output = refused(scripted.address(), SETTINGS);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let line = said.lines().last().unwrap_or_default();
        assert!(line.contains(why) && line.contains("claim = false"), "{line}");
    }
}

#[test]
fn every_kind_of_database_keeps_a_claim_but_one() {
    let clock = Clock::start();
    for database in ["*", "+", "t.tch", "t.tcb", "t.tct", "t.tcf"] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(database);
        let name = if database.len() == 1 {
            database
        } else {
            path.to_str().expect("a path")
        };
        let Some(real) = Real::start(name, "every_kind_of_database_keeps_a_claim_but_one") else {
            return;
        };
        if database == "t.tcf" {
            let output = refused(real.address(), SETTINGS);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(
                said.contains("fixed-length") && said.contains("claim = false"),
                "{said}"
            );
            let guarded = Guarded::before(real.address(), &format!("claim = false\n{SETTINGS}"));
            guarded.expect_ready();
            continue;
        }
        let first = Guarded::before(real.address(), SETTINGS);
        first.expect_ready();
        assert_eq!(refused(real.address(), SETTINGS).status.code(), Some(2), "{database}");
        let value = if database == "t.tct" {
            b"a\0b".to_vec()
        } else {
            clock.value(0)
        };
        assert_eq!(first.client().put("k", &value), 0, "{database}");
        assert_eq!(
            (first.client().rnum(), first.client().iterate()),
            (1, vec!["k".to_owned()]),
            "{database}"
        );
        assert!(first.terminate().success());
        let next = Guarded::before(real.address(), SETTINGS);
        next.expect_ready();
        assert_eq!(next.scrape("ttguard_claim_epoch", &[]), 2.0, "{database}");
    }
}

#[test]
fn the_kernel_says_too_who_is_at_a_unix_socket() {
    let Some(real) = Real::start("*", "claims by a socket") else {
        return;
    };
    drop(real);
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("sock");
    let server = std::env::var("TTSERVER").expect("a server");
    let mut server = Command::new(&server)
        .env("LD_LIBRARY_PATH", Path::new(&server).parent().expect("a folder"))
        .args(["-host", socket.to_str().expect("a path"), "-port", "0", "*"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("a server");
    wait("the socket", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    let backend = format!("backend = \"tyrant:{}\"\n", socket.display());
    // Of whom the store would say nothing for a while, since it stands still.
    let mut first = Guarded::start(&format!("{backend}{SETTINGS}"));
    first.expect_ready();
    stop(first.pid());
    let second = Guarded::start(&format!("{backend}{STANDBY}"));
    let until = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < until {
        assert_eq!(second.page("/readyz").0, 503, "it is there, and stands still");
    }
    first.kill();
    second.expect_ready();
    let _ = (server.kill(), server.wait());
}

#[test]
fn a_take_over_passes_the_claim_on() {
    let (clock, scripted) = (Clock::start(), Scripted::start());
    let folder = tempfile::tempdir().expect("a folder");
    let pid_file = folder.path().join("pid");
    let settings = format!("pid_file = \"{}\"\ntakeover = true\n{SETTINGS}", pid_file.display());
    let first = Guarded::before(scripted.address(), &settings);
    first.expect_ready();
    assert_eq!(first.client().put("k", &clock.value(0)), 0);
    let next = Guarded::before(scripted.address(), &settings);
    let mut client = next.client();
    assert_eq!(client.put("k", &clock.value(1)), 0, "as soon as the first has ended");
    assert!(first.ended().success());
    assert_eq!(client.put("k", &clock.value(0)), STALE);
    next.expect_ready();
    assert_eq!(column(&scripted, "epoch").as_deref(), Some("2"));
    assert_eq!(next.scrape("ttguard_claim_held", &[]), 1.0);
}

#[test]
fn another_backend_is_claimed_before_anything_is_written_there() {
    let clock = Clock::start();
    let (here, there) = (Scripted::start(), Scripted::start());
    let taken = Guarded::before(there.address(), SETTINGS);
    taken.expect_ready();
    let at = |scripted: &Scripted| format!("backend = \"tyrant://{}\"\n{STANDBY}", scripted.address());
    let guarded = Guarded::start(&at(&here));
    guarded.expect_ready();
    assert_eq!(guarded.client().put("k", &clock.value(0)), 0);
    guarded.rewrite(&at(&there));
    guarded.signal(libc::SIGHUP);
    wait("the other holder's name", || {
        guarded
            .page("/readyz")
            .1
            .contains(&format!("held by process {} on", taken.pid()))
    });
    let mut late = guarded.client();
    late.send(&frame::store(frame::PUT, "k", &clock.value(1)));
    late.expect_reset(PATIENCE);
    assert_eq!(there.value("k"), None, "nothing was written there");
    assert!(taken.terminate().success());
    guarded.expect_ready();
    assert_eq!(guarded.client().put("k", &clock.value(2)), 0);
    assert_eq!(there.text("k"), Some(clock.text(2)));
}
