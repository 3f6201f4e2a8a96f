//! An edge is no different from the guard behind it, to whoever asks: what the guard says arrives as it was said.

use std::process::Command;
use std::thread;

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};
use crate::support::http;
use crate::support::memcached::{found, store};
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

#[test]
fn refusals_misses_and_edits_are_answered_as_the_guard_answers_them() {
    let clock = Clock::start();
    let guard = Guarded::memory("[guard]\nunstamped = \"pass\"\ntie = \"first\"\n");
    let edge = Guarded::edge_of(&guard, "workers = 1\n");
    let mut client = edge.client();
    assert_eq!(client.put("k", &clock.value(0)), 0);
    assert_eq!(client.put("k", &clock.value(-1)), 2, "stale");
    assert_eq!(client.put("k", &clock.value(10 * 60_000)), 3, "future");
    assert_eq!(client.text("k"), Some(clock.text(0)));
    assert_eq!(client.get("none"), None);
    assert_eq!(client.out("none"), 1);
    assert_eq!(client.out("k"), 0);
    assert_eq!(client.put("k", &clock.value(-1)), 2, "the tombstone refuses it");
    assert_eq!(client.put("k", &clock.value(2_000)), 0);
    client.putnr("nr", &clock.value(0));
    assert_eq!(client.text("nr"), Some(clock.text(0)));
    assert_eq!(client.mget(&["k", "none", "nr"]).len(), 2);
    assert_eq!(client.fwmkeys(""), ["k", "nr"]);
    assert_eq!(client.iterate(), ["k", "nr"]);
    assert_eq!(client.rnum(), 2);
    assert_eq!(client.misc("getlist", &[b"k"]).0, 0);
    assert_eq!(client.misc("nothing", &[]).0, 1);
    assert!(client.stat().contains("\nrnum\t2\n"));
    let mut text = edge.client();
    text.expect(&store("set", "m", "5"), "STORED\r\n");
    text.expect("incr m 7\r\n", "12\r\n");
    text.expect("incr none 7\r\n", "NOT_FOUND\r\n");
    text.expect(&store("append", "m", "x"), "STORED\r\n");
    text.expect(&store("prepend", "m", "y"), "STORED\r\n");
    text.expect("get m\r\n", &found("m", "y12x"));
    text.expect(&store("add", "m", "z"), "NOT_STORED\r\n");
    text.expect(&store("replace", "none", "z"), "NOT_STORED\r\n");
    text.expect(&store("set", "k", &clock.text(-1)), "NOT_STORED\r\n");
    text.expect("version\r\n", "VERSION 1.1.41\r\n");
    let mut web = edge.client();
    let put = |value: &str| http::request("PUT", "/k", &[], value);
    assert_eq!(
        http::ask(&mut web, &put(&clock.text(-1))),
        (409, "Conflict: stale\n".to_owned())
    );
    assert_eq!(http::ask(&mut web, &put(&clock.text(3_000))).0, 201);
    assert_eq!(http::ask(&mut web, &http::request("GET", "/none", &[], "")).0, 404);
    // Each is counted where it was judged.
    assert_eq!(guard.scrape("ttguard_edge_clients", &[]), 3.0);
    assert_eq!(guard.scrape("ttguard_edges", &[]), 1.0);
    assert!(guard.scrape("ttguard_verdicts_total", &[("verdict", "stale")]) >= 4.0);
    assert_eq!(
        edge.scrape("ttguard_verdicts_total", &[]),
        0.0,
        "an edge judges nothing"
    );
    let linked = document(&guard, "/api/edges");
    assert_eq!(
        (linked.as_array().map(Vec::len), &linked[0]["release"]),
        (Some(1), &env!("CARGO_PKG_VERSION").into())
    );
    let asked = document(&edge, "/api/backends");
    assert_eq!(asked[0]["url"], format!("tyrant://{}", guard.address()));
    drop((client, text, web));
    guard.expect_gauge("ttguard_edge_clients", 0.0);
}

