//! Keys whose values are large, so that who asks for one does not hold up those who ask for little: see
//! [`Links`](crate::engine::links::Links).

use std::cell::{Cell, RefCell};

use bytes::Bytes;

use crate::command::Command;
use crate::engine::Engine;
use crate::guard::ledger::KeyHash;

/// Keys that are remembered, at most: a power of two.
const SLOTS: usize = 256;

/// The keys of large values that were read of late; of those that share a slot, the last one.
#[derive(Debug, Default)]
pub struct LargeKeys {
    slots: RefCell<Vec<Option<KeyHash>>>,
    known: Cell<usize>,
}

impl LargeKeys {
    /// Nothing is known: no key has to be hashed.
    fn is_empty(&self) -> bool {
        self.known.get() == 0
    }

    fn knows(&self, key: KeyHash) -> bool {
        self.slots.borrow().get(slot_of(key)) == Some(&Some(key))
    }

    fn note(&self, key: KeyHash, is_large: bool) {
        if !is_large && !self.knows(key) {
            return;
        }
        let mut slots = self.slots.borrow_mut();
        slots.resize(SLOTS, None);
        let before = std::mem::replace(&mut slots[slot_of(key)], is_large.then_some(key));
        let known = self.known.get() + usize::from(is_large);
        self.known.set(known - usize::from(before.is_some()));
    }
}

fn slot_of(key: KeyHash) -> usize {
    key.short() as usize % SLOTS
}

impl Engine {
    /// Whether what this asks for was large when it was last asked for.
    pub fn asks_for_large(&self, command: &Command) -> bool {
        match command {
            Command::Get { key } if !self.large_keys.is_empty() => self.large_keys.knows(self.hash_of(key)),
            _ => false,
        }
    }

    /// Takes note of how many bytes the value of a key has.
    pub fn note_size(&self, key: &Bytes, bytes: usize) {
        let is_large = bytes >= self.settings().bulk_size;
        if is_large || !self.large_keys.is_empty() {
            self.large_keys.note(self.hash_of(key), is_large);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::ledger::HashSeed;

    #[test]
    fn what_was_large_is_known_until_it_is_small_or_another_has_its_place() {
        let (keys, seed) = (LargeKeys::default(), HashSeed([1, 2]));
        let hash = |number: u64| seed.hash(&number.to_be_bytes());
        keys.note(hash(1), false);
        assert!(keys.is_empty() && !keys.knows(hash(1)));
        keys.note(hash(1), true);
        keys.note(hash(1), true);
        assert!(keys.knows(hash(1)) && !keys.knows(hash(2)));
        let other = (2..).map(hash).find(|other| slot_of(*other) == slot_of(hash(1)));
        let other = other.expect("one that shares its place");
        keys.note(other, false);
        assert!(keys.knows(hash(1)), "what is small takes nobody's place");
        keys.note(other, true);
        assert!(keys.knows(other) && !keys.knows(hash(1)));
        keys.note(other, false);
        assert!(keys.is_empty());
    }
}
