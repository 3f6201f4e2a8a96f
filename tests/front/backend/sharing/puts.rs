//! Puts that share one request: each is acknowledged when it is stored, and never otherwise.

use super::{ONE_LANE, ask_together};
use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::scripted::{Act, End, Request, Rule, Scripted};
use crate::support::stamped::Clock;

/// Whose puts come together, and how long after the first: two of them are for one key.
const ASKED: [(&str, i64); 5] = [("a", 0), ("b", 1), ("a", 2), ("c", 3), ("d", 4)];

fn is_shared(request: &Request) -> bool {
    request.function == "putlist" && request.arguments.len() > 2
}

fn frames(clock: Clock) -> impl Iterator<Item = Vec<u8>> {
    let put = move |(key, offset)| frame::store(frame::PUT, key, &clock.value(offset));
    ASKED.into_iter().map(put)
}

/// Has each key known, so that no put has to look.
fn warm_up(guarded: &Guarded, clock: Clock) {
    let mut client = guarded.client();
    for (key, offset) in ASKED {
        assert_eq!(client.put(key, &clock.value(offset - 1000)), 0);
    }
}

/// What each client is answered.
fn codes(clients: &mut [Client]) -> Vec<u8> {
    clients.iter_mut().map(|client| client.recv(1)[0]).collect()
}

/// The newest of each key is there.
#[track_caller]
fn expect_kept(scripted: &Scripted, clock: Clock) {
    for (key, offset) in [("a", 2), ("b", 1), ("c", 3), ("d", 4)] {
        assert_eq!(scripted.text(key), Some(clock.text(offset)));
    }
}

#[track_caller]
fn expect_stored(clients: &mut [Client], scripted: &Scripted, clock: Clock) {
    for (client, (key, _)) in clients.iter_mut().zip(ASKED) {
        assert_eq!(client.recv(1), [0], "{key} is stored");
    }
    expect_kept(scripted, clock);
}

fn set_up(settings: &str) -> (Scripted, Guarded, Clock) {
    let (scripted, clock) = (Scripted::start(), Clock::start());
    let guarded = Guarded::before(scripted.address(), &format!("{ONE_LANE}{settings}"));
    warm_up(&guarded, clock);
    (scripted, guarded, clock)
}

/// What the requests that are shared store, each in its order.
fn shared(scripted: &Scripted) -> Vec<Vec<Vec<u8>>> {
    scripted.see(|state| {
        let shared = state.requests().filter(|request| is_shared(request));
        shared.map(|request| request.arguments.clone()).collect()
    })
}

fn listed(clock: Clock) -> Vec<Vec<u8>> {
    let pair = |(key, offset): (&str, i64)| [key.as_bytes().to_vec(), clock.value(offset)];
    ASKED.into_iter().flat_map(pair).collect()
}

#[test]
fn puts_that_come_together_are_one_request_in_their_order() {
    let (scripted, guarded, clock) = set_up("");
    let mut clients = ask_together(&scripted, &guarded, frames(clock));
    expect_stored(&mut clients, &scripted, clock);
    assert_eq!(shared(&scripted), [listed(clock)]);
    let puts = |outcome| [("command", "put"), ("outcome", outcome)];
    guarded.expect_metric("ttguard_backend_requests_total", &puts("answered"), 10.0);
    assert_eq!(guarded.scrape("ttguard_retries_total", &[]), 0.0);
    // What was refused before it was sent is in none of them.
    assert_eq!(guarded.client().put("a", &clock.value(1)), 2);
    assert_eq!(guarded.client().put("a", &clock.value(5)), 0);
    scripted.expect_whole_requests();
}

