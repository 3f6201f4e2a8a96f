//! A guard that goes, and the standby that takes its place: nothing that was acknowledged is lost, and nothing older is let
//! in by whoever comes late.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::process::stop;
use crate::support::scripted::Scripted;
use crate::support::stamped;

const CLAIM: &str = "workers = 1\nclaim_timeout = \"500ms\"\nstandby = true\n[pairing]\nstart_hold = \"50ms\"\n";

/// Edges of both guards serve again within this time, of the claim and beyond.
const SERVED_AGAIN: Duration = Duration::from_secs(20);

struct Pair {
    guards: Vec<Guarded>,
    edges: Vec<Guarded>,
}

fn pair(scripted: &Scripted) -> Pair {
    let first = Guarded::before(scripted.address(), CLAIM);
    first.expect_ready();
    let guards = vec![first, Guarded::before(scripted.address(), CLAIM)];
    let urls: Vec<String> = guards
        .iter()
        .map(|guard| format!("\"tyrant://{}\"", guard.address()))
        .collect();
    let edge = |_| {
        Guarded::start(&format!(
            "edge_of = [{}]\nworkers = 1\n[pairing]\nconnect_timeout = \"300ms\"\n",
            urls.join(", ")
        ))
    };
    Pair {
        guards,
        edges: (0..2).map(edge).collect(),
    }
}

/// A client of an edge's that writes its own key, newer and older in turn, and looks that what was acknowledged is there.
fn work(edge: &Guarded, key: &str, over: &AtomicBool) -> u64 {
    let mut stamp = stamped::now() - 100_000;
    let mut client = edge.client();
    let mut acknowledged: Option<i64> = None;
    let mut answered = 0;
    let mut last = Instant::now();
    while !over.load(Ordering::Relaxed) {
        assert!(last.elapsed() < SERVED_AGAIN, "{key}: nobody serves any more");
        stamp += 2;
        let value = |stamp: i64| format!("{stamp:013}:{key}").into_bytes();
        let outcome = (|| -> io::Result<()> {
            client.try_send(&frame::store(frame::PUT, key, &value(stamp)))?;
            assert_eq!(client.code()?, 0, "{key}: a newer write");
            acknowledged = Some(stamp);
            client.try_send(&frame::store(frame::PUT, key, &value(stamp - 1)))?;
            assert_eq!(client.code()?, 2, "{key}: a stale write was let in");
            let found = client.try_get(key)?;
            assert_eq!(found, Some(value(stamp)), "{key}: what was acknowledged");
            Ok(())
        })();
        match outcome {
            Ok(()) => {
                answered += 1;
                last = Instant::now();
            }
            Err(_) => client = Client::connect(edge.address()),
        }
    }
    // Whatever was acknowledged last, it or something newer is there.
    let Some(acknowledged) = acknowledged else {
        return answered;
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.try_get(key) {
            Ok(found) => {
                let found = found.expect("a record");
                let found: i64 = String::from_utf8_lossy(&found[..13]).parse().expect("a stamp");
                assert!(found >= acknowledged, "{key}: {acknowledged} was lost to {found}");
                return answered;
            }
            Err(_) => client = Client::connect(edge.address()),
        }
        assert!(Instant::now() < deadline, "nobody serves any more");
    }
}

/// Has clients work through both edges while something `happens`.
fn at_work(pair: &mut Pair, happens: impl FnOnce(&mut Vec<Guarded>)) {
    let over = AtomicBool::new(false);
    let Pair { guards, edges } = pair;
    thread::scope(|threads| {
        let clients: Vec<_> = (0..8)
            .map(|number| {
                let (edge, over) = (&edges[number % edges.len()], &over);
                threads.spawn(move || work(edge, &format!("key-{number}"), over))
            })
            .collect();
        happens(guards);
        over.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().expect("a client") > 0, "it was served");
        }
    });
    for edge in edges {
        let seen = edge.scrape("ttguard_alarms_total", &[("alarm", "two_claimants")]);
        assert_eq!(seen, 0.0, "one guard after the other is no sign of two");
    }
}

/// Waits until an edge has written this key by way of the guard.
fn expect_served(guard: &Guarded, key: &str) {
    guard.expect_ready();
    let mut reader = guard.client();
    let (before, deadline) = (reader.text(key), Instant::now() + PATIENCE);
    while reader.text(key) == before {
        assert!(Instant::now() < deadline, "the edges have not found the standby");
    }
}

#[test]
fn a_guard_that_is_killed_is_followed_by_its_standby() {
    let scripted = Scripted::start();
    let mut pair = pair(&scripted);
    at_work(&mut pair, |guards| {
        guards[0].kill();
        expect_served(&guards[1], "key-0");
    });
}

#[test]
fn a_guard_that_stands_still_is_followed_and_writes_nothing_when_it_goes_on() {
    let scripted = Scripted::start();
    let mut pair = pair(&scripted);
    at_work(&mut pair, |guards| {
        stop(guards[0].pid());
        expect_served(&guards[1], "key-1");
        guards[0].signal(libc::SIGCONT);
        guards[0].expect_log("the claim of the store was lost to");
    });
}

#[test]
fn a_guard_that_is_told_to_end_leaves_no_request_unanswered() {
    let scripted = Scripted::start();
    let mut pair = pair(&scripted);
    at_work(&mut pair, |guards| {
        let first = guards.remove(0);
        assert!(first.terminate().success());
        expect_served(&guards[0], "key-2");
    });
}
