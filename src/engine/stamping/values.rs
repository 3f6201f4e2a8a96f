//! Where the values are in commands and in their answers: to put stamps before the ones, and take them off the others.

use std::collections::HashSet;

use bytes::Bytes;

use crate::command::function::{Function, until_nul};
use crate::command::{Command, Kind, Reply, columns};
use crate::guard::stamp::StampFormat;
use crate::protocol::tyrant::opcode::Opcode;

/// Whether a command is a write that has a stamp, wherever that is given.
pub fn is_write(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => matches!(
            Function::named(function),
            Function::Put
                | Function::PutKeep
                | Function::PutList
                | Function::Unordered
                | Function::Out
                | Function::OutList
                | Function::Stamp
        ),
        // One that is mapped to a guarded command.
        Command::Ext { .. } => true,
        other => matches!(
            Opcode::of(other.verb()).kind,
            Kind::Write | Kind::Delete | Kind::Unordered
        ),
    }
}

/// How a write gets its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Its values are stored as they are, behind the stamp.
    Plain,
    /// What it stores is made of what is there.
    Made,
    /// It stores no value.
    None,
}

impl Writing {
    /// How this command does, but for its edit: whatever has one is made.
    pub fn of(command: &Command) -> Self {
        match command {
            Command::Put { .. } | Command::PutNr { .. } => Self::Plain,
            Command::PutKeep { .. }
            | Command::PutCat { .. }
            | Command::PutShl { .. }
            | Command::AddInt { .. }
            | Command::AddDouble { .. } => Self::Made,
            Command::Misc {
                function, arguments, ..
            } => Self::of_call(function, arguments),
            _ => Self::None,
        }
    }

    /// The same of a function of `misc`.
    pub fn of_call(function: &[u8], arguments: &[Bytes]) -> Self {
        match Function::named(function) {
            _ if arguments.len() < 2 => Self::None,
            Function::Put | Function::PutList => Self::Plain,
            Function::PutKeep => Self::Made,
            Function::Unordered if until_nul(function) == b"putcat" => Self::Made,
            // A value beside others of the same key, which stay.
            Function::Unordered => Self::Plain,
            _ => Self::None,
        }
    }
}

/// How stamps are put before the values of a command, or into a column of theirs.
#[derive(Clone, Debug)]
pub struct Stamping {
    /// How a stamp stands before a value.
    pub format: StampFormat,
    /// The stamp.
    pub stamp: u64,
    /// The column that holds it, in front of a table.
    pub column: Option<String>,
    /// Whether only the last value of a key in a list is to be kept: with one stamp for all of them the rule for ties could
    /// keep another.
    pub last_only: bool,
}

impl Stamping {
    /// A value with its stamp.
    pub fn value(&self, value: &[u8]) -> Bytes {
        match &self.column {
            None => self.format.stamped(self.stamp, value),
            Some(column) => {
                let given = columns::split(&Bytes::copy_from_slice(value));
                let mut strings = without(&given, column);
                strings.extend(self.in_column(column));
                columns::joined(&strings)
            }
        }
    }

    fn in_column(&self, column: &str) -> [Bytes; 2] {
        let digits = self.format.write(self.stamp);
        [Bytes::copy_from_slice(column.as_bytes()), Bytes::from(digits)]
    }

    /// A command whose values are stored as they are, with their stamps.
    pub fn command(&self, command: Command) -> Command {
        match command {
            Command::Put { key, value } => Command::Put {
                key,
                value: self.value(&value),
            },
            Command::PutNr { key, value } => Command::PutNr {
                key,
                value: self.value(&value),
            },
            Command::Misc {
                function,
                options,
                arguments,
            } => Command::Misc {
                arguments: self.arguments(Function::named(&function), arguments),
                function,
                options,
            },
            other => other,
        }
    }

    fn arguments(&self, function: Function, mut arguments: Vec<Bytes>) -> Vec<Bytes> {
        match (function, &self.column) {
            (Function::PutList, _) => {
                if self.last_only {
                    arguments = last_of_each(arguments);
                }
                let values = arguments.iter_mut().skip(1).step_by(2);
                values.for_each(|value| *value = self.value(value));
            }
            (_, Some(column)) => {
                let mut given = without(&arguments[1..], column);
                given.extend(self.in_column(column));
                arguments.splice(1.., given);
            }
            _ => arguments[1] = self.value(&arguments[1]),
        }
        arguments
    }
}