#[test]
fn with_records_value_and_stamp_of_each_go_in_the_same_request() {
    let (scripted, guarded, clock) = set_up("guard.ledger = \"record\"\n");
    let mut clients = ask_together(&scripted, &guarded, frames(clock));
    expect_stored(&mut clients, &scripted, clock);
    let with_stamp = |(key, offset): (&str, i64)| {
        let record = [
            format!("timestamp.{key}").into_bytes(),
            clock.digits(offset).into_bytes(),
        ];
        [key.as_bytes().to_vec(), clock.value(offset)].into_iter().chain(record)
    };
    let all: Vec<_> = ASKED.into_iter().flat_map(with_stamp).collect();
    assert_eq!(shared(&scripted).last(), Some(&all));
    assert_eq!(scripted.text("timestamp.a"), Some(clock.digits(2)));
}

#[test]
fn where_it_fails_each_is_sent_by_itself_and_so_are_others_for_a_while() {
    for settings in ["", "guard.ledger = \"record\"\n"] {
        let (scripted, guarded, clock) = set_up(settings);
        scripted.rule(Rule::once(Act::WrongCode(1), |request| {
            request.arguments.len() >= 2 * ASKED.len() && is_shared(request)
        }));
        let mut clients = ask_together(&scripted, &guarded, frames(clock));
        // The older one of "a" may come behind the newer one then.
        let codes = codes(&mut clients);
        assert!(matches!(codes[..], [0 | 2, 0, 0, 0, 0]), "{codes:?}");
        expect_kept(&scripted, clock);
        guarded.expect_metric("ttguard_retries_total", &[("kind", "apart")], 5.0);
        assert_eq!(guarded.scrape("ttguard_lanes_fenced_total", &[]), 0.0);
        guarded.expect_log("has not stored all of several puts");
    }
}

#[test]
fn a_put_that_fails_alone_is_told_so_and_no_other() {
    let (scripted, guarded, clock) = set_up("");
    let fails = |request: &Request| is_shared(request) || request.opcode == frame::PUT && request.writes("c");
    scripted.rule(Rule {
        left: usize::MAX,
        ..Rule::once(Act::WrongCode(1), fails)
    });
    let mut clients = ask_together(&scripted, &guarded, frames(clock));
    let codes = codes(&mut clients);
    assert!(matches!(codes[..], [0 | 2, 0, 0, 1, 0]), "{codes:?}");
}

#[test]
fn a_fault_in_the_answer_takes_the_lane_out_of_service_and_loses_no_put() {
    let cases = [
        Act::ExtraByte,
        Act::Announce(-1),
        Act::Cut(1, End::Fin),
        Act::Cut(4, End::Fin),
        Act::Lose(End::Fin),
        Act::Refuse(End::Fin),
    ];
    for act in cases {
        println!("{act:?}");
        let (scripted, guarded, clock) = set_up("");
        scripted.rule(Rule::once(act, is_shared));
        let mut clients = ask_together(&scripted, &guarded, frames(clock));
        let codes = codes(&mut clients);
        assert!(matches!(codes[..], [0 | 2, 0, 0, 0, 0]), "{codes:?}");
        expect_kept(&scripted, clock);
        guarded.expect_metric("ttguard_lanes_fenced_total", &[], 1.0);
    }
}

#[test]
fn what_has_no_stamp_or_is_large_goes_by_itself() {
    let (scripted, guarded, clock) = set_up("");
    let large = [clock.value(2), vec![b'x'; 5000]].concat();
    let mixed = [
        frame::store(frame::PUT, "a", &clock.value(0)),
        frame::store(frame::PUT, "b", b"no stamp"),
        frame::store(frame::PUT, "c", &clock.value(1)),
        frame::store(frame::PUT, "d", &large),
        frame::store(frame::PUT, "a", &clock.value(3)),
        frame::store(frame::PUTCAT, "e", b"no stamp either"),
        frame::store(frame::PUT, "c", &clock.value(4)),
    ];
    let mut clients = ask_together(&scripted, &guarded, mixed);
    for client in &mut clients {
        assert_eq!(client.recv(1), [0]);
    }
    assert_eq!(shared(&scripted), Vec::<Vec<Vec<u8>>>::new());
    assert_eq!(scripted.text("a"), Some(clock.text(3)));
    assert_eq!(scripted.text("c"), Some(clock.text(4)));
}

