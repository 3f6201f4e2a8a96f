//! What is left in the backend, hidden from clients, and found again by the next guard.

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::Scripted;
use crate::support::stamped::Clock;

const STALE: u8 = 2;

/// Only `a` is a record for a client, whatever the guard keeps beside it.
fn expect_only_a(client: &mut Client) {
    assert_eq!(client.rnum(), 1);
    assert_eq!(client.fwmkeys(""), ["a"]);
    assert_eq!(client.fwmkeys("timestamp."), [""; 0]);
    assert_eq!(client.iterate(), ["a"]);
}

fn store_a_and_delete_b(client: &mut Client, clock: Clock) {
    assert_eq!(client.put("a", &clock.value(0)), 0);
    assert_eq!(client.put("b", &clock.value(-10_000)), 0);
    assert_eq!(client.out("b"), 0);
}

#[test]
fn tombstones_are_hidden_on_the_embedded_store() {
    for ledger in ["inline", "record"] {
        let guarded = Guarded::memory(&format!("[guard]\nledger = \"{ledger}\""));
        let mut client = guarded.client();
        store_a_and_delete_b(&mut client, Clock::start());
        expect_only_a(&mut client);
    }
}

#[test]
fn tombstones_outlive_the_guard_that_wrote_them() {
    for ledger in ["inline", "record"] {
        let settings = format!("[guard]\nledger = \"{ledger}\"");
        let clock = Clock::start();
        let scripted = Scripted::start();
        let first = Guarded::before(scripted.address(), &settings);
        let mut client = first.client();
        store_a_and_delete_b(&mut client, clock);
        expect_only_a(&mut client);
        drop(client);
        assert!(first.terminate().success());

        let kept = scripted.text("timestamp.b").expect("a tombstone in the backend");
        assert!(kept[..13].parse::<u64>().is_ok(), "{kept:?} begins with a stamp");
        let second = Guarded::before(scripted.address(), &settings);
        let mut client = second.client();
        expect_only_a(&mut client);
        assert_eq!(client.put("b", &clock.value(-5_000)), STALE);
        assert_eq!(client.get("b"), None);
        assert_eq!(client.put("b", &clock.value(5_000)), 0);
        assert_eq!(client.rnum(), 2);
        scripted.expect_whole_requests();
    }
}

#[test]
fn a_restarted_guard_reads_the_stamps_back_in_either_mode() {
    for (before, after) in [
        ("inline", "inline"),
        ("inline", "record"),
        ("record", "inline"),
        ("record", "record"),
    ] {
        let clock = Clock::start();
        let scripted = Scripted::start();
        let settings = |ledger| format!("[guard]\nledger = \"{ledger}\"");
        let first = Guarded::before(scripted.address(), &settings(before));
        assert_eq!(first.client().put("k", &clock.value(0)), 0);
        assert!(first.terminate().success());
        let stamp = scripted.text("timestamp.k");
        let wanted = (before == "record").then(|| clock.digits(0));
        assert_eq!(stamp, wanted, "{before}");

        let second = Guarded::before(scripted.address(), &settings(after));
        let mut client = second.client();
        let what = format!("{before}, then {after}");
        assert_eq!(client.put("k", &clock.value(-1000)), STALE, "{what}");
        assert_eq!(client.text("k"), Some(clock.text(0)), "{what}");
        assert_eq!(client.put("k", &clock.value(1000)), 0, "{what}");
        assert_eq!(scripted.text("k"), Some(clock.text(1000)), "{what}");
    }
}

#[test]
fn in_record_mode_value_and_stamp_travel_together() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "[guard]\nledger = \"record\"");
    assert_eq!(guarded.client().put("k", &clock.value(0)), 0);
    scripted.see(|state| {
        let write = state.requests().find(|request| request.writes("k")).expect("a write");
        assert_eq!((write.opcode, write.function.as_str()), (frame::MISC, "putlist"));
        let wanted = [
            b"k".to_vec(),
            clock.value(0),
            b"timestamp.k".to_vec(),
            clock.digits(0).into_bytes(),
        ];
        assert_eq!(write.arguments, wanted);
    });
}

#[test]
fn records_that_a_script_extension_wrote_are_honoured() {
    let clock = Clock::start();
    for ledger in ["inline", "record"] {
        let scripted = Scripted::start();
        scripted.insert("stripped", b"a value that carries no stamp");
        scripted.insert("timestamp.stripped", clock.digits(-10_000).as_bytes());
        scripted.insert("stamped", &clock.value(-20_000));
        scripted.insert("timestamp.stamped", clock.digits(-10_000).as_bytes());
        let guarded = Guarded::before(scripted.address(), &format!("[guard]\nledger = \"{ledger}\""));
        let mut client = guarded.client();
        assert_eq!(client.rnum(), 2, "{ledger}");
        for key in ["stripped", "stamped"] {
            assert_eq!(client.put(key, &clock.value(-15_000)), STALE, "{key}, {ledger}");
            assert_eq!(client.put(key, &clock.value(-5_000)), 0, "{key}, {ledger}");
            assert_eq!(client.text(key), Some(clock.text(-5_000)), "{key}, {ledger}");
        }
    }
}

#[test]
fn the_guard_is_exact_with_little_memory() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "[guard]\nledger_memory = \"64KiB\"");
    let mut client = guarded.client();
    let key = |number: i64| format!("key{number}");
    for number in 0..5_000 {
        assert_eq!(client.put(&key(number), &clock.value(number - 5_000)), 0);
    }
    // The oldest are long forgotten by the ledger: the backend still knows.
    for number in (0..5_000).step_by(100) {
        assert_eq!(client.put(&key(number), &clock.value(number - 5_001)), STALE);
    }
}
