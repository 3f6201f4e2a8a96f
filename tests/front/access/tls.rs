//! TLS with clients: as clients of rustls and of OpenSSL see it.

mod files;

use crate::support::authority::Authority;
use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::encrypted::{Encrypted, Ended, Openssl};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, Rule, Scripted};

/// The settings of a listener with this certificate, for clients that show one where `mutual`.
fn tls(authority: &Authority, mutual: bool) -> String {
    let clients = if mutual { asking(authority, "*") } else { String::new() };
    let (cert, key) = authority.signed("localhost");
    format!("[tls]\ncert = \"{cert}\"\nkey = \"{key}\"\n{clients}")
}

/// Settings by which clients have to show a certificate of this authority with one of these names.
fn asking(authority: &Authority, names: &str) -> String {
    let names: Vec<_> = names.split(' ').map(|name| format!("\"{name}\"")).collect();
    format!(
        "client_ca = \"{}\"\nallow_san = [{}]\n",
        authority.cert(),
        names.join(", ")
    )
}

fn closed_for_tls(guarded: &Guarded) -> f64 {
    guarded.scrape("ttguard_sessions_closed_total", &[("reason", "tls")])
}

#[test]
fn all_protocols_are_spoken_by_tls_with_openssl() {
    let authority = Authority::new();
    let guarded = Guarded::memory(&tls(&authority, false));
    let ca = authority.cert();
    let trusting = ["-CAfile", &ca, "-verify_return_error", "-verify_hostname", "localhost"];
    for version in ["-tls1_2", "-tls1_3"] {
        let mut client = Openssl::connect(guarded.address(), &[&trusting[..], &[version]].concat());
        client.send(&frame::store(frame::PUT, "k", b"v"));
        assert_eq!(client.recv(1), [0], "{version}");
        client.send(&frame::keyed(frame::GET, "k"));
        assert_eq!(client.recv(6), [0, 0, 0, 0, 1, b'v']);
        client.send(b"get k\r\n");
        assert_eq!(client.recv(21), b"VALUE k 0 1\r\nv\r\nEND\r\n"[..21]);
    }
    let mut client = Openssl::connect(guarded.address(), &trusting);
    client.send(b"GET /k HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.recv(15), b"HTTP/1.1 200 OK");
    assert_eq!(closed_for_tls(&guarded), 0.0);
}

#[test]
fn what_is_large_or_much_arrives_whole_whoever_is_slow_to_read_it() {
    let authority = Authority::new();
    let guarded = Guarded::memory(&tls(&authority, false));
    let mut client = Encrypted::connect(guarded.address(), &authority, None).expect("a handshake");
    let value: Vec<u8> = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
    client.send(&frame::store(frame::PUT, "large", &value));
    assert_eq!(client.recv(1), [0]);
    // Far more than sockets hold is asked for before any of it is read.
    let times = 12;
    client.send(&frame::keyed(frame::GET, "large").repeat(times));
    for time in 0..times {
        assert_eq!(client.recv(1), [0]);
        assert_eq!(client.recv(4), frame::size(value.len()));
        assert!(client.recv(value.len()) == value, "answer {time}");
    }
    let puts: Vec<u8> = (0..2_000)
        .flat_map(|number| frame::store(frame::PUT, &format!("k{number}"), b"v"))
        .collect();
    client.send(&puts);
    assert_eq!(client.recv(2_000), vec![0; 2_000]);
}

#[test]
fn a_client_has_to_show_a_certificate_of_the_right_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), &format!("workers = 1\n{}", tls(&authority, true)));
    let (right, wrong) = (authority.signed("client"), other.signed("client"));

    let mut client = Encrypted::connect(guarded.address(), &authority, Some(&right)).expect("a handshake");
    client.send(&frame::store(frame::PUT, "k", b"v"));
    assert_eq!(client.recv(1), [0]);
    for refused in [None, Some(&wrong)] {
        // With TLS 1.3 a client has done its part before it hears what the server thinks of it.
        let ended = match Encrypted::connect(guarded.address(), &authority, refused) {
            Err(error) => error,
            Ok(mut client) => {
                let _ = client.try_send(&frame::store(frame::PUT, "k", b"w"));
                client.ended()
            }
        };
        assert_eq!(ended, Ended::Alert);
    }
    let mut openssl = Openssl::connect(guarded.address(), &["-cert", &wrong.0, "-key", &wrong.1]);
    openssl.try_send(&frame::store(frame::PUT, "k", b"w"));
    openssl.expect_said("alert unknown ca");
    let mut openssl = Openssl::connect(guarded.address(), &[]);
    openssl.try_send(&frame::store(frame::PUT, "k", b"w"));
    openssl.expect_said("alert certificate required");

    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "tls")], 4.0);
    guarded.expect_log("a client could not be spoken to by TLS");
    assert_eq!(scripted.text("k").as_deref(), Some("v"));
    client.send(&frame::keyed(frame::GET, "k"));
    assert_eq!(client.recv(6), [0, 0, 0, 0, 1, b'v']);
    assert_eq!(guarded.scrape("ttguard_sessions", &[]), 1.0);
}

