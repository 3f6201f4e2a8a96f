//! `ttguard verify`, as a person runs it.

use std::net::SocketAddr;

use super::{litter, run};
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::scripted::{Act, Request, Rule, Scripted};
use crate::support::stamped::Clock;

fn verify(server: SocketAddr, more: &[&str]) -> (Option<i32>, serde_json::Value) {
    let (code, out, said) = run("verify", server, &[&["--json"], more].concat());
    assert_eq!(said, "", "nothing but the report");
    (code, serde_json::from_str(&out).expect("JSON"))
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
fn whose_the_server_is_does_not_count_and_hides_nothing() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    for number in 0..300 {
        scripted.insert(&format!("{number}"), &clock.value(0));
    }
    let guarded = Guarded::before(scripted.address(), "claim = true\n");
    guarded.expect_ready();
    for server in [guarded.address(), scripted.address()] {
        let (code, report) = verify(server, &[]);
        assert_eq!(
            (code, &report["records"], &report["complete"]),
            (Some(0), &300.into(), &true.into()),
            "{report}"
        );
        assert_eq!(report["counted"], serde_json::json!([302, 302]));
        let (code, out, told) = run("export", server, &["-"]);
        assert_eq!((code, out.lines().count()), (Some(0), 300), "{told}");
    }
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
fn a_walk_that_somebody_disturbs_says_that_it_may_have_missed_something() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    for number in 0..300 {
        scripted.insert(&format!("{number}"), &clock.value(0));
    }
    assert_eq!(verify(scripted.address(), &[]).0, Some(0));
    // Of the third connection: ttguard_rnum, rnum, iterinit, and then the records. To this client the iterator is at its
    // end, as it is when somebody else has moved it there.
    scripted.rule(Rule::nth(2, 103, Act::WrongCode(1)));
    let (code, report) = verify(scripted.address(), &[]);
    assert_eq!((code, &report["complete"]), (Some(1), &false.into()), "{report}");
    assert_eq!(
        (&report["records"], &report["counted"]),
        (&100.into(), &vec![300, 300].into())
    );
}

#[test]
fn a_walk_ends_though_somebody_sets_the_iterator_back_for_ever() {
    let scripted = Scripted::start();
    scripted.insert("k", &Clock::start().value(0));
    let iternext = |request: &Request| request.is_misc(&["iternext"]);
    scripted.rule(Rule {
        left: usize::MAX,
        ..Rule::once(Act::Rewound, iternext)
    });
    let (code, report) = verify(scripted.address(), &[]);
    assert_eq!((code, &report["complete"]), (Some(1), &false.into()), "{report}");
    assert_eq!(report["counted"], serde_json::json!([1, 1]));
    let (code, out, told) = run("export", scripted.address(), &["-"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(out.lines().count() > 10_000, "{}", out.lines().count());
    assert!(
        told.contains(" records were written, and the server counted 1 before and 1 afterwards"),
        "{told}"
    );
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
