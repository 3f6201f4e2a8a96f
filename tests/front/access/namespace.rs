//! Clients that see the records under one prefix and no others.

use super::{DENIED, expect_no_answer};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::stamped::Clock;

/// A listener for everything, and one for each of two tenants.
fn tenants(backend: &str) -> Guarded {
    let settings = "store.sync = \"os\"\n[guard.ext]\nput_ts = \"put\"";
    let listeners = ["prefix = \"A:\"\nallow = [\"all\"]", "prefix = \"B:\""];
    Guarded::beside_everything(backend, settings, &listeners)
}

/// Plays it on both stores of its own, and in front of a real server of each kind that has keys to begin with something.
fn everywhere(test: &str, play: impl Fn(&str)) {
    play("memory:");
    let folder = tempfile::tempdir().expect("a folder");
    play(&format!("file:{}", folder.path().join("store").display()));
    for name in ["*", "n.tch", "n.tcb"] {
        let path = folder.path().join(name);
        let database = if name == "*" {
            name
        } else {
            path.to_str().expect("text")
        };
        if let Some(real) = Real::start(database, test) {
            play(&format!("tyrant://{}", real.address()));
        }
    }
}

#[test]
fn tenants_use_the_same_keys_and_never_meet() {
    everywhere("tenants_use_the_same_keys_and_never_meet", |backend| {
        let guarded = tenants(backend);
        let (mut a, mut b, mut all) = (guarded.client_of(1), guarded.client_of(2), guarded.client_of(0));
        assert_eq!((a.put("k", b"of a"), b.put("k", b"of b")), (0, 0));
        assert_eq!(a.text("k").as_deref(), Some("of a"));
        assert_eq!(b.text("k").as_deref(), Some("of b"));
        assert_eq!(all.text("A:k").as_deref(), Some("of a"));
        assert_eq!(all.get("k"), None);
        assert_eq!(a.get("B:k"), None, "it asks for A:B:k");

        // Every command that names keys.
        assert_eq!(a.ask_code(&frame::store(frame::PUTKEEP, "k", b"v")), 1);
        assert_eq!(a.ask_code(&frame::store(frame::PUTKEEP, "kept", b"v")), 0);
        assert_eq!(a.ask_code(&frame::store(frame::PUTCAT, "kept", b"w")), 0);
        assert_eq!(a.ask_code(&frame::putshl("shifted", b"abc", 2)), 0);
        a.putnr("nr", b"v");
        assert_eq!(a.ask_code(&frame::addint("n", 5)), 0);
        assert_eq!(a.recv(4), [0, 0, 0, 5]);
        assert_eq!(a.ask_code(&frame::adddouble("d", 1)), 0);
        a.recv(16);
        assert_eq!(a.ext("put_ts", "by ext", b"v"), (0, Some(b"ok".to_vec())));
        assert_eq!(a.misc("put", &[b"m", b"v"]).0, 0);
        assert_eq!(a.misc("putkeep", &[b"m", b"w"]).0, 1);
        assert_eq!(a.misc("putlist", &[b"l1", b"v", b"l2", b"v"]).0, 0);
        assert_eq!(a.misc("outlist", &[b"l2", b"kept"]).0, 0);
        assert_eq!(a.misc("out", &[b"m"]).0, 0);
        assert_eq!(a.misc("get", &[b"k"]), (0, vec![b"of a".to_vec()]));
        let pairs = vec![b"k".to_vec(), b"of a".to_vec(), b"l1".to_vec(), b"v".to_vec()];
        assert_eq!(a.misc("getlist", &[b"k", b"none", b"l1"]), (0, pairs));
        assert_eq!(a.mget(&["none", "k"]), [(b"k".to_vec(), b"of a".to_vec())]);
        assert_eq!(a.ask_code(&frame::keyed(frame::VSIZ, "k")), 0);
        assert_eq!(a.recv(4), [0, 0, 0, 4]);
        assert_eq!(a.out("shifted"), 0);
        assert_eq!(a.ask_code(&frame::bare(frame::SYNC)), 0);

        // What a tenant sees of all that, and the others.
        let own = ["by ext", "d", "k", "l1", "n", "nr"];
        assert_eq!(a.fwmkeys(""), own);
        assert_eq!(a.fwmkeys("n"), ["n", "nr"]);
        assert_eq!(a.fwmkeys("timestamp."), [""; 0]);
        assert_eq!(a.fwmkeys("B:"), [""; 0]);
        assert_eq!(b.fwmkeys(""), ["k"]);
        let under_a = own.map(|key| format!("A:{key}"));
        assert_eq!(all.fwmkeys("A:"), under_a);
        assert_eq!(a.ask_code(&frame::fwmkeys("", 2)), 0);
        assert_eq!(a.strings().expect("keys").len(), 2);
        assert_eq!(guarded.scrape("ttguard_alarms_total", &[]), 0.0);
    });
}

