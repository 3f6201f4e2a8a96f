//! The figures of the last hour: each second of the last minutes, and coarser before.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::metrics::{AGE, LATENCY, Metrics, Snapshot, TABLE};

/// What is read off the counters: name of the figure, row of the table, values of its labels.
const COUNTS: [(&str, &str, &[&str]); 16] = [
    ("requests", "ttguard_requests_total", &[]),
    ("failed", "ttguard_requests_total", &["failed"]),
    ("closed", "ttguard_requests_total", &["closed"]),
    ("accepted", "ttguard_verdicts_total", &["accepted"]),
    ("unstamped", "ttguard_verdicts_total", &["unstamped"]),
    ("unordered", "ttguard_verdicts_total", &["unordered"]),
    ("deleted", "ttguard_verdicts_total", &["deleted"]),
    ("stale", "ttguard_verdicts_total", &["stale"]),
    ("tie", "ttguard_verdicts_total", &["tie"]),
    ("future", "ttguard_verdicts_total", &["future"]),
    ("unstamped_refused", "ttguard_verdicts_total", &["unstamped_refused"]),
    ("denied", "ttguard_verdicts_total", &["denied"]),
    ("observed", "ttguard_observed_total", &[]),
    ("lookups", "ttguard_lookups_total", &[]),
    ("interventions", "ttguard_pairing_interventions_total", &[]),
    ("lanes_fenced", "ttguard_lanes_fenced_total", &[]),
];

/// How often the figures for the dashboard are taken.
pub const SAMPLE: Duration = Duration::from_secs(1);

/// A tick may come so much early.
const EARLY: Duration = Duration::from_millis(100);

/// What is as it is at the end of each stretch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels {
    /// Client connections.
    pub sessions: f64,
    /// Lanes that are up.
    pub lanes: f64,
    /// Requests on lanes.
    pub in_flight: f64,
    /// Bytes of the ledger.
    pub ledger_bytes: f64,
    /// Now minus the horizon, in seconds.
    pub horizon_age: f64,
}

/// What had been counted at a moment.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    counts: [u64; COUNTS.len()],
    client: Snapshot,
    backend: Snapshot,
    ages: Snapshot,
    levels: Levels,
}

impl Reading {
    /// What has been counted so far.
    pub fn of(metrics: &Metrics, levels: Levels) -> Self {
        Self {
            counts: COUNTS.map(|(_, row, labels)| metrics.count(row, labels)),
            client: metrics.measured("ttguard_request_seconds"),
            backend: metrics.measured("ttguard_backend_seconds"),
            ages: metrics.measured("ttguard_stale_age_seconds"),
            levels,
        }
    }
}

/// One stretch of time.
#[derive(Clone, Debug)]
struct Sample {
    /// Its end, since the epoch.
    at: f64,
    /// Its length.
    seconds: f64,
    counts: [u64; COUNTS.len()],
    /// p50 and p99 of clients, p50 and p99 of the backend, in seconds.
    latencies: [Option<f64>; 4],
    ages: Vec<u64>,
    levels: Levels,
}

/// Samples of one length.
#[derive(Debug)]
struct Tier {
    every: Duration,
    kept: usize,
    /// The reading at the end of the last sample, and when that was by the clock that never goes back.
    before: Option<(Duration, Reading)>,
    samples: VecDeque<Sample>,
}

impl Tier {
    fn new(every: Duration, span: Duration) -> Self {
        let kept = (span.as_millis() / every.as_millis()) as usize;
        Self {
            every,
            kept,
            before: None,
            samples: VecDeque::new(),
        }
    }

    fn tick(&mut self, uptime: Duration, now: Duration, reading: &Reading) {
        if let Some((then, before)) = &self.before {
            let length = uptime.saturating_sub(*then);
            if length + EARLY < self.every {
                return;
            }
            let sample = Sample::between(before, reading, length, now);
            if self.samples.len() == self.kept {
                self.samples.pop_front();
            }
            self.samples.push_back(sample);
        }
        self.before = Some((uptime, reading.clone()));
    }

    fn shown(&self) -> Shown {
        let column = |read: &dyn Fn(&Sample) -> Value| Value::Array(self.samples.iter().map(read).collect());
        let mut columns = Map::new();
        let mut add = |name: &str, read: &dyn Fn(&Sample) -> Value| {
            columns.insert(name.to_owned(), column(read));
        };
        add("at", &|sample| sample.at.into());
        add("seconds", &|sample| sample.seconds.into());
        for (index, (name, ..)) in COUNTS.iter().enumerate() {
            add(name, &|sample| sample.counts[index].into());
        }
        for (index, name) in ["client_p50", "client_p99", "backend_p50", "backend_p99"]
            .iter()
            .enumerate()
        {
            add(name, &|sample| sample.latencies[index].into());
        }
        add("sessions", &|sample| sample.levels.sessions.into());
        add("lanes", &|sample| sample.levels.lanes.into());
        add("in_flight", &|sample| sample.levels.in_flight.into());
        add("ledger_bytes", &|sample| sample.levels.ledger_bytes.into());
        add("horizon_age", &|sample| sample.levels.horizon_age.into());
        let mut stale_ages = vec![0; AGE.len() + 1];
        for sample in &self.samples {
            stale_ages
                .iter_mut()
                .zip(&sample.ages)
                .for_each(|(sum, count)| *sum += count);
        }
        Shown {
            every_seconds: self.every.as_secs_f64(),
            span_seconds: self.every.as_secs_f64() * self.kept as f64,
            stale_age_bounds: Cow::Borrowed(AGE),
            stale_ages,
            columns,
        }
    }
}

