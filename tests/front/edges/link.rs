//! The guard's side of a link.

use bytes::Bytes;
use ttguard::command::edit::Edit;
use ttguard::command::{Answer, Command, Reason, Reply};
use ttguard::protocol::link::ask::Ask;
use ttguard::protocol::link::hello::{From, Pong, Standing};
use ttguard::protocol::link::told::{Failed, Told};
use ttguard::protocol::link::{Kind, VERSION};

use super::identity::document;
use super::support::{Link, asked_by, get, out, put, stored, value};
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::stamped::Clock;

const FAILED: Told = Told::Answer(Answer::Reply(Reply::Code(1)));

fn from(address: &str) -> From {
    From::Address(address.parse().expect("an address"))
}

#[test]
fn a_late_packet_of_another_client_is_refused() {
    let guarded = Guarded::memory("");
    let (mut link, welcome) = Link::open(guarded.address());
    assert_eq!((welcome.standing, welcome.epoch), (Standing::Serves, 0));
    assert_eq!((welcome.digits, welcome.unit), (13, 1_000_000));
    assert!(welcome.knows_keys && welcome.knows_functions);
    let clock = Clock::start();
    for client in 1..=3 {
        link.client(client, from("192.0.2.1:1000"));
    }
    assert_eq!(link.outcome(1, 10, &put("k", &clock.value(-59_000))), stored());
    assert_eq!(link.outcome(2, 11, &put("k", &clock.value(0))), stored());
    let told = link.outcome(3, 12, &put("k", &clock.value(-60_000)));
    let (reason, reply) = (Reason::Stale, Reply::Code(2));
    assert_eq!(told, Told::Answer(Answer::Refused { reason, told: reply }));
    assert_eq!(link.outcome(1, 13, &get("k")), value(&clock.value(0)));
    assert_eq!(link.outcome(1, 14, &get("none")), FAILED);
    assert_eq!(guarded.client().get("k"), Some(clock.value(0)));
    // What a client is not answered, its edge is.
    let (key, value) = (Bytes::from_static(b"nr"), Bytes::from_static(b"v"));
    assert_eq!(link.outcome(1, 15, &Command::PutNr { key, value }), stored());
    guarded.expect_metric("ttguard_edges", &[], 1.0);
    guarded.expect_metric("ttguard_edge_clients", &[], 3.0);
    guarded.expect_metric("ttguard_sessions", &[], 4.0);
    link.say(Kind::Close, 2, |_| {});
    guarded.expect_metric("ttguard_edge_clients", &[], 2.0);
    link.say(Kind::Ping, 77, |_| {});
    let (kind, id, body) = link.next().expect("a pong");
    assert_eq!((kind, id), (Kind::Pong, 77));
    assert_eq!(Pong::parse(&body).expect("a clock").standing, Standing::Serves);
    drop(link);
    guarded.expect_metric("ttguard_edges", &[], 0.0);
    guarded.expect_metric("ttguard_edge_clients", &[], 0.0);
    guarded.expect_metric("ttguard_sessions", &[], 0.0);
}

#[test]
fn a_stamp_that_the_guard_does_not_take_from_edges_counts_for_nothing() {
    let guarded = Guarded::memory("");
    let (mut link, welcome) = Link::open(guarded.address());
    assert!(!welcome.gives);
    link.client(1, From::Unknown);
    let clock = Clock::start();
    let ask = Ask {
        stamp: Some(1),
        ..asked_by(1)
    };
    let if_present = Ask {
        edit: Some(Edit::IfPresent),
        ..ask
    };
    assert_eq!(link.outcome(1, 1, &put("k", &clock.value(-1000))), stored());
    link.ask_as(&if_present, 2..3, &put("k", &clock.value(0)));
    assert_eq!(link.told(), Some((2, stored())));
    assert_eq!(guarded.client().get("k"), Some(clock.value(0)));
    link.ask_as(&ask, 3..4, &out("k"));
    assert_eq!(link.told(), Some((3, stored())));
    assert_eq!(guarded.client().get("k"), None);
}