/// Keys and values in turn, of each key the last value.
fn last_of_each(arguments: Vec<Bytes>) -> Vec<Bytes> {
    let mut seen = HashSet::new();
    let pairs = arguments.chunks(2).rev();
    let mut kept: Vec<_> = pairs.filter(|pair| seen.insert(&pair[0])).collect();
    kept.reverse();
    kept.concat()
}

/// Names and values in turn without a column. A name at the end without a value is none.
fn without(strings: &[Bytes], column: &str) -> Vec<Bytes> {
    let others = strings.chunks_exact(2).filter(|pair| pair[0] != column.as_bytes());
    others.flatten().cloned().collect()
}

/// Where an answer has values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Nowhere, or they are shown as they are.
    None,
    /// It is one.
    One,
    /// In its records.
    Records,
    /// Its strings are one, or the columns of one.
    Strings,
    /// Its strings are keys and values in turn.
    Pairs,
    /// Its strings are keys, or the columns of records in whole.
    Rows,
}

impl Values {
    /// Where the answer to a command has them.
    pub fn of(command: &Command) -> Self {
        match command {
            Command::Get { .. } => Self::One,
            Command::Mget { .. } => Self::Records,
            Command::Misc { function, .. } => match Function::named(function) {
                Function::Read if Function::lists(function) => Self::Pairs,
                Function::Read if until_nul(function) == b"get" => Self::Strings,
                Function::IterNext | Function::Scan => Self::Pairs,
                Function::Search => Self::Rows,
                _ => Self::None,
            },
            _ => Self::None,
        }
    }

    /// The answer without its stamps, and the newest of them; 0 where it has none.
    pub fn strip(self, format: StampFormat, column: Option<&str>, reply: Reply) -> (Reply, u64) {
        let mut stripping = Stripping {
            format,
            column,
            newest: 0,
        };
        let reply = match (self, reply) {
            (Self::One, Reply::Value(value)) => Reply::Value(stripping.value(value)),
            (Self::Records, Reply::Records(mut records)) => {
                records.iter_mut().for_each(|(_, value)| stripping.replace(value));
                Reply::Records(records)
            }
            (Self::Strings, Reply::Strings { code, strings }) => Reply::Strings {
                code,
                strings: stripping.strings(strings),
            },
            (Self::Pairs, Reply::Strings { code, mut strings }) => {
                match column {
                    // Key, then the columns of one record, each in a string of its own.
                    Some(_) if strings.len() != 2 && !strings.is_empty() => {
                        let columns = strings.split_off(1);
                        strings.extend(stripping.strings(columns));
                    }
                    _ => strings
                        .iter_mut()
                        .skip(1)
                        .step_by(2)
                        .for_each(|value| stripping.replace(value)),
                }
                Reply::Strings { code, strings }
            }
            (Self::Rows, Reply::Strings { code, mut strings }) => {
                strings.iter_mut().for_each(|row| stripping.row(row));
                Reply::Strings { code, strings }
            }
            (_, other) => other,
        };
        (reply, stripping.newest)
    }
}

/// Stamps are taken off.
struct Stripping<'a> {
    format: StampFormat,
    column: Option<&'a str>,
    newest: u64,
}

