//! A connection that an edge has opened for one of its clients: whatever asks there is that client.

use std::net::IpAddr;

use ttguard::protocol::link::VERSION;
use ttguard::protocol::link::hello::From;

use super::identity::document;
use super::support::Link;
use crate::support::authority::Authority;
use crate::support::client::{Client, PATIENCE};
use crate::support::encrypted::Encrypted;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{LOG, Scripted};
use crate::support::stamped::Clock;

const GRANTED: [u8; 5] = [0; 5];

fn from(address: &str) -> From {
    From::Address(address.parse().expect("an address"))
}

/// Expects that a connection is not for whom it says, and why.
#[track_caller]
fn expect_denied(client: &mut Client, why: &str) {
    assert_eq!(client.code().expect("a code"), 5);
    let strings = client.strings().expect("a reason");
    assert_eq!(strings, [why.as_bytes()]);
    assert_eq!(client.put("k", b"v"), 0, "the session goes on as the edge's own");
}

/// Expects that a client is not served, that its edge is told so, and that nothing follows.
#[track_caller]
fn expect_unserved(mut client: Client) {
    assert_eq!(client.code().expect("a code"), 5);
    let strings = client.strings().expect("a reason");
    assert_eq!(strings, [b"the client may not connect, or has no seat"]);
    client.expect_reset(PATIENCE);
}

#[test]
fn what_asks_there_is_the_client() {
    let guarded = Guarded::memory("networks = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\nlimits.sessions_per_client = 2");
    let clock = Clock::start();
    let mut client = Link::on_behalf(guarded.address(), from("10.1.2.3:4"), "app.example");
    assert_eq!(client.recv(5), GRANTED);
    assert_eq!(client.put("k", &clock.value(0)), 0);
    assert_eq!(client.put("k", &clock.value(-60_000)), 2);
    let refusal = &document(&guarded, "/api/refusals")[0];
    assert_eq!(
        (&refusal["client"], &refusal["certificate"]),
        (&"10.1.2.3:4".into(), &"app.example".into())
    );
    assert_eq!(refusal["edge"]["name"], "process 7 on app-1");
    guarded.expect_gauge("ttguard_sessions", 1.0);
    guarded.expect_gauge("ttguard_edges", 0.0);
    // It gets no link, and is nobody else.
    client.send(&frame::misc("ttguard_link", &[]));
    assert_eq!(client.recv(1), [5]);
    client.strings().expect("a reason");
    // Its seats are its own, and not the edge's.
    let mut second = Link::on_behalf(guarded.address(), from("10.1.2.3:5"), "");
    assert_eq!(second.recv(5), GRANTED);
    expect_unserved(Link::on_behalf(guarded.address(), from("10.1.2.3:6"), ""));
    let mut other = Link::on_behalf(guarded.address(), from("10.1.2.4:6"), "");
    assert_eq!(other.recv(5), GRANTED);
    // So are its networks.
    expect_unserved(Link::on_behalf(guarded.address(), from("192.0.2.1:5"), ""));
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "network")], 1.0);
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "client_limit")], 1.0);
    guarded.expect_log("process 7 on app-1 at 127.0.0.1");
    drop((client, second, other));
    guarded.expect_gauge("ttguard_sessions", 0.0);
}

#[test]
fn what_is_behind_it_is_the_clients() {
    let guarded = Guarded::memory("");
    let mut client = Link::on_behalf(guarded.address(), from("10.1.2.3:4"), "");
    client.send(&frame::store(frame::PUT, "k", b"v"));
    client.send(&frame::keyed(frame::GET, "k"));
    assert_eq!(client.recv(5), GRANTED);
    assert_eq!(client.recv(1), [0]);
    assert_eq!(client.read_value().expect("a value").as_deref(), Some(&b"v"[..]));
}

