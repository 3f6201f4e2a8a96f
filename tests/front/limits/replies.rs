//! An answer of the backend that is larger than `limits.reply` concerns whoever asked, and nobody else.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::memcached;
use crate::support::real::Real;
use crate::support::scripted::{Act, Request, Rule, Scripted};
use crate::support::stamped::Clock;

use super::expect_closed;

/// One lane for everybody, so that what goes wrong on it concerns everybody.
const SETTINGS: &str = "workers = 1\nlanes = 1\nbulk_lanes = 0\n[limits]\nreply = \"64KiB\"\n";

/// Larger than that.
const LARGE: usize = 300 << 10;

/// A backend with a large record and small ones, and a guard with one lane to it.
fn large_and_small(settings: &str) -> (Scripted, Guarded) {
    let scripted = Scripted::start();
    fill(|key, value| scripted.insert(key, value));
    let guarded = Guarded::before(scripted.address(), &format!("{SETTINGS}{settings}"));
    (scripted, guarded)
}

fn fill(mut store: impl FnMut(&str, &[u8])) {
    store("large", &vec![b'x'; LARGE]);
    for number in 0..20 {
        store(&format!("half{number}"), &[b'x'; 32 << 10]);
    }
    store("small", b"s");
}

#[track_caller]
fn expect_dropped(guarded: &Guarded, command: &str, count: f64) {
    let labels = [("command", command), ("outcome", "too_large")];
    guarded.expect_metric("ttguard_backend_requests_total", &labels, count);
    assert_eq!(guarded.scrape("ttguard_lanes_fenced_total", &[]), 0.0);
}

/// Reads and writes behind one another, of which the last must not be sent twice.
fn many_requests(stored: &str) -> Vec<u8> {
    let each = [
        frame::keyed(frame::GET, "small"),
        frame::keyed(frame::GET, "none"),
        frame::store(frame::PUTCAT, stored, b"v"),
    ];
    each.concat().repeat(20)
}

#[track_caller]
fn expect_all_answered(client: &mut Client) {
    for _ in 0..20 {
        assert_eq!(client.read_value().expect("an answer"), Some(b"s".to_vec()));
        assert_eq!(client.read_value().expect("an answer"), None);
        assert_eq!(client.code().expect("a code"), 0);
    }
}

#[test]
fn an_answer_that_is_too_large_fails_its_asker_and_nobody_behind_it() {
    for (settings, wire) in [("", "mget"), ("[guard]\nverify_reads = false\n", "get")] {
        let (scripted, guarded) = large_and_small(settings);
        assert_eq!(guarded.client().text("small").as_deref(), Some("s"));
        let gate = scripted.gate();
        let asks_for_large = |request: &Request| request.reads("large");
        scripted.rule(Rule::once(Act::HoldAnswer(gate), asks_for_large));
        let mut asks = guarded.client();
        asks.send(&frame::keyed(frame::GET, "large"));
        scripted.wait_reached(gate);
        let mut others: Vec<Client> = (0..4).map(|_| guarded.client()).collect();
        for (number, client) in others.iter_mut().enumerate() {
            client.send(&many_requests(&format!("stored{number}")));
        }
        guarded.expect_metric("ttguard_in_flight", &[], 5.0);
        scripted.open(gate);
        asks.expect_reset(PATIENCE);
        others.iter_mut().for_each(expect_all_answered);
        expect_closed(&guarded, "reply", 1.0);
        guarded.expect_log("larger than limits.reply");
        expect_dropped(&guarded, wire, 1.0);
        scripted.see(|state| {
            let asked = state.requests().filter(|request| asks_for_large(request)).count();
            assert_eq!(asked, 1, "asked again it would be no smaller");
            assert_eq!(state.connections.len(), 1, "the lane goes on");
            let unordered = state.requests().filter(|request| request.opcode == frame::PUTCAT);
            assert_eq!(unordered.count(), 4 * 20, "nothing is sent twice");
        });
    }
}

#[test]
fn lists_and_lookups_that_are_too_large_fail_alone_too() {
    let scripted = Scripted::start();
    fill(|key, value| scripted.insert(key, value));
    each_fails_alone(scripted.address());
    if let Some(real) = Real::start("*", "lists_and_lookups_that_are_too_large_fail_alone_too") {
        let mut client = real.client();
        fill(|key, value| assert_eq!(client.put(key, value), 0));
        each_fails_alone(real.address());
    }
}

