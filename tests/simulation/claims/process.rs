//! A guard or an edge as a process, which can stand still and be killed.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};
use ttguard::config::Settings;
use ttguard::front::instance::{Instance, Surroundings};
use ttguard::transport::{Reader, Writer};

/// A process.
pub struct Process {
    tasks: Rc<LocalSet>,
    pub instance: Rc<Instance>,
    stop: Rc<Notify>,
    driver: JoinHandle<()>,
}

/// When a process stands still.
#[derive(Clone, Debug, Default)]
pub struct Pause {
    until: Rc<Cell<Option<Instant>>>,
    begun: Rc<Notify>,
}

/// Runs a process until it is stopped; while it is paused nothing in it runs.
async fn drive(tasks: Rc<LocalSet>, stop: Rc<Notify>, Pause { until, begun }: Pause) {
    let mut running = pin!(tasks.run_until(stop.notified()));
    loop {
        tokio::select! {
            biased;
            () = begun.notified() => {
                if let Some(until) = until.get() {
                    sleep_until(until).await;
                }
            }
            () = &mut running => return,
        }
    }
}

impl Pause {
    /// The process stands still until then.
    pub fn begin(&self, until: Instant) {
        self.until.set(Some(until));
        self.begun.notify_one();
    }
}

impl Process {
    /// Starts one.
    pub fn start(settings: Settings, surroundings: Surroundings, pause: Pause) -> Self {
        let tasks = Rc::new(LocalSet::new());
        let instance = Rc::new(Instance::start(settings, surroundings, &tasks));
        let stop = Rc::<Notify>::default();
        let driver = spawn_local(drive(Rc::clone(&tasks), Rc::clone(&stop), pause));
        Self {
            tasks,
            instance,
            stop,
            driver,
        }
    }

    /// Somebody has connected.
    pub fn open(&self, reader: Reader, writer: Writer) {
        let _within = self.tasks.enter();
        self.instance.open(0, reader, writer);
    }

    /// `kill -9`.
    pub fn kill(self) {
        self.stop.notify_one();
        self.driver.abort();
    }
}

/// Which of these guards may write now.
pub fn holders(guards: &[Process]) -> Vec<usize> {
    let now = Instant::now().into_std();
    let may = |process: &Process| process.instance.census().claimed_until.is_some_and(|until| until > now);
    let holders = guards.iter().enumerate().filter(|(_, process)| may(process));
    holders.map(|(guard, _)| guard).collect()
}
