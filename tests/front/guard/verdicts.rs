//! What the guard lets through, what it refuses, and what it says.

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::scripted::Scripted;
use crate::support::stamped::{Clock, tell_story};

const STALE: u8 = 2;
const FUTURE: u8 = 3;
const UNSTAMPED: u8 = 4;
const DENIED: u8 = 5;
const HOUR: i64 = 3_600_000;

fn expect_story(guarded: &Guarded) {
    let clock = Clock::start();
    assert_eq!(tell_story(guarded.address(), "k", clock), [0, 0, STALE]);
    assert_eq!(guarded.client().text("k"), Some(clock.text(0)));
    guarded.expect_metric("ttguard_verdicts_total", &[("verdict", "stale")], 1.0);
    assert_eq!(guarded.scrape("ttguard_verdicts_total", &[("verdict", "stale")]), 1.0);
}

#[test]
fn pb_pc_pa_leaves_pc_on_the_embedded_store() {
    expect_story(&Guarded::memory(""));
}

#[test]
fn pb_pc_pa_leaves_pc_in_front_of_a_backend() {
    let scripted = Scripted::start();
    expect_story(&Guarded::before(scripted.address(), ""));
    scripted.expect_whole_requests();
}

#[test]
fn pb_pc_pa_leaves_pc_in_front_of_a_real_server() {
    let Some(real) = Real::start("*", "pb_pc_pa_leaves_pc_in_front_of_a_real_server") else {
        return;
    };
    expect_story(&Guarded::before(real.address(), ""));
}

#[test]
fn each_refusal_has_a_code_of_its_own() {
    let clock = Clock::start();
    let put = |offset| frame::store(frame::PUT, "k", &clock.value(offset));
    let unstamped = frame::store(frame::PUT, "k", b"no stamp");
    let append = frame::store(frame::PUTCAT, "k", b"more");
    let cases = [
        ("stale", "", put(-1000), STALE),
        ("newer", "", put(1000), 0),
        ("future", "", put(HOUR), FUTURE),
        (
            "far future, tolerated",
            "[guard]\nfuture_tolerance = \"2h\"",
            put(HOUR),
            0,
        ),
        ("unstamped passes", "", unstamped.clone(), 0),
        (
            "unstamped refused",
            "[guard]\nunstamped = \"refuse\"",
            unstamped,
            UNSTAMPED,
        ),
        ("putcat passes", "", append.clone(), 0),
        (
            "putcat refused",
            "[guard.commands]\nputcat = \"refuse\"",
            append,
            DENIED,
        ),
        (
            "stale said to be stored",
            "[guard]\nstale_reply = \"ok\"",
            put(-1000),
            0,
        ),
        (
            "putkeep, stale",
            "",
            frame::store(frame::PUTKEEP, "k", &clock.value(-1000)),
            STALE,
        ),
        (
            "putkeep, newer but there",
            "",
            frame::store(frame::PUTKEEP, "k", &clock.value(1000)),
            1,
        ),
    ];
    for (name, settings, request, code) in cases {
        let guarded = Guarded::memory(settings);
        let mut client = guarded.client();
        assert_eq!(client.put("k", &clock.value(0)), 0, "{name}");
        assert_eq!(client.ask_code(&request), code, "{name}");
        let changed = client.text("k") != Some(clock.text(0));
        let stored = code == 0 && !settings.contains("stale_reply");
        assert_eq!(changed, stored, "{name}");
    }
}

#[test]
fn a_refused_putnr_is_silent_and_the_session_stays_in_step() {
    let clock = Clock::start();
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    client.putnr("k", &clock.value(0));
    client.putnr("k", &clock.value(-1000));
    assert_eq!(client.text("k"), Some(clock.text(0)));
    guarded.expect_metric("ttguard_verdicts_total", &[("verdict", "stale")], 1.0);
}

#[test]
fn equal_stamps_are_settled_as_the_tie_says() {
    let clock = Clock::start();
    let value = |text: &str| format!("{}{text}", clock.digits(0));
    // The setting, the bytes that come second after "m", the code, and what stays.
    let cases = [
        ("last", "a", 0, "a"),
        ("last", "z", 0, "z"),
        ("first", "a", STALE, "m"),
        ("first", "z", STALE, "m"),
        ("first", "m", 0, "m"),
        ("greater", "a", STALE, "m"),
        ("greater", "z", 0, "z"),
        ("greater", "m", 0, "m"),
    ];
    for (tie, second, code, stays) in cases {
        let guarded = Guarded::memory(&format!("[guard]\ntie = \"{tie}\""));
        let mut client = guarded.client();
        assert_eq!(client.put("k", value("m").as_bytes()), 0);
        assert_eq!(
            client.put("k", value(second).as_bytes()),
            code,
            "{tie}: {second} after m"
        );
        assert_eq!(client.text("k"), Some(value(stays)), "{tie}: {second} after m");
    }
}

