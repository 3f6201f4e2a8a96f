//! What is scraped is what the table says, and is valid text.

use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::command::Verb;
use crate::guard::spread::Lies;
use crate::protocol::Protocol;

const FAULTS: &[&str] = &["bad_magic", "size"];

/// What says who runs, and since when.
const SET_AT_START: [&str; 3] = [
    "ttguard_start_time_seconds",
    "ttguard_config_applied_timestamp_seconds",
    "ttguard_build_info",
];

/// The names that `metrics-process` may write; which of them depends on the system.
const PROCESS: &str = "process_";

/// Family name to its type and its series, each checked for its form on the way.
fn parse(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let mut families: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    let mut seen = HashSet::new();
    let mut lines = text.lines().peekable();
    assert!(text.ends_with('\n'));
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").expect(line).split_once(' ').expect(line);
        assert!(help.ends_with('.'), "{line}");
        let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect(name);
        let kind = kind.strip_prefix(name).expect(kind).trim_start();
        let mut series = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (id, value) = line.rsplit_once(' ').expect(line);
            assert!(value.parse::<f64>().expect(line).is_finite(), "{line}");
            assert!(id.starts_with(name), "{line} under {name}");
            assert!(seen.insert(id.to_owned()), "{id} twice");
            series.push(line.to_owned());
        }
        let before = families.insert(name.to_owned(), (kind.to_owned(), series));
        assert!(before.is_none(), "{name} twice");
    }
    families
}

/// How many series a row has from the start.
fn combinations(row: &Row) -> usize {
    let sizes = row.labels.iter().map(|label| match *label {
        "command" => Verb::ALL.len(),
        "alarm" => Alarm::ALL.len(),
        "certificate" => Certificate::ALL.len(),
        "fault" => FAULTS.len(),
        "protocol" => Protocol::ALL.len(),
        "rule" => Intervention::ALL.len(),
        "side" => Side::ALL.len(),
        "change" => ClaimChange::ALL.len(),
        "verdict" => Judged::ALL.len(),
        "lies" => Lies::ALL.len(),
        "version" => 1,
        "kind" => RetryKind::ALL.len(),
        "cause" if row.name.contains("waits") => WaitCause::ALL.len(),
        "cause" if row.name.contains("wait_seconds") => KeyWait::ALL.len(),
        "cause" => LookupCause::ALL.len(),
        "reason" if row.name.contains("observed") => Reason::ALL.len(),
        "reason" if row.name.contains("sessions") => CloseReason::ALL.len(),
        "reason" => FenceReason::ALL.len(),
        "outcome" if row.name.contains("backend_requests") => Carried::ALL.len(),
        "outcome" if row.name.contains("requests") => Outcome::ALL.len(),
        "outcome" if row.name.contains("reloads") => Reload::ALL.len(),
        "outcome" if row.name.contains("connects") => ConnectOutcome::ALL.len(),
        "outcome" if row.name.contains("resolutions") => NameOutcome::ALL.len(),
        "outcome" => FenceOutcome::ALL.len(),
        other => panic!("{other}"),
    });
    let extra = if row.kind == Kind::Histogram {
        row.buckets.len() + 3
    } else {
        1
    };
    sizes.product::<usize>() * extra
}

#[test]
fn what_is_scraped_is_what_the_table_says() {
    let families = parse(&Metrics::new(FAULTS).render());
    for row in TABLE {
        let (kind, series) = families.get(row.name).expect(row.name);
        assert_eq!(kind, row.kind.as_str(), "{}", row.name);
        assert_eq!(series.len(), combinations(row), "{}", row.name);
        for label in row.labels {
            assert!(
                series.iter().all(|line| line.contains(&format!("{label}=\""))),
                "{}",
                row.name
            );
        }
    }
    let others = families.keys().filter(|name| !name.starts_with(PROCESS)).count();
    assert_eq!(others, TABLE.len());
    assert!(!cfg!(target_os = "linux") || families.contains_key("process_resident_memory_bytes"));
}

#[test]
fn names_follow_the_conventions() {
    for row in TABLE {
        let name = row.name;
        assert!(name.starts_with("ttguard_"), "{name}");
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), row.kind == Kind::Counter, "{name}");
        let quantity = name.trim_end_matches("_total");
        assert_eq!(quantity.ends_with("_seconds"), row.unit == Unit::Seconds, "{name}");
        assert_eq!(quantity.ends_with("_bytes"), row.unit == Unit::Bytes, "{name}");
        assert_eq!(row.buckets.is_empty(), row.kind != Kind::Histogram, "{name}");
        assert!(!row.help.contains(['\\', '\n']), "{name}");
    }
}

