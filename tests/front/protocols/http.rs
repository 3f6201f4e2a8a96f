//! HTTP, through the guard.

use std::time::Duration;

use crate::support::client::{Ending, PATIENCE};
use crate::support::guarded::Guarded;
use crate::support::http::{ask, request, try_answer};
use crate::support::scripted::{Act, End, Rule, Scripted};
use crate::support::stamped::Clock;

const HOUR: i64 = 3_600_000;

#[test]
fn each_refusal_has_a_status_and_names_its_reason() {
    let clock = Clock::start();
    let put = |offset| request("PUT", "/k", &[], &clock.text(offset));
    let keep = |offset| request("PUT", "/k", &["X-TT-PDMODE: 1"], &clock.text(offset));
    let misc = |name: &str, body: &str| request("POST", "/", &[&format!("X-TT-MNAME: {name}")], body);
    let script = |offset| request("POST", "/k", &["X-TT-XNAME: put_ts"], &clock.text(offset));
    let stale = || (409, "Conflict: stale\n".to_owned());
    let denied = || (403, "Forbidden\n".to_owned());
    let created = || (201, "Created\n".to_owned());
    let putlist = |offset| misc("putlist", &format!("0=k&1={}", clock.text(offset)));
    let cases = [
        ("", put(-1000), stale()),
        ("", put(1000), created()),
        ("", put(HOUR), (409, "Conflict: future\n".to_owned())),
        ("", keep(-1000), stale()),
        ("", keep(1000), (409, "Conflict\n".to_owned())),
        ("", putlist(-1000), stale()),
        ("", putlist(1000), (200, String::new())),
        ("", request("DELETE", "/timestamp.k", &[], ""), denied()),
        (
            "[guard]\nunstamped = \"refuse\"",
            request("PUT", "/k", &[], "x"),
            (409, "Conflict: unstamped\n".to_owned()),
        ),
        (
            "[guard]\ntie = \"first\"",
            request("PUT", "/k", &[], &(clock.digits(0) + "x")),
            (409, "Conflict: tie\n".to_owned()),
        ),
        ("[guard]\nstale_reply = \"ok\"", put(-1000), created()),
        ("[guard.ext]\nput_ts = \"put\"", script(-1000), stale()),
        ("[guard.ext]\nput_ts = \"put\"", script(1000), (200, "ok".to_owned())),
        (
            "[guard.commands]\nputcat = \"refuse\"",
            request("PUT", "/k", &["X-TT-PDMODE: 2"], "x"),
            denied(),
        ),
    ];
    for (settings, asked, answer) in cases {
        let guarded = Guarded::memory(settings);
        let mut client = guarded.client();
        assert_eq!(ask(&mut client, &put(0)).0, 201);
        assert_eq!(ask(&mut client, &asked), answer, "{settings} {asked}");
        let changed = client.text("k") != Some(clock.text(0));
        let stored = matches!(answer.0, 200 | 201) && !settings.contains("stale_reply");
        assert_eq!(changed, stored, "{settings} {asked}");
    }
}

