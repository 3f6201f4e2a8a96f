//! The guard's process: started, killed, told to stop.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::sleep;
use ttguard::client::route::{Dial, Dialling, Route};
use ttguard::front::instance::{Instance, Surroundings};
use ttguard::metrics::Metrics;
use ttguard::protocol::request::Fault as RequestFault;
use ttguard::transport::{Reader, Writer};

use super::{World, current};
use crate::accounts::Scrape;
use crate::faults::Fault;
use crate::network::Between;
use crate::server::Server;

/// A guard process.
pub(super) struct Process {
    pub(super) tasks: Rc<LocalSet>,
    pub(super) instance: Rc<Instance>,
    pub(super) stop: Rc<Notify>,
    pub(super) stall: Rc<Notify>,
    pub(super) driver: JoinHandle<()>,
    pub(super) accepts: bool,
}

/// Runs a process until it is stopped; while it is stalled nothing in it runs.
async fn drive(tasks: Rc<LocalSet>, stop: Rc<Notify>, stall: Rc<Notify>) {
    let mut running = pin!(tasks.run_until(stop.notified()));
    loop {
        tokio::select! {
            biased;
            () = stall.notified() => {
                if let Some(world) = current() {
                    sleep(Duration::from_millis(world.stalled_until().saturating_sub(world.now()))).await;
                }
            }
            () = &mut running => return,
        }
    }
}

#[derive(Debug)]
struct Door;

impl Dial for Door {
    fn dial(&self) -> Dialling {
        match current() {
            Some(world) => Server::dial(world),
            None => Box::pin(std::future::pending()),
        }
    }
}

impl World {
    /// A client connects to a worker of the guard.
    pub fn connect(&self, worker: usize) -> Option<(u64, Reader, Writer)> {
        let guard = self.guard.borrow();
        let process = guard.as_ref().filter(|process| process.accepts)?;
        let (id, (reader, writer), acceptor) = self.network.open(self, Between::ClientAndGuard);
        self.accounts.borrow_mut().connected();
        let _within = process.tasks.enter();
        process.instance.open(worker, acceptor.0, acceptor.1);
        Some((id, reader, writer))
    }

    pub(super) fn start_guard(&self) {
        let skew = &self.plan.clock.skew;
        self.set_clock(
            skew[self.generation.get() as usize % skew.len()],
            Fault::GuardClockSkewed,
        );
        self.generation.set(self.generation.get() + 1);
        self.history.borrow_mut().guard_starts(self);
        let surroundings = Surroundings {
            guards: Vec::new(),
            route: Route::Within(Arc::new(Door)),
            clock: self.clock.of_guard(),
            seed: self.random.borrow_mut().u64(..),
            metrics: Arc::new(Metrics::new(&RequestFault::NAMES)),
            ledger_entries: self.plan.ledger_entries,
        };
        let tasks = Rc::new(LocalSet::new());
        let instance = Rc::new(Instance::start(self.plan.settings.clone(), surroundings, &tasks));
        let (stop, stall) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let driver = spawn_local(drive(Rc::clone(&tasks), Rc::clone(&stop), Rc::clone(&stall)));
        *self.guard.borrow_mut() = Some(Process {
            tasks,
            instance,
            stop,
            stall,
            driver,
            accepts: true,
        });
    }

    /// The guard's process stands still for so many milliseconds. Clients and backend go on.
    pub(super) async fn stall_guard(&self, during: u64) {
        self.stalled_until.set(self.now() + during);
        self.network.disturb_clients();
        if let Some(process) = self.guard.borrow().as_ref() {
            process.stall.notify_one();
        }
        sleep(Duration::from_millis(during)).await;
    }

    /// The guard's process ends at once. What it had written is on its way.
    pub(super) async fn end_guard(&self) {
        let process = self.guard.borrow_mut().take();
        let Some(process) = process else {
            return;
        };
        let evicted = process.instance.census().evicted;
        if evicted > 0 {
            self.strike(Fault::Evicted);
        }
        process.stop.notify_one();
        let _ = process.driver.await;
        let census = process.instance.census();
        let settings = &self.plan.settings;
        // Only an orderly end retires lanes.
        let retired = if process.accepts {
            0
        } else {
            settings.workers * settings.links()
        };
        let scrape = Scrape::of(&process.instance.scrape());
        let mut accounts = self.accounts.borrow_mut();
        accounts.guard_ended(self, &scrape, census.sessions, census.lanes, retired);
        drop(accounts);
        drop(process.tasks);
        drop(process.instance);
        self.server.guard_ended(self);
    }

    pub(super) async fn drain_guard(&self) {
        let (tasks, instance) = match self.guard.borrow_mut().as_mut() {
            Some(process) => {
                process.accepts = false;
                (Rc::clone(&process.tasks), Rc::clone(&process.instance))
            }
            None => return,
        };
        let before = self.now();
        let draining = Rc::clone(&instance);
        let task = tasks.spawn_local(async move { draining.drain().await });
        let _ = task.await;
        let pairing = &self.plan.settings.pairing;
        let links = (self.plan.settings.workers * self.plan.settings.links()) as u32;
        let workers = self.plan.settings.workers as u32;
        let grace = Duration::from_secs(2);
        let most = (pairing.request_timeout + grace) * workers + (pairing.fence_timeout + grace) * links;
        if Duration::from_millis(self.now() - before) > most + Duration::from_millis(100) {
            self.violated("I14", || format!("draining took {} ms", self.now() - before));
        }
        drop(tasks);
        drop(instance);
        self.end_guard().await;
    }
}
