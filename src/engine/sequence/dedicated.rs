//! Slow and endless commands, each on a connection of its own, or on a thread of its own where the store is in this
//! process: so nobody waits behind them. There are so many of either at once, and no more.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::{sleep, timeout_at};

use crate::clock::now;
use crate::command::{Command, Reply};
use crate::engine::Engine;
use crate::engine::apart::{MANY, strings_in};
use crate::engine::completion::counting;
use crate::engine::failure::Failure;
use crate::engine::sequence::Sequence;
use crate::engine::write::settlement::Tickets;
use crate::guard::verdict::Change;
use crate::logging::RateLimit;
use crate::metrics::Carried;
use crate::pairing::LaneId;
use crate::pairing::owed::Lost;
use crate::protocol::link::hello::Behalf;
use crate::store::embedded::Embedded;
use crate::store::events::Events;
use crate::store::tyrant::backoff::Backoff;
use crate::store::tyrant::dedicated::{Dedicated, Exchange};
use crate::store::tyrant::lane::LaneFault;

/// How long a command waits before it looks again whether a move is over.
const MOVING_PAUSE: Duration = Duration::from_millis(2);

/// What a slow command may change, beyond what its answer says.
#[derive(Debug)]
pub enum Touches {
    /// Nothing that the guard remembers.
    Nothing,
    /// This record, in a way that a stamp cannot order; a script may write hidden records too.
    Key(Bytes),
    /// Any record: nothing that is remembered holds afterwards.
    Everything {
        /// No record is left when it succeeds.
        empties: bool,
        /// When it fails it has done nothing at all.
        nothing_on_failure: bool,
    },
}

/// A place among the slow commands that may be under way at once. Waiting for it counts against the deadline.
async fn slot(engine: &Engine, deadline: Instant) -> Result<OwnedSemaphorePermit, Failure> {
    let slots = Arc::clone(&engine.slow);
    match timeout_at(deadline.into(), slots.acquire_owned()).await {
        Ok(Ok(slot)) => Ok(slot),
        _ => Err(Failure::Deadline),
    }
}

/// Has one command carried out beside all others, and waits for its answer.
pub async fn exchange(sequence: &Sequence, command: Command, touches: Touches) -> Result<Reply, Failure> {
    if !matches!(touches, Touches::Nothing) {
        sequence.claimed().await?;
    }
    let engine = Rc::clone(&sequence.engine);
    let deadline = sequence.deadline;
    let (reply_to, reply) = oneshot::channel();
    // On a task of its own, so that its outcome is seen even when the client goes away.
    if let Some((store, lane)) = engine.store.here() {
        let slot = slot(&engine, deadline).await?;
        let tickets = admit(sequence, lane, &touches).await?;
        let aftermath = Aftermath {
            engine,
            tickets,
            touches,
        };
        spawn_local(carry_out_here(store, command, aftermath, slot, reply_to));
    } else {
        // Reaching the backend may take no longer than for any other request.
        let patience = engine.settings().pairing.request_timeout;
        let (slot, (dedicated, runs)) = loop {
            let slot = slot(&engine, deadline).await?;
            match connect(&engine, None, sequence.received + patience).await? {
                Some(connection) => break (slot, connection),
                // The move waits for the slot.
                None => drop(slot),
            }
            sleep(MOVING_PAUSE).await;
        };
        let lane = engine.shared.lane_ids.next();
        let tickets = admit(sequence, lane, &touches).await?;
        let running = Running {
            dedicated,
            runs,
            lane,
            aftermath: Aftermath {
                engine,
                tickets,
                touches,
            },
            deadline,
            _slot: slot,
        };
        spawn_local(running.run(command, reply_to));
    }
    match timeout_at(deadline.into(), reply).await {
        Ok(reply) => reply.unwrap_or(Err(Failure::LaneLost)),
        Err(_) => Err(Failure::Deadline),
    }
}

