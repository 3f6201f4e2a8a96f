//! Changes that may go only when the record of a stamp is stored: deletes, whose tombstone it is, and values without a
//! stamp that lie over one.
//!
//! The record goes first and alone, and its outcome decides. Were both sent at once, a server that cannot store the record
//! would carry out the change all the same, and nothing would be left to refuse an older write by.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::spawn_local;

use super::Steps;
use crate::command::{Command, Reply, Verb};
use crate::engine::Engine;
use crate::engine::completion::{Cargo, NoReply};
use crate::engine::store::Via;
use crate::front::session::now;
use crate::guard::verdict::{self, Ticket};
use crate::pairing::owed::Lost;

/// The code of a change that was not made because its record could not be stored.
pub const UNAVAILABLE: u8 = 6;

/// What comes of a change.
pub type Outcome = oneshot::Receiver<Result<Reply, NoReply>>;

/// A change whose record is stored, and which is to be sent. When it is dropped before that, only the record is there.
#[derive(Debug)]
pub struct Recorded {
    engine: Rc<Engine>,
    ticket: Option<Ticket>,
}

impl Recorded {
    /// The record of this change is stored.
    pub fn new(engine: &Rc<Engine>, ticket: Ticket) -> Self {
        Self {
            engine: Rc::clone(engine),
            ticket: Some(ticket),
        }
    }

    /// The change's ticket, by which it is sent now.
    pub fn take(&mut self) -> Option<Ticket> {
        self.ticket.take()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.engine.shared.guard.settle(ticket, verdict::Outcome::Failed);
        }
    }
}

/// Why a change does not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecorded {
    /// The backend says that it has not stored the record.
    Failed,
    /// The lane was lost.
    Lost(Lost),
}

/// A failure in the form of the answer to this verb.
pub fn of_code(verb: Verb, code: u8) -> Reply {
    match verb {
        Verb::Misc => Reply::Strings {
            code,
            strings: Vec::new(),
        },
        _ => Reply::Code(code),
    }
}

impl Engine {
    /// Whether a change has to wait until its record is stored.
    pub fn wants_record(&self, ticket: &Ticket) -> bool {
        ticket.record().is_some() && self.kind().holds_records()
    }

    /// Sends changes of these keys by one command once all their records are stored, and none of them otherwise: then the
    /// answer has the code [`UNAVAILABLE`]. Each has its key to itself until then. It goes on when the client goes away.
    pub fn send_recorded(
        self: &Rc<Self>,
        via: &Via,
        link: usize,
        changes: Vec<(Bytes, Ticket)>,
        wire: Command,
        deadline: Instant,
    ) -> Outcome {
        let records: Vec<_> = changes
            .into_iter()
            .map(|(key, ticket)| {
                let stamp = ticket.record().unwrap_or(0);
                self.record_first(via, &key, ticket, stamp, deadline)
            })
            .collect();
        let (tell, told) = oneshot::channel();
        let (engine, lane) = (Rc::clone(self), via.id());
        spawn_local(async move {
            let mut tickets = Vec::with_capacity(records.len());
            let mut fault = None;
            for record in records {
                match record.await {
                    Ok(Ok(recorded)) => tickets.push(recorded),
                    Ok(Err(why)) => fault = graver(fault, why),
                    Err(_) => fault = graver(fault, Unrecorded::Lost(Lost::Sent)),
                }
            }
            let via = engine.store.via(&engine.shared, link, 0).filter(|via| via.id() == lane);
            let told = match (fault, via) {
                (Some(Unrecorded::Failed), _) => Ok(of_code(wire.verb(), UNAVAILABLE)),
                // What was to follow the records was not sent: with them it can be sent again.
                (Some(Unrecorded::Lost(_)), _) | (None, None) => Err(NoReply::Lost(Lost::Unsent)),
                (None, Some(via)) => {
                    let tickets = tickets.into_iter().filter_map(|mut recorded: Recorded| recorded.take());
                    let cargo = Cargo::Exchange {
                        reply_to: tell,
                        tickets: tickets.collect(),
                        asked: Vec::new(),
                    };
                    via.submit_alone(&wire, deadline, engine.passenger(&wire, cargo, now()));
                    return;
                }
            };
            drop(tickets);
            let _ = tell.send(told);
        });
        told
    }

    /// Sends the record that a change wants first.
    fn record_first(
        self: &Rc<Self>,
        via: &Via,
        key: &Bytes,
        ticket: Ticket,
        stamp: u64,
        deadline: Instant,
    ) -> oneshot::Receiver<Result<Recorded, Unrecorded>> {
        let (name, digits) = self.record_of(key, stamp);
        let probe = self.probe(via, &name, deadline);
        let wire = Command::Put {
            key: name,
            value: digits,
        };
        let (tell, told) = oneshot::channel();
        let cargo = Cargo::Record { probe, ticket, tell };
        via.submit(&wire, deadline, self.passenger(&wire, cargo, now()));
        told
    }
}

/// The graver of the two: that a record could not be stored is said before that a lane was lost, for another try is of no
/// use then.
fn graver(one: Option<Unrecorded>, other: Unrecorded) -> Option<Unrecorded> {
    one.filter(|one| *one == Unrecorded::Failed).or(Some(other))
}

impl Steps {
    /// Sends what was let through; when it wants a record, once that is stored. `alone` says that it has its key to itself.
    pub(super) fn send_guarded(
        &self,
        via: &Via,
        key: &Bytes,
        command: &Command,
        ticket: Ticket,
        alone: bool,
    ) -> Outcome {
        if self.engine.wants_record(&ticket) {
            let changes = vec![(key.clone(), ticket)];
            return self
                .engine
                .send_recorded(via, self.link, changes, command.clone(), self.deadline);
        }
        if alone {
            return self.send_alone(via, command, ticket);
        }
        self.send(via, command, vec![ticket])
    }

    /// Writes a record while the key is held by this change.
    pub(super) async fn keep(
        &self,
        via: &Via,
        key: &Bytes,
        ticket: Ticket,
        stamp: u64,
    ) -> Result<Recorded, Unrecorded> {
        let told = self.engine.record_first(via, key, ticket, stamp, self.deadline).await;
        told.unwrap_or(Err(Unrecorded::Lost(Lost::Sent)))
    }
}