#[test]
fn such_a_stamp_orders_no_delete_of_a_row_either() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("casket.tct");
    let test = "such_a_stamp_orders_no_delete_of_a_row_either";
    let Some(real) = Real::start(path.to_str().expect("a path of text"), test) else {
        return;
    };
    let guarded = Guarded::before(real.address(), "[stamp]\ncolumn = \"ts\"\n");
    guarded.expect_ready();
    let row = [&b"k"[..], b"ts", &Clock::start().digits(0).into_bytes(), b"a", b"1"];
    assert_eq!(guarded.client().misc("put", &row).0, 0);
    let (mut link, _) = Link::open(guarded.address());
    link.client(1, From::Unknown);
    let ask = Ask {
        stamp: Some(1),
        ..asked_by(1)
    };
    link.ask_as(&ask, 1..2, &out("k"));
    assert_eq!(link.told(), Some((1, stored())));
    assert_eq!(real.client().get("k"), None);
}

#[test]
fn an_edge_may_ask_for_an_edit_that_no_protocol_has() {
    let guarded = Guarded::memory("");
    let (mut link, _) = Link::open(guarded.address());
    link.client(1, From::Unknown);
    assert_eq!(link.outcome(1, 1, &put("k", b"v")), stored());
    let ask = Ask {
        edit: Some(Edit::Prepend),
        ..asked_by(1)
    };
    link.ask_as(&ask, 2..3, &out("k"));
    assert_eq!(link.told(), Some((2, FAILED)));
    assert_eq!(link.outcome(1, 3, &get("k")), value(b"v"));
}

#[test]
fn what_is_short_does_not_wait_for_what_is_long() {
    let guarded = Guarded::memory("");
    let long = vec![b'v'; 24 << 20];
    assert_eq!(guarded.client().put("long", &long), 0);
    assert_eq!(guarded.client().put("short", b"v"), 0);
    let (mut link, _) = Link::open(guarded.address());
    link.client(1, From::Unknown);
    link.client(2, From::Unknown);
    link.ask(1, 1, &get("long"));
    link.ask(2, 2, &get("short"));
    assert_eq!(link.told(), Some((2, value(b"v"))));
    assert_eq!(link.told(), Some((1, value(&long))));
    // The other way round: it comes in pieces.
    assert_eq!(link.outcome(1, 3, &put("again", &long)), stored());
    assert_eq!(link.outcome(2, 4, &get("again")), value(&long));
}

#[test]
fn one_clients_requests_keep_their_order() {
    let guarded = Guarded::memory("");
    let (mut link, _) = Link::open(guarded.address());
    link.client(1, From::Unknown);
    for id in 0..2000u64 {
        link.ask(1, 2 * id, &put("k", id.to_string().as_bytes()));
        link.ask(1, 2 * id + 1, &get("k"));
    }
    let mut left: std::collections::BTreeSet<u64> = (0..4000).collect();
    while let Some(first) = left.first().copied() {
        let (id, told) = link.told().expect("an outcome");
        assert!(left.remove(&id), "{id} is told twice; the first that is not is {first}");
        if id % 2 == 0 {
            assert_eq!(told, stored());
        } else {
            assert_eq!(told, value((id / 2).to_string().as_bytes()));
        }
    }
}

#[test]
fn what_is_said_wrong_ends_the_link() {
    let guarded = Guarded::memory("limits.lane_queue = 4");
    let address = guarded.address();
    let mut slot = 10;
    let mut fault = |what: &str, say: &dyn Fn(&mut Link)| {
        slot += 1;
        let (mut link, _) = Link::in_place(address, slot, 1).expect("a welcome");
        link.client(1, From::Unknown);
        say(&mut link);
        while link.told().is_some() {}
        println!("{what}");
    };
    fault("no frame", &|link| link.send(b"nothing of the kind"));
    fault("a guard's word", &|link| link.say(Kind::Pong, 0, |_| {}));
    fault("hello twice", &|link| link.hello(1, 5));
    fault("opened twice", &|link| link.client(1, From::Unknown));
    fault("a stranger asks", &|link| link.ask(2, 1, &get("k")));
    fault("a stranger goes", &|link| link.say(Kind::Close, 2, |_| {}));
    guarded.expect_metric("ttguard_link_faults_total", &[], 6.0);
    guarded.expect_log("the link of an edge has ended: what it said is wrong");

    let mut silent = Link::granted(address);
    silent.say(Kind::Ping, 1, |_| {});
    silent.expect_end();

    // What is no request is refused, and the link goes on.
    let (mut link, welcome) = Link::in_place(address, 1, 1).expect("a welcome");
    assert_eq!(welcome.asks_max, 4);
    link.client(1, From::Unknown);
    let mut body = [0u8; 20];
    body[3] = 1;
    link.say(Kind::Ask, 1, |out| out.put_slice(&body));
    assert_eq!(link.told(), Some((1, Told::Failed(Failed::Refused))));
    let (function, arguments) = (Bytes::from_static(b"ttguard_link"), Vec::new());
    let asked = Command::Misc {
        function,
        options: 0,
        arguments,
    };
    assert!(matches!(
        link.outcome(1, 2, &asked),
        Told::Answer(Answer::Refused {
            reason: Reason::Denied,
            ..
        })
    ));
    assert_eq!(link.outcome(1, 3, &get("k")), FAILED);
}

