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