#[test]
fn what_two_readers_could_understand_differently_is_refused_and_nothing_behind_it_is_read() {
    let guarded = Guarded::memory("");
    assert_eq!(guarded.client().put("k", b"v"), 0);
    let hidden = "DELETE /k HTTP/1.1\r\n\r\n";
    let shapes = [
        ("GET /k HTTP/1.1\r\nContent-Length: 22\r\n\r\n", 400),
        (
            "PUT /x HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 22\r\n\r\n",
            400,
        ),
        ("PUT /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("PUT /x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        ("PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("PUT /x HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (
            "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 22\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("PUT /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        ("PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n", 400),
        ("GET /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("PUT /x HTTP/1.1\r\nExpect: a miracle\r\n\r\n", 417),
        ("PATCH /x HTTP/1.1\r\n\r\n", 501),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET /k HTTP/1.1\r\nHost: evil.example:1978\r\n\r\n", 403),
        ("PUT /x HTTP/1.1\r\nContent-Length : 22\r\n\r\n", 400),
        ("PUT /x HTTP/1.1\r\nX: y\r\n Content-Length: 22\r\n\r\n", 400),
        ("PUT /x HTTP/1.1\r\nX: y\rContent-Length: 22\r\n\r\n", 400),
        ("GET /k HTTP/3.0\r\n\r\n", 505),
        ("POST /x HTTP/1.1\r\n\r\n", 400),
        (
            "POST /x HTTP/1.1\r\nX-TT-MNAME: f\r\nContent-Type: multipart/form-data\r\n\r\n",
            415,
        ),
    ];
    for (shape, status) in shapes {
        let mut client = guarded.client();
        assert_eq!(ask(&mut client, &format!("{shape}{hidden}")).0, status, "{shape}");
        assert_eq!(client.ending(PATIENCE), Ending::Finished, "{shape}");
        assert_eq!(guarded.client().text("k").as_deref(), Some("v"), "{shape}");
    }
    guarded.expect_metric("ttguard_request_faults_total", &[], shapes.len() as f64);
}

#[test]
fn a_connection_goes_on_until_its_last_request_is_answered() {
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    assert_eq!(ask(&mut client, &request("PUT", "/k", &[], "v")).0, 201);
    let get = request("GET", "/k", &[], "");
    let last = request("GET", "/k", &["Connection: close"], "");
    client.send(format!("{get}{last}{get}").as_bytes());
    assert_eq!(ask(&mut client, ""), (200, "v".to_owned()));
    assert_eq!(ask(&mut client, ""), (200, "v".to_owned()));
    assert_eq!(client.ending(PATIENCE), Ending::Finished);
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", "client")], 1.0);
}

#[test]
fn a_backend_that_does_not_answer_is_no_miss() {
    let scripted = Scripted::start();
    let settings = "workers = 1\nlanes = 1\n[pairing]\nrequest_timeout = \"300ms\"\n";
    let guarded = Guarded::before(scripted.address(), settings);
    let mut client = guarded.client();
    assert_eq!(ask(&mut client, &request("GET", "/k", &[], "")).0, 404);
    scripted.stop(End::Rst);
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(ask(&mut client, &request(method, "/k", &[], "")).0, 503, "{method}");
    }
}

#[test]
fn a_client_that_waits_for_word_is_told_to_go_ahead_once_what_it_asked_before_is_answered() {
    let scripted = Scripted::start();
    scripted.insert("k", b"v");
    let guarded = Guarded::before(scripted.address(), "workers = 1\nlanes = 1\n");
    let mut client = guarded.client();
    assert_eq!(ask(&mut client, &request("GET", "/k", &[], "")), (200, "v".to_owned()));
    let gate = scripted.gate();
    scripted.rule(Rule::read("k", Act::HoldAnswer(gate)));
    client.send(request("GET", "/k", &[], "").as_bytes());
    let head = "PUT /new HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    client.send(head.as_bytes());
    scripted.wait_reached(gate);
    client.expect_quiet(Duration::from_millis(50));
    scripted.open(gate);
    assert_eq!(
        try_answer(&mut client).expect("the first answer"),
        (200, "v".to_owned())
    );
    client.expect("", "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(scripted.value("new"), None);
    client.send(b"abc");
    assert_eq!(ask(&mut client, "").0, 201);
    assert_eq!(scripted.text("new").as_deref(), Some("abc"));
    // What is refused needs no body.
    let mut client = guarded.client();
    client.send(b"PUT /new HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\r\n");
    assert_eq!(ask(&mut client, "").0, 413);
}

#[test]
fn a_body_in_chunks_is_a_value_as_any_other_however_its_bytes_come() {
    let guarded = Guarded::memory("");
    let clock = Clock::start();
    let (late, newer) = (clock.text(-1000), clock.text(0));
    let in_chunks = |value: &str| {
        let chunks: String = value.chars().map(|char| format!("1;x=y\r\n{char}\r\n")).collect();
        format!("PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\nX: y\r\n\r\n")
    };
    for piece in [1, 3, 1000] {
        let mut client = guarded.client();
        let requests = in_chunks(&newer) + &in_chunks(&late) + &request("GET", "/k", &[], "");
        for piece in requests.as_bytes().chunks(piece) {
            client.send(piece);
        }
        assert_eq!(ask(&mut client, "").0, 201);
        assert_eq!(ask(&mut client, "").0, 409);
        assert_eq!(ask(&mut client, ""), (200, newer.clone()));
    }
}

#[test]
fn a_body_in_chunks_is_bounded_as_any_other() {
    let guarded = Guarded::memory("[limits]\nvalue = \"1KiB\"\n");
    let mut client = guarded.client();
    client.send(b"PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let kibibyte = "x".repeat(1024);
    client.send(format!("400\r\n{kibibyte}\r\n1\r\n").as_bytes());
    assert_eq!(ask(&mut client, "").0, 413);
    assert_eq!(client.ending(PATIENCE), Ending::Finished);
    assert_eq!(guarded.client().get("k"), None);
}

#[test]
fn a_client_of_1_0_that_is_kept_is_told_so() {
    let guarded = Guarded::memory("");
    assert_eq!(guarded.client().put("k", b"v"), 0);
    let mut client = guarded.client();
    for _ in 0..3 {
        client.expect(
            "GET /k HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nv",
        );
    }
    client.expect(
        "GET /k HTTP/1.0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\nv",
    );
    assert_eq!(client.ending(PATIENCE), Ending::Finished);
}

#[test]
fn a_page_that_has_its_own_name_point_here_reads_nothing() {
    let by = |guarded: &Guarded, listener: usize, host: &str| {
        let mut client = guarded.client_of(listener);
        ask(&mut client, &format!("GET /k HTTP/1.1\r\nHost: {host}\r\n\r\n")).0
    };
    let guarded = Guarded::listening(
        "backend = \"memory:\"\nlisten = [\"127.0.0.1:0\"]\n\
         [[listener]]\naddress = \"localhost:0\"\nhttp_hosts = [\"tyrant.example\"]\n\
         [[listener]]\naddress = \"0.0.0.0:0\"\n\
         [[listener]]\naddress = \"0.0.0.0:0\"\nhttp_hosts = [\"tyrant.example\"]\n",
    );
    for listener in 0..4 {
        for ours in ["localhost", "127.0.0.1:1978", "[::1]:1978"] {
            assert_eq!(by(&guarded, listener, ours), 404, "{listener} {ours}");
        }
    }
    let statuses = |host: &str| [0, 1, 2, 3].map(|listener| by(&guarded, listener, host));
    assert_eq!(statuses("evil.example"), [403, 403, 404, 403]);
    assert_eq!(statuses("Tyrant.example:1978"), [403, 404, 404, 404]);
}
