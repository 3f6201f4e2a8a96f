//! Watches over a measurement: shows how far it is, and ends it when nobody answers or when it is interrupted.

use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::run::{Run, patience};
use crate::config::{End, Load};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Steps of the bar.
const STEPS: u64 = 1_000;

/// Why a measurement ended before its plan did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Nothing was answered any more.
    Silent,
    /// By a signal.
    Interrupted,
}

/// Shows how far it is, and ends it.
#[derive(Debug)]
pub(super) struct Progress {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
    bar: ProgressBar,
}

impl Progress {
    /// Shows a bar where standard error is a terminal.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (interrupt, terminate) = {
            let _within = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(STEPS), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3}% {msg}") {
            bar.set_style(style);
        }
        Ok(Self {
            runtime,
            interrupt,
            terminate,
            bar,
        })
    }

    /// Runs something that is short on its own runtime.
    pub fn block_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Says what is measured next.
    pub fn announce(&self, what: String) {
        self.bar.set_prefix(what);
        self.bar.reset();
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Watches until `finished`; says why it ended the run, where it did.
    pub fn until(&mut self, run: &Run, finished: impl Fn() -> bool) -> Option<Stop> {
        let Self {
            runtime,
            interrupt,
            terminate,
            bar,
        } = self;
        let mut stop = None;
        runtime.block_on(async {
            let mut seen = Seen::new();
            while !finished() {
                tokio::select! {
                    _ = interrupt.recv() => stop = stop.or(Some(Stop::Interrupted)),
                    _ = terminate.recv() => stop = stop.or(Some(Stop::Interrupted)),
                    () = sleep(INTERVAL) => {}
                }
                if seen.silent_for(run) >= patience(&run.load) && !run.stopped() {
                    stop = stop.or(Some(Stop::Silent));
                }
                if stop.is_some() {
                    run.stop.store(true, Ordering::Relaxed);
                }
                bar.set_position((share_done(run) * STEPS as f64) as u64);
                bar.set_message(seen.rate(run));
            }
        });
        stop
    }
}

/// What was done when it was last looked at.
struct Seen {
    done: u64,
    at: Instant,
    begin: Instant,
}

impl Seen {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            done: 0,
            at: now,
            begin: now,
        }
    }

    /// How long nothing has been done.
    fn silent_for(&mut self, run: &Run) -> Duration {
        let now = Instant::now();
        let done = run.done.load(Ordering::Relaxed);
        if done != self.done {
            (self.done, self.at) = (done, now);
        }
        now - self.at
    }

    fn rate(&self, run: &Run) -> String {
        let seconds = self.begin.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        let phase = match run.plan() {
            None => "getting ready",
            Some(plan) if Instant::now() < plan.measure_from => "warming up",
            Some(_) => "measuring",
        };
        format!("{phase}, {:.0}/s", self.done as f64 / seconds)
    }
}

/// How much of the plan is done, from 0 to 1.
fn share_done(run: &Run) -> f64 {
    let Load { warmup, end, .. } = &run.load;
    match (run.plan(), end) {
        (None, _) => 0.0,
        (Some(plan), End::After(duration)) => plan.begin.elapsed().div_duration_f64(*warmup + *duration).min(1.0),
        (Some(_), End::Requests(count)) => 1.0 - run.turns_left() as f64 / *count as f64,
    }
}
