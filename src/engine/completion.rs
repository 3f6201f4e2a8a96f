//! What travels with each request, and does what its outcome calls for.

mod client;

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::sleep;

pub use self::client::{ClientCargo, Form, Found};
use crate::backend::embedded::line;
use crate::backend::tyrant::greeting::DatabaseKind;
use crate::backend::tyrant::lane;
use crate::command::function::Function;
use crate::command::{Command, Reply, Verb};
use crate::engine::Engine;
use crate::engine::account;
use crate::engine::look_up::Ahead;
use crate::engine::memory::Room;
use crate::engine::records::{self, Probe};
use crate::engine::sequence::{Recorded, Unrecorded};
use crate::front::session::End;
use crate::guard::ledger::KeyHash;
use crate::guard::verdict::{Outcome, Ticket};
use crate::metrics::Carried;
use crate::pairing::owed::Lost;
use crate::protocol::tyrant::reply::Dropped;

/// How long what could not be read is left alone before it is tried again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The code of a failure, the only one that the server knows.
const FAILED: u8 = 1;

/// What travels with a request.
#[derive(Debug)]
pub struct Passenger {
    /// Where it came from.
    pub engine: Rc<Engine>,
    /// What is asked of the backend.
    pub verb: Verb,
    /// When it was put into the lane's queue.
    pub queued: Instant,
    /// What its outcome calls for.
    pub cargo: Cargo,
}

/// What an outcome calls for.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the common one: a box would cost it an allocation"
)]
pub enum Cargo {
    /// A client's own request.
    Client(ClientCargo),
    /// One exchange of a command that takes several.
    Exchange {
        /// Who goes on with the outcome.
        reply_to: oneshot::Sender<Result<Reply, NoReply>>,
        /// What is settled by it.
        tickets: Vec<Ticket>,
        /// The keys of a list, of which the answer may name no others; empty where it may say anything.
        asked: Vec<Bytes>,
    },
    /// A key is read back for the guard.
    ReadBack(ReadBackCargo),
    /// A key is read back because its stamp seemed to have gone back behind one that was confirmed.
    Suspicion { key: Bytes, confirmed: u64 },
    /// Who asked for these keys asks elsewhere.
    Parted { keys: Vec<Bytes> },
    /// What `mget` finds of a key, asked just before the same by `get`.
    Find { key: Bytes, found: Found },
    /// Whether a hidden record is there already (`vsiz`), asked just before it is written.
    Probe(Probe),
    /// A hidden record is written, which a change waits for; the probe has said whether it is a new one.
    Record {
        probe: Probe,
        /// Of the change.
        ticket: Ticket,
        /// Who sends the change.
        tell: oneshot::Sender<Result<Recorded, Unrecorded>>,
    },
}

/// A key that is read back for the guard.
#[derive(Debug)]
pub struct ReadBackCargo {
    /// The key, and the name of the record that keeps its stamp, where there can be one.
    pub keys: Vec<Bytes>,
    pub hash: KeyHash,
    /// Nobody has asked for it yet; counted for as long as this lasts.
    pub _ahead: Option<Ahead>,
}

impl ReadBackCargo {
    /// The key itself.
    pub fn key(&self) -> &Bytes {
        &self.keys[0]
    }

    fn learn(&self, engine: &Rc<Engine>, found: Option<Reply>) {
        let found = found.and_then(|reply| engine.read_back_of(self.key(), reply));
        engine.learn(self.key(), self.hash, found);
    }
}

/// Why there is nothing to go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReply {
    /// The lane was lost.
    Lost(Lost),
    /// The answer was larger than allowed: what was asked is carried out, or not, and asked again it is no smaller.
    TooLarge,
}

/// What an answer's code says of a change.
pub fn outcome_of(ticket: &Ticket, code: u8) -> Outcome {
    // A delete that found nothing has left its tombstone all the same.
    if code == 0 || (code == 1 && ticket.tombstone().is_some()) {
        Outcome::Stored
    } else {
        Outcome::Failed
    }
}

fn outcome_when(lost: Lost) -> Outcome {
    match lost {
        Lost::Unsent => Outcome::Unsent,
        Lost::Sent => Outcome::Lost,
    }
}

impl lane::Passenger for Passenger {
    fn keys(&self) -> &[Bytes] {
        match &self.cargo {
            Cargo::Client(cargo) => match &cargo.item.command {
                Command::Get { key } => std::slice::from_ref(key),
                _ => &[],
            },
            Cargo::ReadBack(cargo) => &cargo.keys,
            Cargo::Parted { keys } => keys,
            _ => &[],
        }
    }

    fn answer_of(&self, mut found: impl Iterator<Item = (Bytes, Bytes)>) -> Reply {
        match &self.cargo {
            Cargo::ReadBack(_) => Reply::Records(found.collect()),
            _ => found
                .next()
                .map_or(Reply::Code(FAILED), |(_, value)| Reply::Value(value)),
        }
    }