#[test]
fn what_concerns_other_records_or_the_whole_store_is_denied_whatever_is_allowed() {
    everywhere("what_concerns_other_records_is_denied", |backend| {
        let guarded = tenants(backend);
        assert_eq!(guarded.client_of(2).put("k", b"of b"), 0);
        let mut a = guarded.client_of(1);
        assert_eq!(a.put("k", b"of a"), 0);
        for request in [
            frame::bare(frame::VANISH),
            frame::path(frame::COPY, "/tmp/none"),
            frame::path(frame::OPTIMIZE, ""),
            frame::restore("/tmp/none", 0),
            frame::setmst("other", 1978),
        ] {
            assert_eq!(a.ask_code(&request), DENIED, "{request:?}");
        }
        assert_eq!(a.ext("a script", "k", b"v").0, DENIED);
        for function in [
            "vanish",
            "genuid",
            "optimize",
            "defrag",
            "setindex",
            "a function",
            "ttguard_forget",
            "ttguard_mend",
        ] {
            assert_eq!(a.misc(function, &[b"k"]), (DENIED, vec![]), "{function}");
        }
        for (command, request) in [
            ("iterinit", frame::bare(frame::ITERINIT)),
            ("iternext", frame::bare(frame::ITERNEXT)),
            ("rnum", frame::bare(frame::RNUM)),
            ("size", frame::bare(frame::SIZE)),
            ("stat", frame::bare(frame::STAT)),
            ("repl", frame::repl()),
        ] {
            expect_no_answer(&guarded, 1, command, &request);
        }
        for function in [
            "regex",
            "range",
            "search",
            "metasearch",
            "ttguard_rnum",
            "ttguard_iternext",
            "iterinit",
            "iternext",
            "error",
        ] {
            expect_no_answer(&guarded, 1, "misc", &frame::misc(function, &[b""]));
        }
        assert_eq!(guarded.client_of(2).text("k").as_deref(), Some("of b"));
        assert_eq!(guarded.client_of(0).fwmkeys(""), ["A:k", "B:k"]);
    });
}

#[test]
fn a_record_is_judged_as_one_whatever_listener_its_writes_come_through() {
    everywhere("a_record_is_judged_as_one", |backend| {
        let clock = Clock::start();
        let guarded = tenants(backend);
        let (mut a, mut all) = (guarded.client_of(1), guarded.client_of(0));
        assert_eq!(all.put("A:k", &clock.value(0)), 0);
        assert_eq!(a.put("k", &clock.value(-1_000)), 2, "stale");
        assert_eq!(a.put("k", &clock.value(1_000)), 0);
        assert_eq!(all.put("A:k", &clock.value(0)), 2, "stale");
        assert_eq!(guarded.client_of(2).put("k", &clock.value(-5_000)), 0, "another record");
        assert_eq!(a.out("k"), 0);
        assert_eq!(a.put("k", &clock.value(0)), 2, "older than its tombstone");
        assert_eq!(a.fwmkeys(""), [""; 0], "which is hidden");
        assert_eq!(all.fwmkeys(""), ["B:k"]);
        assert_eq!(a.put("timestamp.k", b"v"), 0, "a key like any other");
        assert_eq!(all.text("A:timestamp.k").as_deref(), Some("v"));
    });
}

#[test]
fn many_pipelined_requests_of_tenants_are_answered_in_order() {
    let guarded = tenants("memory:");
    let (mut a, mut b) = (guarded.client_of(1), guarded.client_of(2));
    let count = 500;
    let asks = |tenant: &str| {
        let pair = |number: usize| {
            let (key, value) = (format!("k{number}"), format!("{tenant}{number}"));
            [frame::store(frame::PUT, &key, value.as_bytes()), frame::mget(&[&key])].concat()
        };
        (0..count).flat_map(pair).collect::<Vec<u8>>()
    };
    a.send(&asks("a"));
    b.send(&asks("b"));
    for (client, tenant) in [(&mut a, "a"), (&mut b, "b")] {
        for number in 0..count {
            assert_eq!(client.recv(2), [0, 0], "the codes of both");
            assert_eq!(client.count().expect("a count"), 1);
            let (key, value) = (client.count().expect("a size"), client.count().expect("a size"));
            assert_eq!(client.recv(key), format!("k{number}").as_bytes());
            assert_eq!(client.recv(value), format!("{tenant}{number}").as_bytes());
        }
    }
    assert_eq!(a.fwmkeys("k").len(), count);
}

