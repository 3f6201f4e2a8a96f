//! The record that keeps a stamp where its value cannot: a delete's tombstone, the stamp below a value that has none, and,
//! where the settings say so, one beside every value.
//!
//! What has to be there before the change goes first and alone, and its outcome decides. Were both sent at once, a server
//! that cannot store the record would carry out the change all the same, and nothing would be left to refuse an older
//! write by.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::spawn_local;

use super::settlement::{Pass, Tickets};
use crate::clock::now;
use crate::command::{Command, Reply, Verb};
use crate::engine::Engine;
use crate::engine::completion::{NoReply, Purpose, Told, Unrecorded};
use crate::engine::records::{self, Probe};
use crate::engine::sending::Via;
use crate::guard::rules::LedgerMode;
use crate::guard::verdict::{Change, Ticket};
use crate::pairing::owed::Lost;

/// The code of a change that was not made because its record could not be stored.
pub const UNAVAILABLE: u8 = 6;

/// Which record goes with a write, as far as that can be told before it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companion {
    /// None: the value says its stamp, or there is none to keep.
    None,
    /// One of this stamp, in the same request.
    Beside(u64),
    /// One that must be stored before.
    Before,
    /// One that depends on the write's outcome.
    After,
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
    /// Which record goes with a `put`, `putkeep` or `putnr` of this key.
    pub fn companion_of(&self, key: &Bytes, change: Change<'_>, verb: Verb) -> Companion {
        let can = self.capabilities();
        let may_list = can.lists_replace() && !self.denies_misc();
        match change {
            Change::Stamped { stamp, .. } if self.keeps_records() => {
                if verb == Verb::PutKeep || !may_list {
                    Companion::After
                } else {
                    Companion::Beside(stamp)
                }
            }
            Change::Unstamped if can.holds_records && self.shared.guard.may_hold_stamp(self.hash_of(key)) => {
                Companion::Before
            }
            _ => Companion::None,
        }
    }

    /// Whether a change has to wait until its record is stored.
    pub fn wants_record(&self, ticket: &Ticket) -> bool {
        ticket.record().is_some() && self.capabilities().holds_records
    }

    /// Whether stamps have records of their own beside every value.
    pub fn keeps_records(&self) -> bool {
        self.settings().rules.ledger == LedgerMode::Record && self.capabilities().holds_records
    }

    /// Name and value of the record that keeps a key's stamp.
    pub fn record_of(&self, key: &Bytes, stamp: u64) -> (Bytes, Bytes) {
        let digits = self.shared.guard.stamp().write(stamp);
        (records::name_of(key), Bytes::from(digits))
    }

    /// Asks whether a hidden record is there, just before it is written, where they are counted.
    pub fn probe(self: &Rc<Self>, via: &Via, name: &Bytes, deadline: Instant) -> Probe {
        if !self.shared.hidden.is_watched() {
            return Probe::default();
        }
        let probe = Probe::asked();
        let purpose = Purpose::Probe(probe.clone());
        let wire = Command::Vsiz { key: name.clone() };
        self.send(
            via,
            &wire,
            deadline,
            self.completion(&wire, Tickets::None, purpose, now()),
        );
        probe
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
    ) -> Told {
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
            let mut passes: Vec<Pass> = Vec::with_capacity(records.len());
            let mut fault = None;
            for record in records {
                match record.await {
                    Ok(Ok(pass)) => passes.push(pass),
                    Ok(Err(why)) => fault = graver(fault, why),
                    Err(_) => fault = graver(fault, Unrecorded::Lost(Lost::Sent)),
                }
            }
            let via = engine.via_now(link, wire.key()).filter(|via| via.id() == lane);
            let told = match (fault, via) {
                (Some(Unrecorded::Failed), _) => Ok(of_code(wire.verb(), UNAVAILABLE)),
                // What was to follow the records was not sent: with them it can be sent again.
                (Some(Unrecorded::Lost(_)), _) | (None, None) => Err(NoReply::Lost(Lost::Unsent)),
                (None, Some(via)) => {
                    let tickets = passes.iter_mut().filter_map(Pass::take).collect();
                    let purpose = Purpose::Exchange {
                        reply_to: tell,
                        asked: Vec::new(),
                    };
                    let completion = engine.completion(&wire, Tickets::Several(tickets), purpose, now());
                    engine.send_alone(&via, &wire, deadline, completion);
                    return;
                }
            };
            drop(passes);
            let _ = tell.send(told);
        });
        told
    }

    /// Sends the record of this stamp, which a change waits for.
    pub fn record_first(
        self: &Rc<Self>,
        via: &Via,
        key: &Bytes,
        ticket: Ticket,
        stamp: u64,
        deadline: Instant,
    ) -> oneshot::Receiver<Result<Pass, Unrecorded>> {
        let (name, digits) = self.record_of(key, stamp);
        let probe = self.probe(via, &name, deadline);
        let wire = Command::Put {
            key: name,
            value: digits,
        };
        let (tell, told) = oneshot::channel();
        let purpose = Purpose::Record { probe, tell };
        self.send(
            via,
            &wire,
            deadline,
            self.completion(&wire, Tickets::One(ticket), purpose, now()),
        );
        told
    }
}

/// The graver of the two: that a record could not be stored is said before that a lane was lost, for another try is of no
/// use then.
fn graver(one: Option<Unrecorded>, other: Unrecorded) -> Option<Unrecorded> {
    one.filter(|one| *one == Unrecorded::Failed).or(Some(other))
}
