//! Looking keys up in the backend for the guard: several in one question, and ahead of the changes that will need it.
//!
//! What the guard does not remember, because it is below the horizon, costs one read of the backend. A client that
//! pipelines, or sends a list, would wait for one after the other. So its session looks at what it has asked for next, and
//! has those keys looked up before their turn comes: see [`Guard::look_ahead`](crate::guard::Guard::look_ahead).

use std::rc::Rc;

use bytes::Bytes;

use crate::clock::now;
use crate::command::Command;
use crate::engine::Engine;
use crate::engine::completion::Purpose;
use crate::engine::completion::read_back::{Ahead, KeyReadBack};
use crate::engine::sending::Via;
use crate::engine::write::judging::ROOM;
use crate::engine::write::settlement::Tickets;
use crate::guard::ledger::KeyHash;
use crate::guard::verdict::Change;

/// What came of looking ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The key is looked up now.
    Up,
    /// That is not called for, or others see to it.
    Past,
    /// As many keys are looked up as may be.
    Enough,
}

impl Engine {
    /// Looks a key up ahead of a change that will be judged, where the guard would have to ask for that then. Of a worker
    /// so many may be at once as the answers are expected to be small enough for; whoever is told that it is enough asks
    /// again when it goes on.
    pub fn look_ahead(self: &Rc<Self>, via: &Via, key: &Bytes, change: Change<'_>) -> Looked {
        // What is judged needs room on the lane too. And what the process before has sent may yet be carried out.
        if self.ahead.get() >= via.most_ahead() || !via.has_room(2 * ROOM) || self.held_until().is_some() {
            return Looked::Enough;
        }
        if self.is_unwritable(key) {
            return Looked::Past;
        }
        let (hash, shared) = (self.hash_of(key), &self.shared);
        let Some(cause) = shared.guard.look_ahead(hash, change, via.id(), (shared.clock)()) else {
            return Looked::Past;
        };
        shared.metrics.lookups.of(cause.into()).increment(1);
        self.read_back(via, key, hash, Some(Ahead::of(&self.ahead)));
        Looked::Up
    }

    /// Reads a key back: the value, and the record that keeps its stamp where the value cannot. Those that are read back
    /// at the same time share a question, with one another and with `get`s.
    pub fn read_back(self: &Rc<Self>, via: &Via, key: &Bytes, hash: KeyHash, ahead: Option<Ahead>) {
        let command = self.question_of(key);
        let keys = match &command {
            Command::Mget { keys } => keys.clone(),
            _ => vec![key.clone()],
        };
        let now = now();
        let deadline = now + self.settings().pairing.request_timeout;
        let purpose = Purpose::ReadBack(KeyReadBack {
            keys,
            hash,
            _ahead: ahead,
        });
        self.send_read(
            via,
            &command,
            deadline,
            self.completion(&command, Tickets::None, purpose, now),
            true,
        );
    }
}
