//! `ttguard man`, as a person runs it.

use std::process::{Command, Stdio};

use ttguard::manual::PAGES;

use crate::support::guarded::BINARY;

#[test]
fn a_page_is_printed_and_a_topic_that_there_is_not_ends_in_one_line() {
    let run = |topic| Command::new(BINARY).args(["man", topic]).output().expect("run ttguard");
    let output = run("limits");
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"# Limits: "));
    let output = run("woman");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let line = String::from_utf8(output.stderr).expect("text");
    assert_eq!(line.lines().count(), 1, "{line}");
    for page in PAGES {
        assert!(line.contains(page.topic), "{line}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_of_a_page_is_no_failure() {
    // Larger than what a pipe holds, so that it is cut off while it is written.
    let mut child = Command::new(BINARY)
        .args(["man", "settings"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run ttguard");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(output.stderr, b"");
}
