//! What an operator sees: every metric of the table, in the scrape and in the manual, and what moves them.

use std::collections::{BTreeMap, BTreeSet};

use ttguard::metrics::{Kind, TABLE};

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, Rule, Scripted};
use crate::support::stamped::Clock;

/// Names by what the scrape says of them: their help and their type.
fn families(text: &str) -> BTreeMap<String, (String, String)> {
    let mut families = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect(name);
        let kind = kind.rsplit(' ').next().expect(name);
        families.insert(name.to_owned(), (help.to_owned(), kind.to_owned()));
    }
    families
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

#[test]
fn what_is_scraped_is_what_the_table_and_the_manual_say() {
    let guarded = Guarded::memory("");
    let scraped = families(&guarded.page("/metrics").1);
    for row in TABLE {
        let (help, found) = scraped
            .get(row.name)
            .unwrap_or_else(|| panic!("{} is missing", row.name));
        assert_eq!(
            (help.as_str(), found.as_str()),
            (row.help, kind(row.kind)),
            "{}",
            row.name
        );
    }
    let ours: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
    let others = scraped.keys().filter(|name| !name.starts_with("process_"));
    for name in others {
        assert!(ours.contains(name.as_str()), "{name} is in no table");
    }

    // The manual has a line for each, in the order of the table, with its labels and its help.
    let page = ttguard::manual::Page::on("metrics").expect("the page").text;
    let (_, rest) = page
        .split_once("<!-- metrics -->\n")
        .expect("the table's beginning in the page");
    let (table, _) = rest.split_once("<!-- end of metrics -->").expect("its end");
    let mut wanted = String::from("| metric | type | what |\n| --- | --- | --- |\n");
    for row in TABLE {
        let labels = if row.labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", row.labels.join(","))
        };
        wanted += &format!("| `{}{labels}` | {} | {} |\n", row.name, kind(row.kind), row.help);
    }
    assert_eq!(table, wanted, "the manual's table should be:\n{wanted}");
}

