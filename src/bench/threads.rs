//! One measurement of one target: threads, their clients, and who watches over them.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, LocalSet};

use super::Fault;
use super::client::{Bench, Client};
use super::frames::Frames;
use super::progress::{Progress, Stop};
use super::question::Draw;
use super::run::{Plan, Run, patience};
use super::tally::Tally;

/// Runs the load once, after every key has been written once where `fill` says so.
///
/// # Errors
/// When it cannot begin. Whatever happens after that is part of what was measured.
pub(super) fn run(run: &Arc<Run>, fill: bool, progress: &mut Progress) -> Result<(Tally, Plan, Option<Stop>), Fault> {
    let threads = run.load.threads;
    let runtime = || Builder::new_current_thread().enable_all().build();
    let runtimes: Vec<_> = (0..threads).map(|_| runtime()).collect::<io::Result<_>>()?;
    let gate = Barrier::new(threads);
    let mut tally = Tally::new(&run.load.mix);
    let mut stop = None;
    thread::scope(|scope| {
        let gate = &gate;
        let handles: Vec<_> = runtimes
            .into_iter()
            .enumerate()
            .map(|(thread, runtime)| scope.spawn(move || work(run, thread, runtime, fill, gate)))
            .collect();
        stop = progress.until(run, || handles.iter().all(thread::ScopedJoinHandle::is_finished));
        for handle in handles {
            match handle.join() {
                Ok(theirs) => tally.add(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    match (run.fault(), run.plan()) {
        (Some(fault), _) => Err(fault),
        (None, Some(plan)) => Ok((tally, *plan, stop)),
        (None, None) => Err(match stop {
            Some(Stop::Silent) => Fault::silent(&run.place, patience(&run.load)),
            _ => Fault::Interrupted,
        }),
    }
}

/// The connections of a thread, among all.
fn share(connections: usize, threads: usize, thread: usize) -> Range<usize> {
    connections * thread / threads..connections * (thread + 1) / threads
}

/// What a thread does; all threads begin each part together.
fn work(run: &Arc<Run>, thread: usize, runtime: Runtime, fill: bool, gate: &Barrier) -> Tally {
    let load = &run.load;
    let bench = Rc::new(RefCell::new(Bench {
        draw: Draw::new(load, run.first_key, fastrand::u64(..)),
        // The top of the 48 bits is the thread's, so that no two values are the same.
        frames: Frames::new(load, (thread as u64) << 40),
        tally: Tally::new(&load.mix),
    }));
    let local = LocalSet::new();
    let clients = local.block_on(
        &runtime,
        connect(run, &bench, share(load.connections, load.threads, thread)),
    );
    gate.wait();
    let clients = match clients {
        Some(clients) if fill && !run.stopped() => Some(local.block_on(&runtime, filled(run, clients))),
        clients => clients,
    };
    gate.wait();
    if let Some(clients) = clients.filter(|_| !run.stopped()) {
        let plan = run.begin();
        local.block_on(&runtime, async {
            let mut working = JoinSet::new();
            for client in clients {
                working.spawn_local(client.work(plan));
            }
            while working.join_next().await.is_some() {}
        });
    }
    drop(local);
    drop(runtime);
    let tally = &mut bench.borrow_mut().tally;
    std::mem::replace(tally, Tally::new(&load.mix))
}

/// Opens connections one after the other, as a listener with a short queue likes it.
async fn connect(run: &Arc<Run>, bench: &Rc<RefCell<Bench>>, numbers: Range<usize>) -> Option<Vec<Client>> {
    let mut clients = Vec::with_capacity(numbers.len());
    for number in numbers {
        if run.stopped() {
            return None;
        }
        match run.connect().await {
            Ok(link) => clients.push(Client::new(Arc::clone(run), Rc::clone(bench), number, link)),
            Err(trouble) => {
                run.fail("opening connections", trouble);
                return None;
            }
        }
    }
    Some(clients)
}

async fn filled(run: &Arc<Run>, clients: Vec<Client>) -> Vec<Client> {
    let mut filling = JoinSet::new();
    for mut client in clients {
        filling.spawn_local(async move {
            let result = client.fill().await;
            (client, result)
        });
    }
    let mut clients = Vec::new();
    while let Some(Ok((client, result))) = filling.join_next().await {
        if let Err(trouble) = result {
            run.fail("storing the first records", trouble);
        }
        clients.push(client);
    }
    clients
}
