//! `ttguard verify` and `ttguard gc`, as a person runs them.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};
use crate::support::real::Real;
use crate::support::scripted::Scripted;
use crate::support::stamped::Clock;

/// A day of milliseconds.
const DAY: i64 = 86_400_000;

/// Exit code, standard output and standard error.
fn run(verb: &str, server: SocketAddr, more: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY)
        .arg(verb)
        .arg(server.to_string())
        .args(more)
        .output()
        .expect("run ttguard");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn verify(server: SocketAddr, more: &[&str]) -> (Option<i32>, serde_json::Value) {
    let (code, out, said) = run("verify", server, &[&["--json"], more].concat());
    assert_eq!(said, "", "nothing but the report");
    (code, serde_json::from_str(&out).expect("JSON"))
}

/// One of everything, as a server can come to hold it without a guard.
fn litter(mut put: impl FnMut(&str, &[u8]), clock: Clock) {
    put("fine", &clock.value(0));
    put("future", &clock.value(DAY));
    put("bare", b"no stamp");
    put("newer", &clock.value(-10_000));
    put("timestamp.newer", clock.digits(-5_000).as_bytes());
    put("older", &clock.value(-10_000));
    put("timestamp.older", clock.digits(-20_000).as_bytes());
    put("equal", &clock.value(-10_000));
    put("timestamp.equal", clock.digits(-10_000).as_bytes());
    put("timestamp.no stamp", b"soon");
    put("timestamp.ahead", clock.digits(DAY).as_bytes());
    put("timestamp.gone", clock.digits(-8 * DAY).as_bytes());
    put("timestamp.gone lately", clock.digits(-DAY).as_bytes());
}

fn expect_litter(report: &serde_json::Value, older: &str) {
    assert_eq!(
        (&report["records"], &report["complete"]),
        (&13.into(), &true.into()),
        "{report}"
    );
    let found = report["found"].as_object().expect("what was found");
    for (kind, keys) in [
        ("future", &["future"][..]),
        ("unstamped", &["bare"]),
        ("record_future", &["ahead"]),
        ("record_unreadable", &["no stamp"]),
        ("record_newer", &["newer"]),
        (older, &["older"]),
        ("tombstone", &["gone", "gone lately"]),
    ] {
        let findings = &found[kind];
        assert_eq!(findings["count"], keys.len(), "{kind}: {report}");
        let mut shown: Vec<_> = findings["keys"].as_array().expect("keys").iter().collect();
        shown.sort_by_key(|key| key.as_str());
        assert_eq!(shown, keys, "{kind}: {report}");
    }
    assert_eq!(found.len(), 7, "{report}");
}

#[test]
fn what_is_wrong_is_found_directly_and_through_ttguard_and_mended_there_only() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    litter(|key, value| scripted.insert(key, value), clock);
    let (code, report) = verify(scripted.address(), &[]);
    assert_eq!((code, &report["through_guard"]), (Some(1), &false.into()));
    expect_litter(&report, "leftover");
    let (code, _, said) = run("verify", scripted.address(), &["--fix"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is no ttguard, ") && said.lines().count() == 1, "{said}");

    let guarded = Guarded::before(scripted.address(), "");
    let (code, report) = verify(guarded.address(), &[]);
    assert_eq!((code, &report["through_guard"]), (Some(1), &true.into()));
    expect_litter(&report, "leftover");
    let (code, report) = verify(guarded.address(), &["--fix"]);
    assert_eq!(
        (code, &report["found"]["leftover"]["fixed"]),
        (Some(1), &1.into()),
        "{report}"
    );
    assert_eq!(scripted.value("timestamp.older"), None);
    assert_eq!(scripted.text("older"), Some(clock.text(-10_000)));
    assert_eq!(
        scripted.text("timestamp.newer"),
        Some(clock.digits(-5_000)),
        "only a person can know"
    );
    assert_eq!(
        guarded.client().put("older", &clock.value(-15_000)),
        2,
        "the value still counts"
    );
}

#[test]
fn where_every_value_has_a_record_an_older_one_is_a_defect_and_is_written_anew() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    scripted.insert("k", &clock.value(0));
    scripted.insert("timestamp.k", clock.digits(-5_000).as_bytes());
    let guarded = Guarded::before(scripted.address(), "[guard]\nledger = \"record\"\n");
    let (code, report) = verify(guarded.address(), &["--ledger", "record"]);
    assert_eq!((code, &report["found"]["record_older"]["count"]), (Some(1), &1.into()));
    let (code, report) = verify(guarded.address(), &["--ledger", "record", "--fix"]);
    assert_eq!((code, &report["found"]["record_older"]["fixed"]), (Some(0), &1.into()));
    assert_eq!(scripted.text("timestamp.k"), Some(clock.digits(0)));
    let (code, out, _) = run("verify", guarded.address(), &["--ledger", "record"]);
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with("         2  records\n") && out.contains("\n         0  stamps in the future\n"),
        "{out}"
    );
}

