//! HTTP, through the guard.

use std::io;

use crate::client::{Client, Ending, PATIENCE};
use crate::guarded::Guarded;
use crate::scripted::{End, Scripted};
use crate::stamped::Clock;

const HOUR: i64 = 3_600_000;

/// A request with these header lines and this body.
pub fn request(method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: here\r\n{headers}{length}\r\n{body}")
}

/// Asks, and gives status and body of the answer.
pub fn ask(client: &mut Client, request: &str) -> (u16, String) {
    client.send(request.as_bytes());
    read_answer(client, !request.starts_with("HEAD")).expect("an answer")
}

/// Status and body of the next answer, on a connection that may end.
pub fn try_answer(client: &mut Client) -> io::Result<(u16, String)> {
    read_answer(client, true)
}

fn read_answer(client: &mut Client, has_body: bool) -> io::Result<(u16, String)> {
    let head = String::from_utf8(client.try_recv_until(b"\r\n\r\n")?).expect("text");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    let body = client.try_recv(if has_body { length } else { 0 })?;
    Ok((status.expect("a status"), String::from_utf8(body).expect("text")))
}

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
        ("POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
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
