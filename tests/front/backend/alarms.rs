//! What a backend must never do, and what is said when it does.

use crate::support::client::PATIENCE;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

fn expect_alarm(guarded: &Guarded, alarm: &str, said: &str) {
    guarded.expect_metric("ttguard_alarms_total", &[("alarm", alarm)], 1.0);
    guarded.expect_log(said);
    assert_eq!(guarded.scrape("ttguard_alarms_total", &[]), 1.0, "no other alarm");
}

#[test]
fn a_key_that_was_not_asked_for_is_never_delivered() {
    let scripted = Scripted::start();
    for key in ["a", "b"] {
        scripted.insert(key, key.as_bytes());
    }
    let guarded = Guarded::before(scripted.address(), "workers = 1");
    scripted.rule(Rule::read("a", Act::AnswerFor("b")));
    let right = [(b"a".to_vec(), b"a".to_vec())];
    assert_eq!(guarded.client().mget(&["a"]), right, "asked again on another lane");
    expect_alarm(
        &guarded,
        "unasked_key",
        "the backend named a key that it was not asked for",
    );

    let guarded = Guarded::before(scripted.address(), "workers = 1");
    scripted.rule(Rule::once(Act::AnswerFor("b"), |request| request.function == "getlist"));
    let right = vec![b"a".to_vec(), b"a".to_vec()];
    assert_eq!(guarded.client().misc("getlist", &[b"a"]), (0, right));
    expect_alarm(
        &guarded,
        "unasked_key",
        "the backend named a key that it was not asked for",
    );

    let guarded = Guarded::before(scripted.address(), "workers = 1");
    scripted.rule(Rule::once(Act::AnswerFor("b"), |request| {
        request.opcode == frame::FWMKEYS
    }));
    let mut client = guarded.client();
    client.send(&frame::fwmkeys("a", -1));
    client.expect_reset(PATIENCE);
    expect_alarm(
        &guarded,
        "unasked_key",
        "listed a key that does not begin as was asked for",
    );
}

#[test]
fn a_key_of_another_namespace_is_never_shown() {
    let scripted = Scripted::start();
    for key in ["A:mine", "B:secret", "C:none's"] {
        scripted.insert(key, b"v");
    }
    let backend = format!("tyrant://{}", scripted.address());
    let listeners = ["prefix = \"A:\"\nallow = [\"all\"]", "prefix = \"B:\""];
    let tenants = || Guarded::beside_everything(&backend, "", &listeners);
    for other in ["B:", "C:", ""] {
        let guarded = tenants();
        scripted.rule(Rule::once(Act::AnswerFor(other), |request| {
            request.opcode == frame::FWMKEYS
        }));
        let mut client = guarded.client_of(1);
        client.send(&frame::fwmkeys("", -1));
        client.expect_reset(PATIENCE);
        expect_alarm(
            &guarded,
            "foreign_key",
            "a client would have been shown a key outside of its prefix",
        );
        assert!(guarded.log().contains("ERROR"), "{}", guarded.log());
        assert_eq!(guarded.client_of(1).fwmkeys(""), ["mine"]);
    }

    // A key of its own that was not asked for is no key of another.
    let guarded = tenants();
    scripted.rule(Rule::once(Act::AnswerFor("A:mine"), |request| {
        request.opcode == frame::FWMKEYS
    }));
    let mut client = guarded.client_of(1);
    client.send(&frame::fwmkeys("other", -1));
    client.expect_reset(PATIENCE);
    expect_alarm(
        &guarded,
        "unasked_key",
        "listed a key that does not begin as was asked for",
    );
}

#[test]
fn an_answer_without_a_question_is_an_alarm() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "workers = 1");
    scripted.rule(Rule::write("k", Act::ExtraByte));
    assert_eq!(guarded.client().put("k", b"v"), 0);
    expect_alarm(
        &guarded,
        "unasked_answer",
        "the backend sent bytes that answer no question",
    );
}

#[test]
fn a_stamp_that_goes_back_in_the_backend_is_an_alarm() {
    let clock = Clock::start();
    let (older, newer) = (clock.text(-1_000), clock.text(0));
    let scripted = Scripted::start();
    let start = || {
        let settings = "workers = 1\n[guard]\nverify_reads = true\ntie = \"first\"";
        let guarded = Guarded::before(scripted.address(), settings);
        assert_eq!(guarded.client().put("k", newer.as_bytes()), 0);
        guarded
    };

    let guarded = start();
    assert_eq!(guarded.client().text("k").as_deref(), Some(newer.as_str()));
    assert_eq!(guarded.scrape("ttguard_alarms_total", &[]), 0.0);
    scripted.insert("k", older.as_bytes());
    assert_eq!(
        guarded.client().text("k").as_deref(),
        Some(older.as_str()),
        "it is what is stored"
    );
    expect_alarm(&guarded, "stamp_back", "something writes to it past ttguard");

    let guarded = start();
    scripted.insert("k", older.as_bytes());
    let other = format!("{newer} other");
    assert_eq!(
        guarded.client().put("k", other.as_bytes()),
        0,
        "nothing as new is stored"
    );
    expect_alarm(&guarded, "stamp_back", "something writes to it past ttguard");
}
