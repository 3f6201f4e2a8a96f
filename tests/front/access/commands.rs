//! Which commands clients may give, and how one is told of what it may not.

use std::os::unix::fs::PermissionsExt;

use super::{DENIED, denied, expect_no_answer};
use crate::support::client::PATIENCE;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::http;
use crate::support::real::Real;
use crate::support::scripted::Scripted;

#[test]
fn what_hands_the_store_over_is_denied_unless_allowed() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "");
    let mut client = guarded.client();
    assert_eq!(client.ask_code(&frame::setmst("other", 1978)), DENIED);
    assert_eq!(client.ask_code(&frame::restore("/log", 1)), DENIED);
    assert_eq!(client.put("k", b"v"), 0, "the connection stays");
    client.send(&frame::repl());
    client.expect_reset(PATIENCE);
    for command in ["setmst", "restore", "repl"] {
        assert_eq!(denied(&guarded, command), 1.0, "{command}");
    }
    scripted.see(|state| {
        let forbidden = [frame::SETMST, frame::RESTORE, frame::REPL];
        assert!(state.requests().all(|request| !forbidden.contains(&request.opcode)));
    });

    let open = Guarded::memory("allow = [\"setmst\", \"restore\"]");
    let mut client = open.client();
    assert_eq!(client.ask_code(&frame::setmst("other", 1978)), 0);
    assert_eq!(
        client.ask_code(&frame::restore("/log", 1)),
        1,
        "there is no log to restore from"
    );
}

/// On the server itself any client has it run a program by a copy.
#[test]
fn a_real_server_runs_a_program_only_where_that_is_allowed_by_name() {
    let test = "a_real_server_runs_a_program_only_where_that_is_allowed_by_name";
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("casket.tch");
    let Some(real) = Real::start(database.to_str().expect("text"), test) else {
        return;
    };
    let (program, ran) = (folder.path().join("program"), folder.path().join("ran"));
    std::fs::write(&program, format!("#!/bin/sh\ntouch {}\n", ran.display())).expect("a program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let asked = frame::copy(&format!("@{}", program.display()));
    for (settings, code, runs) in [
        ("", DENIED, false),
        ("allow = [\"copy\"]", DENIED, false),
        ("allow = [\"copy_command\"]", 0, true),
    ] {
        let guarded = Guarded::before(real.address(), settings);
        assert_eq!(guarded.client().ask_code(&asked), code, "{settings}");
        assert_eq!(ran.exists(), runs, "{settings}");
    }
}

#[test]
fn denying_get_denies_every_way_to_read_a_value() {
    let guarded = Guarded::beside_everything("memory:", "", &["deny = [\"get\"]", "deny = [\"out\"]"]);
    assert_eq!(guarded.client_of(0).put("k", b"secret"), 0);
    expect_no_answer(&guarded, 1, "get", &frame::keyed(frame::GET, "k"));
    expect_no_answer(&guarded, 1, "mget", &frame::mget(&["k"]));
    for (function, arguments) in [
        ("get", &[&b"k"[..]][..]),
        ("getlist", &[b"k"]),
        ("getpart", &[b"k"]),
        ("regex", &[b"."]),
        ("range", &[b""]),
        ("iternext", &[]),
        ("ttguard_iternext", &[]),
    ] {
        expect_no_answer(&guarded, 1, "misc", &frame::misc(function, arguments));
    }
    for line in ["get k\r\n", "gets k k\r\n"] {
        let mut client = guarded.client_of(1);
        client.expect(line, "CLIENT_ERROR forbidden\r\n");
    }
    let mut client = guarded.client_of(1);
    assert_eq!(http::ask(&mut client, &http::request("GET", "/k", &[], "")).0, 403);
    // Keys are no values.
    assert_eq!(guarded.client_of(1).fwmkeys(""), ["k"]);
    // Whoever may not delete one record may not delete all.
    assert_eq!(guarded.client_of(2).ask_code(&frame::bare(frame::VANISH)), DENIED);
    assert_eq!(guarded.client_of(0).rnum(), 1);
}

#[test]
fn a_denied_write_is_answered_and_a_denied_read_is_not() {
    let guarded = Guarded::memory("deny = [\"all\"]\nallow = [\"put\", \"sync\"]");
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"v"), 0);
    assert_eq!(client.ask_code(&frame::bare(frame::SYNC)), 0);
    for (command, request) in [
        ("putkeep", frame::store(frame::PUTKEEP, "k", b"v")),
        ("putcat", frame::store(frame::PUTCAT, "k", b"v")),
        ("out", frame::keyed(frame::OUT, "k")),
        ("addint", frame::addint("k", 1)),
        ("ext", frame::ext("f", "k", b"v")),
        ("vanish", frame::bare(frame::VANISH)),
    ] {
        assert_eq!(client.ask_code(&request), DENIED, "{command}");
        assert_eq!(denied(&guarded, command), 1.0, "{command}");
    }
    assert_eq!(client.misc("putlist", &[b"k", b"w"]), (DENIED, vec![]));
    client.putnr("k", b"w");
    assert_eq!(client.put("k2", b"v"), 0);
    assert_eq!(denied(&guarded, "putnr"), 1.0);

    // A code would say "no record", or "none left".
    for (command, request) in [
        ("get", frame::keyed(frame::GET, "k")),
        ("mget", frame::mget(&["k"])),
        ("vsiz", frame::keyed(frame::VSIZ, "k")),
        ("iternext", frame::bare(frame::ITERNEXT)),
        ("fwmkeys", frame::fwmkeys("", -1)),
        ("rnum", frame::bare(frame::RNUM)),
        ("misc", frame::misc("get", &[b"k"])),
    ] {
        let before = denied(&guarded, command);
        let mut client = guarded.client();
        client.send(&[frame::store(frame::PUT, "k", b"v"), request].concat());
        assert_eq!(client.recv(1), [0], "{command}: what was asked before is answered");
        client.expect_reset(PATIENCE);
        assert_eq!(denied(&guarded, command), before + 1.0, "{command}");
    }
}

