//! A key that is read back for the guard.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;

use crate::command::Reply;
use crate::engine::Engine;
use crate::guard::ledger::KeyHash;

/// One of those that a worker looks up ahead of their turn, for as long as it takes.
#[derive(Debug)]
pub struct Ahead(Rc<Cell<usize>>);

impl Ahead {
    /// One more than so many.
    pub fn of(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A key that is read back for the guard.
#[derive(Debug)]
pub struct KeyReadBack {
    /// The key, and the name of the record that keeps its stamp, where there can be one.
    pub keys: Vec<Bytes>,
    pub hash: KeyHash,
    /// Nobody has asked for it yet; counted for as long as this lasts.
    pub _ahead: Option<Ahead>,
}

impl KeyReadBack {
    /// The key itself.
    pub fn key(&self) -> &Bytes {
        &self.keys[0]
    }

    /// Tells the guard what was found; nothing where the store failed.
    pub(super) fn learn(&self, engine: &Rc<Engine>, found: Option<Reply>) {
        let found = found.and_then(|reply| engine.read_back_of(self.key(), reply));
        engine.learn(self.key(), self.hash, found);
    }
}
