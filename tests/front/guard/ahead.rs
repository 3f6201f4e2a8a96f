//! Edits against the rule for the future: whatever path a stamp would take into a record, one that is too far ahead of the
//! clock does not get there; and where it is found all the same it is an alarm and binds nobody.

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::http;
use crate::support::real::Real;
use crate::support::scripted::Scripted;
use crate::support::stamped::{Clock, now};

const FUTURE: u8 = 3;
const FAR: &str = "9999999999999";
const SETTINGS: &str = "workers = 1\n[guard.ext]\nput_ts = \"put\"\nkeep_ts = \"putkeep\"\n";

/// What the guard must say.
enum Says {
    Code(u8),
    Line(&'static str),
    Status(u16),
    /// Nothing, as of `putnr`.
    Nothing,
}

/// What the key holds before, the request, and what must be said of it.
type Attempt = (&'static str, Option<&'static str>, Vec<u8>, Says);

/// Every path by which a client could make a stamp of the far future.
fn attempts() -> Vec<Attempt> {
    let store = |opcode, value: &str| frame::store(opcode, "k", value.as_bytes());
    let set = |verb: &str, value: &str| format!("{verb} k 0 0 {}\r\n{value}\r\n", value.len()).into_bytes();
    let web = |method: &str, path: &str, headers: &[&str], body: &str| {
        http::request(method, path, headers, body).into_bytes()
    };
    let misc = |function: &str, values: &[&str]| {
        let arguments: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        frame::misc(function, &arguments)
    };
    let called = |function: &str| format!("X-TT-MNAME: {function}");
    let refused = || Says::Code(FUTURE);
    let line = || Says::Line("CLIENT_ERROR future\r\n");
    let conflict = || Says::Status(409);
    vec![
        ("put", None, store(frame::PUT, FAR), refused()),
        ("putkeep", None, store(frame::PUTKEEP, FAR), refused()),
        ("putnr", None, store(frame::PUTNR, FAR), Says::Nothing),
        ("putcat, missing", None, store(frame::PUTCAT, FAR), refused()),
        (
            "putcat, short",
            Some("99999"),
            store(frame::PUTCAT, "99999999x"),
            refused(),
        ),
        ("putcat, empty", Some(""), store(frame::PUTCAT, FAR), refused()),
        (
            "putshl, missing",
            None,
            frame::putshl("k", FAR.as_bytes(), 13),
            refused(),
        ),
        (
            "putshl, missing, narrow",
            None,
            frame::putshl("k", FAR.as_bytes(), 4),
            refused(),
        ),
        (
            "putshl, cut",
            Some("abc"),
            frame::putshl("k", FAR.as_bytes(), 13),
            refused(),
        ),
        (
            "putshl, bared",
            Some("abc99999"),
            frame::putshl("k", b"99999999", 13),
            refused(),
        ),
        (
            "putshl, by nothing",
            Some("x9999999999999"),
            frame::putshl("k", b"", 13),
            refused(),
        ),
        ("misc put", None, misc("put", &["k", FAR]), refused()),
        ("misc putkeep", None, misc("putkeep", &["k", FAR]), refused()),
        ("misc putlist", None, misc("putlist", &["k", FAR]), refused()),
        ("misc putcat, missing", None, misc("putcat", &["k", FAR]), refused()),
        (
            "misc putcat, short",
            Some("9999"),
            misc("putcat", &["k", "999999999"]),
            refused(),
        ),
        ("misc putdup", None, misc("putdup", &["k", FAR]), refused()),
        ("misc putdupback", None, misc("putdupback", &["k", FAR]), refused()),
        ("mapped put", None, frame::ext("put_ts", "k", FAR.as_bytes()), refused()),
        (
            "mapped putkeep",
            None,
            frame::ext("keep_ts", "k", FAR.as_bytes()),
            refused(),
        ),
        ("set", None, set("set", FAR), line()),
        ("add", None, set("add", FAR), line()),
        ("replace", Some("x"), set("replace", FAR), line()),
        ("append", Some("9"), set("append", "999999999999"), line()),
        ("prepend", Some("x"), set("prepend", FAR), line()),
        ("prepend, the rest", Some("99999"), set("prepend", "99999999"), line()),
        (
            "incr",
            Some("999999999999"),
            b"incr k 9000000000000\r\n".to_vec(),
            line(),
        ),
        (
            "decr, of a negative number",
            Some("-9999"),
            b"incr k 9999999999999\r\n".to_vec(),
            line(),
        ),
        ("PUT", None, web("PUT", "/k", &[], FAR), conflict()),
        (
            "PUT, kept",
            None,
            web("PUT", "/k", &["X-TT-PDMODE: 1"], FAR),
            conflict(),
        ),
        (
            "PUT, appended",
            None,
            web("PUT", "/k", &["X-TT-PDMODE: 2"], FAR),
            conflict(),
        ),
        (
            "PUT, appended, short",
            Some("9"),
            web("PUT", "/k", &["X-TT-PDMODE: 2"], "999999999999"),
            conflict(),
        ),
        (
            "POST misc",
            None,
            web("POST", "/", &[&called("putcat")], &format!("0=k&1={FAR}")),
            conflict(),
        ),
        (
            "POST mapped",
            None,
            web("POST", "/k", &["X-TT-XNAME: put_ts"], FAR),
            conflict(),
        ),
    ]
}

fn expect(client: &mut Client, name: &str, request: &[u8], says: &Says) {
    match says {
        Says::Code(code) => {
            assert_eq!(client.ask_code(request), *code, "{name}");
            if request[1] == frame::MISC {
                assert_eq!(client.recv(4), [0; 4], "{name}");
            }
        }
        Says::Line(line) => {
            client.send(request);
            assert_eq!(String::from_utf8_lossy(&client.recv_until(b"\r\n")), *line, "{name}");
        }
        Says::Status(status) => {
            let request = String::from_utf8(request.to_vec()).expect("text");
            assert_eq!(http::ask(client, &request).0, *status, "{name}");
        }
        Says::Nothing => client.send(request),
    }
}

/// A key that what is stored cannot have blocked: writes and deletes go on.
fn expect_open(client: &mut Client, name: &str, clock: Clock) {
    assert_eq!(client.put("k", &clock.value(0)), 0, "{name}: a write of now");
    assert_eq!(client.out("k"), 0, "{name}");
    let tombstone = client.text("timestamp.k").expect("a tombstone");
    let tombstone: i64 = tombstone[..13].parse().expect("digits");
    assert!(tombstone <= now() + 300_000, "{name}: {tombstone}");
    assert_eq!(
        client.put("k", &clock.value(60_000)),
        0,
        "{name}: a write of a minute later"
    );
}

/// Tries all of them; `make` puts what the key is to hold before.
fn try_all(guarded: &Guarded, mut make: impl FnMut(&str)) {
    for (name, before, request, says) in attempts() {
        let clock = Clock::start();
        let mut client = guarded.client();
        assert_eq!(client.misc("vanish", &[]).0, 0);
        if let Some(before) = before {
            make(before);
        }
        expect(&mut client, name, &request, &says);
        assert_eq!(client.text("k").as_deref(), before, "{name}: what was there");
        expect_open(&mut client, name, clock);
    }
    assert_eq!(guarded.scrape("ttguard_alarms_total", &[]), 0.0);
    let judged = guarded.scrape("ttguard_verdicts_total", &[("verdict", "future")]);
    assert_eq!(judged, attempts().len() as f64);
}

#[test]
fn no_path_leads_a_stamp_of_the_far_future_into_the_embedded_store() {
    let guarded = Guarded::memory(SETTINGS);
    let mut client = guarded.client();
    try_all(&guarded, |before| assert_eq!(client.put("k", before.as_bytes()), 0));
}

#[test]
fn no_path_leads_a_stamp_of_the_far_future_into_a_real_server() {
    let test = "no_path_leads_a_stamp_of_the_far_future_into_a_real_server";
    let folder = tempfile::tempdir().expect("a folder");
    let hash = folder.path().join("casket.tch");
    for database in ["*", hash.to_str().expect("text")] {
        let Some(real) = Real::start(database, test) else {
            return;
        };
        let guarded = Guarded::before(real.address(), SETTINGS);
        let mut direct = real.client();
        try_all(&guarded, |before| assert_eq!(direct.put("k", before.as_bytes()), 0));
    }
}

#[test]
fn a_stamp_of_the_far_future_that_is_found_is_an_alarm_and_binds_nobody() {
    let clock = Clock::start();
    let far = format!("{FAR} from elsewhere");
    for (value, record) in [
        (Some(far.as_str()), None),
        (None, Some(FAR)),
        (Some("plain"), Some(FAR)),
    ] {
        for (name, function) in [("write", "put"), ("delete", "out")] {
            let scripted = Scripted::start();
            if let Some(value) = value {
                scripted.insert("k", value.as_bytes());
            }
            if let Some(record) = record {
                scripted.insert("timestamp.k", record.as_bytes());
            }
            let guarded = Guarded::before(scripted.address(), "workers = 1");
            let mut client = guarded.client();
            if function == "put" {
                assert_eq!(client.put("k", &clock.value(0)), 0, "{name}");
                assert_eq!(client.put("k", &clock.value(-1)), 2, "{name}");
            } else {
                assert_eq!(client.out("k"), u8::from(value.is_none()), "{name}");
                let tombstone = scripted.text("timestamp.k").expect("a tombstone");
                assert!(
                    tombstone[..13].parse::<i64>().expect("digits") <= now() + 300_000,
                    "{tombstone}"
                );
                assert_eq!(client.put("k", &clock.value(60_000)), 0, "{name}");
            }
            guarded.expect_metric("ttguard_alarms_total", &[("alarm", "stamp_ahead")], 1.0);
            guarded.expect_log("further ahead of the clock than guard.future_tolerance");
        }
    }
}

#[test]
fn what_a_stamp_cannot_order_lowers_nothing_that_was_confirmed() {
    const STALE: u8 = 2;
    let clock = Clock::start();
    let settings = "[guard]\nledger_memory = \"64KiB\"";
    let edits: [(&str, Vec<u8>); 4] = [
        ("putshl", frame::putshl("k", b"short", 5)),
        ("prepend", b"prepend k 0 0 2\r\nx,\r\n".to_vec()),
        ("decr", b"decr k 90000\r\n".to_vec()),
        ("PUT", http::request("PUT", "/k", &[], "no stamp").into_bytes()),
    ];
    for (name, request) in edits {
        let scripted = Guarded::memory(settings);
        let mut client = scripted.client();
        let value = clock.digits(0);
        assert_eq!(client.put("k", value.as_bytes()), 0);
        client.send(&request);
        let mut other = scripted.client();
        while other.text("k").as_deref() == Some(value.as_str()) {}
        assert_eq!(other.put("k", &clock.value(-60_000)), STALE, "{name}: PA");
        assert_eq!(other.put("k", &clock.value(1)), 0, "{name}: a newer one");
    }
}
