//! memcached's text, through the guard.

use std::thread;

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::memcached::{found, store};
use crate::support::real::Real;
use crate::support::scripted::{Act, End, Rule, Scripted};
use crate::support::stamped::Clock;

const HOUR: i64 = 3_600_000;

#[test]
fn each_refusal_has_words_of_its_own() {
    let clock = Clock::start();
    let write = |verb: &str, offset| store(verb, "k", &clock.text(offset));
    let cases = [
        ("", write("set", -1000), "NOT_STORED"),
        ("", write("set", 1000), "STORED"),
        ("", write("set", HOUR), "CLIENT_ERROR future"),
        ("", write("add", -1000), "NOT_STORED"),
        ("", write("add", 1000), "NOT_STORED"),
        ("", write("replace", -1000), "NOT_STORED"),
        ("", write("replace", 1000), "STORED"),
        ("", store("set", "k", "plain"), "STORED"),
        ("", store("set", "timestamp.k", "1"), "CLIENT_ERROR forbidden"),
        ("", "incr timestamp.k 1\r\n".to_owned(), "CLIENT_ERROR forbidden"),
        ("", "delete timestamp.k\r\n".to_owned(), "CLIENT_ERROR forbidden"),
        (
            "[guard]\nunstamped = \"refuse\"",
            store("replace", "k", "plain"),
            "CLIENT_ERROR unstamped",
        ),
        (
            "[guard]\ntie = \"first\"",
            write("set", 0) + &store("set", "k", &(clock.digits(0) + "x")),
            "STORED\r\nNOT_STORED",
        ),
        ("[guard]\nstale_reply = \"ok\"", write("set", -1000), "STORED"),
        ("[guard]\nstale_reply = \"ok\"", write("replace", -1000), "STORED"),
        (
            "[guard.commands]\nputcat = \"refuse\"",
            store("append", "k", "x"),
            "CLIENT_ERROR forbidden",
        ),
        (
            "[guard.commands]\nputcat = \"refuse\"",
            store("prepend", "k", "x"),
            "CLIENT_ERROR forbidden",
        ),
        (
            "[guard.commands]\naddint = \"refuse\"",
            "incr k 1\r\n".to_owned(),
            "CLIENT_ERROR forbidden",
        ),
    ];
    for (settings, request, answer) in cases {
        let guarded = Guarded::memory(settings);
        let mut client = guarded.client();
        client.expect(&store("set", "k", &clock.text(0)), "STORED\r\n");
        client.expect(&request, &format!("{answer}\r\n"));
        let stays = answer != "STORED" || settings.contains("stale_reply");
        if stays {
            client.expect("get k\r\n", &found("k", &clock.text(0)));
        }
    }
}

#[test]
fn what_is_not_replied_to_is_judged_all_the_same() {
    let clock = Clock::start();
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    let silent = |verb: &str, offset| {
        let value = clock.text(offset);
        format!("{verb} k 0 0 {} noreply\r\n{value}\r\n", value.len())
    };
    client.send((silent("set", 0) + &silent("set", -1000) + &silent("replace", -1) + &silent("add", 5)).as_bytes());
    client.expect("get k\r\n", &found("k", &clock.text(0)));
    guarded.expect_metric("ttguard_verdicts_total", &[("verdict", "stale")], 2.0);
}

/// So many clients, of which each does this so often.
fn crowd(address: std::net::SocketAddr, clients: usize, turns: usize, turn: impl Fn(&mut Client) + Sync) {
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                (0..turns).for_each(|_| turn(&mut client));
            });
        }
    });
}

fn expect_no_lost_update(guarded: &Guarded) {
    let mut client = guarded.client();
    client.expect(&store("set", "n", "0"), "STORED\r\n");
    client.expect(&store("set", "both", "|"), "STORED\r\n");
    crowd(guarded.address(), 8, 50, |client| {
        client.send(b"incr n 3\r\n");
        client.recv_until(b"\r\n");
        client.expect(&store("prepend", "both", "a"), "STORED\r\n");
        client.send(b"decr n 1\r\n");
        client.recv_until(b"\r\n");
        client.expect(&store("append", "both", "b"), "STORED\r\n");
        assert_eq!(client.ask_code(&frame::store(frame::PUTCAT, "both", b"c")), 0);
    });
    client.expect("get n\r\n", &found("n", "800"));
    let both = client.text("both").expect("it is there");
    let (before, behind) = both.split_once('|').expect("what stood there first");
    assert_eq!((before.len(), behind.len()), (400, 800));
    assert!(before.bytes().all(|byte| byte == b'a'));
}

#[test]
fn no_update_is_lost_on_the_embedded_store() {
    expect_no_lost_update(&Guarded::memory("workers = 2\n"));
}

#[test]
fn no_update_is_lost_in_front_of_a_real_server() {
    let Some(real) = Real::start("*", "no_update_is_lost_in_front_of_a_real_server") else {
        return;
    };
    expect_no_lost_update(&Guarded::before(real.address(), "workers = 2\nlanes = 2\n"));
}