#[test]
fn keys_are_shown_up_to_a_number_and_on_one_line_whatever_is_in_them() {
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    for number in 0..5 {
        assert_eq!(client.put(&format!("a\n\x1b{number}"), b"no stamp"), 0);
    }
    let (code, out, _) = run("verify", guarded.address(), &["--keys", "2"]);
    assert_eq!(code, Some(1));
    let line = out
        .lines()
        .find(|line| line.contains("without a stamp"))
        .expect("a line");
    assert!(
        line.starts_with("         5  values without a stamp: \"a\\n\\u{1b}") && line.ends_with("\", ..."),
        "{line}"
    );
    assert_eq!(line.matches("\\u{1b}").count(), 2, "{line}");
}

#[test]
fn old_tombstones_go_and_young_ones_and_what_has_a_value_stay() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    litter(|key, value| scripted.insert(key, value), clock);
    let guarded = Guarded::before(scripted.address(), "");
    assert_eq!(guarded.client().rnum(), 6, "hidden ones are counted from here on");
    let week = ["--older-than", "7d"];
    let (code, out, said) = run("gc", scripted.address(), &week);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(said.contains("is no ttguard, ") && said.lines().count() == 1, "{said}");
    for server in [scripted.address(), guarded.address()] {
        let (code, out, said) = run("gc", server, &[&week[..], &["--dry-run"]].concat());
        assert_eq!(
            (code, out.as_str(), said.as_str()),
            (Some(0), "3 tombstones, 1 old enough, 1 in the future, 0 removed\n", "")
        );
    }
    let (code, out, _) = run("gc", guarded.address(), &week);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "3 tombstones, 1 old enough, 1 in the future, 2 removed\n")
    );
    for gone in ["timestamp.gone", "timestamp.ahead"] {
        assert_eq!(scripted.value(gone), None, "{gone}");
    }
    for kept in ["timestamp.gone lately", "timestamp.older", "timestamp.no stamp"] {
        assert!(scripted.value(kept).is_some(), "{kept}");
    }
    assert_eq!(guarded.client().rnum(), 6);
}

#[test]
fn an_age_within_which_writes_may_be_late_is_refused_here_and_there() {
    let guarded = Guarded::memory("[guard]\nfuture_tolerance = \"1h\"\n");
    let (code, _, said) = run("gc", guarded.address(), &["--older-than", "5m"]);
    assert_eq!(code, Some(2));
    assert!(
        said.starts_with("ttguard: --older-than: \"5m\"; allowed: a duration of 301s or more (")
            && said.lines().count() == 1,
        "{said}"
    );
    // The ttguard in charge knows better than the defaults of whoever asks.
    let mut client = guarded.client();
    assert_eq!(client.out("k"), 1);
    let long = 3_600_000 + 1_000;
    let forget = |client: &mut Client, age: i64| client.misc("ttguard_forget", &[age.to_string().as_bytes(), b"k"]).0;
    assert_eq!(forget(&mut client, long - 1), 5);
    assert_eq!(forget(&mut client, -1), 5);
    assert_eq!(forget(&mut client, long), 1, "it is not so old");
    let digits = client.text("timestamp.k");
    assert!(digits.is_some());
    let wrongs: [&[&[u8]]; 3] = [&[], &[b"1"], &[b"1", b"k", b"k"]];
    for wrong in wrongs {
        assert_eq!(client.misc("ttguard_forget", wrong).0, 1);
        assert_eq!(client.misc("ttguard_mend", &[wrong, &[b"x", b"y"]].concat()).0, 1);
    }
    assert_eq!(client.text("timestamp.k"), digits);
}

