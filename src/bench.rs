//! `ttguard bench`: sends load to any Tyrant server, measures it, and checks what it is answered.
//!
//! Each client has one connection and one question at a time, as PyTyrant behaves. In a closed loop it asks as soon as
//! it has its answer; in an open loop its questions are due at fixed times, and latencies count from these, so that a
//! server which stalls is charged for all who would have waited.

mod check;
mod client;
mod clock;
mod compare;
mod frames;
mod oracle;
mod progress;
mod question;
mod report;
mod run;
mod schedule;
mod tally;
#[cfg(test)]
mod testing;
mod text;
mod threads;
mod trouble;
mod value;

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use tokio::time::Instant;

use crate::client::place::Place;
use crate::command::{Command, Reply};
use crate::config::{Address, BenchSettings, Comparison, Load};
use clock::Clock;
use compare::{Round, Summary};
use oracle::Oracle;
use progress::{Progress, Stop};
use report::Measured;
use run::Run;
use text::{Both, Single};
use trouble::Trouble;

/// Descriptors beside those of the connections.
const OTHER_DESCRIPTORS: u64 = 64;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A target cannot be measured.
    #[error("{address}: {doing}: {trouble}")]
    Target {
        /// Which one.
        address: String,
        /// What was being done.
        doing: &'static str,
        /// What happened.
        trouble: String,
    },
    /// More connections than this process may open.
    #[error("{wanted} descriptors are needed, and {allowed} are allowed here (ulimit -n)")]
    Descriptors {
        /// Descriptors for all connections.
        wanted: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// A signal came before there was anything to report.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// The system did not give what a measurement takes.
    #[error("cannot set the measurement up: {0}")]
    Setup(#[from] io::Error),
    /// The result cannot be written to where it goes.
    #[error("cannot write the result: {0}")]
    Write(io::Error),
}

impl Fault {
    fn target(address: &impl Display, doing: &'static str, trouble: impl Display) -> Self {
        Self::Target {
            address: address.to_string(),
            doing,
            trouble: trouble.to_string(),
        }
    }

    fn silent(address: &impl Display, time: Duration) -> Self {
        Self::target(
            address,
            "getting ready",
            format_args!("nothing was answered for {time:?}"),
        )
    }
}

/// The JSON form of one target's measurement.
#[derive(Serialize)]
struct SingleForm<'a> {
    target: String,
    load: &'a str,
    result: &'a Measured,
}

/// The JSON form of a comparison.
#[derive(Serialize)]
struct BothForm<'a> {
    target: String,
    baseline: String,
    load: &'a str,
    summary: &'a Summary,
    rounds: &'a [Round],
}

/// Something to measure, and what is known of it.
struct Subject {
    address: Address,
    load: Load,
    /// The first of its keys: a store may stand behind both target and baseline.
    first_key: u32,
    oracle: Arc<Oracle>,
    /// Whether its keys are still to be written once.
    fill: bool,
}

impl Subject {
    fn new(address: &Address, load: Load, first_key: u32) -> Self {
        Self {
            address: address.clone(),
            oracle: Arc::new(Oracle::new(first_key, load.keys, load.guarded)),
            fill: load.fill,
            first_key,
            load,
        }
    }

    fn measure(&mut self, clock: Clock, progress: &mut Progress, name: &str) -> Result<Measured, Fault> {
        progress.announce(name.to_owned());
        let place = Place::of(&self.address, self.load.timeout)
            .map_err(|error| Fault::target(&self.address, "opening connections", Trouble::Connect(error)))?;
        let run = Arc::new(Run::new(
            place,
            self.load.clone(),
            self.first_key,
            clock,
            Arc::clone(&self.oracle),
        ));
        let (tally, plan, stop) = threads::run(&run, std::mem::take(&mut self.fill), progress)?;
        Ok(Measured::new(tally, &plan, &self.load.mix, stop))
    }
}