#[test]
fn everything_starts_at_zero_but_what_says_who_runs() {
    for (name, (_, series)) in parse(&Metrics::new(FAULTS).render()) {
        if name.starts_with(PROCESS) || SET_AT_START.contains(&name.as_str()) {
            continue;
        }
        assert!(series.iter().all(|line| line.ends_with(" 0")), "{name}");
    }
}

#[test]
fn each_handle_counts_in_its_own_series() {
    let metrics = Metrics::new(FAULTS);
    metrics
        .requests
        .of(Protocol::Http, Verb::Misc, Outcome::Closed)
        .increment(3);
    metrics
        .verdicts
        .of(Judged::UnstampedRefused, Protocol::Binary)
        .increment(2);
    metrics.reloaded(Reload::Refused);
    metrics.request_seconds.of(Protocol::Memcached, Verb::Get).record(0.02);
    metrics.request_faults.of(1).increment(5);
    metrics.in_flight.increment(4);
    metrics.in_flight.decrement(1);
    metrics.horizon_age.set(-300.5);
    metrics.stale_age.record(Duration::from_secs(60));
    let text = metrics.render();
    for line in [
        "ttguard_requests_total{protocol=\"http\",command=\"misc\",outcome=\"closed\"} 3",
        "ttguard_requests_total{protocol=\"http\",command=\"misc\",outcome=\"failed\"} 0",
        "ttguard_verdicts_total{verdict=\"unstamped_refused\",protocol=\"binary\"} 2",
        "ttguard_config_reloads_total{outcome=\"refused\"} 1",
        "ttguard_request_seconds_bucket{protocol=\"memcached\",command=\"get\",le=\"0.01\"} 0",
        "ttguard_request_seconds_bucket{protocol=\"memcached\",command=\"get\",le=\"0.025\"} 1",
        "ttguard_request_faults_total{fault=\"size\"} 5",
        "ttguard_in_flight 3",
        "ttguard_horizon_age_seconds -300.5",
        "ttguard_stale_age_seconds_bucket{le=\"30\"} 0",
        "ttguard_stale_age_seconds_bucket{le=\"60\"} 1",
        "ttguard_stale_age_seconds_sum 60",
        concat!("ttguard_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|written| written == line), "{line}\n{text}");
    }
}

#[test]
fn two_proxies_in_one_process_count_apart() {
    let (one, other) = (Metrics::new(&[]), Metrics::new(&[]));
    one.sessions.set(7);
    one.request_seconds.of(Protocol::Binary, Verb::Get).record(1.0);
    assert!(one.render().contains("ttguard_sessions 7\n"));
    let moved = one.render_moved();
    assert!(moved.contains("ttguard_request_seconds_count{protocol=\"binary\",command=\"get\"} 1\n"));
    assert!(
        !moved.contains("command=\"put\"") && !moved.contains("_bucket"),
        "{moved}"
    );
    assert_eq!(one.measured("ttguard_request_seconds").counts.iter().sum::<u64>(), 1);
    let text = other.render();
    assert!(text.contains("ttguard_sessions 0\n"));
    assert_eq!(other.measured("ttguard_request_seconds").counts.iter().sum::<u64>(), 0);
}

#[test]
fn what_is_shipped_for_prometheus_and_grafana_names_metrics_that_there_are() {
    // A word with a colon is the name of a recording rule.
    let names_in = |text: &'static str| {
        let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_' && c != ':');
        let is_name = |word: &&str| word.strip_prefix("ttguard_").is_some_and(|rest| !rest.is_empty());
        words.filter(is_name).collect::<HashSet<_>>()
    };
    let of_histogram = |name: &'static str| {
        ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
    };
    let is_row = |name: &str| TABLE.iter().any(|row| row.name == name);
    let dashboard = names_in(include_str!("../../config/grafana/ttguard.json"));
    let alerts = names_in(include_str!("../../config/prometheus/alerts.yml"));
    let recording = names_in(include_str!("../../config/prometheus/recording.yml"));
    for name in dashboard.iter().chain(&alerts).chain(&recording) {
        assert!(is_row(name) || of_histogram(name).is_some_and(is_row), "{name}");
    }
    for row in TABLE {
        let is_shown = |name: &&'static str| *name == row.name || of_histogram(name) == Some(row.name);
        assert!(dashboard.iter().any(is_shown), "no panel shows {}", row.name);
    }
}
