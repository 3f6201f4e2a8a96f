//! What was measured, as it is reported. Its names are those of the JSON form.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::check::Wrong;
use super::progress::Stop;
use super::run::Plan;
use super::tally::{Late, Tally, VerbTally};
use crate::command::Verb;
use crate::config::Mix;
use crate::protocol::tyrant::opcode::Opcode;

/// One measurement of one target.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// How long it was measured.
    pub seconds: f64,
    /// All verbs together.
    pub all: Sums,
    /// Each verb of the mix.
    pub verbs: BTreeMap<&'static str, Sums>,
    /// Writes with a late stamp.
    pub late: Late,
    /// Requests without an answer by the reason, those of the warm-up included.
    pub errors: BTreeMap<&'static str, u64>,
    /// What the first of them said.
    pub first_error: Option<String>,
    /// Answers whose content was checked, those of the warm-up included.
    pub checked: u64,
    /// Wrong answers by what was wrong, those of the warm-up included.
    pub wrong: BTreeMap<Wrong, u64>,
    /// What the first of them was.
    pub first_wrong: Option<String>,
    /// Requests of an open loop that were due and not sent, every connection having been busy.
    pub unsent: u64,
    /// Why it ended before its plan did, where it did.
    pub ended_early: Option<Stop>,
}

/// What one verb, or all, did.
#[derive(Clone, Debug, Serialize)]
pub struct Sums {
    /// Answered, whatever the code, or sent, where no answer is owed.
    pub requests: u64,
    /// Of these, those that were done within the time measured, by that time.
    pub requests_per_second: f64,
    /// Bytes of the requests.
    pub bytes_sent: u64,
    /// Bytes of the answers.
    pub bytes_received: u64,
    /// Answers by their code.
    pub codes: BTreeMap<u8, u64>,
    /// From the intended start to the answer; nothing where none was owed.
    pub latency: Option<Latency>,
}

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)] // percentiles, named as everywhere
pub struct Latency {
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p99_9_us: f64,
    pub max_us: f64,
}

impl Latency {
    fn of(latency: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| latency.value_at_quantile(quantile) as f64 / 1_000.0;
        (!latency.is_empty()).then(|| Self {
            mean_us: latency.mean() / 1_000.0,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            max_us: latency.max() as f64 / 1_000.0,
        })
    }
}

impl Measured {
    /// Sums up a measurement.
    pub(super) fn new(tally: Tally, plan: &Plan, mix: &Mix, stop: Option<Stop>) -> Self {
        let finished = tally.finished.unwrap_or(plan.measure_from);
        // What is sent without an answer is done only when what follows has been answered.
        let unanswered = mix
            .shares()
            .iter()
            .any(|(verb, share)| *verb == Verb::PutNr && *share > 0);
        let window = match plan.end {
            Some(end) if !unanswered && stop.is_none() => Some(end),
            Some(end) if !unanswered => Some(end.min(finished)),
            _ => None,
        };
        let time = window.unwrap_or(finished).saturating_duration_since(plan.measure_from);
        let mut all = VerbTally::new();
        let mut verbs = BTreeMap::new();
        for (verb, tally) in &tally.verbs {
            all.add(tally);
            verbs.insert(Opcode::of(*verb).name, Sums::new(tally, time, window.is_some()));
        }
        Self {
            seconds: time.as_secs_f64(),
            all: Sums::new(&all, time, window.is_some()),
            verbs,
            late: tally.late,
            errors: tally.errors,
            first_error: tally.first_error,
            checked: tally.checked,
            wrong: tally.wrong,
            first_wrong: tally.first_wrong,
            unsent: tally.unsent,
            ended_early: stop,
        }
    }

    /// Whether it ran as planned and no answer was wrong.
    pub fn sound(&self) -> bool {
        self.wrong.is_empty() && self.ended_early.is_none() && self.all.requests > 0
    }
}

impl Sums {
    fn new(tally: &VerbTally, time: Duration, windowed: bool) -> Self {
        let counted = if windowed { tally.in_time } else { tally.done };
        let seconds = time.as_secs_f64();
        Self {
            requests: tally.done,
            requests_per_second: if seconds > 0.0 { counted as f64 / seconds } else { 0.0 },
            bytes_sent: tally.sent,
            bytes_received: tally.received,
            codes: tally.codes.clone(),
            latency: Latency::of(&tally.latency),
        }
    }
}