#[test]
fn each_kind_of_traffic_moves_its_own_figures() {
    let scripted = Scripted::start();
    let guarded = Guarded::before(
        scripted.address(),
        "[pairing]\nrequest_timeout = \"300ms\"\nfence_timeout = \"400ms\"\nstart_hold = \"0s\"",
    );
    let clock = Clock::start();
    let mut client = guarded.client();
    let moved = |name: &str, labels: &[(&str, &str)], least: f64| guarded.expect_metric(name, labels, least);
    let binary = ("protocol", "binary");

    assert_eq!(client.put("k", clock.text(0).as_bytes()), 0);
    assert_eq!(client.put("k", clock.text(-60_000).as_bytes()), 2);
    assert_eq!(client.put("k", clock.text(3_600_000).as_bytes()), 3);
    assert_eq!(client.text("k"), Some(clock.text(0)));
    assert_eq!(client.get("missing"), None);
    let put = [binary, ("command", "put")];
    moved(
        "ttguard_requests_total",
        &[put[0], put[1], ("outcome", "answered")],
        1.0,
    );
    moved("ttguard_requests_total", &[put[0], put[1], ("outcome", "refused")], 2.0);
    moved("ttguard_request_seconds_count", &put, 3.0);
    let frame = |offset| frame::store(frame::PUT, "k", clock.text(offset).as_bytes()).len() as f64;
    let frames = frame(0) + frame(-60_000) + frame(3_600_000);
    assert_eq!(guarded.scrape("ttguard_request_bytes_total", &put), frames);
    assert_eq!(guarded.scrape("ttguard_reply_bytes_total", &put), 3.0);
    moved("ttguard_verdicts_total", &[binary, ("verdict", "stale")], 1.0);
    moved("ttguard_verdicts_total", &[binary, ("verdict", "future")], 1.0);
    assert_eq!(guarded.scrape("ttguard_stale_age_seconds_sum", &[]), 60.0);
    moved("ttguard_stamp_offset_seconds_count", &[("side", "ahead")], 1.0);
    moved("ttguard_stamp_offset_seconds_count", &[("side", "behind")], 2.0);
    moved("ttguard_lookups_total", &[("cause", "horizon")], 1.0);
    moved("ttguard_wait_seconds_count", &[("cause", "lookup")], 1.0);
    moved(
        "ttguard_backend_requests_total",
        &[("command", "put"), ("outcome", "answered")],
        1.0,
    );
    moved(
        "ttguard_backend_requests_total",
        &[("command", "mget"), ("outcome", "failed")],
        1.0,
    );
    moved("ttguard_backend_seconds_count", &[("command", "mget")], 2.0);
    moved("ttguard_backend_request_bytes_total", &[("command", "put")], frame(0));
    moved("ttguard_backend_reply_bytes_total", &[("command", "put")], 1.0);
    for (name, least) in [
        ("ttguard_sessions_max", 10_000.0),
        ("ttguard_ledger_max_bytes", 1.0),
        ("ttguard_buffered_max_bytes", 1.0),
        ("ttguard_config_applied_timestamp_seconds", 1e9),
        ("ttguard_build_info", 1.0),
        ("process_resident_memory_bytes", 1.0),
    ] {
        moved(name, &[], least);
    }

    // The other protocols of the port.
    for (asked, answer, protocol) in [
        ("set m 0 0 2\r\nhi\r\n", "STORED\r\n", "memcached"),
        (
            "PUT /h HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 201",
            "http",
        ),
    ] {
        let mut client = guarded.client();
        client.send(asked.as_bytes());
        assert_eq!(String::from_utf8_lossy(&client.recv(answer.len())), answer);
        let put = [("protocol", protocol), ("command", "put")];
        moved(
            "ttguard_requests_total",
            &[put[0], put[1], ("outcome", "answered")],
            1.0,
        );
        assert_eq!(guarded.scrape("ttguard_request_bytes_total", &put), asked.len() as f64);
        let unstamped = [put[0], ("verdict", "unstamped")];
        moved("ttguard_verdicts_total", &unstamped, 1.0);
    }

    // A question that is never answered: its session is reset, its lane given up, and another comes up.
    scripted.rule(Rule::read("never", Act::Silence));
    let mut waiting = Client::connect(guarded.address());
    waiting.send(&frame::keyed(frame::GET, "never"));
    moved("ttguard_pairing_interventions_total", &[("rule", "late_answer")], 1.0);
    moved("ttguard_pairing_interventions_total", &[("rule", "deadline")], 1.0);
    moved(
        "ttguard_backend_requests_total",
        &[("command", "mget"), ("outcome", "lost")],
        1.0,
    );
    moved("ttguard_lanes_fenced_total", &[("reason", "deadline")], 1.0);
    moved("ttguard_lane_reconnects_total", &[], 1.0);
}

#[test]
fn the_documents_tell_what_happened_and_never_a_value() {
    let guarded = Guarded::memory("admin_keys = \"shortened\"");
    let clock = Clock::start();
    let mut client = guarded.client();
    for late in [0, -5_000] {
        client.put("customer:4711", format!("{}secret", clock.text(late)).as_bytes());
    }
    guarded.expect_metric("ttguard_verdicts_total", &[("verdict", "stale")], 1.0);
    let document = |path: &str| -> serde_json::Value {
        let (status, body) = guarded.page(path);
        assert_eq!(status, 200, "{path}");
        assert!(!body.contains("secret"), "{path}: {body}");
        serde_json::from_str(&body).expect(path)
    };
    let refusal = &document("/api/refusals")[0];
    assert_eq!(refusal["key"], "cus…711");
    assert_eq!(refusal["off_by_seconds"], 5.0);
    assert_eq!(refusal["reason"], "stale");
    let of_client = &document("/api/clients")[0];
    assert_eq!(
        (&of_client["client"], &of_client["stale"]),
        (&"127.0.0.1".into(), &1.into())
    );
    let status = document("/api/status");
    assert_eq!(status["counts"]["verdicts"]["stale"], 1);
    assert_eq!(status["keys"], "shortened");
    assert_eq!(document("/api/backends")[0]["state"], "up");
    for span in ["recent", "hour"] {
        assert!(document(&format!("/api/history/{span}"))["columns"]["at"].is_array());
    }
    let (status, page) = guarded.page("/");
    assert!(status == 200 && page.starts_with("<!DOCTYPE html>"));
}
