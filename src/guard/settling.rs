//! What became of a change, and what reading a key back has shown.

use std::time::Duration;

use dashmap::mapref::entry::Entry;

use super::ledger::{KeyHash, Known};
use super::verdict::{Learnt, Outcome, ReadBack, Stored, Ticket, Waiter};
use super::{Guard, Receded};

impl<W: Waiter> Guard<W> {
    /// Tells the guard what became of a change that was let through.
    pub fn settle(&self, ticket: Ticket, outcome: Outcome) {
        let Entry::Occupied(mut occupied) = self.pending.entry(ticket.key) else {
            debug_assert!(false, "a ticket's key has a record until the ticket is settled");
            return;
        };
        let pending = self.brought_up_to_date(occupied.get_mut());
        debug_assert!(
            pending.flies_on(ticket.lane),
            "all writes of a key in flight are on one lane"
        );
        let before = pending.known;
        pending.arrive(ticket.admitted, outcome);
        if pending.known != before {
            self.ledger.put(ticket.key, pending.known);
        }
        pending.wake_after_settling();
        if pending.is_idle() {
            occupied.remove();
        }
    }

    /// The newest stamp of a key that the backend is known to hold, where nothing puts it in doubt.
    pub fn confirmed(&self, key: KeyHash) -> Option<u64> {
        let known = match self.pending.get(&key) {
            Some(pending) if self.is_up_to_date(&pending) => pending.certain()?,
            Some(_) => return None,
            None => self.ledger.get(key),
        };
        match known {
            Known::Stamp(stamp) => Some(stamp),
            Known::Absent | Known::Record(_) | Known::Unknown { .. } => None,
        }
    }

    /// Tells the guard what reading a key back has shown; `None` when it could not be read. What is there counts, also
    /// when it is older than what is known to have been stored, which must not be; but a stamp that no guard can have let
    /// in counts for nothing. Where there is nothing, what is known for certain stays.
    pub fn learn(&self, key: KeyHash, found: Option<ReadBack>, now: Duration) -> Learnt {
        let Entry::Occupied(mut occupied) = self.pending.entry(key) else {
            debug_assert!(false, "a key that is read back has a record");
            return Learnt::default();
        };
        let latest = self.latest(&self.rules.load(), now);
        let pending = self.brought_up_to_date(occupied.get_mut());
        let certain = pending.certain();
        let ahead = found.as_ref().and_then(|found| found.ahead(latest));
        let receded = match (certain, &found) {
            // A record that is gone may have been evicted.
            (Some(Known::Stamp(confirmed)), Some(found)) if found.value.is_some() && ahead.is_none() => {
                let found = found.known(latest).bound();
                (0 < found && found < confirmed).then_some(Receded { confirmed, found })
            }
            _ => None,
        };
        let stored = found.map(|found| Stored {
            known: match certain {
                // What a delete has left may be nowhere but here: a table holds no record of it.
                Some(known @ (Known::Stamp(_) | Known::Record(_))) if found == ReadBack::default() => known,
                _ => found.known(latest),
            },
            value: found.value,
            version: pending.version(),
        });
        pending.finish_reading(stored.as_ref());
        if pending.known != Known::Absent {
            self.ledger.put(key, pending.known);
        }
        if pending.is_idle() {
            occupied.remove();
        }
        Learnt { receded, ahead }
    }

    /// A waiter that was woken with a turn will not judge again.
    pub fn pass_turn(&self, key: KeyHash) {
        if let Entry::Occupied(mut occupied) = self.pending.entry(key) {
            let pending = self.brought_up_to_date(occupied.get_mut());
            pending.take_turn();
            pending.wake_next(None);
            if pending.is_idle() {
                occupied.remove();
            }
        }
    }
}