#[test]
fn observe_stores_everything_and_counts_what_it_would_have_refused() {
    let clock = Clock::start();
    let guarded = Guarded::memory("[guard]\nmode = \"observe\"");
    assert_eq!(tell_story(guarded.address(), "k", clock), [0, 0, 0]);
    assert_eq!(guarded.client().text("k"), Some(clock.text(-60_000)));
    guarded.expect_metric("ttguard_observed_total", &[], 1.0);
}

#[test]
fn a_stamp_of_another_width_is_read_in_its_unit() {
    let seconds = Clock::start().digits(0)[..10].parse::<i64>().expect("a number");
    let guarded = Guarded::memory("[stamp]\ndigits = 10\nunit = \"s\"");
    let mut client = guarded.client();
    let value = |offset: i64| format!("{:010} s", seconds + offset).into_bytes();
    assert_eq!(client.put("k", &value(0)), 0);
    assert_eq!(client.put("k", &value(-60)), STALE);
    assert_eq!(client.put("k", &value(3600)), FUTURE);
}

#[test]
fn an_opaque_stamp_has_no_clock() {
    let guarded = Guarded::memory("[stamp]\ndigits = 4\nunit = \"opaque\"");
    let mut client = guarded.client();
    assert_eq!(client.put("k", b"9000 high"), 0);
    assert_eq!(client.put("k", b"8999 low"), STALE);
    assert_eq!(client.put("k", b"9999 top"), 0);
}

#[test]
fn the_list_commands_of_misc_are_guarded_record_by_record() {
    let clock = Clock::start();
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    let (old, new, newer) = (clock.value(-1000), clock.value(0), clock.value(1000));
    assert_eq!(client.put("b", &new), 0);
    let answer = client.misc("putlist", &[b"a", &old, b"b", &old, b"c", &old]);
    assert_eq!(answer, (STALE, vec![]));
    assert_eq!(client.get("a"), Some(old.clone()));
    assert_eq!(client.get("b"), Some(new.clone()));
    assert_eq!(client.get("c"), Some(old.clone()));
    assert_eq!(client.misc("putlist", &[b"a", &newer, b"b", &newer]), (0, vec![]));
    assert_eq!(client.get("b"), Some(newer));
}

#[test]
fn the_single_commands_of_misc_are_guarded() {
    let clock = Clock::start();
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    assert_eq!(client.misc("put", &[b"k", &clock.value(0)]).0, 0);
    assert_eq!(client.misc("put", &[b"k", &clock.value(-1000)]).0, STALE);
    assert_eq!(client.text("k"), Some(clock.text(0)));
    assert_eq!(client.misc("putkeep", &[b"n", &clock.value(0)]).0, 0);
    assert_eq!(client.misc("putkeep", &[b"n", &clock.value(1000)]).0, 1);
    // Functions that are not the guard's pass as they are.
    assert_eq!(client.misc("get", &[b"k"]), (0, vec![clock.value(0)]));
}

#[test]
fn every_way_to_delete_leaves_a_tombstone() {
    let clock = Clock::start();
    for way in ["out", "misc out", "misc outlist"] {
        let guarded = Guarded::memory("");
        let mut client = guarded.client();
        assert_eq!(client.put("k", &clock.value(-10_000)), 0);
        let code = match way {
            "out" => client.out("k"),
            "misc out" => client.misc("out", &[b"k"]).0,
            _ => client.misc("outlist", &[b"k"]).0,
        };
        assert_eq!(code, 0, "{way}");
        assert_eq!(client.put("k", &clock.value(-5_000)), STALE, "{way}");
        assert_eq!(client.get("k"), None, "{way}");
        assert_eq!(client.put("k", &clock.value(5_000)), 0, "{way}");
        assert_eq!(client.text("k"), Some(clock.text(5_000)), "{way}");
    }
}

#[test]
fn a_mapped_script_function_is_a_guarded_put() {
    let clock = Clock::start();
    let guarded = Guarded::memory("[guard.ext]\nput_ts = \"put\"");
    let mut client = guarded.client();
    assert_eq!(client.ext("put_ts", "k", &clock.value(0)).0, 0);
    assert_eq!(client.ext("put_ts", "k", &clock.value(-1000)).0, STALE);
    assert_eq!(client.text("k"), Some(clock.text(0)));
    // Any other function is the server's own business.
    assert_eq!(client.ext("nofunc", "k", &clock.value(0)).0, 1);
}

#[test]
fn after_an_append_the_key_is_read_before_it_is_judged() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let guarded = Guarded::before(scripted.address(), "");
    let mut client: Client = guarded.client();
    // The append makes the record: only the backend knows its stamp.
    assert_eq!(client.ask_code(&frame::store(frame::PUTCAT, "k", &clock.value(0))), 0);
    assert_eq!(client.put("k", &clock.value(-1000)), STALE);
    assert_eq!(client.put("k", &clock.value(1000)), 0);
    assert_eq!(scripted.text("k"), Some(clock.text(1000)));
}