impl Sample {
    fn between(before: &Reading, after: &Reading, length: Duration, now: Duration) -> Self {
        let client = after.client.since(&before.client);
        let backend = after.backend.since(&before.backend);
        Self {
            at: now.as_secs_f64(),
            seconds: length.as_secs_f64(),
            counts: std::array::from_fn(|at| after.counts[at].saturating_sub(before.counts[at])),
            latencies: [
                client.quantile(0.5, LATENCY),
                client.quantile(0.99, LATENCY),
                backend.quantile(0.5, LATENCY),
                backend.quantile(0.99, LATENCY),
            ],
            ages: after.ages.since(&before.ages).counts,
            levels: after.levels,
        }
    }
}

/// The samples of one length, as `/api/history/recent` and `/api/history/hour` tell them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// How long each sample is meant to be.
    pub every_seconds: f64,
    /// The span of time that is kept.
    pub span_seconds: f64,
    /// The bounds of `stale_ages`, in seconds.
    pub stale_age_bounds: Cow<'static, [f64]>,
    /// How many stale writes were how late, over all samples: one number for each of `stale_age_bounds`, and one for
    /// what was above the last.
    pub stale_ages: Vec<u64>,
    /// One list for each figure, oldest first: `at` (seconds since the epoch, at the end of the sample), `seconds` (its
    /// length), counts within it, latencies in seconds (null where nothing was measured), levels at its end.
    pub columns: Map<String, Value>,
}

/// The figures of the last hour.
#[derive(Debug)]
pub struct History {
    recent: Tier,
    hour: Tier,
}

impl Default for History {
    fn default() -> Self {
        debug_assert!(
            COUNTS
                .iter()
                .all(|(_, name, _)| TABLE.iter().any(|row| row.name == *name))
        );
        Self {
            recent: Tier::new(Duration::from_secs(1), Duration::from_secs(300)),
            hour: Tier::new(Duration::from_secs(10), Duration::from_secs(3600)),
        }
    }
}

impl History {
    /// To be called every second. `uptime` is time by a clock that never goes back, `now` since the epoch.
    pub fn tick(&mut self, uptime: Duration, now: Duration, reading: &Reading) {
        self.recent.tick(uptime, now, reading);
        self.hour.tick(uptime, now, reading);
    }

    /// Each second of the last five minutes.
    pub fn recent(&self) -> Shown {
        self.recent.shown()
    }

    /// The last hour, ten seconds at a time.
    pub fn hour(&self) -> Shown {
        self.hour.shown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Reason;
    use crate::metrics::Judged;
    use crate::protocol::Protocol;

    fn column<'a>(tables: &'a Shown, name: &str) -> &'a Vec<Value> {
        tables.columns[name].as_array().expect(name)
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let metrics = Metrics::new(&[]);
        let mut history = History::default();
        for second in 0..5000_u64 {
            metrics.verdicts.of(Judged::Stale, Protocol::Binary).increment(2);
            metrics.stale_age.record(0.02);
            let uptime = Duration::from_secs(second);
            let reading = Reading::of(&metrics, Levels::default());
            history.tick(uptime, uptime + Duration::from_secs(1_000_000), &reading);
        }
        let (recent, hour) = (history.recent(), history.hour());
        assert_eq!(column(&recent, "stale").len(), 300);
        assert_eq!(column(&hour, "stale").len(), 360);
        assert!(column(&recent, "stale").iter().all(|count| *count == 2));
        assert!(column(&hour, "stale").iter().all(|count| *count == 20));
        assert_eq!(hour.stale_ages[3], 3600);
        assert_eq!(column(&recent, "at")[299], 1_004_999.0);
        assert_eq!(column(&recent, "client_p99")[0], Value::Null);
    }

    #[test]
    fn a_late_tick_makes_a_longer_sample() {
        let metrics = Metrics::new(&[]);
        let mut history = History::default();
        for uptime in [0, 1000, 1950, 4000] {
            metrics.observed.of(Reason::Future, Protocol::Http).increment(1);
            let uptime = Duration::from_millis(uptime);
            history.tick(uptime, uptime, &Reading::of(&metrics, Levels::default()));
        }
        let recent = history.recent();
        assert_eq!(
            column(&recent, "seconds"),
            &[Value::from(1.0), 0.95.into(), 2.05.into()]
        );
        assert_eq!(column(&recent, "observed"), &[Value::from(1), 1.into(), 1.into()]);
    }
}
