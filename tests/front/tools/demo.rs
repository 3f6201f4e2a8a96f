//! `ttguard demo`, as a person runs it.

use std::process::{Command, Stdio};

#[test]
fn the_demo_tells_both_stories_as_they_come_out() {
    let output = Command::new(env!("CARGO_BIN_EXE_ttguard"))
        .arg("demo")
        .output()
        .expect("run ttguard");
    let told = String::from_utf8(output.stdout).expect("text");
    let faults = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{told}{faults}", output.status);
    assert_eq!(faults, "");
    let outcomes = [
        "PA arrives: answered 0",
        "What stayed is \"1705312800000 PA\". It should be \"1705312860000 PC\".",
        "PA arrives: refused, code 2 (stale)",
        "What stayed is \"1705312860000 PC\", as it should.",
        "ttguard_verdicts_total{verdict=\"stale\",protocol=\"binary\"} 1",
        "asks for B: \"the value of A\"",
        "asks for B: the connection is reset",
        "connects again, asks for B: \"the value of B\"",
    ];
    let mut lines = told.lines();
    for outcome in outcomes {
        assert!(
            lines.by_ref().any(|line| line.contains(outcome)),
            "not told, or not in its place: {outcome}\n{told}"
        );
    }
    assert!(told.lines().all(|line| line.len() <= 80), "too wide\n{told}");
    assert!(told.lines().count() <= 40, "too long\n{told}");
}

#[test]
fn a_reader_who_has_seen_enough_of_the_demo_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ttguard"))
        .arg("demo")
        .stdout(Stdio::piped())
        .spawn()
        .expect("run ttguard");
    drop(child.stdout.take());
    assert!(child.wait().expect("its end").success());
}
