//! The tools themselves, without a proxy: what they say of one must be worth believing.

use std::time::Duration;

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::sample;
use crate::support::ready::parse_ready;
use crate::support::real::Real;
use crate::support::replay;
use crate::support::scripted::{Act, End, Rule, Scripted};
use crate::support::stamped::{Clock, tell_story};
use crate::support::transcripts;

/// How long nothing must happen, where nothing is the point.
const MOMENT: Duration = Duration::from_millis(50);

#[test]
fn the_ready_line_is_understood() {
    let line = "ttguard: listening on 127.0.0.1:40001, 127.0.0.1:40003, backend memory:, admin http://127.0.0.1:40002, \
                guard enforce 13 digits ms inline ledger\n";
    let (addresses, admin) = parse_ready(line);
    assert_eq!(
        addresses.iter().map(|address| address.port()).collect::<Vec<_>>(),
        [40001, 40003]
    );
    assert_eq!(admin.port(), 40002);
}

#[test]
fn a_metric_is_found_by_its_name_and_labels() {
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<f64>);
    let cases: &[Case] = &[
        (
            "verdicts_total{verdict=\"stale\"} 3",
            &[("verdict", "stale")],
            Some(3.0),
        ),
        (
            "verdicts_total{a=\"b\",verdict=\"stale\"} 3",
            &[("verdict", "stale")],
            Some(3.0),
        ),
        ("verdicts_total{verdict=\"future\"} 3", &[("verdict", "stale")], None),
        ("verdicts_total{verdict=\"stale\"} 3", &[], Some(3.0)),
        ("verdicts_total 7", &[], Some(7.0)),
        ("verdicts_total_created 7", &[], None),
        ("# HELP verdicts_total Verdicts", &[], None),
    ];
    for (line, labels, wanted) in cases {
        assert_eq!(sample(line, "verdicts_total", labels), *wanted, "{line}");
    }
}

#[test]
fn the_scripted_backend_answers_as_the_recordings_do() {
    for exchange in transcripts::load("binary.jsonl") {
        if exchange.db == "*" && ["many", "iteration"].contains(&exchange.scenario.as_str()) {
            let scripted = Scripted::start();
            replay::play(scripted.address(), &exchange);
            scripted.expect_whole_requests();
        }
    }
}

#[test]
fn the_scripted_backend_knows_what_a_proxy_asks() {
    let scripted = Scripted::start();
    let mut client = Client::connect(scripted.address());
    assert_eq!(client.misc("putlist", &[b"a", b"1", b"b", b"2"]), (0, vec![]));
    assert_eq!(
        client.misc("getlist", &[b"a", b"zz"]),
        (0, vec![b"a".to_vec(), b"1".to_vec()])
    );
    assert_eq!(client.mget(&["zz", "b"]), [(b"b".to_vec(), b"2".to_vec())]);
    assert_eq!(client.misc("putkeep", &[b"a", b"3"]), (1, vec![]));
    assert_eq!(client.misc("get", &[b"a"]), (0, vec![b"1".to_vec()]));
    assert_eq!(client.misc("outlist", &[b"a", b"zz"]), (0, vec![]));
    assert_eq!(client.misc("out", &[b"a"]), (1, vec![]));
    assert_eq!(client.ext("nofunc", "k", b"v"), (1, None));
    assert_eq!(client.iterate(), ["b"]);
    assert!(client.stat().contains("\ntype\thash\n"));
}

#[test]
fn the_real_server_answers_as_it_was_recorded() {
    for exchange in transcripts::load("binary.jsonl") {
        if exchange.db != "*" {
            continue;
        }
        let Some(real) = Real::start("*", "the_real_server_answers_as_it_was_recorded") else {
            return;
        };
        replay::play(real.address(), &exchange);
    }
}

#[test]
fn without_a_guard_the_late_packet_stays() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    assert_eq!(tell_story(scripted.address(), "k", clock), [0, 0, 0]);
    assert_eq!(scripted.text("k"), Some(clock.text(-60_000)));

    let Some(real) = Real::start("*", "without_a_guard_the_late_packet_stays") else {
        return;
    };
    assert_eq!(tell_story(real.address(), "k", clock), [0, 0, 0]);
    assert_eq!(real.client().text("k"), Some(clock.text(-60_000)));
}

#[test]
fn a_killed_real_server_returns_on_its_port() {
    let Some(mut real) = Real::start("*", "a_killed_real_server_returns_on_its_port") else {
        return;
    };
    assert_eq!(real.client().put("k", b"v"), 0);
    real.kill();
    real.start_again();
    assert_eq!(real.client().get("k"), None);
}