async fn admit(sequence: &Sequence, lane: LaneId, touches: &Touches) -> Result<Tickets, Failure> {
    let Touches::Key(key) = touches else {
        return Ok(Tickets::None);
    };
    let asker = Some(sequence.asker());
    let passage = sequence
        .admit_as(asker, Some(lane), false, key, Change::Unordered)
        .await?;
    // The judge refuses nothing that a stamp cannot order; the policy has been asked before.
    Ok(passage.map_or(Tickets::None, |passage| passage.take().1))
}

/// What is left to do when a slow command has its outcome.
struct Aftermath {
    engine: Rc<Engine>,
    tickets: Tickets,
    touches: Touches,
}

impl Aftermath {
    /// The command was answered.
    fn answered(self, code: u8) {
        let shared = &self.engine.shared;
        self.tickets.answered(shared, code);
        let Touches::Everything {
            empties,
            nothing_on_failure,
        } = self.touches
        else {
            return note(&self.engine, &self.touches);
        };
        if code == 0 || !nothing_on_failure {
            note(&self.engine, &self.touches);
        }
        if code == 0 && empties {
            shared.hidden.reset();
        }
    }

    /// No answer will come. What it may change has to be noted again when it can change nothing any more.
    fn lost(self) -> (Rc<Engine>, Touches) {
        self.tickets.lost(&self.engine.shared, Lost::Sent);
        note(&self.engine, &self.touches);
        (self.engine, self.touches)
    }
}

/// Forgets what no longer holds.
fn note(engine: &Engine, touches: &Touches) {
    let shared = &engine.shared;
    match touches {
        Touches::Nothing => {}
        Touches::Key(_) => shared.hidden.doubt(),
        Touches::Everything { .. } => {
            shared.guard.distrust_everything((shared.clock)());
            shared.hidden.doubt();
        }
    }
}

/// A look through millions of records must not hold up the worker's other sessions. It goes on when its client has gone:
/// its place is given back when its thread is done.
async fn carry_out_here(
    store: Arc<Embedded>,
    command: Command,
    aftermath: Aftermath,
    slot: OwnedSemaphorePermit,
    reply_to: oneshot::Sender<Result<Reply, Failure>>,
) {
    let shared = Arc::clone(&aftermath.engine.shared);
    let gauge = &shared.metrics.slow_connections;
    gauge.increment(1);
    let (verb, since, time) = (command.verb(), now(), (shared.clock)());
    let result = match spawn_blocking(move || store.execute(&command, time)).await {
        Ok(Ok(reply)) => {
            counting::backend_answered(&shared.metrics, verb, reply.code(), 0, since, now());
            aftermath.answered(reply.code());
            Ok(reply)
        }
        // It only asked, and changed nothing.
        Ok(Err(_)) => {
            aftermath.answered(1);
            Err(Failure::LaneLost)
        }
        Err(_) => {
            aftermath.lost();
            Err(Failure::LaneLost)
        }
    };
    gauge.decrement(1);
    drop(slot);
    let_go(reply_to.send(result));
}

/// Drops what nobody waits for any more: to give back many strings takes long.
fn let_go(unsent: Result<(), Result<Reply, Failure>>) {
    if let Err(Ok(reply)) = unsent
        && strings_in(&reply) > MANY
    {
        spawn_blocking(move || drop(reply));
    }
}

/// One command on its connection.
struct Running {
    dedicated: Dedicated,
    /// Told when the connection is not to be used any more.
    runs: watch::Receiver<u64>,
    lane: LaneId,
    aftermath: Aftermath,
    deadline: Instant,
    _slot: OwnedSemaphorePermit,
}

