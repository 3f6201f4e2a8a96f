//! A worker that is kept from its sockets, by long work or because its process stands still: whatever waited meanwhile
//! for longer than a request may is reset, never answered when its client may ask for something else already.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::memcached;
use crate::support::process::{signal, stop};
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

/// As many arguments as a request may have.
const MOST: usize = 1 << 20;

/// What is not seen of a stall is an eighth of the timeout, and a text protocol may say a little late that it gives up.
const STANDS_STILL: Duration = Duration::from_millis(1200);
const SETTINGS: &str = "workers = 1\nlanes = 1\n[pairing]\nrequest_timeout = \"400ms\"";

/// A list of so many keys of eight bytes.
fn list_of(function: &str, keys: usize) -> Vec<u8> {
    let keys: Vec<String> = (0..keys).map(|number| format!("{number:08}")).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    frame::misc(function, &keys)
}

fn with_a_and_b(guarded: &Guarded) -> Client {
    let mut client = guarded.client();
    for key in ["A", "B"] {
        assert_eq!(client.put(key, format!("value of {key}").as_bytes()), 0);
    }
    client
}

/// The process stands still; the client asks for A by this, gives up, and asks for B on the same connection.
fn asks_while_it_stands_still(guarded: &Guarded, client: &mut Client, ask: impl Fn(&str) -> Vec<u8>) {
    stop(guarded.pid());
    client.send(&ask("A"));
    client.expect_quiet(STANDS_STILL);
    client.send(&ask("B"));
    signal(guarded.pid(), libc::SIGCONT);
    client.expect_reset(PATIENCE);
}

/// A client of a worker that has caught up: until it has read all that waited, what comes anew may have waited too, and
/// is reset.
fn answered_again(guarded: &Guarded) -> Client {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let mut client = guarded.client();
        match client.try_get("A") {
            Ok(value) => {
                assert_eq!(value.as_deref(), Some(&b"value of A"[..]));
                return client;
            }
            Err(fault) => assert!(Instant::now() < give_up, "not answered again: {fault}"),
        }
    }
}

#[test]
fn what_was_asked_while_the_process_stood_still_is_never_answered() {
    let scripted = Scripted::start();
    for guarded in [Guarded::memory(SETTINGS), Guarded::before(scripted.address(), SETTINGS)] {
        let mut client = with_a_and_b(&guarded);
        asks_while_it_stands_still(&guarded, &mut client, |key| frame::keyed(frame::GET, key));
        // Text protocols have words for it, which would be taken for the answer to another question.
        answered_again(&guarded);
        let mut client = guarded.client();
        client.expect("get A\r\n", "VALUE A 0 10\r\nvalue of A\r\nEND\r\n");
        asks_while_it_stands_still(&guarded, &mut client, |key| format!("get {key}\r\n").into_bytes());
        answered_again(&guarded);
        let mut client = guarded.client();
        client.expect(&memcached::store("set", "C", "c"), "STORED\r\n");
        asks_while_it_stands_still(&guarded, &mut client, |key| {
            memcached::store("set", key, "new").into_bytes()
        });
        assert_eq!(answered_again(&guarded).text("B").as_deref(), Some("value of B"));
        guarded.expect_metric("ttguard_worker_stalls_total", &[], 3.0);
        guarded.expect_metric("ttguard_worker_delay_seconds_count", &[], 3.0);
        guarded.expect_log("a worker was kept from its sockets");
    }
}

#[test]
fn an_answer_that_came_while_the_process_stood_still_is_not_delivered() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), SETTINGS);
    let mut client = with_a_and_b(&guarded);
    let gate = scripted.gate();
    scripted.rule(Rule::read("A", Act::HoldAnswer(gate)));
    client.send(&frame::keyed(frame::GET, "A"));
    scripted.wait_reached(gate);
    stop(guarded.pid());
    scripted.open(gate);
    client.expect_quiet(STANDS_STILL);
    client.send(&frame::keyed(frame::GET, "B"));
    signal(guarded.pid(), libc::SIGCONT);
    client.expect_reset(PATIENCE);
    scripted.clear_rules();
    assert_eq!(answered_again(&guarded).text("B").as_deref(), Some("value of B"));
}

/// Sends a request, and asks for A again and again until it is answered: how often that was answered meanwhile.
fn served_beside(guarded: &Guarded, request: &[u8]) -> usize {
    let (mut long, mut other) = (guarded.client(), guarded.client());
    long.send(request);
    thread::scope(|scope| {
        let answered = scope.spawn(move || long.code().expect("an answer to the list"));
        let mut served = 0;
        while !answered.is_finished() {
            assert_eq!(other.text("A").as_deref(), Some("value of A"));
            served += 1;
        }
        assert_eq!(answered.join().expect("no fault"), 0);
        served
    })
}

#[test]
fn a_list_of_a_million_keys_holds_up_nobody() {
    let guarded = Guarded::memory("workers = 1\n[pairing]\nrequest_timeout = \"60s\"");
    with_a_and_b(&guarded);
    // What the kernel held of the request is read in far fewer turns.
    let served = served_beside(&guarded, &list_of("outlist", MOST));
    assert!(served > 300, "{served} others were served meanwhile");
}

