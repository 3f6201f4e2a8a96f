//! Backends that are not there, go away and return: an error is seen as an error, and nothing needs a restart.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::insist::when_served;
use crate::support::memcached;
use crate::support::real::Real;
use crate::support::scripted::{Act, End, Rule, Scripted};
use crate::support::stamped::Clock;

const SETTINGS: &str = "[pairing]\nrequest_timeout = \"1s\"\nconnect_timeout = \"500ms\"";
const TIMEOUT: Duration = Duration::from_secs(1);
/// How much later than its deadline an RST may be seen on a busy machine.
const GRACE: Duration = Duration::from_secs(3);

/// No question may get an answer, least of all a wrong "no record".
#[track_caller]
fn expect_no_answers(guarded: &Guarded) {
    let questions = [
        frame::keyed(frame::GET, "k"),
        frame::keyed(frame::VSIZ, "k"),
        frame::mget(&["k"]),
        frame::keyed(frame::OUT, "k"),
        frame::bare(frame::RNUM),
        frame::misc("get", &[b"k"]),
    ];
    for question in questions {
        let mut client = guarded.client();
        let asked = Instant::now();
        // A guard that ends the session before it was asked anything has said as much.
        let _ = client.try_send(&question);
        client.expect_reset(PATIENCE);
        let took = asked.elapsed();
        assert!(took < TIMEOUT + GRACE, "the reset came after {took:?}");
    }
}

#[test]
fn a_backend_that_is_down_at_the_start_is_found_when_it_comes() {
    let scripted = Scripted::start();
    scripted.insert("k", b"kept");
    scripted.stop(End::Fin);
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    expect_no_answers(&guarded);
    assert_eq!(guarded.page("/readyz").0, 503);
    assert_eq!(guarded.page("/healthz").0, 200);
    scripted.return_again();
    let value = when_served(guarded.address(), |client| client.try_get("k"));
    assert_eq!(value.as_deref(), Some(&b"kept"[..]));
    assert_eq!(guarded.page("/readyz").0, 200);
}

#[test]
fn a_backend_that_goes_and_returns_is_served_again() {
    for end in [End::Fin, End::Rst] {
        let scripted = Scripted::start();
        scripted.insert("k", b"kept");
        let guarded = Guarded::before(scripted.address(), SETTINGS);
        assert_eq!(guarded.client().text("k").as_deref(), Some("kept"));
        assert_eq!(guarded.page("/readyz").0, 200);
        scripted.stop(end);
        expect_no_answers(&guarded);
        scripted.return_again();
        let value = when_served(guarded.address(), |client| client.try_get("k"));
        assert_eq!(value.as_deref(), Some(&b"kept"[..]), "a miss would be wrong data");
        scripted.expect_whole_requests();
    }
}

#[test]
fn a_backend_that_accepts_and_says_nothing_is_no_backend() {
    let scripted = Scripted::start();
    scripted.insert("k", b"kept");
    scripted.rule(Rule::all(Act::Silence));
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    expect_no_answers(&guarded);
}

#[test]
fn a_backend_that_does_not_accept_is_no_backend() {
    // Its connections stay in the queue of the kernel, which answers for it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let guarded = Guarded::before(address, SETTINGS);
    expect_no_answers(&guarded);
}

#[test]
fn a_session_outlives_a_backend_that_was_away_while_it_asked_nothing() {
    let scripted = Scripted::start();
    scripted.insert("k", b"kept");
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    let mut idle = guarded.client();
    assert_eq!(idle.text("k").as_deref(), Some("kept"));
    scripted.stop(End::Rst);
    scripted.return_again();
    when_served(guarded.address(), |client| client.try_get("k"));
    assert_eq!(idle.text("k").as_deref(), Some("kept"));
}

#[test]
fn what_a_restarted_backend_has_lost_is_not_held_against_later_writes() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    assert_eq!(guarded.client().put("lost", &clock.value(0)), 0);
    let lanes = guarded.scrape("ttguard_lanes", &[]);
    scripted.stop(End::Rst);
    scripted.forget();
    scripted.insert("kept", &clock.value(0));
    scripted.return_again();
    // Until it has seen its lanes break, it may refuse by what it knows.
    guarded.expect_metric("ttguard_lane_connects_total", &[("outcome", "up")], 2.0 * lanes);
    let put = |key: &'static str| {
        move |client: &mut Client| {
            client.try_send(&frame::store(frame::PUT, key, &clock.value(-1000)))?;
            client.code()
        }
    };
    assert_eq!(
        when_served(guarded.address(), put("lost")),
        0,
        "no newer write is stored"
    );
    assert_eq!(
        when_served(guarded.address(), put("kept")),
        2,
        "the backend holds a newer one"
    );
}

