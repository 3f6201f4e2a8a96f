//! Where the log goes, how much it says, and what it never says.

use std::time::Instant;

use crate::support::client::PATIENCE;
use crate::support::guarded::Guarded;
use crate::support::stamped::Clock;

#[test]
fn the_log_file_is_opened_again_and_its_level_changes_and_no_value_is_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
    let guarded = Guarded::memory(&format!("log.level = \"trace\"\nlog.file = \"{}\"", path.display()));
    let clock = Clock::start();
    let secret = |offset| [clock.value(offset), b"my secret".to_vec()].concat();
    let mut client = guarded.client();
    assert_eq!(client.put("k", &secret(0)), 0);
    assert_eq!(client.put("k", &secret(-1)), 2);
    std::fs::rename(&path, &moved).expect("moved");
    guarded.signal(libc::SIGUSR1);
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&path).is_ok_and(|text| text.contains("opened again")) {
        assert!(Instant::now() < deadline, "the log is not opened again");
    }
    let before = std::fs::read_to_string(&moved).expect("the old log");
    assert!(
        before.contains("refused a write") && !before.contains("my secret"),
        "{before}"
    );
    assert_eq!(
        guarded.ask_admin("PUT", "/api/log?level=off", ""),
        (200, "log level off\n".to_owned())
    );
    assert_eq!(guarded.ask_admin("PUT", "/api/log?level=loud", "").0, 400);
    assert_eq!(guarded.ask_admin("PUT", "/api/log", "").0, 400);
    // A filter of other programs, with a regular expression that takes a core for as long as it is compiled.
    let expression = format!("/api/log?level=[{{k=.*a{}}}]=info", ".".repeat(107));
    assert_eq!(guarded.ask_admin("PUT", &expression, "").0, 400);
    assert_eq!(guarded.ask_admin("GET", "/api/log", "").0, 405);
    assert_eq!(guarded.log(), "", "nothing goes to standard error");
    assert_eq!(guarded.terminate().code(), Some(0));
    let after = std::fs::read_to_string(&path).expect("the new log");
    assert!(!after.contains("draining") && !after.contains("my secret"), "{after}");
}

#[test]
fn a_refused_write_is_told_by_both_stamps_and_one_that_was_only_observed_is_told_as_such() {
    let clock = Clock::start();
    for (mode, code, words) in [
        ("enforce", 2, "refused a write"),
        (
            "observe",
            0,
            "let a write through that would be refused in enforce mode",
        ),
    ] {
        let guarded = Guarded::memory(&format!("[guard]\nmode = \"{mode}\"\n"));
        let mut client = guarded.client();
        assert_eq!(client.put("k", &clock.value(0)), 0);
        assert_eq!(client.put("k", &clock.value(-61_000)), code);
        guarded.expect_log(words);
        let log = guarded.log();
        let line = log.lines().find(|line| line.contains(words)).expect("a line");
        let (stamp, newer) = (clock.digits(-61_000), clock.digits(0));
        for part in [
            "reason=\"stale\"",
            &format!("stamp={stamp}"),
            &format!("newer={newer}"),
            "by_seconds=61",
            "client=127.0.0.1:",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains("Stale {"), "{line}");
        assert_eq!(log.contains("refused a write"), mode == "enforce");
    }
}
