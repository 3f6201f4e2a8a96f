//! Where the stamp of a key is kept in this backend, and what is the same key to it.

use bytes::Bytes;

use crate::command::{Command, Reply, columns};
use crate::engine::Engine;
use crate::engine::records;
use crate::guard::ledger::KeyHash;
use crate::guard::verdict::{Change, ReadBack};

impl Engine {
    /// What shows a key's stamp.
    pub fn question_of(&self, key: &Bytes) -> Command {
        if self.stamp_column().is_some() {
            // Each column in a string of its own: one that holds NUL cannot be taken for two.
            return Command::Misc {
                function: Bytes::from_static(b"get"),
                options: 0,
                arguments: vec![key.clone()],
            };
        }
        let mut keys = vec![key.clone()];
        if self.capabilities().holds_records {
            keys.push(records::name_of(key));
        }
        Command::Mget { keys }
    }

    /// The hash under which the guard remembers a key.
    pub fn hash_of(&self, key: &Bytes) -> KeyHash {
        let identity = self.capabilities().identity(key);
        self.shared.guard.key(identity.as_deref().unwrap_or(key))
    }

    /// The column that carries the stamp, in front of a table where the settings name one.
    pub fn stamp_column(&self) -> Option<&str> {
        let column = self.stamp_column.as_deref();
        column.filter(|_| self.capabilities().has_columns)
    }

    /// The change that storing `value` is.
    pub fn change_of<'a>(&self, value: &'a [u8]) -> Change<'a> {
        match self.stamp_column() {
            Some(column) => self.change_by(columns::in_value(value, column.as_bytes()), value),
            None => self.shared.guard.change_of(value),
        }
    }

    /// The change that storing `value` is where `stamped` has its stamp.
    pub fn change_by<'a>(&self, stamped: Option<&[u8]>, value: &'a [u8]) -> Change<'a> {
        let stamp = stamped.and_then(|stamped| self.shared.guard.stamp().read_digits(stamped));
        stamp.map_or(Change::Unstamped, |stamp| Change::Stamped { stamp, value })
    }

    /// What reading a key back has shown; nothing when the backend failed.
    pub fn read_back_of(&self, key: &Bytes, reply: Reply) -> Option<ReadBack> {
        let format = self.shared.guard.stamp();
        let found = match reply {
            Reply::Records(found) => found,
            Reply::Strings { code, strings } => {
                let column = self.stamp_column()?.as_bytes();
                let stamp = columns::among(&strings, column).and_then(|value| format.read_digits(value));
                let value = (code == 0).then(|| columns::joined(&strings));
                return Some(ReadBack {
                    stamp,
                    record: None,
                    value,
                });
            }
            _ => return None,
        };
        let value = found.iter().find(|(echoed, _)| echoed == key).map(|(_, value)| value);
        let record = found.iter().find(|(echoed, _)| echoed != key).map(|(_, value)| value);
        Some(ReadBack {
            stamp: value.and_then(|value| format.read(value)),
            record: record.and_then(|record| format.read_digits(record)),
            value: value.cloned(),
        })
    }
}
