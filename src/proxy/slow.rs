//! Slow and endless commands, each on a connection of its own, so that nobody waits behind them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::{sleep, timeout_at};

use super::passenger::outcome_of;
use super::session::{End, Item, Session};
use super::steps::Steps;
use super::store::Store;
use super::waiting::Standing;
use super::worker::{Decision, Worker};
use crate::backend::tyrant::aside::Aside;
use crate::backend::tyrant::connect::Backoff;
use crate::backend::tyrant::fence::fence;
use crate::backend::tyrant::lane::LaneFault;
use crate::backend::tyrant::link::{LinkEvents, next_lane_id};
use crate::command::function::Function;
use crate::command::{Command, Reply, Verb};
use crate::config::Address;
use crate::guard::verdict::{Change, Outcome, Ticket};
use crate::pairing::LaneId;
use crate::transport::Reader;

/// Whether a command may take long by its nature.
pub fn is_slow(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => matches!(
            Function::named(function),
            Function::Scan | Function::Search | Function::Vanish | Function::Control | Function::Unknown
        ),
        other => matches!(
            other.verb(),
            Verb::FwmKeys
                | Verb::Ext
                | Verb::Sync
                | Verb::Optimize
                | Verb::Vanish
                | Verb::Copy
                | Verb::Restore
                | Verb::SetMst
        ),
    }
}

/// Sends one command on a connection of its own and waits for its answer. `changes` names the key that it changes in a
/// way that a stamp cannot order.
pub async fn exchange(steps: &Steps, command: Command, changes: Option<&Bytes>) -> Result<Reply, End> {
    let worker = &steps.worker;
    match &worker.store {
        Store::Embedded { store, lane } => {
            let now = (worker.shared.clock)();
            if let Some(ticket) = admit(steps, *lane, changes).await? {
                let reply = store.execute(&command, now);
                settle(worker, Some(ticket), &reply);
                return Ok(reply);
            }
            // A look through millions of records must not hold up the worker's other sessions.
            let store = Arc::clone(store);
            let searching = spawn_blocking(move || store.execute(&command, now));
            timeout_at(steps.deadline.into(), searching)
                .await
                .map_err(|_| End::Deadline)?
                .map_err(|_| End::LaneLost)
        }
        Store::Tyrant { address, .. } => {
            let slots = Arc::clone(&worker.slow);
            let slot = timeout_at(steps.deadline.into(), slots.acquire_owned()).await;
            let Ok(Ok(slot)) = slot else {
                return Err(End::Deadline);
            };
            // Reaching the backend may take no longer than for any other request.
            let patience = worker.shared.settings.pairing.request_timeout;
            let aside = connect(worker, address, steps.received + patience).await?;
            let lane = next_lane_id();
            let ticket = admit(steps, lane, changes).await?;
            let (reply_to, reply) = oneshot::channel();
            let errand = Errand {
                worker: Rc::clone(worker),
                aside,
                lane,
                ticket,
                deadline: steps.deadline,
                _slot: slot,
            };
            // On a task of its own, so that its outcome is seen even when the client goes away.
            spawn_local(errand.run(command, reply_to));
            reply.await.unwrap_or(Err(End::LaneLost))
        }
    }
}

async fn admit(steps: &Steps, lane: LaneId, changes: Option<&Bytes>) -> Result<Option<Ticket>, End> {
    let Some(key) = changes else {
        return Ok(None);
    };
    let mut standing = Standing::default();
    loop {
        let via = steps.via_for_write().await?;
        match steps.worker.judge(&via, lane, key, Change::Unordered, &mut standing) {
            Decision::Go(ticket) => return Ok(Some(ticket)),
            // The judge refuses nothing that a stamp cannot order; the policy has been asked before.
            Decision::Refused(_) => return Ok(None),
            Decision::Wait(wait) => standing = steps.woken(wait).await?,
        }
    }
}