impl Stripping<'_> {
    fn value(&mut self, value: Bytes) -> Bytes {
        if let Some(column) = self.column {
            return self.columns(&value, column).unwrap_or(value);
        }
        match self.format.strip(&value) {
            Some((stamp, own)) => {
                self.newest = self.newest.max(stamp);
                own
            }
            None => value,
        }
    }

    fn replace(&mut self, value: &mut Bytes) {
        *value = self.value(std::mem::take(value));
    }

    /// Columns with NUL between, without that of the stamp; nothing where it is not among them.
    fn columns(&mut self, value: &Bytes, column: &str) -> Option<Bytes> {
        let stamp = columns::in_value(value, column.as_bytes())?;
        self.newest = self.newest.max(self.format.read_digits(stamp).unwrap_or(0));
        Some(columns::joined(&without(&columns::split(value), column)))
    }

    fn strings(&mut self, strings: Vec<Bytes>) -> Vec<Bytes> {
        let Some(column) = self.column else {
            return strings.into_iter().map(|value| self.value(value)).collect();
        };
        let Some(stamp) = columns::among(&strings, column.as_bytes()) else {
            return strings;
        };
        self.newest = self.newest.max(self.format.read_digits(stamp).unwrap_or(0));
        without(&strings, column)
    }

    /// A row that a search has found with all its columns begins with NUL, its key, and NUL.
    fn row(&mut self, row: &mut Bytes) {
        let (Some(column), true) = (self.column, row.first() == Some(&0)) else {
            return;
        };
        if let Some(stripped) = self.columns(row, column) {
            *row = stripped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: u64 = 1_700_000_000_000_000;

    fn stamping(column: Option<&str>) -> Stamping {
        Stamping {
            format: StampFormat::given(Default::default()),
            stamp: STAMP,
            column: column.map(str::to_owned),
            last_only: false,
        }
    }

    fn strings(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    fn misc(function: &'static str, texts: &[&'static str]) -> Command {
        Command::Misc {
            function: Bytes::from_static(function.as_bytes()),
            options: 0,
            arguments: strings(texts),
        }
    }

    #[test]
    fn what_is_put_is_read_as_it_was() {
        let stamping = stamping(None);
        let stamped = |value: &str| Bytes::from(format!("{STAMP}\x1e{value}"));
        let put = misc("putlist", &["a", "1", "b", ""]);
        let Command::Misc { arguments, .. } = stamping.command(put) else {
            panic!("it is the same command");
        };
        assert_eq!(
            arguments,
            [Bytes::from("a"), stamped("1"), Bytes::from("b"), stamped("")]
        );
        let reply = Reply::Strings {
            code: 0,
            strings: arguments,
        };
        let (reply, newest) = Values::of(&misc("getlist", &["a", "b"])).strip(stamping.format, None, reply);
        assert_eq!(newest, STAMP);
        assert_eq!(
            reply,
            Reply::Strings {
                code: 0,
                strings: strings(&["a", "1", "b", ""])
            }
        );
    }

    #[test]
    fn of_a_key_that_a_list_names_twice_the_last_value_counts() {
        let stamping = Stamping {
            last_only: true,
            ..stamping(None)
        };
        let put = misc("putlist", &["a", "1", "b", "2", "a", "3"]);
        let Command::Misc { arguments, .. } = stamping.command(put) else {
            panic!("it is the same command");
        };
        assert_eq!(arguments[0], "b");
        assert_eq!(arguments[3], format!("{STAMP}\x1e3"));
        assert_eq!(arguments.len(), 4);
    }

    #[test]
    fn a_column_of_its_own_is_never_seen() {
        let stamping = stamping(Some("ts"));
        let value = stamping.value(b"a\x001\0ts\0client's\0b\x002");
        assert_eq!(value, format!("a\x001\0b\x002\0ts\0{STAMP}"));
        let (reply, newest) = Values::One.strip(stamping.format, Some("ts"), Reply::Value(value.clone()));
        assert_eq!((reply, newest), (Reply::Value(Bytes::from("a\x001\0b\x002")), STAMP));
        let row = Bytes::from([b"\0key\0", &value[..]].concat());
        let found = Reply::Strings {
            code: 0,
            strings: vec![row, Bytes::from("key")],
        };
        let (reply, _) = Values::Rows.strip(stamping.format, Some("ts"), found);
        assert_eq!(
            reply,
            Reply::Strings {
                code: 0,
                strings: strings(&["\0key\0a\x001\0b\x002", "key"])
            }
        );
    }

    #[test]
    fn old_values_are_read_as_they_are() {
        let format = StampFormat::given(Default::default());
        for value in ["", "old", "1700000000000000old", "\x1e"] {
            let (reply, newest) = Values::One.strip(format, None, Reply::Value(Bytes::from(value)));
            assert_eq!((reply, newest), (Reply::Value(Bytes::from(value)), 0));
        }
    }
}
