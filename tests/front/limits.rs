//! What there may be so much of and no more: each limit reached, told to nobody but whom it concerns, and counted.

mod arguments;
mod descriptors;
mod memory;
mod replies;

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::insist::when_served;
use crate::support::memcached;
use crate::support::scripted::{Act, End, Rule, Scripted};
use crate::support::stamped::Clock;

fn expect_closed(guarded: &Guarded, reason: &str, count: f64) {
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", reason)], count);
}

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
fn slow_commands_of_a_store_in_the_process_have_so_many_threads_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "workers = 1\n[limits]\nslow_connections = 2\n[pairing]\nslow_timeout = \"10m\"";
    for guarded in [
        Guarded::memory(settings),
        Guarded::file(&folder.path().join("store"), settings),
    ] {
        let mut last = guarded.client();
        for hundred in 0..100 {
            let keys: Vec<String> = (0..100).map(|number| format!("key {hundred} {number}")).collect();
            let records: Vec<&[u8]> = keys.iter().flat_map(|key| [key.as_bytes(), b"v"]).collect();
            assert_eq!(last.misc("putlist", &records).0, 0);
        }
        let look = frame::misc("regex", &[b"nothing like it"]);
        let mut clients: Vec<Client> = (0..40).map(|_| guarded.client()).collect();
        for client in &mut clients {
            client.send(&look);
        }
        // Whoever goes leaves behind what it has asked for, and the thread that does it.
        clients.truncate(20);
        last.send(&look);
        clients.push(last);
        for client in &mut clients {
            client.code().expect("an answer");
        }
        let deadline = Instant::now() + PATIENCE;
        while guarded.scrape("ttguard_slow_connections", &[]) > 0.0 {
            assert!(Instant::now() < deadline, "what nobody waits for ends too");
        }
        // There are four for other long work, and one may come before the one before it has gone.
        let threads = guarded.threads();
        let of_runtime = threads.iter().filter(|name| name.starts_with("tokio")).count();
        assert!((1..=2 + 4).contains(&of_runtime), "{threads:?}");
    }
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

#[test]
fn answers_that_nobody_takes_fill_so_much_memory_and_no_more() {
    let scripted = Scripted::start();
    scripted.insert("large", &vec![b'x'; 1 << 20]);
    let settings = "workers = 1\n[limits]\nargument = \"1MiB\"\nrequest = \"2MiB\"\nbuffer_memory = \"8MiB\"";
    let guarded = Guarded::before(scripted.address(), settings);
    let mut deaf: Vec<Client> = (0..12).map(|_| Client::connect_narrow(guarded.address())).collect();
    for client in &mut deaf {
        let _ = client.try_send(&frame::keyed(frame::GET, "large").repeat(8));
    }
    expect_closed(&guarded, "backlog", 1.0);
    // Whoever reads is served meanwhile.
    let mut client = guarded.client();
    for _ in 0..50 {
        assert_eq!(client.get("large").map(|value| value.len()), Some(1 << 20));
        // What makes it too much is counted until its session has ended.
        assert!(guarded.scrape("ttguard_buffered_bytes", &[]) <= 9.5 * 1024.0 * 1024.0);
    }
    drop(deaf);
    guarded.expect_metric("ttguard_sessions", &[], 1.0);
    drop(client);
    let deadline = Instant::now() + PATIENCE;
    while guarded.scrape("ttguard_buffered_bytes", &[]) > 0.0 {
        assert!(Instant::now() < deadline, "what is held no more is counted no more");
    }
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
    expect_closed(&guarded, "backend_down", 20.0);
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

/// Calls `during` while others ask small things without a pause.
fn beside_others(guarded: &Guarded, during: impl FnOnce()) {
    /// Also when `during` panics.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = &AtomicBool::new(false);
    let asked = &AtomicUsize::new(0);
    thread::scope(|threads| {
        let _over = Over(over);
        for number in 0..8 {
            threads.spawn(move || {
                let mut client = guarded.client();
                let key = format!("light{number}");
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(client.put(&key, b"v"), 0);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // They are looked at for some time before they are known to be busy.
        while asked.load(Ordering::Relaxed) < 40_000 {
            thread::yield_now();
        }
        during();
    });
}

/// The time that others are given is not the client's: with these limits each of its requests would be late.
const IMPATIENT: &str = "[pairing]
    request_timeout = \"400ms\"
    frame_timeout = \"400ms\"
    frame_deadline = \"500ms\"
    [limits]
    heavy_rate = \"1MiB\"";

#[test]
fn who_moves_many_bytes_beside_others_goes_slower_and_has_all_answers() {
    const VALUE: usize = 96 * 1024;
    let guarded = Guarded::memory(IMPATIENT);
    beside_others(&guarded, || {
        let mut client = guarded.client();
        let start = Instant::now();
        let value = |number: usize| vec![u8::try_from(number).expect("few"); VALUE];
        let puts: Vec<u8> = (0..16)
            .flat_map(|number| frame::store(frame::PUT, &format!("heavy{number}"), &value(number)))
            .collect();
        client.send(&puts);
        assert_eq!(client.recv(16), [0; 16]);
        // Answers count as well, of requests that all came at once.
        let gets: Vec<u8> = (0..16)
            .flat_map(|number| frame::keyed(frame::GET, &format!("heavy{number}")))
            .collect();
        client.send(&gets);
        for number in 0..16 {
            assert_eq!(client.read_value().expect("an answer"), Some(value(number)));
        }
        // 3 MiB, of which some are free.
        assert!(start.elapsed() > Duration::from_secs(1), "{:?}", start.elapsed());
    });
    guarded.expect_metric("ttguard_heavy_pauses_total", &[], 10.0);
}

#[test]
fn one_value_that_takes_longer_than_a_request_may_is_taken_in_where_others_come_first() {
    let guarded = Guarded::memory(IMPATIENT);
    beside_others(&guarded, || {
        let mut client = guarded.client();
        let value = vec![b'v'; 3 << 20];
        assert_eq!(client.put("heavy", &value), 0);
        assert_eq!(client.get("heavy"), Some(value));
    });
    guarded.expect_metric("ttguard_heavy_pauses_total", &[], 2.0);
}