#[test]
fn a_function_of_misc_is_no_way_around() {
    let guarded = Guarded::memory("deny = [\"vanish\", \"out\"]");
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"v"), 0);
    for (function, arguments) in [
        ("vanish", &[][..]),
        ("vanish\0", &[]),
        ("out", &[&b"k"[..]]),
        ("outlist", &[b"k"]),
        ("search", &[b"out"]),
        ("search", &[b"remove"]),
        ("search", &[b"out\0x"]),
    ] {
        if function == "search" {
            // Its answer is about records, so it gets none.
            let mut client = guarded.client();
            client.send(&frame::misc(function, arguments));
            client.expect_reset(PATIENCE);
        } else {
            assert_eq!(client.misc(function, arguments).0, DENIED, "{function}");
        }
    }
    assert_eq!(client.text("k").as_deref(), Some("v"));
    assert_eq!(denied(&guarded, "misc"), 7.0);
}

#[test]
fn each_listener_has_its_own_mask() {
    let listeners = ["deny = [\"allwrite\"]", "allow = [\"all\"]"];
    let guarded = Guarded::beside_everything("memory:", "deny = [\"vanish\"]", &listeners);
    let client = |listener| guarded.client_of(listener);
    assert_eq!(client(0).put("k", b"v"), 0);
    assert_eq!(client(0).ask_code(&frame::bare(frame::VANISH)), DENIED);
    assert_eq!(client(1).put("k", b"w"), DENIED);
    assert_eq!(client(1).text("k").as_deref(), Some("v"));
    assert_eq!(client(2).ask_code(&frame::bare(frame::VANISH)), 0);
    assert_eq!(client(1).rnum(), 0);
}

#[test]
fn a_mapped_script_function_is_denied_with_put() {
    let guarded = Guarded::memory("deny = [\"put\"]\n[guard.ext]\nput_ts = \"put\"");
    let mut client = guarded.client();
    assert_eq!(client.ext("put_ts", "k", b"v").0, DENIED);
    assert_eq!(client.ext("put_ts\0x", "k", b"v").0, DENIED);
    assert_eq!(client.get("k"), None);
}

#[test]
fn a_mapped_script_function_is_carried_out_as_what_it_stands_for() {
    let guarded = Guarded::memory("[guard.ext]\nput_ts = \"put\"\nkeep_ts = \"putkeep\"\nout_ts = \"out\"");
    let mut client = guarded.client();
    let done = (0, Some(b"ok".to_vec()));
    assert_eq!(client.ext("keep_ts", "k", b"v"), done);
    assert_eq!(client.ext("keep_ts", "k", b"w"), (1, None));
    assert_eq!(client.text("k").as_deref(), Some("v"));
    assert_eq!(client.ext("put_ts", "k", b"w"), done);
    assert_eq!(client.text("k").as_deref(), Some("w"));
    assert_eq!(client.ext("out_ts", "k", b""), done);
    assert_eq!(client.ext("out_ts", "k", b""), (1, None));
    assert_eq!(
        client.ext("get_ts", "k", b""),
        (1, None),
        "nobody has mapped it, and there is no script"
    );
}
