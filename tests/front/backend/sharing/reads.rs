//! Reads that share one question, and each the answer to its own key.

use super::{ONE_LANE, ask_together};
use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::scripted::{Act, End, Request, Rule, Scripted};

/// Answers of at most 64 KiB.
fn settings() -> String {
    format!("{ONE_LANE}[limits]\nreply = \"64KiB\"\n")
}

/// What the clients ask for at once, and what each of them is to get: the same twice, none, and more than is allowed.
const ASKED: [(&str, Option<&str>); 9] = [
    ("a", Some("value of a")),
    ("none", None),
    ("b", Some("value of b")),
    ("a", Some("value of a")),
    ("", Some("value of no name")),
    ("none", None),
    ("b", Some("value of b")),
    ("c", Some("value of c")),
    ("no more", None),
];

fn is_shared(request: &Request) -> bool {
    request.opcode == frame::MGET && request.arguments.len() > 2
}

fn records() -> Scripted {
    let scripted = Scripted::start();
    for key in ["a", "b", "c"] {
        scripted.insert(key, format!("value of {key}").as_bytes());
    }
    scripted.insert("", b"value of no name");
    scripted.insert("large", &[b'x'; 100 << 10]);
    scripted
}

/// Lets ttguard see that records are small, and that `mget` finds them.
fn warm_up(guarded: &Guarded) {
    let mut client = guarded.client();
    for _ in 0..50 {
        assert_eq!(client.text("a").as_deref(), Some("value of a"));
    }
}

fn gets<'a>(keys: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Vec<u8>> {
    keys.into_iter().map(|key| frame::keyed(frame::GET, key))
}

#[track_caller]
fn expect_right(clients: &mut [Client]) {
    for (client, (key, value)) in clients.iter_mut().zip(ASKED) {
        let found = client.read_value().expect("an answer");
        assert_eq!(found.as_deref(), value.map(str::as_bytes), "{key}");
    }
}

#[test]
fn reads_that_come_together_are_one_question_and_each_has_its_own_answer() {
    let scripted = records();
    let guarded = Guarded::before(scripted.address(), &settings());
    warm_up(&guarded);
    let keys = ASKED.iter().map(|(key, _)| *key);
    let mut clients = ask_together(&scripted, &guarded, gets(keys.clone()));
    expect_right(&mut clients);
    scripted.see(|state| {
        let shared: Vec<_> = state.requests().filter(|request| is_shared(request)).collect();
        assert_eq!(shared.len(), 1);
        let (mut asked, mut sent): (Vec<_>, _) = (keys.map(str::as_bytes).collect(), shared[0].arguments.clone());
        asked.sort();
        sent.sort();
        assert_eq!(sent, asked);
    });
    assert_eq!(guarded.scrape("ttguard_lanes_fenced_total", &[]), 0.0);
    let answered = |outcome| {
        guarded.scrape(
            "ttguard_backend_requests_total",
            &[("command", "mget"), ("outcome", outcome)],
        )
    };
    // One of the first fifty was asked for twice, since nothing had been found before.
    assert_eq!((answered("answered"), answered("failed")), (50.0 + 6.0, 3.0));
}

#[test]
fn one_that_is_too_large_takes_nothing_from_those_who_share_its_question() {
    let scripted = records();
    let guarded = Guarded::before(scripted.address(), &settings());
    warm_up(&guarded);
    let keys = ["b", "none", "large", "c", "large"];
    let mut clients = ask_together(&scripted, &guarded, gets(keys));
    for (client, key) in clients.iter_mut().zip(keys) {
        match key {
            "large" => client.expect_reset(PATIENCE),
            "none" => assert_eq!(client.read_value().expect("an answer"), None),
            _ => assert_eq!(
                client.read_value().expect("an answer"),
                Some(format!("value of {key}").into_bytes())
            ),
        }
    }
    assert_eq!(guarded.scrape("ttguard_lanes_fenced_total", &[]), 0.0);
    assert!(scripted.see(|state| state.requests().any(is_shared)));
    let labels = [("command", "mget"), ("outcome", "too_large")];
    guarded.expect_metric("ttguard_backend_requests_total", &labels, 2.0);
}