#[test]
fn a_client_s_certificate_has_to_carry_an_allowed_name() {
    let authority = Authority::new();
    let names = "app.example *.web.example spiffe://example/ns/app";
    let guarded = Guarded::memory(&format!("{}{}", tls(&authority, false), asking(&authority, names)));
    let try_as = |alternative: &str| {
        let own = authority.signed_as("client", alternative);
        let mut client = match Encrypted::connect(guarded.address(), &authority, Some(&own)) {
            Err(ended) => return Some(ended),
            Ok(client) => client,
        };
        // With TLS 1.3 a client has done its part before it hears what the server thinks of it.
        let _ = client.try_send(&frame::bare(frame::RNUM));
        client.ended_unanswered(9)
    };
    let allowed = [
        "DNS:app.example",
        "DNS:other,DNS:APP.example",
        "DNS:a.web.example",
        "URI:spiffe://example/ns/app",
        "DNS:other,URI:spiffe://example/ns/app",
    ];
    for alternative in allowed {
        assert_eq!(try_as(alternative), None, "{alternative}");
    }
    let refused = [
        "DNS:other.example",
        "DNS:web.example",
        "DNS:a.b.web.example",
        "DNS:*.web.example",
        "URI:spiffe://example/ns/app/x",
        "IP:127.0.0.1",
        "email:app.example",
    ];
    for alternative in refused {
        assert_eq!(try_as(alternative), Some(Ended::Alert), "{alternative}");
    }
    guarded.expect_log("its certificate is refused: tls.allow_san has none of its names (other.example)");
    guarded.expect_metric(
        "ttguard_sessions_closed_total",
        &[("reason", "tls")],
        refused.len() as f64,
    );
}

#[test]
fn who_speaks_no_tls_or_says_nothing_is_reset() {
    let authority = Authority::new();
    let settings = format!("{}[pairing]\nframe_timeout = \"300ms\"", tls(&authority, false));
    let guarded = Guarded::memory(&settings);
    for bytes in [&frame::store(frame::PUT, "k", b"v")[..], b"GET / HTTP/1.1\r\n\r\n", b""] {
        let mut client = Client::connect(guarded.address());
        client.send(bytes);
        // What comes before the reset is an alert of TLS, which is no answer.
        let ending = match client.ending(PATIENCE) {
            Ending::Answered(said) if said[0] == 21 => client.ending(PATIENCE),
            other => other,
        };
        assert_eq!(ending, Ending::Reset, "{bytes:?}");
    }
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "tls")], 3.0);
    let requests = guarded.scrape("ttguard_requests_total", &[]);
    assert_eq!(requests, 0.0);
    drop(Client::connect(guarded.address()));
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "tls")], 4.0);
}

#[test]
fn a_session_that_must_end_is_reset_and_one_that_may_is_told_so() {
    let authority = Authority::new();
    let scripted = Scripted::start();
    scripted.rule(Rule::read("silent", Act::Silence));
    let settings = format!(
        "workers = 1\n{}[pairing]\nrequest_timeout = \"300ms\"",
        tls(&authority, false)
    );
    let guarded = Guarded::before(scripted.address(), &settings);
    let connect = || Encrypted::connect(guarded.address(), &authority, None).expect("a handshake");

    let mut client = connect();
    client.send(&frame::store(frame::PUT, "k", b"v"));
    assert_eq!(client.recv(1), [0]);
    client.send(&frame::keyed(frame::GET, "silent"));
    assert_eq!(
        client.ended(),
        Ended::Reset,
        "no late answer, and no word that all is well"
    );

    let mut client = connect();
    client.send(b"quit\r\n");
    assert_eq!(client.ended(), Ended::Told);

    let mut client = connect();
    client.send(b"\x00nonsense");
    assert_eq!(client.ended(), Ended::Reset);
}

#[test]
fn a_drained_session_has_its_answers_by_tls_too() {
    let authority = Authority::new();
    let guarded = Guarded::memory(&tls(&authority, false));
    let mut client = Encrypted::connect(guarded.address(), &authority, None).expect("a handshake");
    client.send(&frame::store(frame::PUT, "k", b"v"));
    assert_eq!(client.recv(1), [0]);
    let silent = Client::connect(guarded.address());
    let status = guarded.terminate();
    assert!(status.success(), "{status:?}");
    assert_eq!(client.ended(), Ended::Reset);
    drop(silent);
}