fn settle(worker: &Worker, ticket: Option<Ticket>, reply: &Reply) {
    if let Some(ticket) = ticket {
        let outcome = outcome_of(&ticket, reply.code());
        worker.shared.guard.settle(ticket, outcome);
    }
}

/// One command on its connection.
struct Errand {
    worker: Rc<Worker>,
    aside: Aside,
    lane: LaneId,
    ticket: Option<Ticket>,
    deadline: Instant,
    _slot: OwnedSemaphorePermit,
}

impl Errand {
    async fn run(mut self, command: Command, reply_to: oneshot::Sender<Result<Reply, End>>) {
        let gauge = &self.worker.shared.metrics.slow_connections;
        gauge.increment(1);
        let limits = self.worker.shared.settings.limits.reply;
        let fault = match timeout_at(self.deadline.into(), self.aside.exchange(&command, limits)).await {
            Ok(Ok(reply)) => {
                settle(&self.worker, self.ticket, &reply);
                let _ = reply_to.send(Ok(reply));
                gauge.decrement(1);
                return;
            }
            Ok(Err(fault)) => fault,
            Err(_) => LaneFault::Deadline,
        };
        tracing::warn!(%fault, verb = ?command.verb(), "a slow command was lost");
        if let Some(ticket) = self.ticket {
            self.worker.shared.guard.settle(ticket, Outcome::Lost);
        }
        let is_late = matches!(fault, LaneFault::Deadline);
        let _ = reply_to.send(Err(if is_late { End::Deadline } else { End::LaneLost }));
        let Store::Tyrant { last_seen, .. } = &self.worker.store else {
            return;
        };
        let patience = self.worker.shared.settings.pairing.fence_timeout;
        let Aside { reader, writer } = self.aside;
        let ended = fence(reader, writer, &fault, None, last_seen, patience).await;
        self.worker.fenced(self.lane, ended);
        gauge.decrement(1);
    }
}

/// Tries until the backend can be reached.
async fn connect(worker: &Worker, address: &Address, deadline: Instant) -> Result<Aside, End> {
    let mut backoff = Backoff::new(fastrand::Rng::new());
    loop {
        match timeout_at(deadline.into(), Aside::connect(address)).await {
            Ok(Ok(aside)) => return Ok(aside),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no connection for a slow command");
                if timeout_at(deadline.into(), sleep(backoff.next_pause())).await.is_err() {
                    return Err(End::Deadline);
                }
            }
            Err(_) => return Err(End::Deadline),
        }
        if worker.shared.is_stopping() {
            return Err(End::Drain);
        }
    }
}

/// Passes an endless answer on until either side ends it. From then on the session is nothing else.
pub async fn stream(session: &Rc<Session>, item: Item, reader: &mut Reader) -> End {
    let worker = &session.worker;
    let Store::Tyrant { address, .. } = &worker.store else {
        return End::RefusedCommand;
    };
    let Ok(_slot) = Arc::clone(&worker.slow).try_acquire_owned() else {
        return End::Deadline;
    };
    let mut aside = match connect(worker, address, item.deadline).await {
        Ok(aside) => aside,
        Err(end) => return end,
    };
    if aside.send(&item.command).await.is_err() {
        return End::LaneLost;
    }
    let mut stopping = worker.shared.stopping.subscribe();
    let (mut input, mut ignored) = (BytesMut::new(), BytesMut::new());
    loop {
        tokio::select! {
            biased;
            _ = stopping.changed() => return End::Drain,
            read = reader.read(&mut ignored) => match read {
                Ok(0) | Err(_) => return End::Client,
                Ok(_) => ignored.clear(),
            },
            bytes = aside.next_bytes(&mut input) => match bytes {
                Ok(Some(bytes)) => if session.write_all(&bytes).await.is_err() {
                    return End::Client;
                },
                Ok(None) | Err(_) => return End::LaneLost,
            },
        }
    }
}
