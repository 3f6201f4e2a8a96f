//! Many clients, few keys, stamps in any order: every reply is checked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;

use crate::support::client::Client;
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::scripted::Scripted;
use crate::support::stamped::Clock;

const CLIENTS: usize = 64;
const KEYS: usize = 8;
const WRITES: i64 = 400;

/// The greatest offset that was acknowledged for each key.
type Acknowledged = Mutex<HashMap<String, i64>>;

#[test]
fn every_key_ends_with_the_greatest_acknowledged_stamp_on_the_embedded_store() {
    let guarded = Guarded::memory("");
    storm(guarded.address());
}

#[test]
fn every_key_ends_with_the_greatest_acknowledged_stamp_over_several_lanes() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "workers = 2\nlanes = 2");
    storm(guarded.address());
    scripted.expect_whole_requests();
}

#[test]
fn every_key_ends_with_the_greatest_acknowledged_stamp_in_record_mode() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "[guard]\nledger = \"record\"");
    storm(guarded.address());
    scripted.expect_whole_requests();
}

#[test]
fn every_key_ends_with_the_greatest_acknowledged_stamp_on_a_real_server() {
    let test = "every_key_ends_with_the_greatest_acknowledged_stamp_on_a_real_server";
    let Some(real) = Real::start("*", test) else {
        return;
    };
    storm(Guarded::before(real.address(), "").address());
}

fn storm(address: SocketAddr) {
    let clock = Clock::start();
    let acknowledged = Acknowledged::default();
    let mut work = all_writes();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed).shuffle(&mut work);
    thread::scope(|scope| {
        for share in work.chunks(work.len().div_ceil(CLIENTS)) {
            let acknowledged = &acknowledged;
            scope.spawn(move || write_share(address, clock, share, acknowledged));
        }
    });
    let mut client = Client::connect(address);
    let acknowledged = acknowledged.into_inner().expect("no client failed");
    assert_eq!(acknowledged.len(), KEYS);
    for (key, newest) in acknowledged {
        assert_eq!(newest, 0, "{key}: the newest of all is never stale");
        assert_eq!(client.text(&key), Some(clock.text(newest)), "{key}");
    }
}

/// Each key gets each offset once.
fn all_writes() -> Vec<(String, i64)> {
    let keys = (0..KEYS).map(|key| format!("hot{key}"));
    keys.flat_map(|key| (0..WRITES).map(move |offset| (key.clone(), offset + 1 - WRITES)))
        .collect()
}

fn write_share(address: SocketAddr, clock: Clock, share: &[(String, i64)], acknowledged: &Acknowledged) {
    let mut client = Client::connect(address);
    for (key, offset) in share {
        let code = client.put(key, &clock.value(*offset));
        let stored = client.text(key).expect("a record once a put was answered");
        let stored: i64 = stored
            .rsplit(':')
            .next()
            .and_then(|text| text.parse().ok())
            .expect("an offset");
        match code {
            0 => {
                assert!(
                    stored >= *offset,
                    "{key}: {offset} was acknowledged, then {stored} was read"
                );
                let mut acknowledged = acknowledged.lock().expect("no client failed");
                let newest = acknowledged.entry(key.clone()).or_insert(*offset);
                *newest = (*newest).max(*offset);
            }
            2 => assert!(stored > *offset, "{key}: {offset} was refused for {stored}"),
            code => panic!("{key}: {offset} was answered with code {code}"),
        }
    }
}
