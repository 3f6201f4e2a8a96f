//! Who the clients of edges are, as their guard knows them.

use serde_json::{Value, json};

use crate::support::authority::Authority;
use crate::support::encrypted::Encrypted;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::stamped::Clock;

/// A document of the guard's.
pub fn document(guard: &Guarded, path: &str) -> Value {
    let (status, body) = guard.page(path);
    assert_eq!(status, 200, "{path}");
    serde_json::from_str(&body).expect(path)
}

#[test]
fn the_certificate_of_an_edges_client_is_known_to_the_guard() {
    let authority = Authority::new();
    let (cert, key) = authority.signed_as("guard", "IP:127.0.0.1");
    let ca = authority.cert();
    let guard = Guarded::listening(&format!(
        "backend = \"memory:\"\nlisten = [\"127.0.0.1:0\"]\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         tls = {{ cert = \"{cert}\", key = \"{key}\", client_ca = \"{ca}\", allow_san = [\"*.edges.example\"] }}\n"
    ));
    let (cert, key) = authority.signed_as("edge", "DNS:other.example,DNS:one.edges.example");
    let (own_cert, own_key) = authority.signed("localhost");
    let tls = |names: &str| {
        format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n\
             tls = {{ cert = \"{own_cert}\", key = \"{own_key}\", client_ca = \"{ca}\", allow_san = [{names}] }}\n"
        )
    };
    let edge = Guarded::listening(&format!(
        "edge_of = [\"tyrants://{}\"]\nworkers = 1\nlisten = [\"127.0.0.1:0\"]\n\
         backend_tls = {{ ca = \"{ca}\", cert = \"{cert}\", key = \"{key}\" }}\n{}{}",
        guard.address_of(1),
        tls("\"*.apps.example\", \"spiffe://example/shop\""),
        tls("\"*\"")
    ));
    edge.expect_ready();
    let clock = Clock::start();
    assert_eq!(guard.client().put("k", &clock.value(0)), 0);
    let refused = |listener: usize, alternative: &str| {
        let own = authority.signed_as("app", alternative);
        let mut client = Encrypted::connect(edge.address_of(listener), &authority, Some(&own)).expect("a session");
        client.send(&frame::store(frame::PUT, "k", &clock.value(-60_000)));
        assert_eq!(client.recv(1), [2]);
        let refusal = &document(&guard, "/api/refusals")[0];
        assert_eq!(refusal["edge"]["certificate"], "one.edges.example");
        assert_eq!(refusal["edge"]["from"], "127.0.0.1");
        let name = format!("process {} on ", edge.pid());
        let told = refusal["edge"]["name"].as_str().expect("a name");
        assert!(told.starts_with(&name), "{told}");
        refusal["certificate"].clone()
    };
    // By whichever of its names a listener lets it in.
    let cart = "URI:spiffe://example/cart,DNS:cart.apps.example";
    assert_eq!(refused(1, cart), "cart.apps.example");
    assert_eq!(
        refused(1, "DNS:example,URI:spiffe://example/shop"),
        "spiffe://example/shop"
    );
    assert_eq!(refused(2, cart), "cart.apps.example");
    assert_eq!(refused(2, "IP:127.0.0.1"), Value::Null, "it has none of either kind");
    // One that is too long to be told is none.
    let long = format!("URI:spiffe://example/{}", "x".repeat(512));
    assert_eq!(refused(2, &long), Value::Null);
    assert_eq!(edge.client().put("k", &clock.value(-60_000)), 2);
    assert_eq!(document(&guard, "/api/refusals")[0]["certificate"], Value::Null);
    let clients = document(&guard, "/api/clients");
    let counted = clients.as_array().expect("a list").iter();
    let counted: Vec<_> = counted.map(|one| json!([one["certificate"], one["stale"]])).collect();
    assert_eq!(counted[0], json!([null, 3]), "{counted:?}");
    assert!(counted.contains(&json!(["cart.apps.example", 2])), "{counted:?}");
    assert!(counted.contains(&json!(["spiffe://example/shop", 1])), "{counted:?}");
    assert_eq!(document(&guard, "/api/edges")[0]["certificate"], "one.edges.example");
    guard.expect_log("(cart.apps.example) through process");
}

#[test]
fn a_client_of_a_guards_own_is_known_by_its_certificate() {
    let authority = Authority::new();
    let (cert, key) = authority.signed("localhost");
    let ca = authority.cert();
    let guard = Guarded::listening(&format!(
        "backend = \"memory:\"\nlisten = [\"127.0.0.1:0\"]\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         tls = {{ cert = \"{cert}\", key = \"{key}\", client_ca = \"{ca}\", allow_san = [\"app.example\"] }}\n"
    ));
    let clock = Clock::start();
    assert_eq!(guard.client().put("k", &clock.value(0)), 0);
    let own = authority.signed("APP.example");
    let mut client = Encrypted::connect(guard.address_of(1), &authority, Some(&own)).expect("a session");
    client.send(&frame::store(frame::PUT, "k", &clock.value(-60_000)));
    assert_eq!(client.recv(1), [2]);
    let refusal = &document(&guard, "/api/refusals")[0];
    assert_eq!(
        (&refusal["certificate"], &refusal["edge"]),
        (&json!("APP.example"), &Value::Null)
    );
}
