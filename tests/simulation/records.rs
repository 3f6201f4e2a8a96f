//! What the backend keeps, and how it carries out each command: modelled after the real server with a hash, or with a
//! B+ tree, where `misc putlist` adds duplicates, `get` finds the first of them, `put` replaces it and `out` removes it.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};
use ttguard::command::{Command, Reply};

use crate::plan::Database;

/// Who is told of every change, before it is made.
pub trait Witness {
    /// A record is about to be put over what was there.
    fn put(&mut self, records: &Records, key: &Bytes, value: &Bytes);
    /// Bytes are about to be added to a record; `result` is what it becomes.
    fn changed(&mut self, records: &Records, key: &Bytes, added: &Bytes, result: &Bytes);
    /// A record is about to be removed, if it is there.
    fn removed(&mut self, records: &Records, key: &Bytes);
    /// A put was tried and failed.
    fn failed(&mut self, key: &Bytes, value: &Bytes);
    /// `putkeep` found a record.
    fn kept(&mut self, value: &Bytes);
    /// Everything is about to be removed.
    fn emptied(&mut self);
    /// Whether this change fails for want of room.
    fn fails(&mut self) -> bool;
    /// A value is about to be added behind others of the same key.
    fn duplicated(&mut self, _key: &Bytes, _value: &Bytes) {}
    /// With the first value gone, this one is the first.
    fn uncovered(&mut self, _key: &Bytes, _value: &Bytes) {}
}

/// The records of the backend.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The first value of each key.
    map: BTreeMap<Bytes, Bytes>,
    /// On a B+ tree: further values.
    duplicates: BTreeMap<Bytes, VecDeque<Bytes>>,
    database: Database,
    iterator: Option<Bytes>,
}

impl Records {
    /// An empty database of this kind.
    pub fn of(database: Database) -> Self {
        Self {
            database,
            ..Self::default()
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.map.get(key)
    }

    /// Every record, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.map.iter()
    }

    fn put(&mut self, key: &Bytes, value: &Bytes, witness: &mut impl Witness) -> bool {
        if witness.fails() {
            witness.failed(key, value);
            return false;
        }
        witness.put(self, key, value);
        self.map.insert(key.clone(), value.clone());
        true
    }

    fn out(&mut self, key: &Bytes, witness: &mut impl Witness) -> bool {
        witness.removed(self, key);
        let next = self.duplicates.get_mut(key).and_then(VecDeque::pop_front);
        if let Some(next) = &next {
            witness.uncovered(key, next);
        }
        match next {
            Some(next) => self.map.insert(key.clone(), next).is_some(),
            None => self.map.remove(key).is_some(),
        }
    }

    /// What `misc putlist` does with each pair.
    fn add(&mut self, key: &Bytes, value: &Bytes, witness: &mut impl Witness) -> bool {
        if self.database != Database::Tree || !self.map.contains_key(key) {
            return self.put(key, value, witness);
        }
        if witness.fails() {
            witness.failed(key, value);
            return false;
        }
        witness.duplicated(key, value);
        self.duplicates.entry(key.clone()).or_default().push_back(value.clone());
        true
    }

    /// Scripts: one adds to a record, one overwrites it. Both answer what they were given.
    fn script(&mut self, function: &[u8], key: &Bytes, value: &Bytes, witness: &mut impl Witness) -> Reply {
        let mut result = match function {
            b"add" => BytesMut::from(self.get(key).map_or(&b""[..], |old| old)),
            b"set" => BytesMut::new(),
            _ => return Reply::Code(1),
        };
        result.put_slice(value);
        self.change(key, value, result.freeze(), witness);
        Reply::Value(value.clone())
    }

    fn change(&mut self, key: &Bytes, added: &Bytes, result: Bytes, witness: &mut impl Witness) {
        witness.changed(self, key, added, &result);
        self.map.insert(key.clone(), result);
    }

