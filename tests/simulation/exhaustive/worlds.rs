//! Runs small worlds: each on a runtime of its own, many at once, and one alone when its name is given.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::LocalSet;

use crate::panics;

/// The name of the one world to run.
const ALONE: &str = "SIMULATE_WORLD";

/// A world that takes longer than this does not end at all.
const ENDLESS: Duration = Duration::from_secs(20);

/// So many broken worlds are named.
const NAMED: usize = 20;

/// What came of all worlds so far.
#[derive(Default)]
pub struct Run {
    count: AtomicUsize,
    failed: Mutex<Vec<String>>,
    alone: Option<String>,
}

/// Some worlds that follow from one undisturbed one.
pub type Suite = Box<dyn Fn(&Run) + Send + Sync>;

impl Run {
    /// Runs a world, unless another one is wanted.
    pub fn once(&self, name: &str, world: impl FnOnce() -> Result<(), String>) {
        if self.alone.as_ref().is_none_or(|alone| alone == name) {
            self.always(name, world);
        }
    }

    /// Whether one world alone is wanted: then all that happens is told.
    pub fn is_of_one(&self) -> bool {
        self.alone.is_some()
    }

    /// Runs a world that others follow from.
    pub fn always(&self, name: &str, world: impl FnOnce() -> Result<(), String>) {
        let watchdog = Watchdog::over(name.to_owned());
        let (verdict, panic) = panics::watched(world);
        drop(watchdog);
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(how) = panic.or(verdict.err()) {
            let mut failed = self.failed.lock();
            if failed.len() < NAMED {
                println!("{name}\n    {how}\n    alone: {ALONE}={name} cargo test --test simulation exhaustive");
            }
            failed.push(name.to_owned());
        }
    }
}

/// Lives through one world, with nothing left of any other.
pub fn live<T>(world: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let patience = Duration::from_secs(600);
        tokio::time::timeout(patience, world)
            .await
            .unwrap_or_else(|_| Err("it waits for ever".to_owned()))
    })
}

/// Runs all suites on every core.
pub fn run(what: &str, suites: &[Suite]) {
    let run = Run {
        alone: std::env::var(ALONE).ok(),
        ..Run::default()
    };
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(suite) = suites.get(next.fetch_add(1, Ordering::Relaxed)) {
                    suite(&run);
                }
            });
        }
    });
    let (failed, count) = (run.failed.into_inner(), run.count.into_inner());
    println!(
        "{count} worlds of {what} in {:.1} s, {} broken",
        start.elapsed().as_secs_f64(),
        failed.len()
    );
    assert!(
        failed.is_empty(),
        "{} broken worlds, the first is {}",
        failed.len(),
        failed[0]
    );
}

/// Ends the process, naming the world, when one does not end.
struct Watchdog {
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    fn over(name: String) -> Self {
        let (alive, over) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if over.recv_timeout(ENDLESS) == Err(mpsc::RecvTimeoutError::Timeout) {
                println!("{name} does not end");
                std::process::exit(1);
            }
        });
        Self { _alive: alive }
    }
}
