//! Batches of keys that the guard knows nothing of: after a start that is every key. They are looked up in groups, and
//! ahead of their turn, or a long list would take a round trip for each of its records.

use std::process::{Command, Stdio};

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};
use crate::support::real::Real;
use crate::support::scripted::{Act, End, Request, Rule, Scripted};
use crate::support::stamped::Clock;

/// One lane for everybody, and answers of at most 64 KiB.
const SETTINGS: &str = "workers = 1\nlanes = 1\nbulk_lanes = 0\nprimed_lanes = 0\nlimits.reply = \"64KiB\"\n";

/// Records of the long list.
const MANY: usize = 20_000;

/// How many are looked up by one question, at least, on the whole.
const GROUP: usize = 16;

fn key(number: usize) -> String {
    format!("key{number}")
}

fn set_up(settings: &str) -> (Scripted, Guarded, Clock) {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), &format!("{SETTINGS}{settings}"));
    (scripted, guarded, Clock::start())
}

fn putlist(keys: impl Iterator<Item = usize>, value: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = keys.map(key).collect();
    let arguments: Vec<_> = keys.iter().flat_map(|key| [key.as_bytes(), value]).collect();
    frame::misc("putlist", &arguments)
}

fn outlist(keys: impl Iterator<Item = usize>) -> Vec<u8> {
    let keys: Vec<_> = keys.map(key).collect();
    frame::misc("outlist", &keys.iter().map(String::as_bytes).collect::<Vec<_>>())
}

/// Whether several keys are looked up by this request.
fn is_group(request: &Request) -> bool {
    request.opcode == frame::MGET && request.arguments.len() > 2
}

#[track_caller]
fn expect_list(client: &mut Client, list: &[u8], code: u8) {
    client.send(list);
    assert_eq!(client.recv(5), [code, 0, 0, 0, 0], "a code and no strings");
}

/// So many keys were looked up, each once, by few questions.
#[track_caller]
fn expect_groups(scripted: &Scripted, keys: usize) {
    scripted.see(|state| {
        let looks: Vec<_> = state
            .requests()
            .filter(|request| request.opcode == frame::MGET)
            .collect();
        let names: usize = looks.iter().map(|request| request.arguments.len()).sum();
        assert_eq!(names, 2 * keys, "each key, and the record that keeps its stamp");
        assert!(looks.len() <= keys / GROUP, "{keys} keys by {} questions", looks.len());
    });
}

#[test]
fn the_keys_of_a_list_are_looked_up_in_groups() {
    let (scripted, guarded, clock) = set_up("");
    let newer = [3, 777, MANY - 1];
    for number in newer {
        scripted.insert(&key(number), &clock.value(0));
    }
    let mut client = guarded.client();
    expect_list(&mut client, &putlist(0..MANY, &clock.value(-1000)), 2);
    expect_groups(&scripted, MANY);
    for number in (0..MANY).step_by(111).chain(newer) {
        let offset = if newer.contains(&number) { 0 } else { -1000 };
        assert_eq!(scripted.text(&key(number)), Some(clock.text(offset)), "{number}");
    }
    assert_eq!(guarded.scrape("ttguard_lookups_total", &[]), MANY as f64);
}

#[test]
fn the_keys_of_a_list_of_deletes_are_looked_up_in_groups() {
    let (scripted, guarded, _) = set_up("");
    let keys = 2000;
    for number in 0..keys {
        scripted.insert(&key(number), b"value");
    }
    expect_list(&mut guarded.client(), &outlist(0..keys), 0);
    expect_groups(&scripted, keys);
    scripted.see(|state| assert_eq!((0..keys).find(|number| state.value(&key(*number)).is_some()), None));
}

