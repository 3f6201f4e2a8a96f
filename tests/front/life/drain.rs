//! SIGTERM and SIGINT.

use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::load::Tongue;
use crate::support::scripted::{Act, Gate, Rule, Scripted};
use crate::support::stamped::Clock;

const SETTINGS: &str = "workers = 1\n[pairing]\nstart_hold = \"0s\"\nrequest_timeout = \"20s\"";

/// A put of `k` that is on its way until the gate is opened.
fn held_put(scripted: &Scripted, guarded: &Guarded, clock: Clock) -> (Client, Gate) {
    let gate = scripted.gate();
    scripted.rule(Rule::write("k", Act::HoldAnswer(gate)));
    let mut client = guarded.client();
    client.send(&frame::store(frame::PUT, "k", &clock.value(0)));
    scripted.wait_reached(gate);
    (client, gate)
}

/// Waits until nobody listens there any more.
fn wait_closed(guarded: &Guarded) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(guarded.address()).is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
        thread::yield_now();
    }
}

#[test]
fn what_was_asked_is_answered_before_the_reset() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    let clock = Clock::start();
    let (mut asking, gate) = held_put(&scripted, &guarded, clock);
    // Behind what is owed.
    asking.send(&frame::keyed(frame::GET, "k"));
    let mut idle = guarded.client();
    guarded.expect_metric("ttguard_sessions", &[], 2.0);
    assert_eq!(guarded.page("/readyz").0, 200);
    guarded.signal(libc::SIGTERM);
    idle.expect_reset(PATIENCE);
    assert_eq!(guarded.page("/readyz"), (503, "stopping\n".to_owned()));
    assert_eq!(guarded.page("/healthz").0, 200);
    wait_closed(&guarded);
    scripted.open(gate);
    assert_eq!(asking.recv(1), [0], "the put is answered");
    assert_eq!(asking.read_value().expect("an answer"), Some(clock.value(0)));
    asking.expect_reset(PATIENCE);
    assert_eq!(guarded.ended().code(), Some(0));
    scripted.expect_whole_requests();
}

#[test]
fn every_protocol_is_answered_and_then_reset() {
    let clock = Clock::start();
    for (tongue, dialect) in [
        (Tongue::Memcached, "tyrant"),
        (Tongue::Http, "tyrant"),
        (Tongue::Segments, "pytyrant"),
    ] {
        let scripted = Scripted::start();
        let guarded = Guarded::before(scripted.address(), &format!("dialect = \"{dialect}\"\n{SETTINGS}"));
        let gate = scripted.gate();
        scripted.rule(Rule::write("k", Act::HoldAnswer(gate)));
        let (mut asking, mut idle) = (guarded.client(), guarded.client());
        // Both have shown in which protocol they speak.
        for (client, key) in [(&mut asking, "a"), (&mut idle, "b")] {
            tongue.ask_put(client, key, &clock.text(0)).expect("a question");
            assert_eq!(tongue.told(client).expect("an answer"), 0);
        }
        tongue.ask_put(&mut asking, "k", &clock.text(0)).expect("a question");
        scripted.wait_reached(gate);
        guarded.signal(libc::SIGTERM);
        idle.expect_reset(PATIENCE);
        wait_closed(&guarded);
        scripted.open(gate);
        assert_eq!(tongue.told(&mut asking).expect("an answer"), 0);
        asking.expect_reset(PATIENCE);
        assert_eq!(guarded.ended().code(), Some(0));
        scripted.expect_whole_requests();
    }
}

#[test]
fn readiness_fails_before_listeners_close() {
    let guarded = Guarded::memory("drain_delay = \"1h\"");
    guarded.signal(libc::SIGINT);
    guarded.expect_log("not ready any more");
    assert_eq!(guarded.page("/readyz").0, 503);
    let mut late = guarded.client();
    assert_eq!(late.put("k", b"v"), 0, "it still serves");
    // Nobody wants to wait for an hour.
    guarded.signal(libc::SIGTERM);
    assert_eq!(guarded.ended().code(), Some(4));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    let (mut asking, _gate) = held_put(&scripted, &guarded, Clock::start());
    guarded.signal(libc::SIGTERM);
    guarded.expect_log("draining");
    guarded.signal(libc::SIGTERM);
    assert_eq!(guarded.ended().code(), Some(4));
    assert!(matches!(asking.ending(PATIENCE), Ending::Reset | Ending::Finished));
}

#[test]
fn who_is_not_done_in_time_is_cut_off() {
    let scripted = Scripted::start();
    let settings = format!("drain_timeout = \"100ms\"\n{SETTINGS}\nfence_timeout = \"100ms\"");
    let guarded = Guarded::before(scripted.address(), &settings);
    let (mut asking, _gate) = held_put(&scripted, &guarded, Clock::start());
    guarded.signal(libc::SIGTERM);
    asking.expect_reset(PATIENCE);
    assert_eq!(guarded.ended().code(), Some(3));
}

#[test]
fn a_half_sent_request_is_waited_for_while_it_comes() {
    let guarded = Guarded::memory(SETTINGS);
    let clock = Clock::start();
    let (mut whole, mut half) = (guarded.client(), guarded.client());
    let request = frame::store(frame::PUT, "k", &clock.value(0));
    let (head, rest) = request.split_at(7);
    half.send(head);
    whole.send(head);
    // A question behind it in time, so that both heads have been read.
    assert_eq!(guarded.client().get("k"), None);
    guarded.signal(libc::SIGTERM);
    guarded.expect_log("draining");
    whole.send(rest);
    assert_eq!(whole.recv(1), [0]);
    whole.expect_reset(PATIENCE);
    half.expect_reset(PATIENCE);
    assert_eq!(guarded.ended().code(), Some(0));
}
