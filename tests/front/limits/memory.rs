//! The memory that sessions share: all that they hold counts, large answers wait for room, and an answer that is being
//! read is no backlog.

use std::thread;
use std::time::{Duration, Instant};

use super::expect_closed;
use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::http;
use crate::support::memcached;
use crate::support::scripted::Scripted;

const MIB: f64 = 1024.0 * 1024.0;

/// A worker with little memory.
fn little(mib: usize) -> String {
    format!(
        "workers = 1\n[pairing]\nframe_timeout = \"60s\"\n[limits]\nheavy_rate = 0\nargument = \"2MiB\"\nrequest = \"2MiB\"\nbuffer_memory = \"{mib}MiB\"\n"
    )
}

/// A client that has sent so many bytes of a request that is larger.
fn half_sent(guarded: &Guarded, bytes: usize) -> Client {
    let mut client = guarded.client();
    let request = frame::store(frame::PUT, "half", &vec![b'v'; bytes + 100]);
    let _ = client.try_send(&request[..bytes]);
    client
}

#[test]
fn half_requests_of_any_size_count() {
    let guarded = Guarded::memory(&little(4));
    let mut small = guarded.client();
    let mut halves: Vec<Client> = (0..40).map(|_| half_sent(&guarded, 50_000)).collect();
    guarded.expect_metric("ttguard_buffered_bytes", &[], 40.0 * 50_000.0);
    assert_eq!(guarded.scrape("ttguard_sessions_closed_total", &[]), 0.0);
    for round in 0..6 {
        halves.extend((0..40).map(|_| half_sent(&guarded, 50_000)));
        assert_eq!(small.put("k", b"v"), 0, "who asks little goes on");
        let held = guarded.scrape("ttguard_buffered_bytes", &[]);
        assert!(held <= 6.0 * MIB, "{held} bytes in round {round}");
    }
    // 280 have sent 14 MB, each in a buffer of 64 KiB.
    expect_closed(&guarded, "memory", 210.0);
    assert_eq!(small.text("k").as_deref(), Some("v"));
    drop(halves);
    drop(small);
    let deadline = Instant::now() + PATIENCE;
    while guarded.scrape("ttguard_buffered_bytes", &[]) > 0.0 {
        assert!(Instant::now() < deadline, "what is held no more is counted no more");
    }
}

#[test]
fn who_holds_most_goes_and_not_who_comes_last() {
    let guarded = Guarded::memory(&little(4));
    let mut large = half_sent(&guarded, 1_500_000);
    guarded.expect_metric("ttguard_buffered_bytes", &[], 1_500_000.0);
    let mut others: Vec<Client> = (0..50).map(|_| half_sent(&guarded, 40_000)).collect();
    large.expect_reset(PATIENCE);
    expect_closed(&guarded, "memory", 1.0);
    for other in &mut others {
        other.send(&[b'v'; 114]);
        assert_eq!(other.code().expect("a code"), 0);
    }
    assert_eq!(
        guarded.scrape("ttguard_sessions_closed_total", &[("reason", "memory")]),
        1.0
    );
}