impl Running {
    async fn run(mut self, command: Command, reply_to: oneshot::Sender<Result<Reply, Failure>>) {
        static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
        let shared = Arc::clone(&self.aftermath.engine.shared);
        let gauge = &shared.metrics.slow_connections;
        gauge.increment(1);
        let (metrics, verb, since) = (&shared.metrics, command.verb(), now());
        let settings = self.aftermath.engine.settings();
        let exchange = self.dedicated.exchange(&command, settings.limits.reply);
        let runs = &mut self.runs;
        let exchange = async {
            tokio::select! {
                biased;
                _ = runs.changed() => Err(LaneFault::Retired),
                outcome = exchange => outcome,
            }
        };
        let fault = match timeout_at(self.deadline.into(), exchange).await {
            Ok(Ok(Exchange { reply, sent, received })) => {
                metrics.backend_request_bytes.of(verb).increment(sent as u64);
                counting::backend_answered(metrics, verb, reply.code(), received, since, now());
                self.aftermath.answered(reply.code());
                let_go(reply_to.send(Ok(reply)));
                gauge.decrement(1);
                return;
            }
            Ok(Err(fault)) => fault,
            Err(_) => LaneFault::Deadline,
        };
        let (carried, end) = match &fault {
            LaneFault::BadAnswer(fault) if fault.is_over_limit() => (Carried::TooLarge, Failure::ReplyTooLarge),
            LaneFault::Deadline => (Carried::Lost, Failure::Deadline),
            _ => (Carried::Lost, Failure::LaneLost),
        };
        metrics.backend_requests.of(verb, carried).increment(1);
        if let Some(suppressed) = LOG.admit(now()) {
            tracing::warn!(%fault, verb = ?command.verb(), suppressed, "a slow command was lost");
        }
        let (engine, touches) = self.aftermath.lost();
        let _ = reply_to.send(Err(end));
        if let Some(links) = engine.store.links() {
            let patience = engine.settings().pairing.fence_timeout;
            let ended = links.fence(self.dedicated, &fault, patience).await;
            note(&engine, &touches);
            engine.fenced(self.lane, ended);
        }
        gauge.decrement(1);
    }
}

/// Says once in a while that a guard does not give an endless answer to a client, and why.
fn note_unserved(error: &io::Error) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    if let Some(suppressed) = LOG.admit(now()) {
        tracing::warn!(%error, suppressed, "the guard has no endless answer for a client");
    }
}

/// A connection, and what is told when it is not to be used any more.
pub type Reached = (Dedicated, watch::Receiver<u64>);

/// Tries until the run of the backend can be reached that has the lanes; nothing while connections move to another
/// backend. A guard is told for whom it is.
pub async fn connect(engine: &Engine, behalf: Option<&Behalf>, deadline: Instant) -> Result<Option<Reached>, Failure> {
    let mut backoff = Backoff::new(engine.random());
    loop {
        let Some(route) = engine.store.route() else {
            return Err(Failure::RefusedCommand);
        };
        let runs = engine.shared.runs.subscribe();
        if engine.shared.is_moving() {
            return Ok(None);
        }
        let connecting = async {
            let (dedicated, run) = Dedicated::connect(&route, behalf).await?;
            engine.shared.greeted_aside(&run, now()).map_err(io::Error::other)?;
            io::Result::Ok(dedicated)
        };
        match timeout_at(deadline.into(), connecting).await {
            // Where there was another run, or a move, meanwhile, it may be of the former one.
            Ok(Ok(dedicated)) if !runs.has_changed().unwrap_or(true) => return Ok(Some((dedicated, runs))),
            // The guard does not serve this client: it says so whenever it is asked.
            Ok(Err(error)) if behalf.is_some() && error.kind() == io::ErrorKind::InvalidData => {
                note_unserved(&error);
                return Err(Failure::RefusedCommand);
            }
            Ok(outcome) => {
                let error = outcome.err();
                tracing::debug!(?error, "no connection for a slow command");
                if timeout_at(deadline.into(), sleep(backoff.next_pause())).await.is_err() {
                    return Err(Failure::Deadline);
                }
            }
            Err(_) => return Err(Failure::Deadline),
        }
        if engine.is_stopping() {
            return Err(Failure::Stopping);
        }
    }
}
