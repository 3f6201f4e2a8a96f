//! From where clients may connect.

use std::net::{IpAddr, Ipv4Addr};

use crate::support::client::{Client, PATIENCE};
use crate::support::guarded::Guarded;

fn from(guarded: &Guarded, last: u8, listener: usize) -> Client {
    let source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    Client::connect_from(source, guarded.address_of(listener))
}

#[test]
fn a_client_from_elsewhere_is_reset_at_once_and_counted() {
    let guarded = Guarded::memory("networks = [\"127.0.0.8/30\", \"::1\"]");
    assert_eq!(from(&guarded, 9, 0).put("k", b"v"), 0);
    assert_eq!(from(&guarded, 11, 0).put("k", b"w"), 0);
    for stranger in [7, 12] {
        // It has not said a word.
        from(&guarded, stranger, 0).expect_reset(PATIENCE);
    }
    assert_eq!(
        guarded.scrape("ttguard_sessions_closed_total", &[("reason", "network")]),
        2.0
    );
    let logged = guarded.expect_log("from a network that may not connect was reset");
    assert_eq!(logged, 1, "the second of a second is not logged");
    assert!(guarded.log().contains("127.0.0.7"));
}

#[test]
fn each_listener_has_its_own_networks_and_a_reload_changes_those_of_new_clients() {
    let settings = |networks: &str| {
        format!(
            "listen = [\"127.0.0.1:0\"]\nnetworks = [{networks}]\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\nnetworks = []\n"
        )
    };
    let guarded = Guarded::listening(&settings("\"127.0.0.3\""));
    let mut inside = from(&guarded, 3, 0);
    assert_eq!(inside.put("k", b"v"), 0);
    from(&guarded, 4, 0).expect_reset(PATIENCE);
    assert_eq!(from(&guarded, 4, 1).text("k").as_deref(), Some("v"));

    guarded.rewrite(&settings("\"127.0.0.4\""));
    let (status, body) = guarded.ask_admin("POST", "/api/reload", "");
    assert_eq!(status, 200, "{body}");
    assert_eq!(inside.text("k").as_deref(), Some("v"), "who is in stays");
    assert_eq!(from(&guarded, 4, 0).text("k").as_deref(), Some("v"));
    from(&guarded, 3, 0).expect_reset(PATIENCE);
}
