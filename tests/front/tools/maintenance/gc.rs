//! `ttguard gc`, as a person runs it.

use std::time::{Duration, Instant};

use super::{DAY, litter, run};
use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

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