#[test]
fn the_keys_of_pipelined_puts_are_looked_up_in_groups_and_each_is_answered_in_its_order() {
    let (scripted, guarded, clock) = set_up("");
    let (keys, newer) = (2000, [5, 1234]);
    for number in newer {
        scripted.insert(&key(number), &clock.value(0));
    }
    let puts = (0..keys).flat_map(|number| frame::store(frame::PUT, &key(number), &clock.value(-1000)));
    let mut client = guarded.client();
    client.send(&puts.collect::<Vec<_>>());
    let codes = client.recv(keys);
    let refused: Vec<_> = (0..keys).filter(|number| codes[*number] != 0).collect();
    assert_eq!((refused.as_slice(), codes[5]), (&newer[..], 2));
    expect_groups(&scripted, keys);
    for number in (0..keys).filter(|number| !newer.contains(number)) {
        assert_eq!(scripted.text(&key(number)), Some(clock.text(-1000)), "{number}");
    }
}

#[test]
fn what_a_client_pipelines_for_one_key_keeps_its_order_behind_a_look_ahead() {
    let (scripted, guarded, clock) = set_up("");
    let keys = 100;
    let mut asked = Vec::new();
    for number in 0..keys {
        let key = key(number);
        asked.extend(frame::store(frame::PUT, &key, &clock.value(-1000)));
        asked.extend(frame::store(frame::PUTCAT, &key, b"more"));
        asked.extend(frame::keyed(frame::GET, &key));
        asked.extend(frame::store(frame::PUT, &key, &clock.value(-2000)));
        asked.extend(frame::keyed(frame::OUT, &key));
        asked.extend(frame::keyed(frame::GET, &key));
    }
    let mut client = guarded.client();
    client.send(&asked);
    for number in 0..keys {
        assert_eq!(client.recv(2), [0, 0], "{number}: stored, and appended to");
        let value = client.read_value().expect("an answer");
        assert_eq!(
            value,
            Some(format!("{}more", clock.text(-1000)).into_bytes()),
            "{number}"
        );
        assert_eq!(client.recv(2), [2, 0], "{number}: stale, and deleted");
        assert_eq!(client.read_value().expect("an answer"), None, "{number}");
    }
    assert!(scripted.see(|state| state.requests().any(is_group)));
}

#[test]
fn an_import_in_front_of_which_nothing_is_known_goes_through() {
    let (scripted, guarded, clock) = set_up("");
    let keys = 5000;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lines");
    let lines: Vec<_> = (0..keys)
        .map(|number| format!("{}\t{}\n", key(number), clock.text(-1000)))
        .collect();
    std::fs::write(&file, lines.concat()).expect("a file");
    let status = Command::new(BINARY)
        .args(["import", &guarded.address().to_string()])
        .arg(&file)
        .stderr(Stdio::inherit())
        .status();
    assert!(status.expect("run ttguard").success());
    expect_groups(&scripted, keys);
    scripted.see(|state| assert_eq!((0..keys).find(|number| state.value(&key(*number)).is_none()), None));
}

#[test]
fn a_fault_in_the_answer_to_a_group_misleads_nobody() {
    let cases = [
        Act::AnswerFor("nobody"),
        Act::ExtraByte,
        Act::WrongCode(1),
        Act::WrongCode(255),
        Act::Announce(1000),
        Act::Announce(-1),
        Act::Cut(4, End::Fin),
        Act::Cut(30, End::Fin),
        Act::Lose(End::Fin),
        Act::Refuse(End::Fin),
    ];
    for act in cases {
        println!("{act:?}");
        let (scripted, guarded, clock) = set_up("pairing.request_timeout = \"10s\"\n");
        let (keys, newer) = (600, 400..600);
        for number in newer.clone() {
            scripted.insert(&key(number), &clock.value(0));
        }
        scripted.insert("nobody", &clock.value(0));
        // A group in which every key has a record.
        let last = format!("key{}", 590).into_bytes();
        scripted.rule(Rule::once(act, move |request| {
            is_group(request) && request.arguments.contains(&last)
        }));
        expect_list(&mut guarded.client(), &putlist(0..keys, &clock.value(-1000)), 2);
        for number in 0..keys {
            let offset = if newer.contains(&number) { 0 } else { -1000 };
            assert_eq!(
                scripted.text(&key(number)),
                Some(clock.text(offset)),
                "{act:?} {number}"
            );
        }
        guarded.expect_metric("ttguard_lanes_fenced_total", &[], 1.0);
    }
}

