//! What a record of a stamp has to keep, and what comes of it when it cannot be stored.

use std::process::Command;

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::http;
use crate::support::real::Real;
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

const STALE: u8 = 2;
const UNAVAILABLE: u8 = 6;
const SETTINGS: &str = "[guard.ext]\nout_ts = \"out\"\n";

fn ledgers() -> [String; 2] {
    ["inline", "record"]
        .map(|ledger| format!("workers = 1\n[pairing]\nstart_hold = \"0s\"\n[guard]\nledger = \"{ledger}\"\n"))
}

/// Every way to delete `k`, and what is said of one that was not carried out.
fn deletes() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("out", frame::keyed(frame::OUT, "k")),
        ("misc out", frame::misc("out", &[b"k"])),
        ("misc outlist", frame::misc("outlist", &[b"k"])),
        ("ext", frame::ext("out_ts", "k", b"")),
        ("memcached", b"delete k\r\n".to_vec()),
        ("HTTP", http::request("DELETE", "/k", &[], "").into_bytes()),
    ]
}

/// Asks, and waits for the answer; true when the delete was acknowledged.
fn is_acknowledged(client: &mut Client, name: &str, request: &[u8]) -> bool {
    match name {
        "memcached" => {
            client.send(request);
            client.recv_until(b"\r\n") == b"DELETED\r\n"
        }
        "HTTP" => http::ask(client, &String::from_utf8_lossy(request)).0 == 200,
        _ => {
            let code = client.ask_code(request);
            if request[1] == frame::MISC {
                assert_eq!(client.recv(4), [0; 4], "{name}");
            }
            assert!([0, UNAVAILABLE].contains(&code), "{name}: {code}");
            code == 0
        }
    }
}

#[test]
fn a_delete_whose_tombstone_is_not_stored_is_neither_carried_out_nor_acknowledged() {
    let clock = Clock::start();
    for (name, request) in deletes() {
        for settings in ledgers() {
            let scripted = Scripted::start();
            let guarded = Guarded::before(scripted.address(), &format!("{settings}{SETTINGS}"));
            let mut client = guarded.client();
            assert_eq!(client.put("k", &clock.value(0)), 0);
            scripted.rule(Rule::once(Act::WrongCode(1), |request| {
                request.opcode == frame::PUT && request.writes("timestamp.k")
            }));
            assert!(!is_acknowledged(&mut guarded.client(), name, &request), "{name}");
            assert_eq!(client.text("k"), Some(clock.text(0)), "{name}: it is still there");
            assert!(is_acknowledged(&mut guarded.client(), name, &request), "{name}: again");
            assert_eq!(client.text("k"), None, "{name}");
            assert_eq!(client.put("k", &clock.value(-1)), STALE, "{name}");
            scripted.see(|state| assert_eq!(state.requests().filter(|one| one.deletes("k")).count(), 1, "{name}"));
        }
    }
}

#[test]
fn no_delete_is_acknowledged_without_a_tombstone_where_the_servers_file_cannot_grow() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("casket.tch");
    let test = "no_delete_is_acknowledged_without_a_tombstone_where_the_servers_file_cannot_grow";
    let Some(real) = Real::start(path.to_str().expect("text"), test) else {
        return;
    };
    let clock = Clock::start();
    let guarded = Guarded::before(real.address(), "");
    let mut client = guarded.client();
    // A tombstone takes more room than what it is for, so that what a delete sets free does not do for it.
    let keys: Vec<String> = (0..60)
        .map(|number| format!("{number:02}{}", "k".repeat(4000)))
        .collect();
    let value = clock.digits(0);
    for key in &keys {
        assert_eq!(client.put(key, value.as_bytes()), 0);
    }
    assert_eq!(client.ask_code(&frame::bare(frame::SYNC)), 0);
    let size = std::fs::metadata(&path).expect("the file").len();
    let limit = Command::new("prlimit")
        .args(["--pid", &real.pid().to_string(), &format!("--fsize={size}:unlimited")])
        .status();
    assert!(limit.expect("run prlimit").success());
    let codes: Vec<u8> = keys.iter().map(|key| client.out(key)).collect();
    assert!(codes.contains(&UNAVAILABLE), "the file could grow: {codes:?}");
    drop(guarded);
    // Another guard knows no more than what is stored.
    let guarded = Guarded::before(real.address(), "");
    let mut client = guarded.client();
    let limit = Command::new("prlimit")
        .args(["--pid", &real.pid().to_string(), "--fsize=unlimited:unlimited"])
        .status();
    assert!(limit.expect("run prlimit").success());
    for (key, code) in keys.iter().zip(codes) {
        let kept = (code == UNAVAILABLE).then(|| value.clone());
        let key = key.as_str();
        assert_eq!(client.text(key), kept, "answered with {code}");
        assert_eq!(client.put(key, &clock.value(-1_800_000)), STALE, "answered with {code}");
    }
}

