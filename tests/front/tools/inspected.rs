//! `ttguard inspect` and `ttguard top --once`, as a person runs them.

use std::process::Command;
use std::time::Instant;

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::{BINARY, Guarded};
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

/// Exit code, standard output and standard error.
fn run(what: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    run_with(what, arguments, None)
}

fn run_with(what: &str, arguments: &[&str], token: Option<&str>) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY)
        .arg(what)
        .args(arguments)
        .envs(token.map(|token| ("TTGUARD_ADMIN_TOKEN", token)))
        .output()
        .expect("run ttguard");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn inspect(guarded: &Guarded, key: &str) -> serde_json::Value {
    let (code, out, said) = run("inspect", &[key, "--json", "--admin", &guarded.admin().to_string()]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{out}");
    serde_json::from_str(&out).expect("JSON")
}

#[test]
fn a_key_is_told_by_its_stamps_and_its_value_never() {
    let clock = Clock::start();
    let guarded = Guarded::memory("");
    let mut client = guarded.client();
    let key = "a key/with %41&=+?";
    assert_eq!(client.put(key, format!("{}secret", clock.digits(-1_000)).as_bytes()), 0);
    let report = inspect(&guarded, key);
    assert_eq!(report["value"]["stamp"]["digits"], clock.digits(-1_000));
    assert_eq!(report["value"]["bytes"], clock.digits(0).len() + 6);
    let age = report["value"]["stamp"]["age_seconds"].as_f64().expect("an age");
    assert!((1.0..600.0).contains(&age), "{age}");
    assert_eq!(report["ledger"]["known"], "stamp");
    assert_eq!(report["ledger"]["stamp"]["digits"], clock.digits(-1_000));
    assert_eq!(
        (&report["record"], &report["under_way"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert_eq!(
        (&report["write_now"], &report["mode"]),
        (&"stored".into(), &"enforce".into())
    );
    let (code, out, _) = run("inspect", &[key, "--admin", &guarded.admin().to_string()]);
    assert_eq!(code, Some(0));
    assert!(
        !out.contains("secret") && !report.to_string().contains("secret"),
        "{out}"
    );
    let names: Vec<_> = out.lines().map(|line| line[..10].trim_end()).collect();
    assert_eq!(
        names,
        ["value", "timestamp.", "ledger", "horizon", "under way", "write now"]
    );

    assert_eq!(client.put(key, &clock.value(120_000)), 0);
    assert_eq!(inspect(&guarded, key)["write_now"], "stale");
    assert_eq!(client.out(key), 0);
    let report = inspect(&guarded, key);
    assert_eq!(
        (&report["tombstone"], &report["value"]),
        (&true.into(), &serde_json::Value::Null)
    );
    assert_eq!(report["record"]["stamp"]["digits"], clock.digits(120_000));
    assert_eq!(inspect(&guarded, "another")["ledger"]["known"], "absent");
}

#[test]
fn what_is_in_flight_is_told_though_the_backend_does_not_answer() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let settings = "workers = 1\n[pairing]\nstart_hold = \"0s\"\nrequest_timeout = \"1s\"\n";
    let guarded = Guarded::before(scripted.address(), settings);
    let gate = scripted.gate();
    scripted.rule(Rule::write("k", Act::HoldAnswer(gate)));
    let mut client = Client::connect(guarded.address());
    client.send(&frame::store(frame::PUT, "k", &clock.value(0)));
    scripted.wait_reached(gate);
    let report = inspect(&guarded, "k");
    assert!(report["backend_error"].is_string(), "{report}");
    assert_eq!(report["write_now"], "unknown");
    // By then its lane may have been given up, which the key then waits for.
    let state = report["under_way"]["state"].as_str().expect("something is under way");
    assert!(["flying", "fencing"].contains(&state), "{report}");
    scripted.open(gate);
}

#[test]
fn one_frame_of_top_is_plain_text_with_what_was_refused() {
    const TOKEN: &str = "0123456789abcdef";
    let settings = "backend = \"memory:\"\nadmin_keys = \"shortened\"\n";
    let flags = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let guarded = Guarded::launch(settings, &flags, |command| {
        command.env("TTGUARD_ADMIN_TOKEN", TOKEN);
    });
    let clock = Clock::start();
    let mut client = guarded.client();
    for late in [0, -5_000] {
        client.put("customer:4711", format!("{}secret", clock.text(late)).as_bytes());
    }
    let address = guarded.admin().to_string();
    let arguments = ["--once", "--admin", &address];
    // Sessions and workers report in their own time.
    let deadline = Instant::now() + PATIENCE;
    let text = loop {
        let (code, text, said) = run_with("top", &arguments, Some(TOKEN));
        assert_eq!((code, said.as_str()), (Some(0), ""), "{text}");
        if text.contains("cus…711") {
            break text;
        }
        assert!(Instant::now() < deadline, "{text}");
    };
    let row = |first: &[&str]| {
        let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut found = rows.filter(|row| row.starts_with(first));
        found.next().unwrap_or_else(|| panic!("{first:?} in\n{text}"))
    };
    assert!(
        text.starts_with(&format!(
            "ttguard {} at {address}, enforce, up ",
            env!("CARGO_PKG_VERSION")
        )),
        "{text}"
    );
    assert_eq!(text.lines().nth(1), Some("ready"));
    assert_eq!((row(&["stale"])[2], row(&["accepted"])[2]), ("1", "1"));
    assert_eq!(row(&["memory:"])[1], "up");
    assert_eq!(row(&["127.0.0.1", "1"])[1..5], ["1", "1", "5.00", "s"]);
    assert!(!text.contains("secret") && !text.contains('\u{1b}'), "{text}");

    let (code, out, said) = run("top", &arguments);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(said.contains("asks for a token") && said.lines().count() == 1, "{said}");
    let (code, out, said) = run_with("top", &arguments[1..], Some(TOKEN));
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert_eq!(
        said,
        "ttguard: top: standard output is no terminal; allowed: a terminal, or --once\n"
    );
}

#[test]
fn an_admin_that_is_not_there_or_not_ours_is_said_in_one_line() {
    for (what, first) in [("inspect", "k"), ("top", "--once")] {
        let (code, _, said) = run(what, &[first, "--admin", "127.0.0.1:1"]);
        assert_eq!(code, Some(1));
        assert!(
            said.starts_with("ttguard: http://127.0.0.1:1: ") && said.lines().count() == 1,
            "{said}"
        );
        let (code, _, said) = run(what, &[first, "--admin", ""]);
        assert_eq!(code, Some(2));
        assert!(
            said.starts_with("ttguard: --admin: admin is off; allowed: ") && said.lines().count() == 1,
            "{said}"
        );
        let scripted = Scripted::start();
        let (code, _, said) = run(what, &[first, "--admin", &scripted.address().to_string()]);
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    }
}
