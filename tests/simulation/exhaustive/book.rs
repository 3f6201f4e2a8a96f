//! What the backend carried out, and whether each change was one that may be.

use bytes::Bytes;
use ttguard::command::{Command, Verb};
use ttguard::guard::rules::Tie;

use crate::history::{base_of, stamp_of};
use crate::records::{Records, Witness};

/// The name of the record that keeps a key's stamp.
pub fn hidden_of(key: &[u8]) -> Bytes {
    Bytes::from([b"timestamp.", key].concat())
}

/// The newest stamp that is stored for a key.
pub fn newest_of(records: &Records, key: &[u8]) -> Option<u64> {
    let own = records.get(key).and_then(|value| stamp_of(value));
    own.max(records.get(&hidden_of(key)).and_then(|value| stamp_of(value)))
}

/// Everything that was carried out, in order.
pub struct Book {
    tie: Tie,
    pub commands: Vec<Command>,
    /// Each value that a key got.
    pub versions: Vec<(Bytes, Option<Bytes>)>,
    pub violation: Option<String>,
}

impl Book {
    /// Nothing was carried out yet.
    pub fn new(tie: Tie) -> Self {
        Self {
            tie,
            commands: Vec::new(),
            versions: Vec::new(),
            violation: None,
        }
    }

    /// A promise was broken. Only the first one counts.
    pub fn broken(&mut self, how: &str) {
        self.violation.get_or_insert_with(|| how.to_owned());
    }

    /// A request is about to be carried out. None of those that cannot be repeated may come twice: a small world asks
    /// for each of them once.
    pub fn carried_out(&mut self, command: &Command) {
        if cannot_be_repeated(command) && self.commands.contains(command) {
            self.broken(&format!("{command:?} reached the backend twice"));
        }
        self.commands.push(command.clone());
    }
}

fn cannot_be_repeated(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => {
            let names: [&[u8]; 4] = [b"putkeep", b"out", b"outlist", b"putcat"];
            names.contains(&function.as_ref())
        }
        other => matches!(
            other.verb(),
            Verb::PutKeep | Verb::PutCat | Verb::AddInt | Verb::Out | Verb::IterNext
        ),
    }
}

impl Witness for Book {
    fn put(&mut self, records: &Records, key: &Bytes, value: &Bytes) {
        let old = records.get(key);
        let newest = newest_of(records, key);
        if let (Some(stamp), Some(newest)) = (stamp_of(value), newest) {
            let is_tie = stamp == newest && old.is_some_and(|old| old != value && stamp_of(old) == Some(newest));
            let loses = match self.tie {
                Tie::Last => false,
                Tie::First => is_tie,
                Tie::Greater => is_tie && old.is_some_and(|old| old > value),
            };
            let is_gone = stamp == newest && old.and_then(|old| stamp_of(old)) != Some(newest);
            if stamp < newest || loses || is_gone {
                self.broken(&format!("{key:?}: {value:?} was stored over {old:?}, stamp {newest}"));
            }
        }
        self.versions.push((key.clone(), Some(value.clone())));
    }

    fn changed(&mut self, _: &Records, key: &Bytes, _: &Bytes, result: &Bytes) {
        self.versions.push((key.clone(), Some(result.clone())));
    }

    fn removed(&mut self, records: &Records, key: &Bytes) {
        let own = records.get(key).and_then(|value| stamp_of(value));
        let hidden = records.get(&hidden_of(key)).and_then(|value| stamp_of(value));
        if base_of(key) == key && own > hidden {
            self.broken(&format!(
                "{key:?} of stamp {own:?} was removed, its tombstone is {hidden:?}"
            ));
        }
        self.versions.push((key.clone(), None));
    }

    fn failed(&mut self, _: &Bytes, _: &Bytes) {}

    fn kept(&mut self, _: &Bytes) {}

    fn emptied(&mut self) {}

    fn fails(&mut self) -> bool {
        false
    }
}
