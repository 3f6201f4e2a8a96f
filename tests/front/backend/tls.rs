//! TLS towards the backend: whom ttguard takes for its server, in which words it says that it does not, and what the end of
//! such a connection proves.

mod rotation;

use std::net::SocketAddr;

use crate::support::authority::{Authority, Signed};
use crate::support::client::PATIENCE;
use crate::support::encrypted::Server;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stunnel::Stunnel;

/// How stunnel asks for the certificates of clients.
fn asking(authority: &Authority) -> String {
    format!("verifyChain = yes\nCAfile = {}", authority.cert())
}

/// Settings for a server at this address that has a certificate of this authority for `localhost`.
fn settings(server: SocketAddr, authority: &Authority, own: Option<&Signed>) -> String {
    let own = own.map_or_else(String::new, |(cert, key)| {
        format!("cert = \"{cert}\"\nkey = \"{key}\"\n")
    });
    format!(
        "backend = \"tyrants://{server}\"\nworkers = 1\nlanes = 1\nbulk_lanes = 0\n\
         [pairing]\nrequest_timeout = \"500ms\"\nfence_timeout = \"1s\"\n\
         [backend_tls]\nserver_name = \"localhost\"\nca = \"{}\"\n{own}",
        authority.cert()
    )
}

fn connects(guarded: &Guarded, outcome: &str) -> f64 {
    guarded.scrape("ttguard_lane_connects_total", &[("outcome", outcome)])
}

#[test]
fn a_server_behind_stunnel_is_served_as_any_other() {
    let authority = Authority::new();
    for (version, host, name) in [
        ("TLSv1.2", "127.0.0.1", "IP:127.0.0.1"),
        ("TLSv1.3", "localhost", "DNS:localhost"),
    ] {
        let scripted = Scripted::start();
        let shown = authority.signed_as("server", name);
        let stunnel = Stunnel::before(scripted.address(), &shown, &format!("sslVersion = {version}"));
        let (port, ca) = (stunnel.address().port(), authority.cert());
        let guarded = Guarded::start(&format!(
            "backend = \"tyrants://{host}:{port}\"\n[backend_tls]\nca = \"{ca}\"\n"
        ));
        let mut client = guarded.client();
        assert_eq!(client.put("k", b"v"), 0, "{version}");
        assert_eq!(client.text("k").as_deref(), Some("v"));
        let large: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
        client.send(&frame::store(frame::PUT, "large", &large));
        assert_eq!(client.recv(1), [0]);
        assert!(scripted.value("large").as_deref() == Some(&large[..]));
        client.send(&frame::keyed(frame::GET, "large").repeat(3));
        for _ in 0..3 {
            assert_eq!(client.recv(5)[0], 0);
            assert!(client.recv(large.len()) == large);
        }
        assert_eq!(connects(&guarded, "tls"), 0.0);
        drop(client);
        assert!(guarded.terminate().success(), "each lane was read to its end");
        scripted.expect_whole_requests();
    }
}

#[test]
fn who_is_not_the_server_is_told_apart_in_one_line() {
    let (authority, other) = (Authority::new(), Authority::new());
    let scripted = Scripted::start();
    let right = authority.signed("localhost");
    let shows = |shown: &Signed, options: &str| Stunnel::before(scripted.address(), shown, options);
    let refused = [
        (
            shows(&other.signed("localhost"), ""),
            "its certificate is of an authority that is not trusted here",
        ),
        (
            shows(&authority.expired("localhost"), ""),
            "its certificate has expired",
        ),
        (
            shows(&authority.signed("elsewhere"), ""),
            "its certificate is not for localhost, but for ",
        ),
        (
            shows(&right, &asking(&authority)),
            "it refuses this side by an alert of TLS",
        ),
    ];
    for (stunnel, why) in &refused {
        let guarded = Guarded::start(&settings(stunnel.address(), &authority, None));
        guarded.expect_log(why);
        assert!(connects(&guarded, "tls") > 0.0, "{why}");
        assert_eq!(guarded.page("/readyz").0, 503);
        let mut client = guarded.client();
        let _ = client.try_send(&frame::store(frame::PUT, "k", b"v"));
        client.expect_reset(PATIENCE);
    }
    // One that speaks no TLS, by its address and by its name.
    for host in ["127.0.0.1", "localhost"] {
        let text = settings(scripted.address(), &authority, None);
        let text = text.replace("tyrants://127.0.0.1", &format!("tyrants://{host}"));
        let guarded = Guarded::start(&text);
        guarded.expect_log("it ended the handshake of TLS, if it speaks that");
        assert!(connects(&guarded, "tls") > 0.0, "{host}");
    }
    assert_eq!(scripted.value("k"), None);
}

#[test]
fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let authority = Authority::new();
    let scripted = Scripted::start();
    let (shown, own) = (authority.signed("localhost"), authority.signed("guard"));
    let stunnel = Stunnel::before(scripted.address(), &shown, &asking(&authority));
    let guarded = Guarded::start(&settings(stunnel.address(), &authority, Some(&own)));
    assert_eq!(guarded.client().put("k", b"v"), 0);
    assert_eq!(scripted.text("k").as_deref(), Some("v"));
}

#[test]
fn openssl_is_greeted_as_a_server() {
    let authority = Authority::new();
    let (shown, own) = (authority.signed("localhost"), authority.signed("guard"));
    for version in ["-tls1_2", "-tls1_3"] {
        let ca = authority.cert();
        let mut server = Server::start(
            &shown,
            &["-CAfile", &ca, "-Verify", "1", "-verify_return_error", version],
        );
        let guarded = Guarded::start(&settings(server.address(), &authority, Some(&own)));
        assert_eq!(server.recv(2), b"\xc8\x88", "its first question is stat");
        let stat = b"pid\t7\ntime\t5.0\nru_real\t1.0\ntype\tskeleton\n";
        server.send(&[b"\0", &frame::size(stat.len())[..], stat].concat());
        guarded.expect_metric("ttguard_lanes", &[], 1.0);
        assert_eq!(connects(&guarded, "up"), 1.0, "{version}");
    }
}

#[test]
fn the_last_word_of_tls_proves_an_end_and_a_cut_proves_none() {
    let authority = Authority::new();
    let scripted = Scripted::start();
    let mut stunnel = Stunnel::before(scripted.address(), &authority.signed("localhost"), "");
    let guarded = Guarded::start(&settings(stunnel.address(), &authority, None));
    assert_eq!(guarded.client().put("k", b"v"), 0);
    let unanswered = || {
        scripted.rule(Rule::write("silent", Act::Silence));
        let mut client = guarded.client();
        client.send(&frame::store(frame::PUT, "silent", b"v"));
        client
    };
    // Half-closed at the deadline, the server ends, and stunnel says so.
    unanswered().expect_reset(PATIENCE);
    guarded.expect_metric("ttguard_fences_total", &[("outcome", "ended")], 1.0);
    assert_eq!(guarded.client().put("k", b"w"), 0, "another lane has taken its place");

    let gate = scripted.gate();
    scripted.rule(Rule::write("held", Act::HoldRequest(gate)));
    let mut client = guarded.client();
    client.send(&frame::store(frame::PUT, "held", b"v"));
    scripted.wait_reached(gate);
    stunnel.kill();
    // The server still has the write; nobody has said that it is done.
    client.expect_reset(PATIENCE);
    guarded.expect_metric("ttguard_fences_total", &[("outcome", "timeout")], 1.0);
    assert_eq!(guarded.scrape("ttguard_fences_total", &[("outcome", "ended")]), 1.0);
    scripted.open(gate);
}
