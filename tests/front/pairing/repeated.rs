//! What is asked again when its lane ends, what is sent once, and what waits for a write that may still be carried out.

use std::time::Instant;

use super::{ONE_LANE, TIMEOUT, expect_reset_in_time, expect_right_answers, two_records};
use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, End, Rule, Scripted};
use crate::support::stamped::Clock;

#[test]
fn reads_on_a_lane_that_dies_are_asked_again() {
    for end in [End::Fin, End::Rst] {
        let (scripted, guarded) = two_records();
        let gate = scripted.gate();
        scripted.rule(Rule::read("a", Act::HoldAnswer(gate)));
        let mut clients: Vec<Client> = (0..9).map(|_| guarded.client()).collect();
        clients[0].send(&frame::keyed(frame::GET, "a"));
        scripted.wait_reached(gate);
        for client in &mut clients[1..] {
            client.send(&frame::keyed(frame::GET, "b"));
        }
        scripted.end_connections(end);
        for (client, key) in clients.iter_mut().zip(["a", "b", "b", "b", "b", "b", "b", "b", "b"]) {
            let answer = client.read_value().expect("an answer");
            assert_eq!(answer, Some(format!("value of {key}").into_bytes()), "{end:?}");
        }
    }
}

#[test]
fn a_stamped_write_on_a_lane_that_ends_is_sent_again() {
    let cases = [
        (Act::Refuse(End::Fin), 2),
        // It was carried out: reading the key back may be enough.
        (Act::Lose(End::Fin), 1),
    ];
    for (act, least) in cases {
        println!("{act:?}");
        let clock = Clock::start();
        let (scripted, guarded) = two_records();
        scripted.rule(Rule::write("k", act));
        let mut client = guarded.client();
        assert_eq!(client.put("k", &clock.value(0)), 0);
        assert_eq!(scripted.text("k"), Some(clock.text(0)));
        let writes = scripted.see(|state| state.writes("k"));
        assert!((least..=2).contains(&writes), "written {writes} times");
        assert_eq!(client.put("k", &clock.value(-1000)), 2);
        expect_right_answers(&mut client);
    }
}

#[test]
fn a_write_on_a_lane_that_is_reset_is_not_sent_again_before_the_fence_is_over() {
    for act in [Act::Refuse(End::Rst), Act::Lose(End::Rst)] {
        println!("{act:?}");
        let clock = Clock::start();
        let (scripted, guarded) = two_records();
        scripted.rule(Rule::write("k", act));
        let (mut client, mut other) = (guarded.client(), guarded.client());
        client.send(&frame::store(frame::PUT, "k", &clock.value(0)));
        client.expect_reset(PATIENCE);
        assert_eq!(scripted.see(|state| state.writes("k")), 1);
        // Nobody else waits for it.
        assert_eq!(other.put("other", &clock.value(0)), 0);
        expect_right_answers(&mut other);
    }
}

#[test]
fn what_cannot_be_repeated_is_sent_once_and_ends_its_session() {
    let requests = [
        ("unstamped put", frame::store(frame::PUT, "k", b"no stamp")),
        ("putcat", frame::store(frame::PUTCAT, "k", b"more")),
        ("addint", frame::addint("k", 1)),
    ];
    for (name, request) in requests {
        for act in [Act::Refuse(End::Rst), Act::Lose(End::Rst), Act::Lose(End::Fin)] {
            println!("{name}: {act:?}");
            let (scripted, guarded) = two_records();
            scripted.rule(Rule::write("k", act));
            let (mut client, mut other) = (guarded.client(), guarded.client());
            client.send(&request);
            client.expect_reset(PATIENCE);
            expect_right_answers(&mut other);
            assert_eq!(scripted.see(|state| state.writes("k")), 1);
        }
    }
}

#[test]
fn no_write_is_acknowledged_before_a_zombie_of_its_key_is_dead() {
    let clock = Clock::start();
    let (scripted, guarded) = two_records();
    let gate = scripted.gate();
    scripted.rule(Rule::write("k", Act::HoldRequest(gate)));
    let (mut first, mut second) = (guarded.client(), guarded.client());
    let asked = Instant::now();
    first.send(&frame::store(frame::PUT, "k", &clock.value(5)));
    scripted.wait_reached(gate);
    expect_reset_in_time(&mut first, asked);

    second.send(&frame::store(frame::PUT, "k", &clock.value(6)));
    second.expect_quiet(TIMEOUT / 4);
    assert_eq!(
        scripted.see(|state| state.writes("k")),
        1,
        "nothing overtakes the zombie"
    );
    // Other keys have nothing to wait for.
    let mut other = guarded.client();
    assert_eq!(other.put("other", &clock.value(0)), 0);
    expect_right_answers(&mut other);

    scripted.open(gate);
    assert_eq!(second.recv(1), [0]);
    assert_eq!(scripted.text("k"), Some(clock.text(6)));
    assert_eq!(second.text("k"), Some(clock.text(6)));
}

#[test]
fn a_zombie_with_a_newer_stamp_refuses_the_older_write_that_follows() {
    let clock = Clock::start();
    let (scripted, guarded) = two_records();
    let gate = scripted.gate();
    scripted.rule(Rule::write("k", Act::HoldRequest(gate)));
    let (mut first, mut second) = (guarded.client(), guarded.client());
    first.send(&frame::store(frame::PUT, "k", &clock.value(6)));
    scripted.wait_reached(gate);
    first.expect_reset(PATIENCE);
    second.send(&frame::store(frame::PUT, "k", &clock.value(5)));
    second.expect_quiet(TIMEOUT / 4);
    scripted.open(gate);
    assert_eq!(second.recv(1), [2]);
    assert_eq!(scripted.text("k"), Some(clock.text(6)));
}

#[test]
fn a_lane_that_never_ends_holds_its_keys_no_longer_than_the_fence() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let settings = "workers = 1\nlanes = 1\n[pairing]\nrequest_timeout = \"500ms\"\nfence_timeout = \"1s\"";
    let guarded = Guarded::before(scripted.address(), settings);
    let gate = scripted.gate();
    scripted.rule(Rule::write("k", Act::HoldRequest(gate)));
    let mut first = guarded.client();
    first.send(&frame::store(frame::PUT, "k", &clock.value(5)));
    scripted.wait_reached(gate);
    first.expect_reset(PATIENCE);

    // Until the fence gives up, a write of this key fails visibly: code 6, or the end of its session.
    let deadline = Instant::now() + PATIENCE;
    let put = frame::store(frame::PUT, "k", &clock.value(6));
    loop {
        let mut client = guarded.client();
        match client.try_send(&put).and_then(|()| client.code()) {
            Ok(0) => break,
            Ok(code) => assert_eq!(code, 6),
            Err(_) => {}
        }
        assert!(Instant::now() < deadline, "the key is held for ever");
    }
    assert_eq!(scripted.text("k"), Some(clock.text(6)));
    scripted.open(gate);
}

#[test]
fn an_older_write_waits_for_the_outcome_of_a_newer_one() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), ONE_LANE);
    let gate = scripted.gate();
    scripted.rule(Rule::write("k", Act::HoldRequest(gate)));
    let (mut newer, mut older) = (guarded.client(), guarded.client());
    newer.send(&frame::store(frame::PUT, "k", &clock.value(6)));
    scripted.wait_reached(gate);
    older.send(&frame::store(frame::PUT, "k", &clock.value(5)));
    older.expect_quiet(TIMEOUT / 4);
    scripted.open(gate);
    assert_eq!(newer.recv(1), [0]);
    assert_eq!(older.recv(1), [2]);
}
