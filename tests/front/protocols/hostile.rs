//! Clients that send what no server should believe.

use std::time::Duration;

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::Scripted;
use crate::support::stamped::Clock;
use crate::support::transcripts;

const LIMIT: usize = 32 << 20;

/// The settings of one lane, so that whatever blocks it blocks everybody.
const ONE_LANE: &str = "workers = 1\nlanes = 1\n";

fn three_records(client: &mut Client) {
    for key in ["a", "b", "c"] {
        assert_eq!(client.put(key, b"v"), 0);
    }
}

/// Every frame must end in RST, or in `ERROR` where it is text, change nothing, and send nothing to the backend.
fn expect_refused(frames: &[(String, Vec<u8>)]) {
    let scripted = Scripted::start();
    for guarded in [Guarded::memory(""), Guarded::before(scripted.address(), "")] {
        let mut witness = guarded.client();
        three_records(&mut witness);
        for (name, bytes) in frames {
            println!("{name}");
            let mut client = guarded.client();
            client.send(bytes);
            match client.ending(PATIENCE) {
                // Letters may be a command of memcached's that is not known.
                Ending::Answered(words) => {
                    assert_eq!((&words[..], bytes[0].is_ascii_lowercase()), (&b"ERROR\r\n"[..], true))
                }
                ending => assert_eq!(ending, Ending::Reset, "{name}"),
            }
            assert_eq!(witness.rnum(), 3, "{name}");
        }
        guarded.expect_metric("ttguard_sessions_closed_total", &[], frames.len() as f64);
    }
    scripted.expect_whole_requests();
    scripted.see(|state| {
        let writes: usize = ["a", "b", "c"].iter().map(|key| state.writes(key)).sum();
        assert_eq!(writes, 3, "the backend was sent more than the witness stored");
        assert!(state.requests().all(|request| request.opcode != frame::VANISH));
    });
}

#[test]
fn every_recorded_malformed_frame_is_refused() {
    let exchanges = transcripts::load("malformed.jsonl");
    let frames: Vec<_> = exchanges
        .into_iter()
        .flat_map(|exchange| exchange.steps)
        .map(|step| (step.doing, step.send))
        .collect();
    assert!(frames.len() >= 8);
    expect_refused(&frames);
}

#[test]
fn a_payload_is_never_read_as_requests() {
    let vanish = frame::bare(frame::VANISH);
    let minus_one = [0xFF; 4];
    let put = |key: [u8; 4], value: [u8; 4]| [&[0xC8, frame::PUT][..], &key, &value, &vanish].concat();
    let frames = [
        ("put with a key of -1", put(minus_one, [0, 0, 0, 2])),
        ("put with a value of -1", put([0, 0, 0, 0], minus_one)),
        ("unknown command", [&[0xC8, 0x42][..], &vanish].concat()),
        ("text, then vanish", [&b"set k 0 0 1\r\n"[..], &vanish].concat()),
    ];
    expect_refused(&frames.map(|(name, bytes)| (name.to_owned(), bytes)));
}

#[test]
fn sizes_above_the_limit_are_refused_on_the_header() {
    let over = frame::size(LIMIT + 1);
    let zero = frame::size(0);
    let frames = [
        ("key", [&[0xC8, frame::GET][..], &over].concat()),
        ("value", [&[0xC8, frame::PUT][..], &zero, &over].concat()),
        (
            "first of mget",
            [&[0xC8, frame::MGET][..], &frame::size(1), &over].concat(),
        ),
        (
            "count of mget",
            [&[0xC8, frame::MGET][..], &frame::size((1 << 20) + 1)].concat(),
        ),
        (
            "argument of misc",
            [
                &[0xC8, frame::MISC][..],
                &frame::size(3),
                &zero,
                &frame::size(1),
                b"put",
                &over,
            ]
            .concat(),
        ),
    ];
    expect_refused(&frames.map(|(name, bytes)| (name.to_owned(), bytes)));
}

#[test]
fn what_was_asked_before_a_bad_frame_is_answered_first() {
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"v"), 0);
    client.send(&[frame::keyed(frame::GET, "k"), vec![0xC8, 0x42]].concat());
    assert_eq!(client.read_value().expect("what is owed"), Some(b"v".to_vec()));
    client.expect_reset(PATIENCE);
}

