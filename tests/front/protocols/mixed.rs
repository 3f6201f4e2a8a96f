//! Protocols that mix: on one listener, on one connection, on one key.

use std::time::Duration;

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::http;
use crate::support::memcached;
use crate::support::real::Real;
use crate::support::stamped::Clock;

/// Stores a value, and says whether it was stored.
type Store = fn(&mut Client, &str) -> bool;

/// Ways to store a value.
const WAYS: [(&str, Store); 6] = [
    ("binary", |client, value| client.put("k", value.as_bytes()) == 0),
    ("misc", |client, value| {
        client.misc("putlist", &[b"k", value.as_bytes()]).0 == 0
    }),
    ("ext", |client, value| {
        client.ext("put_ts", "k", value.as_bytes()).0 == 0
    }),
    ("memcached", |client, value| {
        client.send(memcached::store("set", "k", value).as_bytes());
        client.recv_until(b"\n") == b"STORED\r\n"
    }),
    ("http", |client, value| {
        http::ask(client, &http::request("PUT", "/k", &[], value)).0 == 201
    }),
    ("http misc", |client, value| {
        let form = format!("0=k&1={value}");
        http::ask(client, &http::request("POST", "/", &["X-TT-MNAME: putlist"], &form)).0 == 200
    }),
];

/// PB, PC and PA of one key, each in every way there is.
fn expect_every_story(guarded: &Guarded) {
    let clock = Clock::start();
    let mut base = -3_000_000;
    let mut told = 0.0;
    for (first, put_b) in WAYS {
        for (second, put_c) in WAYS {
            for (third, put_a) in WAYS {
                let [mut b, mut c, mut a] = [(); 3].map(|()| guarded.client());
                assert!(put_b(&mut b, &clock.text(base + 1)), "PB by {first}");
                assert!(put_c(&mut c, &clock.text(base + 2)), "PC by {second}");
                assert!(!put_a(&mut a, &clock.text(base)), "PA by {third} behind {second}");
                assert_eq!(a.text("k"), Some(clock.text(base + 2)), "{first}, {second}, {third}");
                base += 10;
                told += 1.0;
            }
        }
    }
    guarded.expect_metric("ttguard_verdicts_total", &[("verdict", "stale")], told);
    assert_eq!(guarded.scrape("ttguard_verdicts_total", &[("verdict", "stale")]), told);
}

#[test]
fn pb_pc_pa_leaves_pc_in_any_mix_on_the_embedded_store() {
    expect_every_story(&Guarded::memory("[guard.ext]\nput_ts = \"put\"\n"));
}

#[test]
fn pb_pc_pa_leaves_pc_in_any_mix_in_front_of_a_real_server() {
    let Some(real) = Real::start("*", "pb_pc_pa_leaves_pc_in_any_mix_in_front_of_a_real_server") else {
        return;
    };
    expect_every_story(&Guarded::before(real.address(), "[guard.ext]\nput_ts = \"put\"\n"));
}

#[test]
fn answers_leave_in_order_when_protocols_mix() {
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    let mut asked = Vec::new();
    let mut wanted = Vec::new();
    for round in 0..50 {
        let value = format!("value {round}");
        let size = value.len();
        let parts: [(Vec<u8>, String); 6] = [
            (
                memcached::store("set", "k", &value).into_bytes(),
                "STORED\r\n".to_owned(),
            ),
            (frame::keyed(frame::GET, "k"), String::new()),
            (
                memcached::store("prepend", "k", "<").into_bytes(),
                "STORED\r\n".to_owned(),
            ),
            (
                http::request("GET", "/k", &[], "").into_bytes(),
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n<{value}",
                    size + 1
                ),
            ),
            (b"gets k nope k\r\n".to_vec(), {
                let one = format!("VALUE k 0 {}\r\n<{value}\r\n", size + 1);
                format!("{one}{one}END\r\n")
            }),
            (frame::store(frame::PUTNR, "k", b"x"), String::new()),
        ];
        for (request, answer) in parts {
            if request == frame::keyed(frame::GET, "k") {
                wanted.push(0);
                wanted.extend(frame::size(size));
                wanted.extend(value.as_bytes());
            }
            asked.extend(request);
            wanted.extend(answer.into_bytes());
        }
    }
    client.send(&asked);
    assert_eq!(client.recv(wanted.len()), wanted);
}

