//! Answers that are late, cut or wrong: they reach nobody.

use std::time::Instant;

use super::{ONE_LANE, TIMEOUT, expect_reset_in_time, expect_right_answers, two_records};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, End, Rule, Scripted};

#[test]
fn a_late_answer_reaches_nobody() {
    let (scripted, guarded) = two_records();
    let gate = scripted.gate();
    scripted.rule(Rule::read("a", Act::HoldAnswer(gate)));
    let (mut late, mut behind) = (guarded.client(), guarded.client());
    let asked = Instant::now();
    late.send(&frame::keyed(frame::GET, "a"));
    scripted.wait_reached(gate);

    // Half a deadline later, so that this one outlives the lane it waits on.
    late.expect_quiet(TIMEOUT / 2);
    behind.send(&frame::keyed(frame::GET, "b"));
    expect_reset_in_time(&mut late, asked);
    assert_eq!(behind.read_value().expect("an answer"), Some(b"value of b".to_vec()));
    guarded.expect_metric("ttguard_lanes_fenced_total", &[], 1.0);
    guarded.expect_metric("ttguard_sessions_closed_total", &[], 1.0);

    scripted.open(gate);
    scripted.wait("the end of the lane", |state| {
        state
            .connections
            .iter()
            .any(|record| record.ended && record.requests.iter().any(|request| request.reads("a")))
    });
    expect_right_answers(&mut behind);
    expect_right_answers(&mut guarded.client());
    scripted.expect_whole_requests();
}

#[test]
fn a_fault_in_an_answer_takes_the_lane_out_of_service() {
    let cases = [
        Act::ExtraByte,
        Act::Cut(0, End::Fin),
        Act::Cut(0, End::Rst),
        Act::Cut(3, End::Fin),
        Act::Cut(3, End::Rst),
        Act::Cut(9, End::Fin),
        Act::Cut(9, End::Rst),
        Act::Refuse(End::Fin),
        Act::Refuse(End::Rst),
    ];
    for act in cases {
        println!("{act:?}");
        let (scripted, guarded) = two_records();
        scripted.rule(Rule::read("a", act));
        let (mut client, mut other) = (guarded.client(), guarded.client());
        expect_right_answers(&mut client);
        expect_right_answers(&mut other);
        guarded.expect_metric("ttguard_lanes_fenced_total", &[], 1.0);
        scripted.expect_whole_requests();
    }
}

#[test]
fn a_code_that_means_nothing_is_no_miss_and_puts_nobody_out_of_step() {
    const STRANGE: u8 = 0x4D;
    // Before anything was found the key is asked for twice, by `mget` and by `get`.
    for was_anything_found in [false, true] {
        let (scripted, guarded) = two_records();
        let mut client = guarded.client();
        if was_anything_found {
            expect_right_answers(&mut client);
        }
        scripted.rule(Rule::read("a", Act::WrongCode(STRANGE)));
        client.send(&frame::keyed(frame::GET, "a"));
        match client.code().expect("an answer") {
            0 => assert_eq!(client.sized().expect("a value"), b"value of a"),
            code => assert_eq!(code, STRANGE, "a failure may be passed on as it is, never as a miss"),
        }
        expect_right_answers(&mut client);
        expect_right_answers(&mut guarded.client());
        guarded.expect_metric("ttguard_lanes_fenced_total", &[], 1.0);
    }
}

#[test]
fn a_failed_mget_puts_nobody_out_of_step() {
    let (scripted, guarded) = two_records();
    let mut client = guarded.client();
    scripted.rule(Rule::once(Act::WrongCode(0x4D), |request| {
        request.opcode == frame::MGET
    }));
    let found = client.mget(&["b", "none", "a"]);
    let record = |key: &str| (key.as_bytes().to_vec(), format!("value of {key}").into_bytes());
    assert_eq!(found, [record("b"), record("a")]);
    expect_right_answers(&mut client);
    guarded.expect_metric("ttguard_lanes_fenced_total", &[], 1.0);
}

#[test]
fn a_verified_read_does_not_believe_the_answer_to_another_question() {
    let scripted = Scripted::start();
    scripted.insert("a", b"value of a");
    scripted.insert("b", b"value of b");
    let guarded = Guarded::before(scripted.address(), ONE_LANE);
    expect_right_answers(&mut guarded.client());
    let gets = || scripted.see(|state| state.requests().filter(|request| request.opcode == frame::GET).count());
    let before = gets();
    scripted.rule(Rule::read("a", Act::AnswerFor("b")));
    expect_right_answers(&mut guarded.client());
    guarded.expect_metric("ttguard_lanes_fenced_total", &[], 1.0);
    let lanes_that_found_nothing_yet = 1;
    assert!(gets() <= before + lanes_that_found_nothing_yet);
}