#[test]
fn more_requests_than_may_be_unanswered_end_the_link() {
    let guarded = Guarded::memory("limits.lane_queue = 4");
    let (mut link, _) = Link::open(guarded.address());
    link.client(1, From::Unknown);
    link.ask_at_once(1, 0..1000, &get("k"));
    while link.told().is_some() {}
    guarded.expect_metric("ttguard_link_faults_total", &[], 1.0);
}

#[test]
fn a_newer_link_ends_the_older_one_and_an_older_one_is_refused() {
    let guarded = Guarded::memory("");
    let (mut old, _) = Link::in_place(guarded.address(), 0, 5).expect("a welcome");
    old.client(1, From::Unknown);
    assert_eq!(old.outcome(1, 1, &put("k", b"old")), stored());
    let (mut new, _) = Link::in_place(guarded.address(), 0, 6).expect("a welcome");
    old.ask(1, 2, &put("k", b"late"));
    old.expect_end();
    new.client(1, From::Unknown);
    assert_eq!(new.outcome(1, 1, &get("k")), value(b"old"));
    for generation in [5, 6] {
        assert!(
            Link::in_place(guarded.address(), 0, generation).is_none(),
            "{generation}"
        );
    }
    assert_eq!(new.outcome(1, 2, &get("k")), value(b"old"));
    // Another place is none of its business.
    assert!(Link::in_place(guarded.address(), 1, 1).is_some());
}

#[test]
fn a_link_is_denied_where_edges_are_not_admitted_or_it_comes_late() {
    let function = "ttguard_link";
    let guarded = Guarded::memory("edges = \"none\"");
    let mut client = guarded.client();
    let (code, strings) = client.misc(function, &[]);
    assert_eq!((code, strings.len()), (5, 1));
    assert_eq!(client.put("k", b"v"), 0, "the session goes on");
    guarded.expect_log("an edge asked for a link and gets none");

    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"v"), 0);
    assert_eq!(client.misc(function, &[]).0, 5, "it is not the first");
    assert_eq!(guarded.client().misc(function, &[b"k"]).0, 5, "it has arguments");
    assert_eq!(client.text("k").as_deref(), Some("v"));
}

#[test]
fn rules_are_those_for_the_client_and_not_for_its_edge() {
    let settings = "networks = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\nprefix = \"A:\"\ndeny = [\"vanish\"]";
    let guarded = Guarded::beside_everything("memory:", "", &[settings]);
    let (mut link, _) = Link::open(guarded.address_of(1));
    link.client(1, from("10.1.2.3:4"));
    link.client(2, from("192.0.2.1:4"));
    link.client(3, From::Process(1000, Some(7)));
    assert_eq!(link.outcome(1, 1, &put("k", b"v")), stored());
    assert_eq!(link.outcome(2, 2, &get("k")), Told::Failed(Failed::Refused));
    assert_eq!(link.outcome(3, 3, &get("k")), value(b"v"));
    assert!(matches!(
        link.outcome(1, 4, &Command::Vanish),
        Told::Answer(Answer::Refused {
            reason: Reason::Denied,
            ..
        })
    ));
    assert_eq!(guarded.client_of(0).text("A:k").as_deref(), Some("v"));
    let closed = guarded.scrape("ttguard_sessions_closed_total", &[("reason", "network")]);
    assert_eq!(closed, 1.0);
}