#[test]
fn nothing_comes_between_the_reading_and_the_writing_of_an_edit() {
    let scripted = Scripted::start();
    scripted.insert("n", b"5");
    let guarded = Guarded::before(scripted.address(), "workers = 1\nlanes = 1\n");
    let gate = scripted.gate();
    scripted.rule(Rule::look("n", Act::HoldAnswer(gate)));
    let (mut counting, mut putting) = (guarded.client(), guarded.client());
    counting.send(b"incr n 1\r\n");
    scripted.wait_reached(gate);
    putting.send(&frame::store(frame::PUT, "n", b"100"));
    guarded.expect_metric("ttguard_waits_total", &[("cause", "older_in_flight")], 1.0);
    assert_eq!(scripted.see(|state| state.writes("n")), 0);
    scripted.open(gate);
    assert_eq!(counting.recv_until(b"\n"), b"6\r\n");
    assert_eq!(putting.recv(1), [0]);
    assert_eq!(
        scripted.text("n").as_deref(),
        Some("100"),
        "the put came behind the sum, and stays"
    );
}

#[test]
fn a_session_that_ends_in_the_middle_of_an_edit_blocks_nobody() {
    let scripted = Scripted::start();
    scripted.insert("n", b"5");
    let settings = "workers = 1\nlanes = 1\n[pairing]\npipelining = \"forbid\"\n";
    let guarded = Guarded::before(scripted.address(), settings);
    let gate = scripted.gate();
    scripted.rule(Rule::look("n", Act::HoldAnswer(gate)));
    let mut leaving = guarded.client();
    leaving.send(b"incr n 1\r\n");
    scripted.wait_reached(gate);
    leaving.send(b"get n\r\n");
    leaving.expect_reset(PATIENCE);
    scripted.open(gate);
    assert_eq!(guarded.client().put("n", b"7"), 0);
    assert_eq!(scripted.text("n").as_deref(), Some("7"));
}

#[test]
fn a_backend_that_does_not_answer_is_no_miss() {
    let scripted = Scripted::start();
    scripted.insert("n", b"5");
    let settings = "workers = 1\nlanes = 1\n[pairing]\nrequest_timeout = \"300ms\"\n";
    let guarded = Guarded::before(scripted.address(), settings);
    let mut client = guarded.client();
    client.expect("get n\r\n", &found("n", "5"));
    // Carried out, and nobody hears of it: it must not be done twice.
    scripted.rule(Rule::write("n", Act::Lose(End::Rst)));
    client.expect("incr n 1\r\n", "SERVER_ERROR unavailable\r\n");
    client.expect("get n\r\n", &found("n", "6"));
    scripted.stop(End::Rst);
    for request in [
        "get n\r\n",
        "delete n\r\n",
        "incr n 1\r\n",
        "stats\r\n",
        "set n 0 0 1\r\n9\r\n",
    ] {
        client.expect(request, "SERVER_ERROR unavailable\r\n");
    }
    // Nothing can be said here: the end of the connection says it.
    client.send(b"set n 0 0 1 noreply\r\n9\r\n");
    client.expect_reset(PATIENCE);
}

#[test]
fn the_end_comes_as_the_client_asks_for_it() {
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    client.expect("get k\r\nquit\r\nget k\r\n", "END\r\n");
    assert_eq!(client.ending(PATIENCE), Ending::Finished);
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "client")], 1.0);
    for (request, words) in [
        ("incr k x\r\n", "CLIENT_ERROR a number is none\r\n"),
        (
            "set k 0 0 -1\r\n\r\n",
            "CLIENT_ERROR a size of -1 bytes is below zero\r\n",
        ),
        ("get\r\n", "CLIENT_ERROR error\r\n"),
    ] {
        let mut client = guarded.client();
        client.expect(&format!("get k\r\n{request}get k\r\n"), &format!("END\r\n{words}"));
        assert_eq!(client.ending(PATIENCE), Ending::Finished, "{request}");
    }
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "fault")], 3.0);
}

#[test]
fn an_unknown_command_is_an_error_and_the_session_goes_on_where_no_value_can_follow() {
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    client.expect(&store("set", "k", "v"), "STORED\r\n");
    let lines = [
        "touch k 10",
        "gat 10 k",
        "verbosity 1",
        "mg k v t",
        "mn",
        "GET k",
        "STATS",
        "DELETE k",
        "hello",
    ];
    for line in lines {
        client.expect(&format!("get k\r\n{line}\r\n"), &(found("k", "v") + "ERROR\r\n"));
    }
    // Nobody reads an answer here: it would be taken for the next one.
    client.expect("touch k 10 noreply\r\nget k\r\n", &found("k", "v"));
    let unknown = [("fault", "unknown_verb")];
    guarded.expect_metric("ttguard_request_faults_total", &unknown, lines.len() as f64 + 1.0);
    for line in ["cas k 0 0 1 5", "ms k 1", "ms k S1", "foo k 1"] {
        let mut client = guarded.client();
        client.expect(&format!("{line}\r\ndelete k\r\n"), "ERROR\r\n");
        assert_eq!(client.ending(PATIENCE), Ending::Finished, "{line}");
    }
    assert_eq!(guarded.client().text("k").as_deref(), Some("v"));
    // memcached's binary protocol is none of ours.
    let mut client = guarded.client();
    client.send(b"\x80\x00\x00\x01");
    client.expect_reset(PATIENCE);
}

#[test]
fn an_unknown_command_while_an_answer_is_owed_means_that_the_client_gave_up() {
    let scripted = Scripted::start();
    let settings = "workers = 1\nlanes = 1\n[pairing]\npipelining = \"forbid\"\n";
    let guarded = Guarded::before(scripted.address(), settings);
    let gate = scripted.gate();
    scripted.rule(Rule::once(Act::HoldAnswer(gate), |_| true));
    let mut client = guarded.client();
    client.send(b"get k\r\n");
    client.send(b"touch k 1\r\n");
    client.expect_reset(PATIENCE);
    scripted.open(gate);
}
