//! What `stat` and memcached's `stats` count: what clients did, whatever is behind.

use std::collections::BTreeMap;

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::http;
use crate::support::memcached::store;
use crate::support::real::Real;
use crate::support::scripted::{End, Scripted};
use crate::support::stamped::Clock;

/// The counts that are not 0, by their names without `cnt_`.
fn counts(client: &mut Client) -> BTreeMap<String, u64> {
    let stat = client.stat();
    let counts = stat
        .lines()
        .filter_map(|line| line.strip_prefix("cnt_")?.split_once('\t'));
    let counts = counts.map(|(name, count)| (name.to_owned(), count.parse().expect("a count")));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn named(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

/// Lines of `stats` that begin with `cmd_`.
fn commands(client: &mut Client) -> Vec<String> {
    client.send(b"stats\r\n");
    let lines = String::from_utf8(client.recv_until(b"END\r\n")).expect("text");
    let commands = lines.lines().filter_map(|line| line.strip_prefix("STAT cmd_"));
    commands.map(str::to_owned).collect()
}

/// The same of each protocol, by clients of both workers. 8 gets of memcached, 3 of which find something; 11 of binary
/// clients, of which one does.
fn ask(guarded: &Guarded) {
    let clock = Clock::start();
    let mut clients = [guarded.client(), guarded.client()];
    for client in &mut clients {
        client.expect("get none\r\n", "END\r\n");
    }
    let [first, second] = &mut clients;
    assert_eq!(first.put("k", &clock.value(0)), 0);
    assert_eq!(second.put("k", &clock.value(-1)), 2);
    first.expect("get none none2 none3\r\n", "END\r\n");
    for _ in 0..3 {
        second.send(b"get k\r\n");
        second.recv_until(b"END\r\n");
    }
    assert!(first.get("k").is_some());
    for _ in 0..5 {
        assert_eq!(first.get("none"), None);
        assert_eq!(second.get("none"), None);
    }
    assert_eq!(first.mget(&["k", "none"]).len(), 1);
    first.expect(&store("add", "k", "x"), "NOT_STORED\r\n");
    first.expect(&store("replace", "none", "x"), "NOT_STORED\r\n");
    first.expect("delete none\r\n", "NOT_FOUND\r\n");
    assert_eq!(second.out("k"), 0);
    assert_eq!(http::ask(second, &http::request("GET", "/k", &[], "")).0, 404);
    assert_eq!(http::ask(second, &http::request("HEAD", "/k", &[], "")).0, 404);
    second.putnr("n", b"x");
    assert_eq!(second.ask_code(&[0xC8, frame::SYNC]), 0);
}

fn expect_what_clients_did(guarded: &Guarded) {
    ask(guarded);
    let mut client = guarded.client();
    let wanted = named(&[
        ("put", 3),
        ("putkeep", 1),
        ("putnr", 1),
        ("put_miss", 3),
        ("out", 2),
        ("out_miss", 1),
        ("get", 20),
        ("get_miss", 16),
        ("mget", 1),
        ("vsiz", 1),
        ("sync", 1),
        ("stat", 1),
    ]);
    assert_eq!(counts(&mut client), wanted);
    let wanted = [
        "set 5",
        "set_hits 2",
        "set_misses 3",
        "delete 2",
        "delete_hits 1",
        "delete_misses 1",
        "get 20",
        "get_hits 4",
        "get_misses 16",
        "flush 0",
    ];
    assert_eq!(commands(&mut client), wanted);
}

#[test]
fn a_store_in_memory_counts_what_clients_did() {
    expect_what_clients_did(&Guarded::memory("workers = 2\n"));
}

#[test]
fn a_store_in_a_file_counts_what_clients_did() {
    let folder = tempfile::tempdir().expect("a folder");
    expect_what_clients_did(&Guarded::file(&folder.path().join("store"), "workers = 2\n"));
}

#[test]
fn in_front_of_a_server_it_is_counted_what_clients_did() {
    let Some(real) = Real::start("*", "in_front_of_a_server_it_is_counted_what_clients_did") else {
        return;
    };
    let guarded = Guarded::before(real.address(), "workers = 2\n");
    expect_what_clients_did(&guarded);
    // By the client that operators use.
    let lines = real.tcrmgr_at(guarded.address(), &["inform", "-st"]);
    let lines = String::from_utf8(lines).expect("text");
    assert!(
        lines.contains("cnt_get\t20\n") && lines.contains("cnt_get_miss\t16\n"),
        "{lines}"
    );
}

#[test]
fn counts_begin_anew_with_the_server() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "workers = 1\nlanes = 1\n");
    assert_eq!(guarded.client().get("k"), None);
    assert_eq!(guarded.client().get("k"), None);
    assert_eq!(
        counts(&mut guarded.client()),
        named(&[("get", 2), ("get_miss", 2), ("stat", 1)])
    );
    scripted.end_connections(End::Fin);
    guarded.expect_metric("ttguard_lane_reconnects_total", &[], 1.0);
    assert_eq!(
        counts(&mut guarded.client()),
        named(&[("get", 2), ("get_miss", 2), ("stat", 2)]),
        "the same run of the server"
    );
    scripted.stop(End::Rst);
    scripted.return_again();
    guarded.expect_log("was started again");
    assert_eq!(guarded.client().get("k"), None);
    assert_eq!(
        counts(&mut guarded.client()),
        named(&[("get", 1), ("get_miss", 1), ("stat", 1)])
    );
}