    /// Carries out a command.
    pub fn execute(&mut self, command: &Command, witness: &mut impl Witness) -> Reply {
        match command {
            Command::Put { key, value } | Command::PutNr { key, value } => code(self.put(key, value, witness)),
            Command::PutKeep { key, value } => code(self.put_keep(key, value, witness)),
            Command::PutCat { key, value } => {
                let mut result = BytesMut::from(self.get(key).map_or(&b""[..], |old| old));
                result.put_slice(value);
                self.change(key, value, result.freeze(), witness);
                Reply::OK
            }
            Command::AddInt { key, number } => self.add_int(key, *number, witness),
            Command::Out { key } => code(self.out(key, witness)),
            Command::Get { key } => self.get(key).cloned().map_or(Reply::Code(1), Reply::Value),
            Command::Mget { keys } => Reply::Records(self.found(keys)),
            Command::Vsiz { key } => self
                .get(key)
                .map_or(Reply::Code(1), |value| Reply::Number(value.len() as i32)),
            Command::IterInit => {
                self.iterator = self.map.keys().next().cloned();
                Reply::OK
            }
            Command::IterNext => self.next_key().map_or(Reply::Code(1), Reply::Value),
            Command::FwmKeys { prefix, max } => {
                let most = usize::try_from(*max).unwrap_or(usize::MAX);
                let keys = self.map.keys().filter(|key| key.starts_with(prefix));
                Reply::Keys(keys.take(most).cloned().collect())
            }
            Command::Rnum => Reply::Count(self.map.len() as u64),
            Command::Vanish => {
                witness.emptied();
                self.map.clear();
                self.duplicates.clear();
                Reply::OK
            }
            Command::Ext {
                function, key, value, ..
            } => self.script(function, key, value, witness),
            Command::Misc {
                function, arguments, ..
            } => self.misc(function, arguments, witness),
            _ => Reply::OK,
        }
    }

    fn put_keep(&mut self, key: &Bytes, value: &Bytes, witness: &mut impl Witness) -> bool {
        if self.map.contains_key(key) {
            witness.kept(value);
            return false;
        }
        self.put(key, value, witness)
    }

    fn add_int(&mut self, key: &Bytes, number: i32, witness: &mut impl Witness) -> Reply {
        let old = match self.get(key) {
            None => 0,
            Some(value) => match <[u8; 4]>::try_from(value.as_ref()) {
                Ok(bytes) => i32::from_ne_bytes(bytes),
                Err(_) => return Reply::Code(1),
            },
        };
        let sum = old.wrapping_add(number);
        let added = Bytes::copy_from_slice(&number.to_ne_bytes());
        self.change(key, &added, Bytes::copy_from_slice(&sum.to_ne_bytes()), witness);
        Reply::Number(sum)
    }

    fn found(&self, keys: &[Bytes]) -> Vec<(Bytes, Bytes)> {
        let found = keys
            .iter()
            .filter_map(|key| Some((key.clone(), self.get(key)?.clone())));
        found.collect()
    }

    /// What `misc getlist` answers: every value of each key.
    fn found_all(&self, keys: &[Bytes]) -> Vec<Bytes> {
        let values = |key: &Bytes| {
            self.map
                .get(key)
                .into_iter()
                .chain(self.duplicates.get(key).into_iter().flatten())
        };
        let pairs = keys
            .iter()
            .flat_map(|key| values(key).flat_map(|value| [key.clone(), value.clone()]));
        pairs.collect()
    }

    fn next_key(&mut self) -> Option<Bytes> {
        let key = self.iterator.take()?;
        self.iterator = self.map.range(key.clone()..).nth(1).map(|(next, _)| next.clone());
        Some(key)
    }

    fn misc(&mut self, function: &[u8], arguments: &[Bytes], witness: &mut impl Witness) -> Reply {
        let (done, strings) = match (function, arguments) {
            (b"put", [key, value]) => (self.put(key, value, witness), Vec::new()),
            (b"putkeep", [key, value]) => (self.put_keep(key, value, witness), Vec::new()),
            (b"out", [key, ..]) => (self.out(key, witness), Vec::new()),
            (b"get", [key, ..]) => {
                let found = self.get(key).cloned();
                (found.is_some(), found.into_iter().collect())
            }
            (b"getlist", keys) => (true, self.found_all(keys)),
            (b"putlist", pairs) => {
                // At the first that cannot be stored it ends.
                let mut pairs = pairs.chunks_exact(2);
                let done = pairs.all(|pair| self.add(&pair[0], &pair[1], witness));
                (done, Vec::new())
            }
            (b"outlist", keys) => {
                for key in keys {
                    self.duplicates.remove(key);
                    self.out(key, witness);
                }
                (true, Vec::new())
            }
            _ => (false, Vec::new()),
        };
        Reply::Strings {
            code: u8::from(!done),
            strings,
        }
    }
}

fn code(done: bool) -> Reply {
    Reply::Code(u8::from(!done))
}
