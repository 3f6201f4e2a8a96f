//! Sessions that ask before they were answered.

use crate::support::client::PATIENCE;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

const FORBID: &str = "[pairing]\npipelining = \"forbid\"";
const ALLOW: &str = "[pairing]\npipelining = \"allow\"";

#[test]
fn a_second_question_while_an_answer_is_owed_ends_the_session() {
    let scripted = Scripted::start();
    scripted.insert("a", b"value of a");
    let guarded = Guarded::before(scripted.address(), FORBID);
    let gate = scripted.gate();
    scripted.rule(Rule::read("a", Act::HoldAnswer(gate)));
    let mut client = guarded.client();
    client.send(&frame::keyed(frame::GET, "a"));
    scripted.wait_reached(gate);
    client.send(&frame::keyed(frame::GET, "b"));
    client.expect_reset(PATIENCE);
    guarded.expect_metric("ttguard_sessions_closed_total", &[], 1.0);
    scripted.open(gate);
    assert_eq!(guarded.client().text("a").as_deref(), Some("value of a"));
}

#[test]
fn a_question_behind_an_answer_that_is_not_taken_yet_ends_the_session() {
    // More than the kernel's buffers hold.
    const LARGE: usize = 32 << 20;
    let scripted = Scripted::start();
    scripted.insert("large", &vec![b'x'; LARGE]);
    scripted.insert("b", b"value of b");
    let guarded = Guarded::before(scripted.address(), FORBID);
    let mut client = guarded.client();
    client.send(&frame::keyed(frame::GET, "large"));
    client.recv(5);
    // It gives up on the rest.
    client.send(&frame::keyed(frame::GET, "b"));
    guarded.expect_metric("ttguard_sessions_closed_total", &[], 1.0);
    let mut taken = 0;
    while client.try_recv(1024).is_ok() {
        taken += 1024;
    }
    assert!(
        taken < LARGE,
        "the rest of an answer that nobody waits for, and perhaps the next"
    );
    assert!(!scripted.see(|state| state.requests().any(|request| request.reads("b"))));
}

#[test]
fn one_question_after_the_other_is_fine_where_pipelining_is_forbidden() {
    let guarded = Guarded::memory(FORBID);
    let mut client = guarded.client();
    for _ in 0..100 {
        assert_eq!(client.put("k", b"v"), 0);
        assert_eq!(client.text("k").as_deref(), Some("v"));
    }
    // Nothing is owed for putnr, so what follows it in the same segment is no second question.
    let quiet = frame::store(frame::PUTNR, "k", b"w");
    client.send(&[quiet.clone(), quiet, frame::keyed(frame::GET, "k")].concat());
    assert_eq!(client.read_value().expect("an answer"), Some(b"w".to_vec()));
}

#[test]
fn a_frame_may_come_in_any_pieces() {
    for settings in [FORBID, ALLOW] {
        let guarded = Guarded::memory(settings);
        let mut client = guarded.client();
        for byte in frame::store(frame::PUT, "k", b"v") {
            client.send(&[byte]);
        }
        assert_eq!(client.recv(1), [0]);
        assert_eq!(client.text("k").as_deref(), Some("v"));
    }
}

#[test]
fn a_thousand_pipelined_gets_are_answered_in_order() {
    let scripted = Scripted::start();
    let guards = [
        Guarded::memory(ALLOW),
        Guarded::before(scripted.address(), &format!("workers = 2\nlanes = 2\n{ALLOW}")),
    ];
    for guarded in guards {
        let mut client = guarded.client();
        let key = |number: usize| format!("key{number}");
        for number in (0..1000).filter(|number| number % 3 > 0) {
            assert_eq!(client.put(&key(number), key(number).as_bytes()), 0);
        }
        let questions = (0..1000).flat_map(|number| frame::keyed(frame::GET, &key(number)));
        client.send(&questions.collect::<Vec<u8>>());
        for number in 0..1000 {
            let wanted = (number % 3 > 0).then(|| key(number).into_bytes());
            assert_eq!(client.read_value().expect("an answer"), wanted, "question {number}");
        }
    }
}

#[test]
fn pipelined_writes_and_reads_of_one_session_keep_their_order() {
    let clock = Clock::start();
    let guarded = Guarded::memory(ALLOW);
    let mut client = guarded.client();
    let mut questions = Vec::new();
    for offset in 0..200 {
        questions.extend(frame::store(frame::PUT, "k", &clock.value(offset)));
        questions.extend(frame::store(frame::PUT, "k", &clock.value(offset - 1000)));
        questions.extend(frame::store(frame::PUTNR, "k", &clock.value(offset - 2000)));
        questions.extend(frame::keyed(frame::GET, "k"));
    }
    client.send(&questions);
    for offset in 0..200 {
        assert_eq!(client.recv(2), [0, 2], "the puts of {offset}");
        assert_eq!(client.read_value().expect("an answer"), Some(clock.value(offset)));
    }
}

#[test]
fn large_answers_do_not_end_the_taking_up_of_requests() {
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    let value = vec![b'v'; 3 << 20];
    assert_eq!(client.put("large", &value), 0);
    let times = 8;
    client.send(&frame::keyed(frame::GET, "large").repeat(times));
    for time in 0..times {
        let found = client.read_value().expect("an answer");
        assert!(found.is_some_and(|found| found == value), "answer {time}");
    }
}