/// Measures, and writes the result to `out`; gives whether all was sound: the load was sent as planned, and no answer
/// was wrong. Progress goes to standard error where that is a terminal.
///
/// # Errors
/// When there is nothing to report. A target that fails later is reported with what was measured before.
pub fn run(settings: BenchSettings, out: &mut impl Write) -> Result<bool, Fault> {
    let BenchSettings {
        target,
        compare,
        load,
        json,
    } = settings;
    allow_descriptors(&load)?;
    let mut progress = Progress::new()?;
    let clock = Clock::start(load.late_by);
    let baseline = compare.as_ref().map(|comparison| &comparison.address);
    for address in [Some(&target), baseline].into_iter().flatten() {
        progress.block_on(greet(address, load.timeout))?;
    }
    let words = load.to_string();
    let mut subject = Subject::new(&target, load.clone(), 0);
    let Some(Comparison { address, rounds }) = compare else {
        let result = subject.measure(clock, &mut progress, "target")?;
        progress.clear();
        let form = SingleForm {
            target: target.to_string(),
            load: &words,
            result: &result,
        };
        let text = || format!("target: {target}\nload: {words}\n\n{}", Single(&result));
        return write(out, json, &form, text).map(|()| result.sound());
    };
    let first_key = load.keys;
    let plain = Load { guarded: false, ..load };
    let mut baseline = Subject::new(&address, plain, first_key);
    let (done, fault) = interleave(rounds, &mut subject, &mut baseline, clock, &mut progress);
    progress.clear();
    if !done.is_empty() {
        let summary = Summary::of(&done);
        let form = BothForm {
            target: target.to_string(),
            baseline: address.to_string(),
            load: &words,
            summary: &summary,
            rounds: &done,
        };
        let both = Both {
            rounds: &done,
            summary: &summary,
        };
        let count = done.len();
        let text = || format!("target: {target}\nbaseline: {address}\nload: {words}, {count} rounds\n\n{both}");
        write(out, json, &form, text)?;
    }
    match fault {
        Some(fault) => Err(fault),
        None => Ok(done.iter().all(|round| round.target.sound() && round.baseline.sound())),
    }
}

/// Measures both in turn, each going first in every other round, until one ends early; gives the whole rounds, and what
/// ended them where something did.
fn interleave(
    rounds: usize,
    target: &mut Subject,
    baseline: &mut Subject,
    clock: Clock,
    progress: &mut Progress,
) -> (Vec<Round>, Option<Fault>) {
    let mut done: Vec<Round> = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let target_first = round % 2 == 0;
        let mut measure = |subject: &mut Subject, name| {
            let measured = subject.measure(clock, progress, &format!("round {} of {rounds}, {name}", round + 1))?;
            match measured.ended_early {
                Some(Stop::Interrupted) => Err(Fault::Interrupted),
                _ => Ok(measured),
            }
        };
        let measured = if target_first {
            measure(target, "target").and_then(|ours| Ok((ours, measure(baseline, "baseline")?)))
        } else {
            measure(baseline, "baseline").and_then(|theirs| Ok((measure(target, "target")?, theirs)))
        };
        match measured {
            Err(fault) => return (done, Some(fault)),
            Ok((ours, theirs)) => {
                let early = ours.ended_early.or(theirs.ended_early).is_some();
                done.push(Round {
                    target_first,
                    target: ours,
                    baseline: theirs,
                });
                if early {
                    break;
                }
            }
        }
    }
    (done, None)
}

fn write(out: &mut impl Write, json: bool, form: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Fault> {
    let text = if json {
        serde_json::to_string_pretty(form).map_err(|error| Fault::Write(error.into()))? + "\n"
    } else {
        text()
    };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Fault::Write(error)),
        _ => Ok(()),
    }
}

/// Asks the target one harmless question, so that what is no Tyrant is told at once. Not `rnum`: ttguard then counts its
/// hidden records from there on, which costs each write with `ledger = "record"` a question.
async fn greet(address: &Address, timeout: Duration) -> Result<(), Fault> {
    let no_connection = |trouble: Trouble| Fault::target(address, "opening a connection", trouble);
    let place = Place::of(address, timeout).map_err(|error| no_connection(Trouble::Connect(error)))?;
    let mut connection = run::connect(&place, timeout).await.map_err(no_connection)?;
    match connection.ask(&Command::Size, Some(Instant::now() + timeout)).await {
        Ok(Reply::Count(_)) => Ok(()),
        Ok(_) => Err(Fault::target(
            address,
            "asking for size",
            "what answers is no Tyrant server",
        )),
        Err(trouble) => Err(Fault::target(address, "asking for size", Trouble::from(trouble))),
    }
}

/// Raises the limit on open descriptors as far as this load needs it.
fn allow_descriptors(load: &Load) -> Result<(), Fault> {
    let each = if load.rate.is_some() { 2 } else { 1 };
    let wanted = load.connections as u64 * each + OTHER_DESCRIPTORS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if let Some(allowed) = limit.maximum.filter(|allowed| *allowed < wanted) {
        return Err(Fault::Descriptors { wanted, allowed });
    }
    limit.current = Some(wanted);
    setrlimit(Resource::Nofile, limit).map_err(|error| Fault::Setup(error.into()))
}
