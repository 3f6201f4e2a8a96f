//! `ttguard bench` against ttguard, and against a backend that lies.

use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, Rule, Scripted};

fn bench(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ttguard"))
        .arg("bench")
        .args(flags)
        .output()
        .expect("run ttguard bench")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// What is found by a load with these flags, which nothing goes wrong with.
#[track_caller]
fn measured(guarded: &Guarded, flags: &str) -> Value {
    let target = guarded.address().to_string();
    let flags: Vec<_> = flags
        .split_whitespace()
        .chain(["--json", "--target", target.as_str()])
        .collect();
    let output = bench(&flags);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    json(&output)["result"].take()
}

#[test]
fn a_closed_loop_sends_as_many_requests_as_it_should_and_finds_nothing_wrong() {
    let guarded = Guarded::memory("");
    let flags = "--connections 6 --threads 2 --keys 100 --mix put=60,get=20,mget=10,out=5,putnr=5 --value-size 32-2KiB \
                 --late 20% --fill --guarded --warmup 0s --requests 3000";
    let result = measured(&guarded, flags);
    assert_eq!(result["all"]["requests"], 3000);
    assert_eq!(result["wrong"], serde_json::json!({}));
    assert_eq!(result["errors"], serde_json::json!({}));
    assert!(result["checked"].as_u64() > Some(500), "{result}");
    // Every key has a newer record: each late write is stale, and besides only what another client has overtaken.
    assert_eq!(result["late"]["accepted"], 0);
    let refused = result["late"]["refused"].as_u64();
    assert!(refused > Some(0), "{result}");
    assert!(refused <= result["verbs"]["put"]["codes"]["2"].as_u64(), "{result}");
    assert_eq!(result["verbs"]["putnr"]["latency"], Value::Null);
    assert!(result["verbs"]["get"]["latency"]["p99_us"].as_f64() > Some(0.0));
    assert!(guarded.scrape("ttguard_requests_total", &[]) >= 3100.0);
}

#[test]
fn of_a_client_alone_each_late_write_and_nothing_else_is_stale() {
    let guarded = Guarded::memory("");
    let flags = "--connections 1 --threads 1 --keys 100 --mix put=60,get=40 --late 20% --fill --guarded --warmup 0s \
                 --requests 3000";
    let result = measured(&guarded, flags);
    assert_eq!(result["late"]["accepted"], 0);
    assert!(result["late"]["refused"].as_u64() > Some(0), "{result}");
    assert_eq!(result["late"]["refused"], result["verbs"]["put"]["codes"]["2"]);
}

#[test]
fn an_open_loop_accounts_for_every_request_of_its_rate() {
    let guarded = Guarded::memory("");
    let target = guarded.address().to_string();
    let output = bench(&[
        "--target",
        &target,
        "--rate",
        "500",
        "--duration",
        "1s",
        "--warmup",
        "100ms",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let result = &json(&output)["result"];
    let count = |name: &Value| name.as_u64().expect("a count");
    assert_eq!(
        count(&result["all"]["requests"]) + count(&result["unsent"]),
        500,
        "{result}"
    );
    assert_eq!(result["seconds"], 1.0);

    // Far above what can be had: all connections are behind when the last request is sent.
    let flags = "--rate 10000000 --requests 2000 --warmup 0s --json --target";
    let flags: Vec<_> = flags.split_whitespace().chain([target.as_str()]).collect();
    let output = bench(&flags);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let result = &json(&output)["result"];
    assert_eq!((count(&result["all"]["requests"]), count(&result["unsent"])), (2000, 0));
}

#[test]
fn two_targets_are_measured_in_turn_and_a_store_behind_both_confuses_nothing() {
    let guarded = Guarded::memory("");
    let target = guarded.address().to_string();
    let flags = "--keys 50 --late 10% --fill --guarded --warmup 0s --requests 500 --rounds 2";
    let flags: Vec<_> = flags.split_whitespace().collect();
    let both = [&flags[..], &["--target", &target, "--compare", &target]].concat();
    let output = bench(&[&both[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let form = json(&output);
    let rounds = form["rounds"].as_array().expect("rounds");
    let first: Vec<_> = rounds.iter().map(|round| &round["target_first"]).collect();
    assert_eq!(first, [true, false]);
    let speed = &form["summary"]["requests_per_second"];
    let figure = |name: &str| speed[name].as_f64().expect("a figure");
    assert!(
        figure("ratio_min") <= figure("ratio_max") && figure("ratio_min") > 0.0,
        "{speed}"
    );
    let quotient = figure("target") / figure("baseline");
    assert!((figure("ratio") - quotient).abs() < 1e-9, "{speed}");

    let output = bench(&both);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("medians") && text.contains("round 2, baseline"), "{text}");
}

#[test]
fn a_planted_answer_to_another_question_is_found() {
    let lies: [(&str, Act); 3] = [
        ("other_key", Act::AnswerFor("bench:000000001")),
        ("shape", Act::ExtraByte),
        ("missing", Act::AnswerFor("bench:nowhere")),
    ];
    for (wrong, lie) in lies {
        let scripted = Scripted::start();
        let target = scripted.address().to_string();
        scripted.rule(Rule::read("bench:000000000", lie));
        let flags = "--connections 1 --keys 2 --fill --mix get=1 --warmup 0s --requests 100 --json --target";
        let flags: Vec<_> = flags.split_whitespace().chain([target.as_str()]).collect();
        let output = bench(&flags);
        assert_eq!(output.status.code(), Some(1), "{wrong}: {output:?}");
        let mut expected = serde_json::json!({});
        expected[wrong] = 1.into();
        assert_eq!(json(&output)["result"]["wrong"], expected);
    }
}

#[test]
fn a_backend_that_falls_silent_ends_the_measurement_with_a_report() {
    let scripted = Scripted::start();
    let target = scripted.address().to_string();
    // The first connection only asks whether there is a server.
    scripted.rule(Rule::nth(1, 10, Act::Silence));
    scripted.rule(Rule::nth(2, 0, Act::Silence));
    scripted.rule(Rule::nth(3, 0, Act::Silence));
    scripted.rule(Rule::nth(4, 0, Act::Silence));
    let flags = "--connections 1 --warmup 0s --requests 1000000 --timeout 100ms --target";
    let flags: Vec<_> = flags.split_whitespace().chain([target.as_str()]).collect();
    let output = bench(&flags);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("ENDED EARLY: nothing was answered any more"), "{text}");
    assert!(text.contains("timeout"), "{text}");
}

#[test]
fn what_cannot_be_measured_is_told_in_one_line() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dead = free.local_addr().expect("its address").to_string();
    drop(free);
    let output = bench(&["--target", &dead]);
    assert_eq!(output.status.code(), Some(1));
    let said = line(&output);
    assert!(said.contains(&dead) && said.contains("cannot connect"), "{said}");

    let output = bench(&["--target", "unix:/nowhere/tt.sock"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(line(&output).contains("unix:/nowhere/tt.sock"));

    let output = bench(&["--mix", "put=1,frob=2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(line(&output).contains("allowed: VERB=SHARE"));
}
