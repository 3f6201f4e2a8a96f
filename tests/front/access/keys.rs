//! Which keys clients may name.

use super::{DENIED, expect_no_answer};
use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;

/// A listener that may do everything, and one for `a:` but not `a:secret:`, with a record of each.
fn filled(backend: &str) -> Guarded {
    let settings = "allow = [\"all\"]\n[guard.ext]\nput_ts = \"put\"";
    let confined = "allow_keys = [\"a:\"]\ndeny_keys = [\"a:secret:\"]";
    let guarded = Guarded::beside_everything(backend, settings, &[confined]);
    for key in ["a:1", "a:2", "a:secret:1", "b:1"] {
        assert_eq!(guarded.client().put(key, key.as_bytes()), 0);
    }
    guarded
}

fn confined(guarded: &Guarded) -> Client {
    guarded.client_of(1)
}

#[test]
fn a_key_that_is_not_allowed_is_neither_written_nor_read() {
    keys_are_kept("memory:");
    if let Some(real) = Real::start("*", "a_key_that_is_not_allowed_is_neither_written_nor_read") {
        keys_are_kept(&format!("tyrant://{}", real.address()));
    }
}

fn keys_are_kept(backend: &str) {
    let guarded = filled(backend);
    let mut client = confined(&guarded);
    assert_eq!(client.put("a:3", b"v"), 0);
    assert_eq!(client.mget(&["a:1", "a:9"]), [(b"a:1".to_vec(), b"a:1".to_vec())]);
    for key in ["b:1", "a:secret:1", "", "timestamp.a:1x"] {
        for request in [
            frame::store(frame::PUT, key, b"v"),
            frame::store(frame::PUTKEEP, key, b"v"),
            frame::store(frame::PUTCAT, key, b"v"),
            frame::keyed(frame::OUT, key),
            frame::addint(key, 1),
            frame::ext("put_ts", key, b"v"),
        ] {
            assert_eq!(client.ask_code(&request), DENIED, "{key} {request:?}");
        }
        assert_eq!(client.misc("putlist", &[b"a:4", b"v", key.as_bytes(), b"v"]).0, DENIED);
        assert_eq!(client.misc("outlist", &[b"a:1", key.as_bytes()]).0, DENIED);
        client.putnr(key, b"v");
        expect_no_answer(&guarded, 1, "get", &frame::keyed(frame::GET, key));
        expect_no_answer(&guarded, 1, "vsiz", &frame::keyed(frame::VSIZ, key));
        expect_no_answer(&guarded, 1, "mget", &frame::mget(&["a:1", key]));
        expect_no_answer(&guarded, 1, "misc", &frame::misc("getlist", &[b"a:1", key.as_bytes()]));
    }
    assert_eq!(client.ext("put_ts", "a:5", b"v"), (0, Some(b"ok".to_vec())));
    let all = ["a:1", "a:2", "a:3", "a:5", "a:secret:1", "b:1"];
    assert_eq!(
        guarded.client().fwmkeys(""),
        all,
        "a list with a denied key is denied as a whole"
    );
    guarded.expect_log("a command was denied for the keys that it concerns");
}

#[test]
fn what_could_touch_records_without_naming_them_is_denied() {
    let guarded = filled("memory:");
    let mut client = confined(&guarded);
    assert_eq!(client.ask_code(&frame::bare(frame::VANISH)), DENIED);
    assert_eq!(client.misc("vanish", &[]).0, DENIED);
    assert_eq!(client.misc("some function", &[b"a:1"]).0, DENIED);
    assert_eq!(client.ext("a script", "a:1", b"v").0, DENIED);
    assert_eq!(client.ask_code(&frame::restore("/log", 1)), DENIED);
    for (command, request) in [
        ("iterinit", frame::bare(frame::ITERINIT)),
        ("iternext", frame::bare(frame::ITERNEXT)),
        ("misc", frame::misc("iterinit", &[b"a:1"])),
        ("misc", frame::misc("regex", &[b"a:"])),
        ("misc", frame::misc("range", &[b"a:"])),
        ("misc", frame::misc("search", &[])),
    ] {
        expect_no_answer(&guarded, 1, command, &request);
    }
    assert_eq!(client.ask_code(&frame::bare(frame::SYNC)), 0);
    assert_eq!(client.rnum(), 4);
}

#[test]
fn a_list_of_keys_leaves_out_what_is_denied_and_still_has_as_many_as_were_asked_for() {
    let guarded = filled("memory:");
    let mut client = confined(&guarded);
    assert_eq!(client.fwmkeys(""), ["a:1", "a:2"]);
    assert_eq!(client.fwmkeys("a:s"), [""; 0]);
    assert_eq!(client.fwmkeys("b"), [""; 0]);
    assert_eq!(client.ask_code(&frame::fwmkeys("", 2)), 0);
    assert_eq!(client.strings().expect("keys").len(), 2);
}

#[test]
fn the_text_protocols_are_told_that_it_is_forbidden() {
    let guarded = filled("memory:");
    let mut client = confined(&guarded);
    client.expect("get a:1\r\n", "VALUE a:1 0 3\r\na:1\r\nEND\r\n");
    client.expect("get a:1 b:1\r\n", "CLIENT_ERROR forbidden\r\n");
    client.expect("set b:1 0 0 1\r\nv\r\n", "CLIENT_ERROR forbidden\r\n");
    client.expect("replace b:1 0 0 1\r\nv\r\n", "CLIENT_ERROR forbidden\r\n");
    client.expect("append b:1 0 0 1\r\nv\r\n", "CLIENT_ERROR forbidden\r\n");
    client.expect("incr b:1 1\r\n", "CLIENT_ERROR forbidden\r\n");
    client.expect("delete b:1\r\n", "CLIENT_ERROR forbidden\r\n");
    client.expect("flush_all\r\n", "CLIENT_ERROR forbidden\r\n");
    for request in ["GET /b:1", "HEAD /b:1", "PUT /b:1", "DELETE /b:1"] {
        client.expect(
            &format!("{request} HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 403 ",
        );
        client = confined(&guarded);
    }
    assert_eq!(guarded.client().text("b:1").as_deref(), Some("b:1"));
}

#[test]
fn a_long_list_with_one_key_that_is_not_allowed_is_denied_as_a_whole() {
    let guarded = filled("memory:");
    let mut client = confined(&guarded);
    let keys: Vec<String> = (0..5000).map(|number| format!("a:{number}")).collect();
    let mut names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let list = |names: &[&str]| names.iter().map(|key| key.as_bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(client.mget(&names).len(), 2);
    names.push("a:secret:1");
    let keys = list(&names);
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let pairs: Vec<&[u8]> = keys.iter().flat_map(|key| [*key, b"v"]).collect();
    assert_eq!(client.misc("putlist", &pairs).0, DENIED);
    assert_eq!(client.misc("outlist", &keys).0, DENIED);
    expect_no_answer(&guarded, 1, "mget", &frame::mget(&names));
    expect_no_answer(&guarded, 1, "misc", &frame::misc("getlist", &keys));
    assert_eq!(guarded.client().fwmkeys("").len(), 4);
}