#[test]
fn a_real_server_that_is_killed_and_returns_needs_no_restart() {
    let clock = Clock::start();
    let Some(mut real) = Real::start("*", "a_real_server_that_is_killed_and_returns_needs_no_restart") else {
        return;
    };
    let guarded = Guarded::before(real.address(), SETTINGS);
    assert_eq!(guarded.client().put("k", &clock.value(0)), 0);
    real.kill();
    expect_no_answers(&guarded);
    real.start_again();
    // Its memory went with it: this miss is the truth.
    assert_eq!(when_served(guarded.address(), |client| client.try_get("k")), None);
    let mut client = guarded.client();
    assert_eq!(client.put("k", &clock.value(-1000)), 0);
    assert_eq!(real.client().text("k"), Some(clock.text(-1000)));
}

#[test]
fn the_process_ends_when_it_is_told_to() {
    let guarded = Guarded::memory("");
    assert_eq!(guarded.client().put("k", b"v"), 0);
    assert!(guarded.terminate().success());
}

/// A lane that comes up and dies at the first question is no sign that all is well.
#[test]
fn a_backend_that_answers_wrongly_is_not_asked_again_in_a_hurry() {
    let scripted = Scripted::start();
    scripted.insert("k", b"v");
    scripted.rule(Rule {
        left: usize::MAX,
        ..Rule::once(Act::WrongCode(255), |request| request.opcode == frame::MGET)
    });
    let guarded = Guarded::before(scripted.address(), "workers = 1\n");
    let connections = || scripted.see(|state| state.connections.len());
    guarded.expect_metric("ttguard_lanes", &[], 1.0);
    let mut client = guarded.client();
    client.send(&frame::keyed(frame::GET, "k"));
    client.expect_reset(PATIENCE);
    let (lanes, lines) = (connections(), guarded.log().lines().count());
    assert!(lanes <= 40, "one question made {lanes} connections");
    assert!(
        lines <= 60,
        "one question made {lines} lines of log:\n{}",
        guarded.log()
    );
    // Who asks nothing of that kind is served at once.
    assert_eq!(
        when_served(guarded.address(), |client| client
            .try_send(&frame::keyed(frame::VSIZ, "k"))
            .and_then(|()| client.code())),
        0
    );
    guarded.expect_metric("ttguard_alarms_total", &[("alarm", "unasked_key")], 1.0);
}

#[test]
fn requests_fail_at_once_while_the_backend_is_out_of_reach_and_succeed_when_it_is_back() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let settings = "[pairing]\nrequest_timeout = \"20s\"\nfail_fast_after = \"200ms\"";
    let guarded = Guarded::before(scripted.address(), settings);
    assert_eq!(guarded.client().put("k", &clock.value(0)), 0);
    scripted.stop(End::Rst);
    guarded.expect_metric("ttguard_lanes_down", &[], 1.0);
    let start = Instant::now();
    for _ in 0..20 {
        let mut client = guarded.client();
        client.send(&frame::keyed(frame::GET, "k"));
        client.expect_reset(PATIENCE);
        guarded
            .client()
            .expect(&memcached::store("set", "k", "v"), "SERVER_ERROR");
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "backend_down")], 20.0);
    scripted.return_again();
    when_served(guarded.address(), |client| client.try_get("k"));
    assert_eq!(guarded.client().text("k"), Some(clock.text(0)));
}

#[test]
fn a_backend_that_never_was_fails_requests_at_once() {
    // Bound and gone: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("an address");
    let settings = "[pairing]\nrequest_timeout = \"20s\"\nfail_fast_after = \"0s\"";
    let guarded = Guarded::before(address, settings);
    for request in [frame::keyed(frame::GET, "k"), frame::store(frame::PUT, "k", b"v")] {
        let mut client = guarded.client();
        client.send(&request);
        client.expect_reset(Duration::from_secs(5));
    }
    // Those that take several exchanges as well.
    let mut client = guarded.client();
    client.send(&frame::misc("putlist", &[b"k", b"v"]));
    client.expect_reset(Duration::from_secs(5));
}