#[test]
fn a_delete_that_comes_between_the_look_and_the_removal_keeps_its_tombstone() {
    use crate::support::scripted::{Act, Rule};
    let clock = Clock::start();
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "");
    // The ledger knows the key, so that a delete need not read it first.
    assert_eq!(guarded.client().put("k", &clock.value(-60_000)), 0);
    assert_eq!(guarded.client().out("k"), 0);
    scripted.insert("timestamp.k", clock.digits(-8 * DAY).as_bytes());
    // The look is held; meanwhile somebody deletes the key again.
    let gate = scripted.gate();
    scripted.rule(Rule::look("k", Act::HoldAnswer(gate)));
    let age = (7 * DAY).to_string();
    let mut forgetting = guarded.client();
    forgetting.send(&frame::misc("ttguard_forget", &[age.as_bytes(), b"k"]));
    scripted.wait_reached(gate);
    let mut deleting = guarded.client();
    deleting.send(&frame::keyed(frame::OUT, "k"));
    deleting.expect_quiet(Duration::from_millis(50));
    scripted.open(gate);
    assert_eq!(deleting.recv(1), [1]);
    assert_eq!(forgetting.code().expect("an answer"), 0);
    let tombstone = scripted
        .text("timestamp.k")
        .expect("the tombstone of the second delete");
    assert!(tombstone > clock.digits(-60_000), "{tombstone}");
    assert_eq!(guarded.client().put("k", &clock.value(-60_000)), 2);
}

#[test]
fn no_more_are_removed_in_a_second_than_was_said() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    for number in 0..40 {
        scripted.insert(&format!("timestamp.{number}"), clock.digits(-8 * DAY).as_bytes());
    }
    let guarded = Guarded::before(scripted.address(), "");
    let began = Instant::now();
    let (code, out, _) = run("gc", guarded.address(), &["--older-than", "7d", "--rate", "100"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "40 tombstones, 40 old enough, 40 removed\n")
    );
    assert!(began.elapsed() >= Duration::from_millis(390));
}

#[test]
fn a_real_server_is_looked_through_and_tidied_up() {
    let test = "a_real_server_is_looked_through_and_tidied_up";
    let folder = tempfile::tempdir().expect("a folder");
    for database in [
        "*".to_owned(),
        format!("{}/c.tch", folder.path().display()),
        format!("{}/c.tcb", folder.path().display()),
    ] {
        let Some(real) = Real::start(&database, test) else {
            return;
        };
        let clock = Clock::start();
        let mut client = real.client();
        litter(|key, value| assert_eq!(client.put(key, value), 0), clock);
        let (code, report) = verify(real.address(), &[]);
        assert_eq!(code, Some(1));
        expect_litter(&report, "leftover");
        let guarded = Guarded::before(real.address(), "");
        let (code, report) = verify(guarded.address(), &["--fix"]);
        assert_eq!(
            (code, &report["found"]["leftover"]["fixed"]),
            (Some(1), &1.into()),
            "{report}"
        );
        let (code, out, _) = run("gc", guarded.address(), &["--older-than", "7d"]);
        assert_eq!(
            (code, out.as_str()),
            (Some(0), "3 tombstones, 1 old enough, 1 in the future, 2 removed\n")
        );
        assert_eq!(client.get("timestamp.gone"), None);
        assert_eq!(client.rnum(), 10);
    }
}

#[test]
fn a_walk_that_somebody_disturbs_says_that_it_may_have_missed_something() {
    use crate::support::scripted::{Act, Rule};
    let clock = Clock::start();
    let scripted = Scripted::start();
    for number in 0..300 {
        scripted.insert(&format!("{number}"), &clock.value(0));
    }
    assert_eq!(verify(scripted.address(), &[]).0, Some(0));
    // Of the third connection: ttguard_rnum, rnum, iterinit, and then the records. To this client the iterator is at its
    // end, as it is when somebody else has moved it there.
    scripted.rule(Rule::nth(3, 103, Act::WrongCode(1)));
    let (code, report) = verify(scripted.address(), &[]);
    assert_eq!((code, &report["complete"]), (Some(1), &false.into()), "{report}");
    assert_eq!(
        (&report["records"], &report["counted"]),
        (&100.into(), &vec![300, 300].into())
    );
}