    fn record(&self) -> Option<(&Bytes, &Bytes)> {
        match &self.cargo {
            Cargo::Client(cargo) => match &cargo.item.command {
                Command::Put { key, value } | Command::PutNr { key, value } => Some((key, value)),
                _ => None,
            },
            _ => None,
        }
    }

    fn has_room_for(&mut self, bytes: usize) -> bool {
        match &mut self.cargo {
            Cargo::Client(cargo) => cargo.fits_ahead(&self.engine, bytes),
            Cargo::Parted { .. } => false,
            _ => true,
        }
    }

    fn room(&self) -> usize {
        match &self.cargo {
            Cargo::Client(cargo) => cargo.item.room.as_ref().map_or(0, Room::bytes),
            _ => 0,
        }
    }

    fn accepts(&self, reply: &Reply) -> bool {
        match (&self.cargo, reply) {
            // A server never fails an `mget` (1.1.41, `do_mget`), and one that does not know it says so with 1. Behind any
            // other code records may follow, which would be taken for the next answer.
            (_, Reply::Code(code)) => *code == FAILED || self.verb != Verb::Mget,
            (Cargo::ReadBack(cargo), Reply::Records(found)) => {
                found.iter().all(|(echoed, _)| cargo.keys.contains(echoed))
            }
            (Cargo::Suspicion { key, .. }, Reply::Records(found)) => {
                let name = records::name_of(key);
                found.iter().all(|(echoed, _)| echoed == key || *echoed == name)
            }
            (Cargo::Find { key, .. }, Reply::Records(found)) => {
                found.len() <= 1 && found.iter().all(|(echoed, _)| echoed == key)
            }
            (Cargo::Exchange { asked, .. }, Reply::Records(found)) if !asked.is_empty() => {
                are_asked_for(asked, found.iter().map(|(echoed, _)| echoed))
            }
            (Cargo::Exchange { asked, .. }, Reply::Strings { strings, .. }) if !asked.is_empty() => {
                are_asked_for(asked, strings.iter().step_by(2))
            }
            (Cargo::Client(cargo), Reply::Records(found)) => match &cargo.item.command {
                Command::Mget { keys } => are_asked_for(keys, found.iter().map(|(echoed, _)| echoed)),
                _ => true,
            },
            (Cargo::Client(cargo), Reply::Strings { strings, .. }) => match &cargo.item.command {
                // In a skeleton a function of any name can mean anything.
                Command::Misc {
                    function, arguments, ..
                } if Function::lists(function) && self.engine.kind() != DatabaseKind::Foreign => {
                    are_asked_for(arguments, strings.iter().step_by(2))
                }
                _ => true,
            },
            _ => true,
        }
    }

    fn answered(self, reply: Reply, bytes: usize, now: Instant) {
        let shared = &self.engine.shared;
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        account::backend_answered(&shared.metrics, self.verb, reply.code(), bytes, self.queued, now);
        match self.cargo {
            Cargo::Client(cargo) => cargo.answered(&self.engine, reply, now),
            Cargo::Exchange { reply_to, tickets, .. } => {
                for ticket in tickets {
                    let outcome = outcome_of(&ticket, reply.code());
                    shared.guard.settle(ticket, outcome);
                }
                // Whoever asked may have ended meanwhile.
                let _ = reply_to.send(Ok(reply));
            }
            Cargo::ReadBack(cargo) => cargo.learn(&self.engine, Some(reply)),
            Cargo::Suspicion { key, confirmed } => {
                let found = self.engine.read_back_of(&key, reply);
                self.engine.suspicion_answered(&key, confirmed, found);
            }
            Cargo::Find { found, .. } => {
                if let Reply::Records(records) = reply
                    && let Some((_, value)) = records.into_iter().next()
                {
                    // Asked once, so nothing is set yet.
                    let _ = found.set(value);
                }
            }
            Cargo::Parted { .. } => {}
            Cargo::Probe(probe) => probe.found(reply.code() != 0),
            Cargo::Record { probe, ticket, tell } => {
                shared.hidden.written(reply.code(), &probe);
                let recorded = Recorded::new(&self.engine, ticket);
                // Dropped it says by itself that no more than the record can be there.
                let _ = tell.send(if reply.code() == 0 {
                    Ok(recorded)
                } else {
                    Err(Unrecorded::Failed)
                });
            }
        }
    }

    fn undone(self, code: u8, bytes: usize, now: Instant) {
        let Cargo::Client(cargo) = self.cargo else {
            return self.answered(Reply::Code(code), bytes, now);
        };
        let shared = &self.engine.shared;
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        account::backend_answered(&shared.metrics, self.verb, code, bytes, self.queued, now);
        cargo.undone(&self.engine, now);
    }