#[test]
fn the_copy_of_an_old_client_does_not_empty_the_database() {
    let guarded = Guarded::memory("");
    let mut witness = guarded.client();
    three_records(&mut witness);
    // PyTyrant's copy: the number of today's vanish, then the size of a path, and in a segment of its own the path.
    let path = b"/backup/casket";
    let header = [&[0xC8, frame::VANISH][..], &frame::size(path.len())].concat();
    for pieces in [vec![[&header[..], path].concat()], vec![header.clone(), path.to_vec()]] {
        let mut client = guarded.client();
        for piece in pieces {
            // The first piece is reason enough to end the session before the second is sent.
            let _ = client.try_send(&piece);
        }
        client.expect_reset(PATIENCE);
        assert_eq!(witness.rnum(), 3);
    }
}

#[test]
fn what_was_asked_before_a_refused_vanish_is_answered() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), ONE_LANE);
    let mut client = guarded.client();
    let asked = [frame::store(frame::PUT, "k", b"v"), frame::keyed(frame::GET, "k")].concat();
    client.send(&[&asked[..], &[0xC8, frame::VANISH], &frame::size(1)].concat());
    assert_eq!(client.code().expect("what is owed"), 0);
    assert_eq!(client.read_value().expect("what is owed"), Some(b"v".to_vec()));
    client.expect_reset(PATIENCE);
    scripted.see(|state| assert!(state.requests().all(|request| request.opcode != frame::VANISH)));
}

#[test]
fn a_true_vanish_empties_the_database() {
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    three_records(&mut client);
    assert_eq!(client.ask_code(&frame::bare(frame::VANISH)), 0);
    assert_eq!(client.rnum(), 0);
    three_records(&mut client);
    // What follows is a request, so this is no old client's copy.
    client.send(&[frame::bare(frame::VANISH), frame::bare(frame::RNUM)].concat());
    assert_eq!(client.recv(10), [0; 10]);
}

#[test]
fn clients_that_send_half_a_frame_hold_up_nobody() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), ONE_LANE);
    let halves = [&[0xC8][..], &frame::store(frame::PUT, "k", b"value")[..12]];
    let slow: Vec<Client> = (0..16)
        .map(|number| {
            let mut client = guarded.client();
            client.send(halves[number % 2]);
            client
        })
        .collect();
    let mut client = guarded.client();
    for offset in 0..100 {
        assert_eq!(client.put("k", &clock.value(offset)), 0);
        assert_eq!(client.text("k"), Some(clock.text(offset)));
    }
    drop(slow);
    assert_eq!(client.text("k"), Some(clock.text(99)));
    scripted.expect_whole_requests();
    // Of the halves nothing ever came; what a primed lane sent ahead is completed soon.
    scripted.wait("nothing half-sent", |state| {
        state.connections.iter().all(|record| record.unread == 0)
    });
}

#[test]
fn half_a_frame_does_not_wait_for_ever() {
    let guarded = Guarded::memory("[pairing]\nframe_timeout = \"300ms\"");
    let mut client = guarded.client();
    client.send(&[0xC8]);
    client.expect_reset(PATIENCE);
    // A session that asks nothing is no half frame.
    let mut idle = guarded.client();
    idle.expect_quiet(Duration::from_secs(1));
    assert_eq!(idle.put("k", b"v"), 0);
}

#[test]
fn a_client_that_never_reads_holds_up_nobody_and_fills_no_memory() {
    const ASKED: usize = 2_000;
    let scripted = Scripted::start();
    scripted.insert("large", &vec![b'x'; 1 << 20]);
    // A deadline that is not reached on a busy machine either.
    let settings = format!("{ONE_LANE}pairing.request_timeout = \"30s\"\n");
    let guarded = Guarded::before(scripted.address(), &settings);
    let mut deaf = guarded.client();
    // A guard that ends such a session at once is as good as one that stops reading from it.
    let _ = deaf.try_send(&frame::keyed(frame::GET, "large").repeat(ASKED));
    let mut client = guarded.client();
    for number in 0..200 {
        assert_eq!(client.put("k", number.to_string().as_bytes()), 0);
        assert_eq!(client.text("k"), Some(number.to_string()));
        assert_eq!(client.get("large").map(|value| value.len()), Some(1 << 20));
    }
    let resident = guarded.resident_bytes();
    assert!(resident < 1 << 30, "{} MiB in use", resident >> 20);
}
