//! The result as text for people.

use std::fmt::{self, Display, Write};

use super::compare::{Compared, Round, Summary};
use super::progress::Stop;
use super::report::{Measured, Sums};

/// Where a figure is missing.
const NONE: &str = "-";

/// One measurement.
pub(super) struct Single<'a>(pub &'a Measured);

impl Display for Single<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measured = self.0;
        writeln!(
            f,
            "{:<8}{:>10}{:>12}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "", "requests", "requests/s", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for (verb, sums) in &measured.verbs {
            row(f, verb, sums)?;
        }
        if measured.verbs.len() > 1 {
            row(f, "all", &measured.all)?;
        }
        let (all, seconds) = (&measured.all, measured.seconds.max(f64::MIN_POSITIVE));
        let rate = |bytes: u64| bytes as f64 / seconds / 1e6;
        writeln!(
            f,
            "\nin {:.2}s: {:.2} MB/s sent, {:.2} MB/s received",
            measured.seconds,
            rate(all.bytes_sent),
            rate(all.bytes_received)
        )?;
        findings(f, measured)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, sums: &Sums) -> fmt::Result {
    write!(f, "{name:<8}{:>10}{:>12.1}", sums.requests, sums.requests_per_second)?;
    match &sums.latency {
        Some(latency) => {
            for figure in [
                latency.p50_us,
                latency.p90_us,
                latency.p99_us,
                latency.p99_9_us,
                latency.max_us,
            ] {
                write!(f, "{:>10}", time(figure))?;
            }
            writeln!(f)
        }
        None => writeln!(f, "{NONE:>10}{NONE:>10}{NONE:>10}{NONE:>10}{NONE:>10}"),
    }
}

/// What else is to be known of a measurement: codes, late writes, errors, wrong answers.
fn findings(f: &mut fmt::Formatter<'_>, measured: &Measured) -> fmt::Result {
    for (verb, sums) in &measured.verbs {
        let others = sums.codes.iter().filter(|(code, _)| **code != 0);
        let words: Vec<_> = others
            .map(|(code, count)| format!("{count} with code {code} ({})", meaning(verb, *code)))
            .collect();
        if !words.is_empty() {
            writeln!(f, "{verb}: {}", words.join(", "))?;
        }
    }
    let late = measured.late;
    if late.accepted + late.refused > 0 {
        writeln!(f, "late writes: {} accepted, {} refused", late.accepted, late.refused)?;
    }
    if measured.unsent > 0 {
        writeln!(
            f,
            "BEHIND: {} requests were due and not sent; they are in no figure",
            measured.unsent
        )?;
    }
    if let Some(first) = &measured.first_error {
        let words: Vec<_> = measured
            .errors
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        writeln!(f, "ERRORS: {} (the first: {first})", words.join(", "))?;
    }
    match &measured.first_wrong {
        Some(first) => {
            let words: Vec<_> = measured
                .wrong
                .iter()
                .map(|(wrong, count)| format!("{count} {wrong}"))
                .collect();
            writeln!(f, "WRONG ANSWERS: {} (the first: {first})", words.join(", "))?;
        }
        None => writeln!(f, "answers checked: {}, none wrong", measured.checked)?,
    }
    match measured.ended_early {
        Some(Stop::Silent) => writeln!(f, "ENDED EARLY: nothing was answered any more"),
        Some(Stop::Interrupted) => writeln!(f, "ENDED EARLY: interrupted"),
        None => Ok(()),
    }
}

/// What a code says as the answer to this verb.
fn meaning(verb: &str, code: u8) -> &'static str {
    match (verb, code) {
        ("get" | "out", 1) => "no record",
        (_, 2) => "stale",
        (_, 3) => "future",
        (_, 4) => "unstamped",
        (_, 5) => "denied",
        (_, 6) => "unavailable",
        _ => "failed",
    }
}

/// Microseconds in a unit that keeps them short.
fn time(microseconds: f64) -> String {
    match microseconds {
        us if us < 1_000.0 => format!("{us:.1}us"),
        us if us < 1_000_000.0 => format!("{:.2}ms", us / 1e3),
        us => format!("{:.2}s", us / 1e6),
    }
}

/// Several rounds of two.
pub(super) struct Both<'a> {
    pub rounds: &'a [Round],
    pub summary: &'a Summary,
}

impl Display for Both<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12}{:>14}{:>14}{:>8}   within one round",
            "medians", "target", "baseline", "ratio"
        )?;
        let summary = self.summary;
        compared(f, "requests/s", summary.requests_per_second, |figure| {
            format!("{figure:.1}")
        })?;
        for (name, figure) in [
            ("p50", summary.p50_us),
            ("p90", summary.p90_us),
            ("p99", summary.p99_us),
            ("p99.9", summary.p99_9_us),
            ("max", summary.max_us),
        ] {
            compared(f, name, figure, time)?;
        }
        for (index, round) in self.rounds.iter().enumerate() {
            for (name, measured) in [("target", &round.target), ("baseline", &round.baseline)] {
                let mut words = String::new();
                write!(words, "{}", Findings(measured))?;
                writeln!(
                    f,
                    "\nround {}, {name}: {:.1}/s",
                    index + 1,
                    measured.all.requests_per_second
                )?;
                for line in words.lines() {
                    writeln!(f, "  {line}")?;
                }
            }
        }
        Ok(())
    }
}

struct Findings<'a>(&'a Measured);

impl Display for Findings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        findings(f, self.0)
    }
}

fn compared(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    figure: Option<Compared>,
    write: impl Fn(f64) -> String,
) -> fmt::Result {
    match figure {
        None => writeln!(f, "{name:<12}{NONE:>14}{NONE:>14}{NONE:>8}"),
        Some(figure) => {
            let (target, baseline) = (write(figure.target), write(figure.baseline));
            let Compared {
                ratio,
                ratio_min,
                ratio_max,
                ..
            } = figure;
            writeln!(
                f,
                "{name:<12}{target:>14}{baseline:>14}{ratio:>8.3}   {ratio_min:.3} to {ratio_max:.3}"
            )
        }
    }
}