#[test]
fn a_fault_in_a_shared_answer_takes_the_lane_out_of_service_and_misleads_nobody() {
    let cases = [
        Act::AnswerFor("c"),
        Act::AnswerFor("large"),
        Act::ExtraByte,
        Act::WrongCode(1),
        Act::Announce(10),
        Act::Announce(-1),
        Act::Cut(4, End::Fin),
        Act::Cut(30, End::Rst),
        Act::Lose(End::Fin),
    ];
    for act in cases {
        println!("{act:?}");
        let scripted = records();
        let guarded = Guarded::before(scripted.address(), &settings());
        warm_up(&guarded);
        scripted.rule(Rule::once(act, is_shared));
        let mut clients = ask_together(&scripted, &guarded, gets(ASKED.map(|(key, _)| key)));
        expect_right(&mut clients);
        guarded.expect_metric("ttguard_lanes_fenced_total", &[], 1.0);
    }
}

#[test]
fn large_records_are_asked_for_one_by_one() {
    let scripted = records();
    scripted.insert("half", &[b'x'; 40 << 10]);
    let guarded = Guarded::before(scripted.address(), &settings());
    warm_up(&guarded);
    assert_eq!(guarded.client().get("half").map(|value| value.len()), Some(40 << 10));
    let mut clients = ask_together(&scripted, &guarded, gets(["a", "b", "c"]));
    for (client, key) in clients.iter_mut().zip(["a", "b", "c"]) {
        assert_eq!(
            client.read_value().expect("an answer"),
            Some(format!("value of {key}").into_bytes())
        );
    }
    assert!(!scripted.see(|state| state.requests().any(is_shared)));
}

#[test]
fn a_client_that_pipelines_has_its_answers_in_order() {
    let scripted = records();
    let guarded = Guarded::before(scripted.address(), &settings());
    warm_up(&guarded);
    let mut client = guarded.client();
    let asked: Vec<_> = ASKED.iter().cycle().take(900).collect();
    let frames: Vec<_> = asked.iter().map(|(key, _)| frame::keyed(frame::GET, key)).collect();
    client.send(&frames.concat());
    for (key, value) in asked {
        let found = client.read_value().expect("an answer");
        assert_eq!(found.as_deref(), value.map(str::as_bytes), "{key}");
    }
}

/// A server whose mask denies `mget` answers it as if there were no record.
#[test]
fn where_mget_is_denied_nothing_is_said_to_be_missing() {
    let scripted = records();
    scripted.rule(Rule {
        left: usize::MAX,
        ..Rule::once(Act::AnswerFor("none"), |request| {
            request.opcode == frame::MGET && request.arguments.len() == 1
        })
    });
    let guarded = Guarded::before(scripted.address(), &settings());
    expect_found(&guarded);
    if let Some(real) = Real::start_with(
        &["-mask", "mget"],
        "*",
        "where_mget_is_denied_nothing_is_said_to_be_missing",
    ) {
        let mut client = real.client();
        for key in ["a", "b"] {
            assert_eq!(client.put(key, format!("value of {key}").as_bytes()), 0);
        }
        expect_found(&Guarded::before(real.address(), &settings()));
    }
}

fn expect_found(guarded: &Guarded) {
    let mut client = guarded.client();
    for _ in 0..3 {
        assert_eq!(client.text("a").as_deref(), Some("value of a"));
        assert_eq!(client.get("none"), None);
        assert_eq!(client.text("b").as_deref(), Some("value of b"));
    }
    guarded.expect_log("get finds a record that mget has not found");
    assert_eq!(guarded.scrape("ttguard_lanes_fenced_total", &[]), 0.0);
}
