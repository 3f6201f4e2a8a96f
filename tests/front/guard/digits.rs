//! Values that begin with digits which are no stamp. They are refused, for as a stamp they would block their key, and
//! whoever runs this is told why.

use std::process::Command;

use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};
use crate::support::stamped::Clock;

/// An ISBN, a telephone number, the number of a card.
const NUMBERS: [&str; 3] = ["9783161484100", "4155550123456", "4111111111111111"];

const HINT: &str = "does this value carry a stamp? stamp.digits says how many digits are one; with --mode observe";

#[test]
fn the_first_refusal_of_a_client_says_what_its_digits_may_mean() {
    let guarded = Guarded::memory("");
    for _ in 0..2 {
        let mut client = guarded.client();
        for number in NUMBERS {
            assert_eq!(client.put("k", number.as_bytes()), 3);
        }
    }
    assert_eq!(
        guarded.expect_log(HINT),
        1,
        "once for each client, not for each connection"
    );
    let log = guarded.log();
    let line = log.lines().find(|line| line.contains(HINT)).expect("the line");
    for part in [
        "WARN",
        "client=127.0.0.1:",
        "digits=13",
        "years_ahead=25",
        "enforced=true",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(
        NUMBERS.iter().all(|number| !log.contains(number)),
        "values are never logged: {log}"
    );
}

#[test]
fn a_clock_that_is_ahead_is_called_that() {
    let (guarded, clock) = (Guarded::memory(""), Clock::start());
    assert_eq!(guarded.client().put("k", &clock.value(3_600_000)), 3);
    assert_eq!(guarded.expect_log("is the clock of this client right?"), 1);
    assert!(!guarded.log().contains(HINT));
}

#[test]
fn observe_refuses_nothing_and_tells_before_one_enforces() {
    let (guarded, clock) = (Guarded::memory("guard.mode = \"observe\"\n"), Clock::start());
    let mut client = guarded.client();
    for number in NUMBERS {
        assert_eq!(client.put(number, number.as_bytes()), 0);
    }
    assert_eq!(client.put("plain", b"a value"), 0);
    for (key, offset) in [
        ("now", 0),
        ("ahead", 60_000),
        ("hour", -1_800_000),
        ("year", -40 * 86_400_000),
    ] {
        assert_eq!(client.put(key, &clock.value(offset)), 0);
    }
    let old = b"0049301234567 of 1970";
    assert_eq!(client.ask_code(&frame::store(frame::PUT, "old", old)), 0);
    assert_eq!(guarded.expect_log(HINT), 1);
    assert!(guarded.log().contains("enforced=false"));
    let wanted = [
        ("nowhere", 1.0),
        ("minute", 2.0),
        ("hour", 1.0),
        ("day", 0.0),
        ("year", 1.0),
        ("older", 1.0),
        ("future", 3.0),
        ("timeless", 0.0),
    ];
    let (status, page) = guarded.page("/api/status");
    let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
    assert_eq!(status, 200);
    for (lies, number) in wanted {
        let counted = guarded.scrape("ttguard_stamps_total", &[("lies", lies)]);
        assert_eq!(counted, number, "{lies}");
        assert_eq!(page["counts"]["stamps"][lies].as_f64(), Some(number), "{lies}");
    }
    assert_eq!(guarded.scrape("ttguard_observed_total", &[("reason", "future")]), 3.0);
}

#[test]
fn verify_tells_where_the_stamps_of_values_lie() {
    let (guarded, clock) = (Guarded::memory("guard.mode = \"observe\"\n"), Clock::start());
    let mut client = guarded.client();
    for number in NUMBERS {
        assert_eq!(client.put(number, number.as_bytes()), 0);
    }
    assert_eq!(client.put("plain", b"a value"), 0);
    assert_eq!(client.put("hour", &clock.value(-1_800_000)), 0);
    let verify = |flags: &[&str]| {
        let output = Command::new(BINARY)
            .args(["verify", &guarded.address().to_string()])
            .args(flags)
            .output()
            .expect("run ttguard");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let (code, told) = verify(&[]);
    assert_eq!(code, Some(1));
    let mut lines = told.lines();
    assert_eq!(lines.next(), Some("         5  records"));
    assert_eq!(
        lines.next(),
        Some("         4  values with a stamp: 1 within an hour, 3 in the future")
    );
    assert!(
        lines.any(
            |line| line.starts_with("do the values with stamps in the future carry a stamp?")
                && line.contains("stamp.digits")
                && line.contains("--mode observe")
        ),
        "{told}"
    );
    let (_, report) = verify(&["--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let stamps = serde_json::json!({"nowhere": 1, "hour": 1, "future": 3});
    assert_eq!(report["stamps"], stamps);
}
