//! Many seeds, one after the other on every core.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::faults::{KINDS, Tally};
use crate::plan::Plan;
use crate::{panics, world};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 1000;

/// A run that takes longer than this does not end at all.
const ENDLESS: Duration = Duration::from_secs(120);

/// From so many seeds on, a kind of fault that never struck is a failure.
const ALL_KINDS_FROM: u64 = 1000;

/// A number that the environment may say otherwise.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[derive(Default)]
struct Sum {
    faults: Tally,
    steps: u64,
    tainted: [usize; 3],
    failed: Vec<u64>,
}

#[test]
fn every_seed_keeps_every_promise() {
    panics::watch();
    let (from, count) = (setting("SIMULATE_FROM", 0), setting("SIMULATE_SEEDS", SEEDS));
    let next = AtomicU64::new(from);
    let sum = Mutex::new(Sum::default());
    let start = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count {
                        return;
                    }
                    simulate(seed, &sum);
                }
            });
        }
    });
    report(&sum.lock(), count, start.elapsed());
}

fn simulate(seed: u64, sum: &Mutex<Sum>) {
    let watchdog = Watchdog::over(seed);
    let verdict = world::run(seed, Plan::of(seed), false);
    drop(watchdog);
    let mut sum = sum.lock();
    sum.faults.add(&verdict.faults);
    sum.steps += verdict.steps;
    sum.tainted
        .iter_mut()
        .zip(verdict.tainted)
        .for_each(|(sum, keys)| *sum += keys);
    let Some(violation) = verdict.violation else {
        return;
    };
    sum.failed.push(seed);
    if sum.failed.len() <= setting("SIMULATE_SHOWN", 5) as usize {
        let tail = setting("SIMULATE_TAIL", 50) as usize;
        let again = world::run(seed, Plan::of(seed), true);
        println!(
            "seed {seed} breaks {violation}\n{:#?}\n{}",
            Plan::of(seed),
            again.tail(tail)
        );
        println!("seed {seed} breaks {violation}\nreplay: tests/scripts/simulate --from {seed} --seeds 1");
    }
}

fn report(sum: &Sum, count: u64, took: Duration) {
    for fault in KINDS {
        println!("{:>10} {fault:?}", sum.faults.of(*fault));
    }
    let each = took.as_secs_f64() / count as f64;
    println!(
        "{:.0} seeds/s, {} steps, {} of {} keys without a promise at the end of all faults, {} for some time",
        1.0 / each,
        sum.steps,
        sum.tainted[0],
        sum.tainted[2],
        sum.tainted[1]
    );
    let missing = sum.faults.missing();
    if count >= ALL_KINDS_FROM && !missing.is_empty() {
        println!("faults that never struck: {missing:?}");
    }
    let failed = sum.failed.len();
    println!("{} passed, {failed} failed", count - failed as u64);
    assert!(failed == 0, "seeds that break a promise: {:?}", sum.failed);
    assert!(
        count < ALL_KINDS_FROM || missing.is_empty(),
        "a kind of fault never struck"
    );
}

#[test]
fn the_same_seed_is_the_same_run() {
    panics::watch();
    let from = setting("SIMULATE_FROM", 0);
    for seed in from..from + 40 {
        let (first, again) = (
            world::run(seed, Plan::of(seed), true),
            world::run(seed, Plan::of(seed), true),
        );
        let differs = first
            .lines
            .iter()
            .zip(&again.lines)
            .position(|(one, other)| one != other);
        if let Some(line) = differs {
            panic!("seed {seed} differs:\n{}\n{}", first.lines[line], again.lines[line]);
        }
        assert_eq!((first.hash, first.steps), (again.hash, again.steps), "seed {seed}");
    }
}

/// Ends the process, naming the seed, when a run does not end.
pub struct Watchdog {
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    /// Watches over the run of this seed, for as long as it is kept.
    pub fn over(seed: u64) -> Self {
        let (alive, over) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if over.recv_timeout(ENDLESS) == Err(mpsc::RecvTimeoutError::Timeout) {
                println!(
                    "seed {seed} breaks I8: it does not end\nreplay: tests/scripts/simulate --from {seed} --seeds 1"
                );
                std::process::exit(1);
            }
        });
        Self { _alive: alive }
    }
}