#[test]
fn what_a_listener_does_not_serve_is_refused_and_counted() {
    let cases = [
        ("binary", vec!["get k\r\n", "GET /k HTTP/1.1\r\n\r\n"]),
        ("memcached", vec!["\u{c8}", "GET /k HTTP/1.1\r\n\r\n"]),
        ("http", vec!["\u{c8}", "get k\r\n"]),
    ];
    for (protocol, refused) in cases {
        let guarded = Guarded::memory(&format!("protocols = [\"{protocol}\"]\n"));
        for (number, request) in refused.iter().enumerate() {
            let mut client = guarded.client();
            let bytes: Vec<u8> = request.chars().map(|char| char as u8).collect();
            client.send(&bytes);
            client.expect_reset(PATIENCE);
            let count = (number + 1) as f64;
            guarded.expect_metric(
                "ttguard_request_faults_total",
                &[("fault", "protocol_not_served")],
                count,
            );
        }
        let log = guarded.log();
        let told = log.lines().filter(|line| line.contains("not served here"));
        assert_eq!(told.count(), 1, "{log}");
    }
    let guarded = Guarded::memory("protocols = [\"binary\", \"http\"]\n");
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"v"), 0);
    assert_eq!(
        http::ask(&mut client, &http::request("GET", "/k", &[], "")),
        (200, "v".to_owned())
    );
}

#[test]
fn half_a_request_holds_up_nobody_and_does_not_stay_for_ever() {
    let guarded = Guarded::memory("workers = 1\n[pairing]\nframe_timeout = \"300ms\"\n");
    let halves = [
        "s",
        "set k 0 0 5\r\nab",
        "get k",
        "PUT /k HTTP/1.1\r\nContent-Le",
        "PUT /k HTTP/1.1\r\nContent-Length: 5\r\n\r\nab",
        "GET",
    ];
    let mut slow: Vec<Client> = halves
        .iter()
        .map(|half| {
            let mut client = guarded.client();
            client.send(half.as_bytes());
            client
        })
        .collect();
    guarded.client().expect("get k\r\n", "END\r\n");
    for (client, half) in slow.iter_mut().zip(halves) {
        assert_eq!(client.ending(PATIENCE), Ending::Reset, "{half}");
    }
}

/// Sends `piece` for as long as it is taken, and gives how much that was.
fn flood(client: &mut Client, piece: &[u8], most: usize) -> usize {
    (0..most)
        .step_by(piece.len())
        .take_while(|_| client.try_send(piece).is_ok())
        .count()
        * piece.len()
}

#[test]
fn what_has_no_end_is_cut_off() {
    const MOST: usize = 256 << 20;
    let guarded = Guarded::memory("workers = 1\n");
    let before = guarded.resident_bytes();
    let piece = vec![b'k'; 64 << 10];
    for (head, limit) in [
        ("get ", 2 << 20),
        ("set k 0 0 10 ", 2 << 20),
        ("GET /", 128 << 10),
        ("PUT /k HTTP/1.1\r\nX: ", 128 << 10),
        // The size is announced, and known to be too much.
        ("set k 0 0 999999999\r\n", 0),
        ("PUT /k HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 0),
    ] {
        let mut client = guarded.client();
        client.send(head.as_bytes());
        let sent = flood(&mut client, &piece, MOST);
        // What the kernels on both sides hold comes on top.
        assert!(sent < limit + (32 << 20), "{head}: {sent} bytes were taken");
        assert_eq!(guarded.client().put("other", b"v"), 0, "{head}");
    }
    let grown = guarded.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more are in use");
    guarded.expect_metric("ttguard_request_faults_total", &[], 6.0);
}

#[test]
fn bytes_that_trickle_in_are_looked_through_once() {
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    let value = "v".repeat(2000);
    for request in [
        memcached::store("set", "k", &value),
        http::request("PUT", "/k", &[&format!("X-Long: {value}")], &value),
    ] {
        for piece in request.as_bytes().chunks(7) {
            client.send(piece);
        }
    }
    client.expect("", "STORED\r\n");
    assert_eq!(http::ask(&mut client, "").0, 201);
    client.expect_quiet(Duration::from_millis(20));
}