#[test]
fn the_guards_rules_hold_for_the_clients_of_an_edge_and_the_edges_too() {
    let guard = Guarded::listening(
        "backend = \"memory:\"\nlisten = [\"127.0.0.1:0\"]\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nprefix = \"g:\"\ndeny = [\"vanish\"]\ndeny_keys = [\"secret\"]\n",
    );
    let edge = Guarded::start(&format!(
        "edge_of = [\"tyrant://{}\"]\nworkers = 1\nprefix = \"e:\"\ndeny = [\"out\"]\n",
        guard.address_of(1)
    ));
    let mut client = edge.client();
    assert_eq!(client.put("k", b"v"), 0);
    assert_eq!(guard.client().text("g:e:k").as_deref(), Some("v"), "both prefixes");
    assert_eq!(client.text("k").as_deref(), Some("v"));
    assert_eq!(client.fwmkeys(""), ["k"]);
    assert_eq!(client.out("k"), 5, "denied at the edge");
    assert_eq!(client.ask_code(&frame::bare(frame::VANISH)), 5, "denied at the guard");
    assert_eq!(client.text("k").as_deref(), Some("v"));
}

#[test]
fn who_waits_for_one_key_holds_up_nobody() {
    let scripted = Scripted::start();
    scripted.insert("other", b"o");
    let guard = Guarded::before(
        scripted.address(),
        "workers = 1\n[pairing]\nrequest_timeout = \"30s\"\n",
    );
    let edge = Guarded::edge_of(&guard, "workers = 1\n");
    let gate = scripted.gate();
    scripted.rule(Rule::write("slow", Act::HoldAnswer(gate)));
    let clock = Clock::start();
    let mut waits = edge.client();
    // Large enough for a lane of its own behind the guard.
    let large = [clock.value(0), vec![b'x'; 100 << 10]].concat();
    waits.send(&frame::store(frame::PUT, "slow", &large));
    scripted.wait_reached(gate);
    let mut behind = edge.client();
    behind.send(&frame::store(frame::PUT, "slow", &clock.value(1)));
    let mut others = edge.client();
    for _ in 0..100 {
        assert_eq!(others.text("other").as_deref(), Some("o"));
    }
    scripted.open(gate);
    assert_eq!((waits.recv(1), behind.recv(1)), (vec![0], vec![0]));
    assert_eq!(others.text("slow"), Some(clock.text(1)));
}

#[test]
fn large_values_pass_both_ways_and_small_ones_beside_them() {
    const LARGE: usize = 20 << 20;
    let settings = "workers = 1\n[pairing]\nrequest_timeout = \"30s\"\n";
    let guard = Guarded::memory(settings);
    let edge = Guarded::edge_of(&guard, settings);
    let value: Vec<u8> = (0..LARGE).map(|at| (at % 251) as u8).collect();
    thread::scope(|threads| {
        let large = threads.spawn(|| {
            let mut client = edge.client();
            for round in 0..3 {
                let key = format!("large-{round}");
                assert_eq!(client.put(&key, &value), 0);
                assert!(client.get(&key).as_deref() == Some(&value[..]));
            }
        });
        let mut small = edge.client();
        let mut asked = 0;
        while !large.is_finished() || asked < 100 {
            assert_eq!(small.put("small", b"s"), 0);
            assert_eq!(small.text("small").as_deref(), Some("s"));
            asked += 1;
        }
        large.join().expect("large values");
    });
}

#[test]
fn a_client_that_asks_ahead_has_its_answers_in_its_order() {
    let guard = Guarded::memory("");
    let edge = Guarded::edge_of(&guard, "workers = 1\n");
    let mut client = edge.client();
    let mut asked = Vec::new();
    for number in 0..2_000 {
        let key = format!("k{}", number % 7);
        asked.extend(frame::store(frame::PUT, &key, format!("v{number}").as_bytes()));
        asked.extend(frame::keyed(frame::GET, &key));
    }
    thread::scope(|threads| {
        let mut writer = client.twin();
        threads.spawn(move || writer.send(&asked));
        for number in 0..2_000 {
            assert_eq!(client.code().expect("a code"), 0);
            let value = client.read_value().expect("an answer").expect("a value");
            assert_eq!(String::from_utf8_lossy(&value), format!("v{number}"));
        }
    });
}