#[test]
fn memcached_and_http_are_in_the_same_namespace() {
    everywhere("memcached_and_http_are_in_the_same_namespace", |backend| {
        let guarded = tenants(backend);
        let mut a = guarded.client_of(1);
        a.expect("set k 0 0 1\r\nv\r\n", "STORED\r\n");
        a.expect("append k 0 0 1\r\nw\r\n", "STORED\r\n");
        a.expect("replace none 0 0 1\r\nv\r\n", "NOT_STORED\r\n");
        a.expect("get none k\r\n", "VALUE k 0 2\r\nvw\r\nEND\r\n");
        a.expect("set n 0 0 1\r\n4\r\n", "STORED\r\n");
        a.expect("incr n 3\r\n", "7\r\n");
        a.expect("delete none\r\n", "NOT_FOUND\r\n");
        a.expect("flush_all\r\n", "CLIENT_ERROR forbidden\r\n");
        a.expect("stats\r\n", "CLIENT_ERROR forbidden\r\n");
        a.expect("version\r\n", "VERSION 1.1.");
        let mut a = guarded.client_of(1);
        a.send(b"GET /k HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(a.recv_until(b"\r\n\r\n").starts_with(b"HTTP/1.1 200"));
        assert_eq!(a.recv(2), b"vw");
        a.expect(
            "PUT /h HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 201",
        );
        let mut a = guarded.client_of(1);
        a.expect(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-TT-MNAME: getlist\r\nContent-Length: 5\r\n\r\n0=k&1",
            "HTTP/1.1 200",
        );
        let mut b = guarded.client_of(2);
        b.expect("get k\r\n", "END\r\n");
        b.expect("GET /k HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404");
        assert_eq!(guarded.client_of(0).fwmkeys(""), ["A:h", "A:k", "A:n"]);
        assert_eq!(guarded.scrape("ttguard_alarms_total", &[]), 0.0);
    });
}

#[test]
fn where_keys_are_digits_alone_a_namespace_lets_nothing_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("n.tcf");
    let test = "where_keys_are_digits_alone_a_namespace_lets_nothing_through";
    let Some(real) = Real::start(database.to_str().expect("text"), test) else {
        return;
    };
    let guarded = tenants(&format!("tyrant://{}", real.address()));
    assert_eq!(guarded.client_of(0).put("7", b"v"), 0);
    assert_eq!(guarded.client_of(1).put("7", b"w"), DENIED);
    expect_no_answer(&guarded, 1, "get", &frame::keyed(frame::GET, "7"));
    expect_no_answer(&guarded, 1, "fwmkeys", &frame::fwmkeys("", -1));
    assert_eq!(guarded.client_of(0).text("7").as_deref(), Some("v"));
}

#[test]
fn rows_of_a_table_have_a_namespace_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("n.tct");
    let test = "rows_of_a_table_have_a_namespace_too";
    let Some(real) = Real::start(database.to_str().expect("text"), test) else {
        return;
    };
    let guarded = tenants(&format!("tyrant://{}", real.address()));
    let (mut a, mut b) = (guarded.client_of(1), guarded.client_of(2));
    assert_eq!(a.misc("put", &[b"k", b"column", b"1"]).0, 0);
    assert_eq!(b.misc("put", &[b"k", b"column", b"2"]).0, 0);
    assert_eq!(a.misc("get", &[b"k"]), (0, vec![b"column".to_vec(), b"1".to_vec()]));
    assert_eq!(a.mget(&["k"]), [(b"k".to_vec(), b"column\x001".to_vec())]);
    assert_eq!(b.fwmkeys(""), ["k"]);
    expect_no_answer(
        &guarded,
        1,
        "misc",
        &frame::misc("search", &[b"addcond\0column\0STREQ\x002"]),
    );
    assert_eq!(guarded.client_of(0).fwmkeys(""), ["A:k", "B:k"]);
}

#[test]
fn a_long_list_stays_among_its_tenants_keys() {
    let guarded = tenants("memory:");
    let (mut a, mut b) = (guarded.client_of(1), guarded.client_of(2));
    let keys: Vec<String> = (0..5000).map(|number| format!("k{number}")).collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let asked: Vec<&[u8]> = names.iter().map(|key| key.as_bytes()).collect();
    let pairs: Vec<&[u8]> = asked.iter().flat_map(|key| [*key, b"of a"]).collect();
    assert_eq!(a.misc("putlist", &pairs), (0, vec![]));
    let found = a.misc("getlist", &asked).1;
    assert!(found.iter().eq(pairs.iter()), "{} strings", found.len());
    assert_eq!(a.mget(&names).len(), keys.len());
    assert_eq!((b.mget(&names).len(), b.fwmkeys("").len()), (0, 0));
    assert_eq!(b.misc("outlist", &asked), (0, vec![]));
    assert_eq!(a.fwmkeys("").len(), keys.len());
    assert_eq!(a.misc("outlist", &asked), (0, vec![]));
    assert_eq!(a.fwmkeys("").len(), 0);
}
