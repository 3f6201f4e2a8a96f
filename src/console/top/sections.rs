//! What is told, in tables.

use std::fmt::Write;

use super::figures::Figures;
use super::section::{Column, Section, harmless, numbers, texts};
use super::words;
use crate::admin::api::Tally;

/// Refusals and clients in a plain frame.
const MOST: usize = 20;

/// The figures that are told for each second, and what is told of them since the start.
pub const RATES: [&str; 11] = [
    "requests",
    "accepted",
    "stale",
    "tie",
    "future",
    "unstamped_refused",
    "denied",
    "unstamped",
    "unordered",
    "deleted",
    "observed",
];

/// Who is asked, and how it is; without the state, which is told apart.
pub fn headline(figures: &Figures, address: &str) -> String {
    let status = &figures.status;
    let mode = status.settings.iter().find(|(key, _)| key == "guard.mode");
    let mode = mode.map_or("?", |(_, mode)| mode.trim_matches('"'));
    harmless(&format!(
        "ttguard {} at {address}, {mode}, up {}, {} of {} sessions",
        status.version,
        words::lasting(status.now - status.started),
        status.sessions.open,
        status.sessions.max,
    ))
}

/// Whether it is ready, and whether that is all there is to say.
pub fn state(figures: &Figures) -> (bool, String) {
    let status = &figures.status.readiness;
    if !status.ready {
        let why = status.why_not.as_deref().unwrap_or("no reason given");
        return (false, harmless(&format!("not ready: {why}")));
    }
    let down: Vec<_> = figures
        .backends
        .iter()
        .filter(|backend| backend.state != "up")
        .map(|backend| format!("{} is {}", backend.url, backend.state))
        .collect();
    match down.is_empty() {
        true => (true, "ready".to_owned()),
        false => (false, harmless(&format!("ready, but {}", down.join(", ")))),
    }
}

/// Requests and verdicts: how often in the last second, and since the start.
pub fn rates(figures: &Figures) -> Section {
    const COLUMNS: &[Column] = &[texts("Throughput"), numbers("in 1 s"), numbers("total")];
    let counts = &figures.status.counts;
    let total = |tally: &Tally| tally.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
    let mut section = Section::new("Throughput", COLUMNS, "");
    for name in RATES {
        let all = match name {
            "requests" => total(&counts.requests),
            "observed" => total(&counts.observed),
            verdict => counts.verdicts.get(verdict).copied().unwrap_or(0),
        };
        let rate = figures.rates(name).next();
        let rate = rate.map_or_else(|| "-".to_owned(), words::rate);
        section.add([words::plain(name), rate, all.to_string()]);
    }
    section
}

/// How long answers took in the last second.
pub fn latency(figures: &Figures) -> Section {
    const COLUMNS: &[Column] = &[texts("Latency"), numbers("p50"), numbers("p99")];
    let mut section = Section::new("Latency", COLUMNS, "");
    for side in ["client", "backend"] {
        let part = |part| words::measured(figures.last(&format!("{side}_{part}")));
        section.add([side.to_owned(), part("p50"), part("p99")]);
    }
    section
}

/// What the guard remembers, and what waits for it.
pub fn ledger(figures: &Figures) -> Section {
    const COLUMNS: &[Column] = &[texts("Ledger"), texts("")];
    let (status, ledger) = (&figures.status, &figures.status.ledger);
    let of = |part: u64, whole: u64| {
        let (part_in_words, whole_in_words) = (words::bytes(part), words::bytes(whole));
        format!("{part_in_words} of {whole_in_words} ({})", words::share(part, whole))
    };
    let mut section = Section::new("Ledger", COLUMNS, "");
    section.add(["memory".to_owned(), of(ledger.bytes, ledger.bytes_max)]);
    section.add([
        "keys".to_owned(),
        format!("{} of {}", ledger.entries, ledger.entries_max),
    ]);
    section.add(["horizon".to_owned(), words::horizon(ledger.horizon_age_seconds)]);
    section.add(["evicted".to_owned(), ledger.evicted.to_string()]);
    section.add(["under way".to_owned(), format!("{} keys", ledger.pending_keys)]);
    section.add([
        "buffers".to_owned(),
        of(status.buffered_bytes, status.buffered_max_bytes),
    ]);
    section
}