#[test]
fn what_follows_a_large_request_of_the_same_client_is_there_behind_it() {
    let guard = Guarded::memory("");
    let edge = Guarded::edge_of(&guard, "workers = 1\n");
    let mut client = edge.client();
    for size in [32 << 10, (32 << 10) + 1, 33_000, 100_000, 3_000_000, 40_000] {
        let (first, second) = (vec![b'a'; size], vec![b'b'; size / 2]);
        let mut asked = frame::store(frame::PUT, "k", &first);
        asked.extend(frame::keyed(frame::GET, "k"));
        asked.extend(frame::store(frame::PUTNR, "k", &second));
        asked.extend(frame::keyed(frame::GET, "k"));
        let mut writer = client.twin();
        thread::scope(|threads| {
            threads.spawn(move || writer.send(&asked));
            assert_eq!(client.code().expect("a code"), 0);
            for value in [first, second] {
                let found = client.read_value().expect("an answer").expect("a value");
                assert!(found == value, "{} bytes instead of {}", found.len(), value.len());
            }
        });
    }
}

#[test]
fn many_keys_are_asked_and_answered_as_one() {
    let guard = Guarded::memory("");
    let edge = Guarded::edge_of(&guard, "workers = 1\n");
    let keys: Vec<String> = (0..20_000).map(|number| format!("key-{number:05}")).collect();
    let records: Vec<&[u8]> = keys.iter().flat_map(|key| [key.as_bytes(), b"v"]).collect();
    let mut client = edge.client();
    assert_eq!(client.misc("putlist", &records).0, 0);
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(client.mget(&names).len(), keys.len());
    assert_eq!(client.fwmkeys("key-").len(), keys.len());
}

fn document(guarded: &Guarded, path: &str) -> serde_json::Value {
    let (status, body) = guarded.page(path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("a document")
}

/// Runs an edge that is not to serve, to its end.
fn refused(settings: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("t.toml");
    std::fs::write(&file, format!("admin = \"\"\n{settings}")).expect("settings");
    let mut command = Command::new(BINARY);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&file);
    let output = command.output().expect("run ttguard");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn an_edge_does_not_start_in_front_of_what_is_no_guard_for_it() {
    let scripted = Scripted::start();
    let (code, line) = refused(&format!("edge_of = [\"tyrant://{}\"]\n", scripted.address()));
    assert_eq!(code, Some(2), "{line}");
    assert!(line.contains("no ttguard there: an edge needs a guard"), "{line}");
    scripted.expect_whole_requests();
    let closed = Guarded::memory("edges = \"none\"\n");
    let (code, line) = refused(&format!("edge_of = [\"tyrant://{}\"]\n", closed.address()));
    assert_eq!(code, Some(2), "{line}");
    assert!(line.contains("it takes no link from here"), "{line}");
    let guard = Guarded::memory("");
    let edge = Guarded::edge_of(&guard, "workers = 1\n");
    let (code, line) = refused(&format!("edge_of = [\"tyrant://{}\"]\n", edge.address()));
    assert_eq!(code, Some(2), "an edge of an edge: {line}");
}

#[test]
fn an_edge_waits_for_a_guard_that_is_not_there_yet_and_fails_fast_meanwhile() {
    let guard = Guarded::memory("");
    let address = guard.address();
    let edge = Guarded::edge_of(&guard, "workers = 1\n");
    edge.expect_ready();
    assert!(guard.terminate().success());
    let mut client = edge.client();
    client.send(&frame::keyed(frame::GET, "k"));
    client.expect_reset(PATIENCE);
    assert_eq!(edge.page("/readyz").0, 503);
    let guard = Guarded::launch(
        "backend = \"memory:\"\n",
        &["--listen", &address.to_string(), "--admin", "127.0.0.1:0"],
        |_| {},
    );
    edge.expect_ready();
    let mut client = Client::connect(edge.address());
    assert_eq!(client.put("k", b"v"), 0);
    assert_eq!(guard.client().text("k").as_deref(), Some("v"));
}
