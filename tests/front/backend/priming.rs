//! The first byte of the next request, sent ahead on a busy lane.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::scripted::{Request, Scripted};

/// What completes a request whose first byte went ahead: the size of a key that cannot be.
fn completes(request: &Request) -> bool {
    request.opcode == frame::VSIZ && request.arguments == [b""]
}

/// Whether the backend has seen a first byte without the rest.
fn saw_ahead(scripted: &Scripted) -> bool {
    scripted.see(|state| {
        let mut records = state.connections.iter();
        records.any(|record| record.unread == frame::AHEAD.len())
    })
}

#[test]
fn a_busy_lane_sends_a_first_byte_ahead_and_completes_it_when_it_falls_idle() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "");
    let mut client = guarded.client();
    let deadline = Instant::now() + PATIENCE;
    while !saw_ahead(&scripted) {
        assert!(Instant::now() < deadline, "a busy lane was never primed");
        assert_eq!(client.put("k", b"v"), 0);
    }
    scripted.wait("what completes it", |state| state.requests().any(completes));
    scripted.wait("nothing half-sent", |state| {
        state.connections.iter().all(|record| record.unread == 0)
    });
    assert_eq!(client.text("k").as_deref(), Some("v"), "the answer to its own question");
    scripted.expect_whole_requests();
}

#[test]
fn nothing_is_sent_ahead_where_priming_is_off() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "primed_lanes = 0");
    let mut client = guarded.client();
    for _ in 0..500 {
        assert_eq!(client.put("k", b"v"), 0);
        assert!(!saw_ahead(&scripted));
    }
    assert!(!scripted.see(|state| state.requests().any(completes)));
}

#[test]
fn a_server_with_one_thread_serves_others_beside_a_busy_primed_lane() {
    let name = "a_server_with_one_thread_serves_others_beside_a_busy_primed_lane";
    let Some(real) = Real::start_with(&["-thnum", "1"], "*", name) else {
        return;
    };
    let guarded = Guarded::before(real.address(), "");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..4 {
            let (guarded, is_over) = (&guarded, &is_over);
            scope.spawn(move || {
                let mut client = guarded.client();
                let key = format!("k{number}");
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(client.put(&key, b"v"), 0);
                }
            });
        }
        let served = std::panic::catch_unwind(|| {
            let mut direct = Client::connect(real.address());
            for _ in 0..50 {
                assert_eq!(direct.put("direct", b"v"), 0);
            }
        });
        is_over.store(true, Ordering::Relaxed);
        assert!(served.is_ok(), "the server's only thread was kept from others");
    });
}