#[test]
fn who_would_get_no_link_speaks_for_itself() {
    let guarded = Guarded::memory("edges = \"none\"");
    let mut client = Link::on_behalf(guarded.address(), from("10.1.2.3:4"), "");
    expect_denied(&mut client, "the listener's edges do not admit this client");

    let guarded = Guarded::memory("");
    let mut said = VERSION.to_be_bytes().to_vec();
    said.extend_from_slice(&[0, 0, 0, 0, 0]);
    let ask = |said: &[u8]| {
        let mut client = guarded.client();
        client.send(&frame::misc("ttguard_link", &[said]));
        client
    };
    assert_eq!(ask(&said).recv(5), GRANTED, "nothing is known of either");
    for wrong in [
        &said[..6],
        &[&said[..], b"x"].concat(),
        &[0, 2, 0, 1, b'\n', 0, 0, 0],
        &said[..0],
    ] {
        expect_denied(&mut ask(wrong), "a frame of the kind Open cannot be read");
    }
    let other = [0, 9, 0, 0, 0, 0, 0];
    let why = "version 9 of the link, and this release speaks version 2: both have to be of one release";
    expect_denied(&mut ask(&other), why);
    let mut late = guarded.client();
    assert_eq!(late.put("k", b"v"), 0);
    late.send(&frame::misc("ttguard_link", &[&said]));
    let why = "a link is asked for before anything else, by the binary protocol, and with no more than one argument";
    expect_denied(&mut late, why);
    guarded.expect_log("an edge asked for a link and gets none");
}

#[test]
fn a_log_goes_by_an_edge_to_those_whom_the_guard_admits() {
    let scripted = Scripted::start();
    let settings = "allow = [\"repl\"]\nnetworks = [\"127.0.0.1/32\"]\nworkers = 1\n";
    let guard = Guarded::before(scripted.address(), settings);
    guard.expect_ready();
    let edge = Guarded::edge_of(&guard, "allow = [\"repl\"]\nworkers = 1\n");
    edge.expect_ready();
    let mut admitted = edge.client();
    admitted.send(&frame::repl());
    assert_eq!(admitted.recv(LOG.len()), LOG);
    // The edge may connect to the guard, and this client of it may not.
    let other: IpAddr = "127.0.0.2".parse().expect("an address");
    let mut stranger = Client::connect_from(other, edge.address());
    stranger.send(&frame::repl());
    stranger.expect_reset(PATIENCE);
    guard.expect_log("client=127.0.0.2 edge=process ");
    edge.expect_log("the guard has no endless answer for a client error=the client may not connect, or has no seat");
    let closed = guard.scrape("ttguard_sessions_closed_total", &[("reason", "network")]);
    assert_eq!(closed, 1.0, "it was asked for once");
    let asked = scripted.see(|state| state.requests().filter(|request| request.opcode == frame::REPL).count());
    assert_eq!(asked, 1);
}

#[test]
fn a_log_goes_by_an_edge_that_is_known_by_its_certificate() {
    let scripted = Scripted::start();
    let authority = Authority::new();
    let (cert, key) = authority.signed_as("guard", "IP:127.0.0.1");
    let ca = authority.cert();
    let guard = Guarded::listening(&format!(
        "backend = \"tyrant://{}\"\nallow = [\"repl\"]\n[[listener]]\naddress = \"127.0.0.1:0\"\nedges = \"known\"\n\
         tls = {{ cert = \"{cert}\", key = \"{key}\", client_ca = \"{ca}\", allow_san = [\"edge.example\"] }}\n",
        scripted.address()
    ));
    guard.expect_ready();
    let (cert, key) = authority.signed("edge.example");
    let (own_cert, own_key) = authority.signed("localhost");
    let edge = Guarded::listening(&format!(
        "edge_of = [\"tyrants://{}\"]\nworkers = 1\nallow = [\"repl\"]\n\
         backend_tls = {{ ca = \"{ca}\", cert = \"{cert}\", key = \"{key}\" }}\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\n\
         tls = {{ cert = \"{own_cert}\", key = \"{own_key}\", client_ca = \"{ca}\", allow_san = [\"app.example\"] }}\n",
        guard.address()
    ));
    edge.expect_ready();
    let own = authority.signed("app.example");
    let mut client = Encrypted::connect(edge.address(), &authority, Some(&own)).expect("a session");
    client.send(&frame::repl());
    assert_eq!(client.recv(LOG.len()), LOG);
}