/// The stores behind the guard.
pub fn backends(figures: &Figures) -> Section {
    const COLUMNS: &[Column] = &[
        texts("Backend"),
        texts("state"),
        numbers("lanes up"),
        numbers("in flight"),
    ];
    let mut section = Section::new("Backends", COLUMNS, "none");
    for backend in &figures.backends {
        let lanes = match backend.lanes_wanted {
            0 => "in this process".to_owned(),
            wanted => format!("{} of {wanted}", backend.lanes_up),
        };
        let in_flight = backend.in_flight.to_string();
        section.add([backend.url.clone(), backend.state.to_string(), lanes, in_flight]);
    }
    section
}

/// Each connection to them.
pub fn lanes(figures: &Figures) -> Section {
    const COLUMNS: &[Column] = &[
        texts("worker.lane"),
        texts("state"),
        texts("for"),
        numbers("requests"),
        numbers("unsent"),
        numbers("connected"),
        numbers("fencing"),
        texts("last fault"),
    ];
    let mut section = Section::new("Lanes", COLUMNS, "no lanes: the store is in that process");
    for lane in figures.backends.iter().flat_map(|backend| &backend.lanes) {
        let bulk = if lane.bulk { " (large values)" } else { "" };
        section.add([
            format!("{}.{}{bulk}", lane.worker, lane.link),
            lane.state.to_string(),
            words::lasting(lane.for_seconds),
            lane.requests.to_string(),
            words::bytes(lane.unsent_bytes as u64),
            lane.connected.to_string(),
            lane.fencing.to_string(),
            lane.last_fault.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    section
}

/// What the guard had to wait for or to look up, and what it did so that no answer goes to another question.
pub fn events(figures: &Figures) -> Section {
    const COLUMNS: &[Column] = &[texts("what"), texts("why"), numbers("since start")];
    let counts = &figures.status.counts;
    let mut section = Section::new("Pairing and waits", COLUMNS, "");
    for (what, tally) in [
        ("pairing intervention", &counts.interventions),
        ("wait", &counts.waits),
        ("lookup", &counts.lookups),
        ("lane fenced", &counts.lanes_fenced),
        ("session closed", &counts.sessions_closed),
    ] {
        for (why, count) in tally {
            section.add([what.to_owned(), words::plain(why), count.to_string()]);
        }
    }
    section
}

/// The last refusals.
pub fn refusals(figures: &Figures) -> Section {
    const COLUMNS: &[Column] = &[
        texts("UTC"),
        texts("key"),
        texts("client"),
        texts("why"),
        texts("how late"),
        texts("stamp"),
        texts("newer stamp"),
    ];
    let mut section = Section::new("Last refusals", COLUMNS, "nothing was refused");
    for one in &figures.refusals {
        let late = words::measured(one.off_by_seconds);
        let protocol = match &*one.protocol {
            "binary" => String::new(),
            other => format!(" ({other})"),
        };
        section.add([
            words::clock(one.at),
            one.key.clone(),
            words::client(&one.client, one.certificate.as_deref(), one.edge.as_ref()) + &protocol,
            words::plain(&one.reason) + if one.enforced { "" } else { " (observed)" },
            if one.reason == "future" { late + " ahead" } else { late },
            one.stamp.clone().unwrap_or_else(|| "-".to_owned()),
            one.newer.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    section
}

/// The clients that are late most often.
pub fn clients(figures: &Figures) -> Section {
    const COLUMNS: &[Column] = &[
        texts("client"),
        numbers("refusals"),
        numbers("stale"),
        numbers("latest by"),
        numbers("future"),
        numbers("ahead by"),
        texts("last (UTC)"),
    ];
    let mut section = Section::new("Late clients", COLUMNS, "nobody was refused");
    for one in &figures.clients {
        let most = if one.at_most_too_high > 0 { "<= " } else { "" };
        let by = |count: u64, seconds| words::measured((count > 0).then_some(seconds));
        section.add([
            words::client(&one.client, one.certificate.as_deref(), one.edge.as_ref()),
            format!("{most}{}", one.refusals),
            one.stale.to_string(),
            by(one.stale, one.latest_by_seconds),
            one.future.to_string(),
            by(one.future, one.ahead_by_seconds),
            words::clock(one.last),
        ]);
    }
    section
}

/// All of it as plain text.
pub fn plain(figures: &Figures, address: &str) -> String {
    let mut text = String::new();
    // A string takes everything.
    let _ = writeln!(text, "{}\n{}", headline(figures, address), state(figures).1);
    for section in [rates, latency, ledger, backends, lanes, events] {
        section(figures).write(usize::MAX, &mut text);
    }
    for section in [refusals, clients] {
        section(figures).write(MOST, &mut text);
    }
    text
}