#[test]
fn none_are_shared_where_the_settings_say_so() {
    let (scripted, guarded, clock) = set_up("shared_puts = \"off\"\n");
    let mut clients = ask_together(&scripted, &guarded, frames(clock));
    expect_stored(&mut clients, &scripted, clock);
    assert_eq!(shared(&scripted), Vec::<Vec<Vec<u8>>>::new());
}

/// How many requests of this kind the server has counted.
fn counted(client: &mut Client, name: &str) -> u64 {
    let stat = client.stat();
    let line = stat.lines().find_map(|line| line.strip_prefix(&format!("{name}\t")));
    line.and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {stat}"))
}

/// Puts of many clients at once; returns how many of their requests the server has seen as `misc`.
fn put_many(real: &Real, settings: &str) -> u64 {
    let guarded = Guarded::before(real.address(), &format!("{ONE_LANE}{settings}"));
    let clock = Clock::start();
    let mut clients: Vec<_> = (0..32).map(|_| guarded.client()).collect();
    // By then the lane has greeted the server.
    assert_eq!(clients[0].put("key 0", &clock.value(-1)), 0);
    let before = counted(&mut real.client(), "cnt_misc");
    for round in 0..40 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(&frame::store(frame::PUT, &format!("key {number}"), &clock.value(round)));
        }
        for client in &mut clients {
            assert_eq!(client.recv(1), [0]);
        }
    }
    let mut direct = real.client();
    for number in 0..clients.len() {
        assert_eq!(direct.text(&format!("key {number}")), Some(clock.text(39)));
    }
    assert_eq!(guarded.scrape("ttguard_lanes_fenced_total", &[]), 0.0);
    counted(&mut direct, "cnt_misc") - before
}

/// A list would be added to a B+ tree, and keeps no bounds in memory.
#[test]
fn a_real_server_is_sent_lists_where_they_mean_the_same_as_puts() {
    let test = "a_real_server_is_sent_lists_where_they_mean_the_same_as_puts";
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (hash, tree) = (file("casket.tch"), file("casket.tcb"));
    for (database, settings, shares) in [
        (hash.as_str(), "", true),
        (&hash, "shared_puts = \"off\"\n", false),
        ("*", "", false),
        ("*", "shared_puts = \"all\"\n", true),
        ("+", "shared_puts = \"all\"\n", true),
        (&tree, "shared_puts = \"all\"\n", false),
    ] {
        let Some(real) = Real::start(database, test) else {
            return;
        };
        println!("{database} {settings}");
        assert_eq!(put_many(&real, settings) > 0, shares);
    }
}

/// Such a server answers as if it had done what was asked.
#[test]
fn no_list_is_sent_where_the_mask_denies_misc() {
    let test = "no_list_is_sent_where_the_mask_denies_misc";
    let folder = tempfile::tempdir().expect("a folder");
    let hash = folder.path().join("casket.tch").to_string_lossy().into_owned();
    for settings in ["", "guard.ledger = \"record\"\n"] {
        let Some(real) = Real::start_with(&["-mask", "misc"], &hash, test) else {
            return;
        };
        assert_eq!(put_many(&real, settings), 0);
        let guarded = Guarded::before(real.address(), settings);
        let clock = Clock::start();
        assert_eq!(guarded.client().put("k", &clock.value(0)), 0);
        assert_eq!(guarded.client().misc("put", &[b"k", &clock.value(1)]), (5, vec![]));
        let mut reads = guarded.client();
        reads.send(&frame::misc("get", &[b"k"]));
        reads.expect_reset(PATIENCE);
        assert_eq!(real.client().text("k"), Some(clock.text(0)));
        guarded.expect_log("the backend's mask denies misc");
    }
}
