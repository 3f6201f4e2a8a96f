//! Who asks for little does not wait behind something large: another lane takes the place of the one that carries it.

use std::time::Duration;

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, End, Gate, Rule, Scripted};

const LARGE: usize = 3 << 20;

const ONE_LANE: &str = "workers = 1\nlanes = 1\nbulk_lanes = 1\n[pairing]\nrequest_timeout = \"20s\"";

/// A guard of one lane, on which the first half of something large has come, and whose it is.
fn half_a_large_answer(scripted: &Scripted, settings: &str) -> (Guarded, Client, Gate) {
    scripted.insert("large", &vec![b'x'; LARGE]);
    scripted.insert("small", b"s");
    let guarded = Guarded::before(scripted.address(), settings);
    let mut reader = guarded.client();
    assert_eq!(reader.text("small").as_deref(), Some("s"), "mget says what there is");
    assert_eq!(reader.put("key", b"old"), 0, "what is known needs no look");
    let gate = scripted.gate();
    scripted.rule(Rule::read("large", Act::HoldRest(LARGE / 2, gate)));
    reader.send(&frame::keyed(frame::GET, "large"));
    scripted.wait_reached(gate);
    (guarded, reader, gate)
}

fn expect_large(reader: &mut Client) {
    let value = reader.read_value().expect("an answer").expect("a value");
    assert!(value.len() == LARGE && value.iter().all(|byte| *byte == b'x'));
}

#[test]
fn small_requests_go_on_while_something_large_comes() {
    let scripted = Scripted::start();
    let (guarded, mut reader, gate) = half_a_large_answer(&scripted, ONE_LANE);
    let mut small = guarded.client();
    for round in 0..10 {
        assert_eq!(small.text("small").as_deref(), Some("s"), "{round}");
        assert_eq!(small.put("key", format!("{round}").as_bytes()), 0);
        assert_eq!(small.out("key"), 0);
    }
    scripted.open(gate);
    expect_large(&mut reader);
    assert_eq!(reader.text("small").as_deref(), Some("s"));
    guarded.expect_metric("ttguard_lane_hand_overs_total", &[], 1.0);
    assert_eq!(guarded.scrape("ttguard_lanes_fenced_total", &[]), 0.0);
    scripted.expect_whole_requests();
}

#[test]
fn who_asks_again_for_what_was_large_asks_on_a_lane_for_that() {
    let scripted = Scripted::start();
    let (guarded, mut reader, gate) = half_a_large_answer(&scripted, ONE_LANE);
    scripted.open(gate);
    expect_large(&mut reader);
    // By a session of its own, to whom nothing large was given yet.
    let gate = scripted.gate();
    scripted.rule(Rule::read("large", Act::HoldRest(LARGE / 2, gate)));
    let mut other = guarded.client();
    other.send(&frame::keyed(frame::GET, "large"));
    scripted.wait_reached(gate);
    let before = guarded.scrape("ttguard_lane_connects_total", &[("outcome", "up")]);
    assert_eq!(guarded.client().text("small").as_deref(), Some("s"));
    scripted.open(gate);
    expect_large(&mut other);
    let after = guarded.scrape("ttguard_lane_connects_total", &[("outcome", "up")]);
    assert_eq!(before, after, "no lane had to be handed over");
}

#[test]
fn a_session_keeps_its_order_across_the_change() {
    let scripted = Scripted::start();
    let (guarded, mut reader, gate) = half_a_large_answer(&scripted, ONE_LANE);
    // Behind its large read: reads and writes of one key, whose answers say in which order they were carried out.
    let mut requests = Vec::new();
    for round in 0..20 {
        requests.extend(frame::store(frame::PUT, "key", format!("{round}").as_bytes()));
        requests.extend(frame::keyed(frame::GET, "key"));
    }
    reader.send(&requests);
    // Another one brings about the change while they wait.
    assert_eq!(guarded.client().text("small").as_deref(), Some("s"));
    scripted.open(gate);
    expect_large(&mut reader);
    for round in 0..20 {
        assert_eq!(reader.code().expect("an answer to put"), 0);
        let value = reader.read_value().expect("an answer to get");
        assert_eq!(value, Some(format!("{round}").into_bytes()));
    }
}

#[test]
fn writes_behind_something_large_wait_for_it_and_newer_ones_for_them() {
    let scripted = Scripted::start();
    let (guarded, mut reader, gate) = half_a_large_answer(&scripted, ONE_LANE);
    let mut first = guarded.client();
    first.send(&frame::store(frame::PUT, "key", b"first"));
    guarded.expect_metric("ttguard_in_flight", &[], 2.0);
    // The lane has been handed over once this is answered.
    assert_eq!(guarded.client().text("small").as_deref(), Some("s"));
    let mut second = guarded.client();
    second.send(&frame::store(frame::PUT, "key", b"second"));
    second.expect_quiet(Duration::from_millis(50));
    scripted.open(gate);
    expect_large(&mut reader);
    assert_eq!(first.code().expect("an answer"), 0);
    assert_eq!(second.code().expect("an answer"), 0);
    assert_eq!(scripted.text("key").as_deref(), Some("second"));
}

#[test]
fn what_was_large_may_be_lost_and_is_asked_again() {
    let scripted = Scripted::start();
    let (guarded, mut reader, gate) = half_a_large_answer(&scripted, ONE_LANE);
    assert_eq!(guarded.client().text("small").as_deref(), Some("s"));
    scripted.end_connections(End::Rst);
    scripted.open(gate);
    expect_large(&mut reader);
    assert_eq!(guarded.client().text("small").as_deref(), Some("s"));
}

#[test]
fn a_server_that_stops_half_way_costs_its_reader_alone() {
    let scripted = Scripted::start();
    let settings = ONE_LANE.replace("20s", "500ms");
    let (guarded, mut reader, gate) = half_a_large_answer(&scripted, &settings);
    let mut small = guarded.client();
    assert_eq!(small.text("small").as_deref(), Some("s"));
    reader.expect_reset(PATIENCE);
    assert_eq!(small.text("small").as_deref(), Some("s"));
    scripted.open(gate);
}