#[test]
fn a_held_request_is_carried_out_when_released_though_its_peer_is_gone() {
    let scripted = Scripted::start();
    let gate = scripted.gate();
    scripted.rule(Rule::write("k", Act::HoldRequest(gate)));
    let mut client = Client::connect(scripted.address());
    client.send(&frame::store(frame::PUT, "k", b"zombie"));
    scripted.wait_reached(gate);
    drop(client);
    assert_eq!(scripted.value("k"), None);
    scripted.open(gate);
    scripted.wait("the zombie", |state| state.value("k") == Some(b"zombie".to_vec()));
    scripted.wait("the end", |state| {
        state.connections[0].ended && state.connections[0].peer_gone
    });
}

#[test]
fn a_held_answer_is_late_and_its_write_is_not() {
    let scripted = Scripted::start();
    let gate = scripted.gate();
    scripted.rule(Rule::write("k", Act::HoldAnswer(gate)));
    let mut client = Client::connect(scripted.address());
    client.send(&frame::store(frame::PUT, "k", b"v"));
    scripted.wait_reached(gate);
    assert_eq!(scripted.text("k").as_deref(), Some("v"));
    client.expect_quiet(MOMENT);
    scripted.open(gate);
    assert_eq!(client.recv(1), [0]);
}

#[test]
fn every_fault_is_seen_by_the_client_as_it_was_scripted() {
    let answered = |bytes: &[u8]| Ending::Answered(bytes.to_vec());
    let cases = [
        (Act::Refuse(End::Fin), None, Ending::Finished),
        (Act::Refuse(End::Rst), None, Ending::Reset),
        (Act::Lose(End::Fin), Some("v"), Ending::Finished),
        (Act::Lose(End::Rst), Some("v"), Ending::Reset),
        (Act::Cut(0, End::Rst), Some("v"), Ending::Reset),
        (Act::Cut(0, End::Fin), Some("v"), Ending::Finished),
        (Act::ExtraByte, Some("v"), answered(&[0, 0])),
        (Act::WrongCode(0x4D), Some("v"), answered(&[0x4D])),
    ];
    for (act, stored, wanted) in cases {
        let scripted = Scripted::start();
        scripted.rule(Rule::nth(0, 0, act));
        let mut client = Client::connect(scripted.address());
        client.send(&frame::store(frame::PUT, "k", b"v"));
        assert_eq!(client.ending(PATIENCE), wanted, "{act:?}");
        assert_eq!(scripted.text("k").as_deref(), stored, "{act:?}");
        assert_eq!(scripted.see(|state| state.writes("k")), 1, "{act:?}");
    }
}

#[test]
fn silence_is_silence_and_a_partial_frame_is_noticed() {
    let scripted = Scripted::start();
    scripted.rule(Rule::nth(0, 0, Act::Silence));
    let mut client = Client::connect(scripted.address());
    client.send(&frame::keyed(frame::GET, "k"));
    client.send(&frame::keyed(frame::GET, "k")[..4]);
    scripted.wait("four bytes", |state| {
        state
            .connections
            .first()
            .is_some_and(|record| record.requests.len() == 1 && record.unread == 4)
    });
    client.expect_quiet(MOMENT);
    drop(client);
    scripted.wait("the end", |state| state.connections[0].ended);
    assert!(scripted.see(|state| state.connections[0].partial));
}

#[test]
fn a_stopped_backend_refuses_and_returns_with_its_records_as_another_process() {
    let pid = |stat: String| stat.lines().find(|line| line.starts_with("pid\t")).map(str::to_owned);
    for (end, wanted) in [(End::Fin, Ending::Finished), (End::Rst, Ending::Reset)] {
        let scripted = Scripted::start();
        let mut client = Client::connect(scripted.address());
        assert_eq!(client.put("k", b"v"), 0);
        let before = pid(client.stat());
        scripted.stop(end);
        assert_eq!(client.ending(PATIENCE), wanted);
        // Once in a long while the kernel picks the port itself for the other end, and a socket connects to itself.
        let refuses = || std::net::TcpStream::connect(scripted.address()).is_err();
        assert!((0..5).any(|_| refuses()));
        scripted.return_again();
        let mut client = Client::connect(scripted.address());
        assert_eq!(client.text("k").as_deref(), Some("v"));
        assert_ne!(pid(client.stat()), before);
    }
}
