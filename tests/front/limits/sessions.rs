//! How many clients there may be, how fast they come, and how long one may take.

use std::time::{Duration, Instant};

use super::expect_closed;
use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, Rule, Scripted};

#[test]
fn one_client_has_its_sessions_and_no_more() {
    let guarded = Guarded::memory("[limits]\nsessions_per_client = 2");
    let mut kept: Vec<Client> = (0..2).map(|_| guarded.client()).collect();
    for client in &mut kept {
        assert_eq!(client.put("k", b"v"), 0);
    }
    guarded.client().expect_reset(PATIENCE);
    expect_closed(&guarded, "client_limit", 1.0);
    guarded.expect_log("limits.sessions_per_client");
    // Those of the others are as they were, and one that is given back can be had again.
    assert_eq!(kept[0].text("k").as_deref(), Some("v"));
    drop(kept.pop());
    expect_closed(&guarded, "client", 1.0);
    assert_eq!(guarded.client().text("k").as_deref(), Some("v"));
}

#[test]
fn clients_above_the_rate_wait_and_are_all_served() {
    let guarded = Guarded::memory("workers = 2\n[limits]\nsession_rate = 20");
    let start = Instant::now();
    let mut clients: Vec<Client> = (0..14).map(|_| guarded.client()).collect();
    for client in &mut clients {
        assert_eq!(client.put("k", b"v"), 0);
    }
    // Three at once, then one every 50 ms.
    assert!(start.elapsed() > Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn a_client_that_asks_nothing_is_sent_away_and_one_that_waits_for_an_answer_is_not() {
    let scripted = Scripted::start();
    scripted.insert("k", b"kept");
    let guarded = Guarded::before(scripted.address(), "[limits]\nidle_timeout = \"400ms\"");
    let mut idle = guarded.client();
    assert_eq!(idle.text("k").as_deref(), Some("kept"));
    let gate = scripted.gate();
    scripted.rule(Rule::read("k", Act::HoldAnswer(gate)));
    let mut waits = guarded.client();
    waits.send(&frame::keyed(frame::GET, "k"));
    idle.expect_reset(PATIENCE);
    scripted.open(gate);
    assert_eq!(waits.read_value().expect("an answer"), Some(b"kept".to_vec()));
    waits.expect_reset(PATIENCE);
    expect_closed(&guarded, "idle", 2.0);
}

#[test]
fn a_request_that_comes_drop_by_drop_is_cut_off_and_reaches_nobody() {
    let scripted = Scripted::start();
    let settings = "[pairing]\nframe_timeout = \"10s\"\nframe_deadline = \"500ms\"";
    let guarded = Guarded::before(scripted.address(), settings);
    let mut client = guarded.client();
    let request = frame::store(frame::PUT, "k", &[b'v'; 1000]);
    // Steadily: each byte is progress.
    let cut_off = request
        .into_iter()
        .position(|byte| client.try_send(&[byte]).is_err() || client.ending(Duration::from_millis(5)) == Ending::Reset);
    assert!(cut_off.is_some());
    expect_closed(&guarded, "deadline", 1.0);
    scripted.see(|state| assert_eq!(state.writes("k"), 0));
}