#[test]
fn a_late_answer_to_a_group_is_never_taken_and_a_long_list_outlasts_it() {
    let (scripted, guarded, clock) = set_up("pairing.request_timeout = \"4s\"\n");
    scripted.insert(&key(MANY - 1), &clock.value(0));
    let gate = scripted.gate();
    scripted.rule(Rule::once(Act::HoldAnswer(gate), is_group));
    let mut client = guarded.client();
    client.send(&putlist(0..MANY, &clock.value(-1000)));
    scripted.wait_reached(gate);
    guarded.expect_metric("ttguard_lanes_fenced_total", &[], 1.0);
    scripted.open(gate);
    assert_eq!(client.recv(5), [2, 0, 0, 0, 0], "one of them is stale");
    assert_eq!(client.get(&key(0)), Some(clock.value(-1000)));
    assert_eq!(client.get(&key(MANY - 1)), Some(clock.value(0)));
}

#[test]
fn a_record_that_is_too_large_to_be_read_back_takes_nothing_from_its_group() {
    let (scripted, guarded, clock) = set_up("");
    let (keys, large) = (300, 200);
    scripted.insert(&key(large), &[b'1'; 100 << 10]);
    let puts = (0..keys).flat_map(|number| frame::store(frame::PUT, &key(number), &clock.value(-1000)));
    let mut client = guarded.client();
    client.send(&puts.collect::<Vec<_>>());
    assert_eq!(client.recv(large), vec![0; large]);
    client.expect_reset(PATIENCE);
    assert_eq!(guarded.scrape("ttguard_lanes_fenced_total", &[]), 0.0);
    scripted.see(|state| {
        assert_eq!(
            (0..keys).filter(|number| state.writes(&key(*number)) > 0).count(),
            large
        )
    });
    // What is behind it was looked up all the same, and is known now.
    let mut client = guarded.client();
    let before = guarded.scrape("ttguard_lookups_total", &[]);
    assert_eq!(client.put(&key(large + 1), &clock.value(-1000)), 0);
    assert_eq!(guarded.scrape("ttguard_lookups_total", &[]), before);
}

#[test]
fn a_client_that_may_not_pipeline_has_nothing_looked_up_ahead() {
    let (scripted, guarded, clock) = set_up("pairing.pipelining = \"forbid\"\n");
    let gate = scripted.gate();
    scripted.rule(Rule::look("key0", Act::HoldAnswer(gate)));
    let mut client = guarded.client();
    client.send(&frame::store(frame::PUT, &key(0), &clock.value(-1000)));
    scripted.wait_reached(gate);
    let _ = client.try_send(&frame::store(frame::PUT, &key(1), &clock.value(-1000)));
    assert_eq!(client.ending(PATIENCE), Ending::Reset);
    scripted.open(gate);
    assert!(!scripted.see(|state| state.requests().any(|request| request.looks_at("key1"))));
}

#[test]
fn behind_a_mask_that_denies_mget_batches_go_through_all_the_same() {
    let Some(real) = Real::start_with(&["-mask", "mget"], "*", "a mask that denies mget") else {
        return;
    };
    let (guarded, clock) = (Guarded::before(real.address(), SETTINGS), Clock::start());
    let mut client = guarded.client();
    expect_list(&mut client, &putlist(0..2000, &clock.value(0)), 0);
    expect_list(&mut client, &putlist(0..2000, &clock.value(-1000)), 2);
    assert_eq!(client.get(&key(1999)), Some(clock.value(0)));
}