#[test]
fn memory_is_given_back_after_large_answers() {
    const LARGE: usize = 16 << 20;
    let scripted = Scripted::start();
    scripted.insert("large", &vec![b'x'; LARGE]);
    let guarded = Guarded::before(scripted.address(), "workers = 2\n[pairing]\nrequest_timeout = \"20s\"");
    let mut small = guarded.client();
    assert_eq!(small.text("none"), None);
    let before = guarded.resident_bytes();
    let mut deaf: Vec<Client> = (0..5).map(|_| Client::connect_narrow(guarded.address())).collect();
    for client in &mut deaf {
        client.send(&frame::keyed(frame::GET, "large"));
    }
    guarded.expect_metric("ttguard_buffered_bytes", &[], 4.0 * LARGE as f64);
    drop(deaf);
    let deadline = Instant::now() + PATIENCE;
    while guarded.resident_bytes() > before + (LARGE / 2) as u64 {
        let (now, held) = (guarded.resident_bytes(), guarded.scrape("ttguard_buffered_bytes", &[]));
        assert!(
            Instant::now() < deadline,
            "{before} bytes before, {now} after, {held} are counted"
        );
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(small.text("none"), None, "the lanes go on");
}

#[test]
fn large_answers_wait_for_room_and_small_ones_do_not() {
    const LARGE: usize = 12 << 20;
    let scripted = Scripted::start();
    scripted.insert("large", &vec![b'x'; LARGE]);
    scripted.insert("small", b"s");
    let settings = "workers = 1\n[pairing]\nrequest_timeout = \"20s\"\n\
        [limits]\nheavy_rate = 0\nrequest = \"32MiB\"\nbuffer_memory = \"64MiB\"";
    let guarded = Guarded::before(scripted.address(), settings);
    thread::scope(|threads| {
        let readers: Vec<_> = (0..6)
            .map(|_| {
                let mut client = guarded.client();
                client.send(&frame::keyed(frame::GET, "large"));
                client
            })
            .collect();
        guarded.expect_metric("ttguard_retries_total", &[("kind", "room")], 1.0);
        let mut small = guarded.client();
        for _ in 0..100 {
            assert_eq!(small.text("small").as_deref(), Some("s"));
        }
        // Two have room; of what the others asked for nothing is held, neither for them nor on a lane.
        let held = guarded.scrape("ttguard_buffered_bytes", &[]);
        assert!(held <= 40.0 * MIB, "{held} bytes are held");
        for mut client in readers {
            threads.spawn(move || {
                let value = client.read_value().expect("an answer").expect("a value");
                assert!(value.len() == LARGE && value.iter().all(|byte| *byte == b'x'));
            });
        }
    });
    assert_eq!(
        guarded.scrape("ttguard_sessions_closed_total", &[("reason", "backlog")]),
        0.0
    );
    assert_eq!(
        guarded.scrape("ttguard_sessions_closed_total", &[("reason", "memory")]),
        0.0
    );
}

#[test]
fn who_does_not_take_its_answer_makes_way_for_who_waits() {
    const LARGE: usize = 12 << 20;
    let scripted = Scripted::start();
    scripted.insert("large", &vec![b'x'; LARGE]);
    let settings = "workers = 1\n[limits]\nheavy_rate = 0\nrequest = \"32MiB\"\nbuffer_memory = \"64MiB\"";
    let guarded = Guarded::before(scripted.address(), settings);
    let mut deaf: Vec<Client> = (0..2).map(|_| Client::connect_narrow(guarded.address())).collect();
    for client in &mut deaf {
        client.send(&frame::keyed(frame::GET, "large"));
    }
    // Both have theirs, of which some is with the kernel.
    let answered = [("command", "get"), ("protocol", "binary"), ("outcome", "answered")];
    guarded.expect_metric("ttguard_requests_total", &answered, 2.0);
    let mut reader = guarded.client();
    assert_eq!(reader.get("large").map(|value| value.len()), Some(LARGE));
    expect_closed(&guarded, "backlog", 1.0);
}

/// Settings under which any answer of some size is larger than what may queue up.
const SHORT_BACKLOG: &str =
    "workers = 1\n[pairing]\nframe_timeout = \"500ms\"\n[limits]\nheavy_rate = 0\nsession_backlog = \"256KiB\"";

const LONG: usize = 12 << 20;

fn with_long_records(fill: impl Fn(&str, &[u8])) {
    fill("long", &vec![b'x'; LONG]);
    for number in 0..12 {
        fill(&format!("part{number:02}"), &vec![b'x'; LONG / 12]);
    }
    for number in 0..4_000 {
        fill(&format!("key{number:01000}"), b"v");
    }
}

fn expect_long_answers(guarded: &Guarded) {
    let mut client = guarded.client();
    assert_eq!(client.get("long").map(|value| value.len()), Some(LONG));
    let names: Vec<String> = (0..12).map(|number| format!("part{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(client.mget(&names).len(), 12);
    assert_eq!(client.fwmkeys("key").len(), 4_000);
    // Several, one behind the other.
    client.send(&frame::keyed(frame::GET, "long").repeat(4));
    for _ in 0..4 {
        assert_eq!(
            client.read_value().expect("an answer").map(|value| value.len()),
            Some(LONG)
        );
    }
    let all = names.join(" ");
    client.send(format!("get {all}\r\n").as_bytes());
    // In one go: who looks at each byte reads too slowly to be served beside other tests.
    let record = |name: &&str| format!("VALUE {name} 0 {}\r\n", LONG / 12).len() + LONG / 12 + "\r\n".len();
    let answer = client.recv(names.iter().map(record).sum::<usize>() + "END\r\n".len());
    assert!(answer.starts_with(b"VALUE part00 ") && answer.ends_with(b"\r\nEND\r\n"));
    let (status, body) = http::ask(&mut guarded.client(), &http::request("GET", "/long", &[], ""));
    assert_eq!((status, body.len()), (200, LONG));
    client.expect(&memcached::store("set", "last", "v"), "STORED");
    assert_eq!(
        guarded.scrape("ttguard_sessions_closed_total", &[("reason", "backlog")]),
        0.0
    );
}

#[test]
fn a_long_answer_that_is_being_read_is_no_backlog() {
    let scripted = Scripted::start();
    with_long_records(|key, value| scripted.insert(key, value));
    expect_long_answers(&Guarded::before(scripted.address(), SHORT_BACKLOG));
}

#[test]
fn a_long_answer_of_an_embedded_store_is_no_backlog_either() {
    let guarded = Guarded::memory(SHORT_BACKLOG);
    let client = std::cell::RefCell::new(guarded.client());
    with_long_records(|key, value| assert_eq!(client.borrow_mut().put(key, value), 0));
    expect_long_answers(&guarded);
}

#[test]
fn who_does_not_take_a_long_answer_is_reset() {
    let scripted = Scripted::start();
    scripted.insert("long", &vec![b'x'; LONG]);
    let guarded = Guarded::before(scripted.address(), SHORT_BACKLOG);
    let mut deaf = guarded.client();
    deaf.send(&frame::keyed(frame::GET, "long"));
    expect_closed(&guarded, "backlog", 1.0);
    assert!(deaf.read_value().is_err(), "what is left of the answer does not come");
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