#[test]
fn clients_are_told_by_their_edge_and_certificate() {
    let guarded = Guarded::memory("");
    let clock = Clock::start();
    let (mut link, _) = Link::open(guarded.address());
    link.named_client(1, from("127.0.0.1:5"), "app.example");
    link.client(2, from("127.0.0.1:6"));
    assert_eq!(link.outcome(1, 1, &put("k", &clock.value(0))), stored());
    for (client, id) in [(1, 2), (1, 3), (2, 4)] {
        link.outcome(client, id, &put("k", &clock.value(-60_000)));
    }
    assert_eq!(guarded.client().put("k", &clock.value(-60_000)), 2);
    let document = |path: &str| document(&guarded, path);
    let edge = serde_json::json!({ "name": "process 7 on app-1", "from": "127.0.0.1", "certificate": null });
    let clients = document("/api/clients");
    let of = |client: &serde_json::Value| {
        (
            client["stale"].clone(),
            client["certificate"].clone(),
            client["edge"].clone(),
        )
    };
    let told: Vec<_> = clients.as_array().expect("a list").iter().map(of).collect();
    assert_eq!(told[0], (2.into(), "app.example".into(), edge.clone()));
    assert!(
        told.contains(&(1.into(), serde_json::Value::Null, edge.clone())),
        "{told:?}"
    );
    assert!(
        told.contains(&(1.into(), serde_json::Value::Null, serde_json::Value::Null)),
        "{told:?}"
    );
    assert_eq!(told.len(), 3);
    let refusals = document("/api/refusals");
    assert_eq!(refusals[3]["certificate"], "app.example");
    assert_eq!(
        (&refusals[3]["client"], &refusals[3]["edge"]),
        (&"127.0.0.1:5".into(), &edge)
    );
    let edges = document("/api/edges");
    assert_eq!(
        (&edges[0]["name"], &edges[0]["certificate"]),
        (&"process 7 on app-1".into(), &serde_json::Value::Null)
    );
    guarded.expect_log("127.0.0.1:5 (app.example) through process 7 on app-1 at 127.0.0.1");
}

#[test]
fn an_edge_of_another_version_is_told_why_it_has_no_link() {
    let guarded = Guarded::memory("");
    for theirs in [1u16, 3] {
        let mut link = Link::granted(guarded.address());
        let mut hello = theirs.to_be_bytes().to_vec();
        hello.extend_from_slice(&[7; 22]);
        link.say(Kind::Hello, 0, |out| out.put_slice(&hello));
        let (kind, _, body) = link.next().expect("a word of the guard's");
        assert_eq!((kind, &body[..]), (Kind::Welcome, &VERSION.to_be_bytes()[..]));
        link.expect_end();
    }
    guarded.expect_metric("ttguard_link_faults_total", &[], 2.0);
    guarded.expect_log("version 1 of the link, and this release speaks version 2: both have to be of one release");
}

#[test]
fn a_name_that_cannot_be_shown_ends_the_link() {
    let guarded = Guarded::memory("");
    let mut ended = 0;
    for name in [&b"a\nb"[..], b"\xff", b"\x1b[2J", &[b'x'; 513], &[b'x'; 30_000]] {
        let (mut link, _) = Link::in_place(guarded.address(), ended, 1).expect("a welcome");
        link.say(Kind::Open, 1, |out| {
            out.put_slice(&[0]);
            out.put_slice(&(name.len() as u16).to_be_bytes());
            out.put_slice(name);
        });
        while link.told().is_some() {}
        ended += 1;
        guarded.expect_metric("ttguard_link_faults_total", &[], f64::from(ended));
    }
    guarded.expect_gauge("ttguard_edge_clients", 0.0);
}

#[test]
fn a_guard_that_stops_says_so_and_ends_its_links_in_order() {
    let guarded = Guarded::memory("drain_delay = \"1s\"");
    let (mut link, _) = Link::open(guarded.address());
    link.client(1, From::Unknown);
    assert_eq!(link.outcome(1, 1, &put("k", b"v")), stored());
    let mut idle = Link::granted(guarded.address());
    let ending = std::thread::spawn(move || guarded.terminate());
    let (kind, _, body) = link.next().expect("a standing");
    assert_eq!(kind, Kind::Standing);
    assert_eq!(Standing::parse(&body).expect("a standing").0, Standing::Leaves);
    assert_eq!(link.outcome(1, 2, &get("k")), value(b"v"), "it still serves");
    link.expect_end();
    idle.expect_end();
    drop((link, idle));
    assert!(ending.join().expect("no panic").success());
}
