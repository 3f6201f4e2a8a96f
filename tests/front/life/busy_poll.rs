//! A worker that looks for work before it sleeps.

use std::time::Duration;

use crate::support::guarded::Guarded;
use crate::support::scripted::Scripted;

const BUSY: &str = "busy_poll = \"5ms\"";

#[test]
fn a_worker_that_looks_for_work_answers_as_any_other() {
    let scripted = Scripted::start();
    for guarded in [Guarded::memory(BUSY), Guarded::before(scripted.address(), BUSY)] {
        let mut clients: Vec<_> = (0..8).map(|_| guarded.client()).collect();
        for round in 0..50 {
            for (number, client) in clients.iter_mut().enumerate() {
                let (key, value) = (format!("k{number}"), format!("{round} of {number}"));
                assert_eq!(client.put(&key, value.as_bytes()), 0);
                assert_eq!(client.text(&key), Some(value));
            }
        }
    }
}

#[test]
fn a_worker_without_work_sleeps_in_the_end() {
    const IDLE: Duration = Duration::from_secs(1);
    let guarded = Guarded::memory(BUSY);
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"v"), 0);
    let before = guarded.processor_time();
    client.expect_quiet(IDLE);
    let used = guarded.processor_time() - before;
    assert!(used < IDLE / 2, "{used:?} of processor time while nothing was asked");
    assert_eq!(client.text("k").as_deref(), Some("v"));
}