#[test]
fn a_client_that_gave_up_beside_a_long_list_is_never_given_the_late_answer() {
    let guarded = Guarded::memory("workers = 1\n[pairing]\nrequest_timeout = \"2s\"");
    let mut client = with_a_and_b(&guarded);
    let mut long = guarded.client();
    long.send(&list_of("outlist", MOST));
    client.send(&frame::keyed(frame::GET, "A"));
    match client.ending(Duration::from_secs(3)) {
        Ending::Open => {
            client.send(&frame::keyed(frame::GET, "B"));
            client.expect_reset(PATIENCE);
        }
        other => assert!(matches!(other, Ending::Answered(_) | Ending::Reset), "{other:?}"),
    }
}

/// Values that are stored by another thread than the worker's: what is asked meanwhile is answered, and each key has the
/// last of what was asked of it, in order.
#[test]
fn large_values_in_memory_are_stored_in_order_whoever_copies_them() {
    const LARGE: usize = 12 << 20;
    let clock = Clock::start();
    for ledger in ["inline", "record"] {
        let guarded = Guarded::memory(&format!("workers = 1\n[guard]\nledger = \"{ledger}\""));
        let large = |offset_ms: i64, fill: u8| {
            let mut value = clock.value(offset_ms);
            value.resize(LARGE, fill);
            value
        };
        let mut client = guarded.client();
        // All at once: a large one, a small one over it, a read, a large one again, and an older one that is refused.
        let (first, newest) = (large(0, b'a'), large(2, b'c'));
        client.send(
            &[
                frame::store(frame::PUT, "k", &first),
                frame::store(frame::PUT, "k", &clock.value(1)),
                frame::keyed(frame::GET, "k"),
                frame::store(frame::PUT, "k", &newest),
                frame::store(frame::PUT, "k", &large(1, b'b')),
            ]
            .concat(),
        );
        assert_eq!(client.recv(2), [0, 0]);
        assert_eq!(client.read_value().expect("an answer"), Some(clock.value(1)));
        assert_eq!(client.recv(2), [0, 2]);
        assert!(client.get("k") == Some(newest.clone()));
        // In every form, and what is added to it.
        assert_eq!(client.misc("put", &[b"k", &large(3, b'd')]), (0, vec![]));
        let older = large(2, b'e');
        let list: [&[u8]; 6] = [b"l", b"before", b"k", &older, b"m", b"behind"];
        assert_eq!(client.misc("putlist", &list), (2, vec![]));
        assert_eq!(client.text("m").as_deref(), Some("behind"));
        assert_eq!(client.text("l").as_deref(), Some("before"));
        let newer = large(4, b'f');
        assert_eq!(
            client.misc("putlist", &[b"k", &newer, b"k", &clock.value(5)]),
            (0, vec![])
        );
        assert_eq!(client.get("k"), Some(clock.value(5)));
        assert_eq!(client.put("k", &large(6, b'g')), 0);
        assert_eq!(client.ask_code(&frame::store(frame::PUTCAT, "k", b"tail")), 0);
        assert_eq!(client.misc("putcat", &[b"k", b"+"]), (0, vec![]));
        let whole = client.get("k").expect("a value");
        assert_eq!((whole.len(), &whole[LARGE..]), (LARGE + 5, &b"tail+"[..]));
        assert_eq!(client.ask_code(&frame::putshl("k", b"!", 6)), 0);
        assert_eq!(client.get("k").as_deref(), Some(&b"tail+!"[..]));
        assert_eq!(client.ask_code(&frame::store(frame::PUTKEEP, "k", &large(7, b'h'))), 1);
        assert_eq!(client.ask_code(&frame::store(frame::PUTKEEP, "n", &large(7, b'h'))), 0);
        assert_eq!(client.out("n"), 0);
        assert_eq!(client.get("n"), None);
        assert_eq!(client.rnum(), 3);
    }
}

#[test]
fn many_keys_are_read_in_pieces_and_answered_as_one() {
    let scripted = Scripted::start();
    let file = tempfile::tempdir().expect("a folder");
    for guarded in [
        Guarded::memory(""),
        Guarded::file(&file.path().join("store"), ""),
        Guarded::before(scripted.address(), ""),
    ] {
        let mut client = guarded.client();
        let keys: Vec<String> = (0..10_000).map(|number| format!("key {number}")).collect();
        let stored: Vec<&[u8]> = keys
            .iter()
            .step_by(3)
            .flat_map(|key| [key.as_bytes(), key.as_bytes()])
            .collect();
        assert_eq!(client.misc("putlist", &stored), (0, vec![]));
        let wanted: Vec<Vec<u8>> = stored.iter().map(|string| string.to_vec()).collect();
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let asked: Vec<&[u8]> = names.iter().map(|key| key.as_bytes()).collect();
        assert_eq!(client.misc("getlist", &asked), (0, wanted.clone()));
        let records: Vec<Vec<u8>> = client
            .mget(&names)
            .into_iter()
            .flat_map(|(key, value)| [key, value])
            .collect();
        assert!(records == wanted, "{} strings", records.len());
        // What is asked behind it is answered behind it.
        client.send(&[frame::mget(&names), frame::keyed(frame::GET, "key 0")].concat());
        assert_eq!(client.code().expect("a code"), 0);
        let count = client.count().expect("a count");
        for _ in 0..count {
            let (key, value) = (client.count().expect("a size"), client.count().expect("a size"));
            client.recv(key + value);
        }
        assert_eq!(client.read_value().expect("an answer"), Some(b"key 0".to_vec()));
        assert_eq!(client.fwmkeys("key ").len(), wanted.len() / 2);
    }
}
