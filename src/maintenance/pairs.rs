//! Keys with the records that keep their stamps, read together.

use bytes::Bytes;

use crate::client::blocking::Blocking;
use crate::client::place::Place;
use crate::command::{Command, Reply};
use crate::engine::records;
use crate::transfer::{Fault, connect};

/// Keys that are asked for at once. Their values are held for a moment.
pub const BATCH: usize = 32;

/// What is stored of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Option<Bytes>,
    /// The record `timestamp.KEY`.
    pub record: Option<Bytes>,
}

/// A connection beside that of the walk, on which one question is asked at a time.
pub struct Pairs {
    connection: Blocking,
    /// What shows what is stored: a ttguard that gives stamps takes them off what others read.
    ask: fn(Vec<Bytes>) -> Command,
}

fn stored(arguments: Vec<Bytes>) -> Command {
    Command::Misc {
        function: Bytes::from_static(b"ttguard_stored"),
        options: 0,
        arguments,
    }
}

impl Pairs {
    /// Connects.
    pub fn connect(server: &Place) -> Result<Self, Fault> {
        let mut connection = connect(server)?;
        let knows_it = connection.ask(&stored(Vec::new()))?.code() == 0;
        let ask = if knows_it {
            stored
        } else {
            |keys| Command::Mget { keys }
        };
        Ok(Self { connection, ask })
    }

    /// What is stored of these keys, in their order.
    pub fn look(&mut self, keys: Vec<Bytes>) -> Result<Vec<Pair>, Fault> {
        let asked = keys
            .iter()
            .flat_map(|key| [key.clone(), records::name_of(key)])
            .collect();
        let found = match self.connection.ask(&(self.ask)(asked))? {
            Reply::Records(found) => found,
            Reply::Strings { code: 0, strings } => {
                let pair = |pair: &[Bytes]| Some((pair.first()?.clone(), pair.get(1)?.clone()));
                strings.chunks(2).filter_map(pair).collect()
            }
            reply => {
                let problem = format!("mget was answered with code {}", reply.code());
                return Err(self.connection.unfit(problem).into());
            }
        };
        // They are answered in the order of the question, and those that are not there are left out.
        let mut found = found.into_iter().peekable();
        let mut take = |name: &Bytes| found.next_if(|(echoed, _)| echoed == name).map(|(_, value)| value);
        let pair = |key: Bytes| Pair {
            value: take(&key),
            record: take(&records::name_of(&key)),
            key,
        };
        let pairs = keys.into_iter().map(pair).collect();
        match found.next() {
            None => Ok(pairs),
            Some(_) => Err(self.connection.unfit("mget was answered with other keys").into()),
        }
    }

    /// Calls one of ttguard's own functions; true where it did what it is for.
    pub fn tidy(&mut self, function: &'static str, arguments: Vec<Bytes>) -> Result<bool, Fault> {
        let reply = self.connection.ask(&Command::Misc {
            function: Bytes::from_static(function.as_bytes()),
            options: 0,
            arguments,
        })?;
        let problem = match reply.code() {
            0 => return Ok(true),
            1 => return Ok(false),
            5 => "refuses to remove tombstones of this age: its own future_tolerance and delete_tolerance ask for more, or \
                  its stamps are no time"
                .to_owned(),
            code => format!("{function} was answered with code {code}"),
        };
        Err(self.connection.unfit(problem).into())
    }
}