    fn dropped(self, dropped: Dropped, now: Instant) {
        let shared = &self.engine.shared;
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        account::backend_answered_too_much(&shared.metrics, self.verb, dropped, self.queued, now);
        match self.cargo {
            Cargo::Client(cargo) if dropped.fault.is_none() => {
                let size = usize::try_from(dropped.bytes).unwrap_or(usize::MAX);
                cargo.put_off(&self.engine, size);
            }
            Cargo::Client(cargo) => cargo.dropped(&self.engine, dropped.code),
            Cargo::Exchange { reply_to, tickets, .. } => {
                for ticket in tickets {
                    let outcome = outcome_of(&ticket, dropped.code);
                    shared.guard.settle(ticket, outcome);
                }
                let _ = reply_to.send(Err(NoReply::TooLarge));
            }
            Cargo::ReadBack(cargo) => {
                let engine = Rc::clone(&self.engine);
                // Asked again at once, it would be no smaller.
                spawn_local(async move {
                    sleep(ASK_AGAIN).await;
                    cargo.learn(&engine, None);
                });
            }
            Cargo::Suspicion { .. } | Cargo::Find { .. } | Cargo::Parted { .. } => {}
            Cargo::Record { ticket, tell, .. } => {
                shared.hidden.doubt();
                shared.guard.settle(ticket, Outcome::Failed);
                let _ = tell.send(Err(Unrecorded::Failed));
            }
            Cargo::Probe(_) => shared.hidden.doubt(),
        }
    }

    fn lost(self, lost: Lost) {
        let shared = &self.engine.shared;
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        let carried = match lost {
            Lost::Sent => Carried::Lost,
            Lost::Unsent => Carried::Unsent,
        };
        shared.metrics.backend_requests.of(self.verb, carried).increment(1);
        match self.cargo {
            Cargo::Client(cargo) => cargo.lost(&self.engine, lost),
            Cargo::Exchange { reply_to, tickets, .. } => {
                for ticket in tickets {
                    shared.guard.settle(ticket, outcome_when(lost));
                }
                let _ = reply_to.send(Err(NoReply::Lost(lost)));
            }
            Cargo::ReadBack(cargo) => cargo.learn(&self.engine, None),
            Cargo::Probe(_) | Cargo::Suspicion { .. } | Cargo::Find { .. } | Cargo::Parted { .. } => {}
            Cargo::Record { ticket, tell, .. } => {
                shared.hidden.doubt();
                shared.guard.settle(ticket, outcome_when(lost));
                let _ = tell.send(Err(Unrecorded::Lost(lost)));
            }
        }
    }

    fn part(&mut self) -> Option<Self> {
        match &self.cargo {
            Cargo::Client(cargo) if cargo.may_ask_elsewhere() => {}
            Cargo::ReadBack(_) => {}
            _ => return None,
        }
        let keys = self.keys().to_vec();
        self.engine.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            engine: Rc::clone(&self.engine),
            cargo: std::mem::replace(&mut self.cargo, Cargo::Parted { keys }),
            ..*self
        })
    }

    fn is_awaited(&self) -> bool {
        !matches!(self.cargo, Cargo::Parted { .. })
    }
}

impl line::Passenger for Passenger {
    fn may_overtake(&self) -> bool {
        match &self.cargo {
            // What is asked here counts already.
            Cargo::Client(cargo) => cargo.session.aloft() <= 1,
            // Its session has nothing else under way.
            Cargo::Exchange { tickets, .. } => tickets.is_empty(),
            // The guard has a key read only when nothing of it is under way.
            Cargo::ReadBack(_) => true,
            Cargo::Suspicion { .. }
            | Cargo::Find { .. }
            | Cargo::Parted { .. }
            | Cargo::Probe(_)
            | Cargo::Record { .. } => false,
        }
    }

    fn unanswerable(self) {
        let shared = &self.engine.shared;
        match self.cargo {
            Cargo::Client(cargo) => {
                shared.in_flight.fetch_sub(1, Ordering::Relaxed);
                shared
                    .metrics
                    .backend_requests
                    .of(self.verb, Carried::Lost)
                    .increment(1);
                let writes = cargo.ticket.is_some();
                if let Some(ticket) = cargo.ticket {
                    shared.guard.settle(ticket, Outcome::Failed);
                }
                cargo.session.landed(writes);
                cargo.session.fail(cargo.item.concluding(), End::LaneLost);
            }
            // Asked again at once, it would be found out no better.
            _ => drop(spawn_local(async move {
                sleep(ASK_AGAIN).await;
                lane::Passenger::lost(self, Lost::Sent);
            })),
        }
    }
}

/// Whether keys are among those that were asked for, in their order. A B+ tree names a key once for each of its values.
fn are_asked_for<'a>(asked: &[Bytes], found: impl IntoIterator<Item = &'a Bytes>) -> bool {
    let mut asked = asked.iter().peekable();
    found.into_iter().all(|echoed| {
        while asked.next_if(|key| *key != echoed).is_some() {}
        asked.peek().is_some()
    })
}