#[test]
fn a_deleted_record_does_not_come_back_by_a_repetition_of_its_own_packet() {
    let clock = Clock::start();
    for tie in ["last", "first", "greater"] {
        for settings in ledgers() {
            let scripted = Scripted::start();
            let settings = format!("{settings}tie = \"{tie}\"\n{SETTINGS}");
            let mut guarded = Guarded::before(scripted.address(), &settings);
            for (name, request) in deletes() {
                // Far above what the tombstone of a delete can be, however long this takes.
                let value = clock.value(30_000);
                let mut client = guarded.client();
                assert_eq!(client.misc("vanish", &[]).0, 0);
                assert_eq!(client.put("k", &value), 0);
                assert!(is_acknowledged(&mut guarded.client(), name, &request), "{name}");
                for _ in 0..2 {
                    assert_eq!(client.put("k", &value), STALE, "{name}, {tie}");
                    assert_eq!(
                        client.ask_code(&frame::store(frame::PUTKEEP, "k", &value)),
                        STALE,
                        "{name}, {tie}"
                    );
                    assert_eq!(client.misc("putlist", &[b"k", &value]).0, STALE, "{name}, {tie}");
                    client.send(format!("add k 0 0 {}\r\n", value.len()).as_bytes());
                    client.send(&[&value[..], b"\r\n"].concat());
                    assert_eq!(client.recv_until(b"\r\n"), b"NOT_STORED\r\n", "{name}, {tie}");
                    assert_eq!(client.text("k"), None);
                    // What another guard reads back means the same.
                    drop(guarded);
                    guarded = Guarded::before(scripted.address(), &settings);
                    client = guarded.client();
                }
                assert_eq!(client.put("k", &clock.value(30_001)), 0, "{name}, {tie}");
            }
        }
    }
}

#[test]
fn what_was_confirmed_is_not_forgotten_for_a_value_without_a_stamp() {
    let clock = Clock::start();
    let set = b"set k 0 0 8\r\nno stamp\r\n".to_vec();
    let ways: [(&str, Vec<u8>); 6] = [
        ("put", frame::store(frame::PUT, "k", b"no stamp")),
        ("misc put", frame::misc("put", &[b"k", b"no stamp"])),
        (
            "misc putlist",
            frame::misc("putlist", &[b"other", b"x", b"k", b"no stamp", b"third", b"y"]),
        ),
        ("memcached", set),
        ("HTTP", http::request("PUT", "/k", &[], "no stamp").into_bytes()),
        ("putnr", frame::store(frame::PUTNR, "k", b"no stamp")),
    ];
    for settings in ledgers() {
        for restarts in [false, true] {
            for (name, request) in &ways {
                let scripted = Scripted::start();
                let mut guarded = Guarded::before(scripted.address(), &settings);
                assert_eq!(guarded.client().put("k", &clock.value(0)), 0);
                if restarts {
                    drop(guarded);
                    guarded = Guarded::before(scripted.address(), &settings);
                }
                let mut sender = guarded.client();
                sender.send(request);
                scripted.wait("the value", |state| {
                    state.value("k").as_deref() == Some(&b"no stamp"[..])
                });
                assert_eq!(scripted.text("timestamp.k"), Some(clock.digits(0)), "{name}");
                if restarts {
                    drop(guarded);
                    guarded = Guarded::before(scripted.address(), &settings);
                }
                let mut client = guarded.client();
                assert_eq!(client.put("k", &clock.value(-60_000)), STALE, "{name}: PA, {settings}");
                assert_eq!(client.text("k").as_deref(), Some("no stamp"), "{name}");
                assert_eq!(client.put("k", &clock.value(1)), 0, "{name}: what is newer");
            }
        }
    }
}

#[test]
fn a_value_without_a_stamp_is_not_stored_where_the_record_of_what_it_lies_over_is_not() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "workers = 1");
    let mut client = guarded.client();
    assert_eq!(client.put("k", &clock.value(0)), 0);
    let calls: [(&str, Vec<&[u8]>); 2] = [("put", vec![b"k", b"x"]), ("putlist", vec![b"a", b"b", b"k", b"x"])];
    for (function, arguments) in calls {
        scripted.rule(Rule::write("timestamp.k", Act::WrongCode(1)));
        assert_eq!(client.misc(function, &arguments).0, UNAVAILABLE);
        assert_eq!(client.text("k"), Some(clock.text(0)));
    }
    scripted.rule(Rule::write("timestamp.k", Act::WrongCode(1)));
    assert_eq!(client.put("k", b"x"), UNAVAILABLE);
    assert_eq!(client.put("k", b"x"), 0);
    assert_eq!(client.text("k").as_deref(), Some("x"));
}

#[test]
fn values_without_stamps_cost_nothing_where_none_was_ever_seen() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "workers = 1");
    let mut client = guarded.client();
    for _ in 0..3 {
        assert_eq!(client.put("k", b"no stamp"), 0);
    }
    assert_eq!(
        guarded.scrape("ttguard_lookups_total", &[]),
        1.0,
        "the first one after a start"
    );
    assert_eq!(scripted.value("timestamp.k"), None);
}