fn each_fails_alone(backend: SocketAddr) {
    let halves: Vec<String> = (0..20).map(|number| format!("half{number}")).collect();
    let halves: Vec<&str> = halves.iter().map(String::as_str).collect();
    let names: Vec<&[u8]> = halves.iter().map(|name| name.as_bytes()).collect();
    let guarded = Guarded::before(backend, SETTINGS);
    let mut beside = guarded.client();
    for (request, command) in [
        (frame::mget(&["small", "large"]), "mget"),
        (frame::mget(&halves), "mget"),
        (frame::misc("getlist", &names), "misc"),
        (frame::misc("get", &[b"large"]), "misc"),
    ] {
        let labels = [("command", command), ("outcome", "too_large")];
        let before = guarded.scrape("ttguard_backend_requests_total", &labels);
        let mut client = guarded.client();
        client.send(&[frame::keyed(frame::GET, "small"), request].concat());
        assert_eq!(client.read_value().expect("an answer"), Some(b"s".to_vec()));
        client.expect_reset(PATIENCE);
        expect_dropped(&guarded, command, before + 1.0);
        assert_eq!(beside.text("small").as_deref(), Some("s"));
        assert_eq!(beside.mget(&["half0"]).len(), 1, "what fits is answered");
    }
    let mut client = guarded.client();
    client.expect("get large\r\n", "SERVER_ERROR ");
    client.recv_until(b"\r\n");
    client.expect(&memcached::store("prepend", "large", "v"), "SERVER_ERROR ");
    client.recv_until(b"\r\n");
    client.expect("get small\r\n", "VALUE small 0 1\r\ns\r\nEND\r\n");
    client.expect("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 503 ");
    assert_eq!(guarded.scrape("ttguard_lanes_fenced_total", &[]), 0.0);
    assert_eq!(beside.text("small").as_deref(), Some("s"));
}

#[test]
fn a_key_that_cannot_be_read_back_is_not_written_and_the_lane_goes_on() {
    let (scripted, guarded) = large_and_small("[pairing]\nrequest_timeout = \"1s\"\nstart_hold = \"0s\"\n");
    let mut client = guarded.client();
    client.send(&frame::store(frame::PUT, "large", &Clock::start().value(0)));
    client.expect_reset(PATIENCE);
    expect_closed(&guarded, "deadline", 1.0);
    assert_eq!(guarded.client().text("small").as_deref(), Some("s"));
    expect_dropped(&guarded, "mget", 1.0);
    scripted.see(|state| {
        assert_eq!(state.writes("large"), 0);
        let looks = state.requests().filter(|request| request.looks_at("large")).count();
        assert!((1..=11).contains(&looks), "{looks} looks within a second");
    });
}

#[test]
fn a_slow_command_with_too_large_an_answer_fails_alone() {
    let scripted = Scripted::start();
    for number in 0..600 {
        scripted.insert(&format!("{number:0128}"), b"v");
    }
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    let mut client = guarded.client();
    client.send(&frame::fwmkeys("", -1));
    client.expect_reset(PATIENCE);
    expect_closed(&guarded, "reply", 1.0);
    expect_dropped(&guarded, "fwmkeys", 1.0);
    assert_eq!(guarded.client().fwmkeys(&"0".repeat(126)).len(), 100);
}

#[test]
fn what_is_announced_and_never_comes_ends_the_lane_at_its_deadline() {
    let (scripted, guarded) = large_and_small("[pairing]\nrequest_timeout = \"1s\"\n");
    let gate = scripted.gate();
    scripted.rule(Rule::read("first", Act::HoldAnswer(gate)));
    scripted.rule(Rule::read("none", Act::Announce(i32::MAX)));
    scripted.insert("none", b"v");
    let (mut first, mut lied_to) = (guarded.client(), guarded.client());
    first.send(&frame::keyed(frame::GET, "first"));
    scripted.wait_reached(gate);
    lied_to.send(&frame::keyed(frame::GET, "none"));
    guarded.expect_metric("ttguard_in_flight", &[], 2.0);
    scripted.open(gate);
    assert_eq!(first.read_value().expect("an answer"), None);
    first.expect_quiet(Duration::from_millis(500));
    // Its answer is taken for a part of the one that was announced, and is read again on another lane.
    first.send(&frame::keyed(frame::GET, "small"));
    lied_to.expect_reset(PATIENCE);
    assert_eq!(first.read_value().expect("an answer"), Some(b"s".to_vec()));
    let labels = [("reason", "deadline")];
    guarded.expect_metric("ttguard_lanes_fenced_total", &labels, 1.0);
}
