//! Keys with the records that keep their stamps, read together.

use bytes::Bytes;

use crate::command::{Command, Reply};
use crate::engine::records;
use crate::transfer::Fault;
use crate::transfer::link::{Answers, Place, Questions, connect};

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

/// A connection beside that of the walk, on which one question is asked at a time: so neither side can be kept from
/// reading by what it has to write.
pub struct Pairs {
    questions: Questions,
    answers: Answers,
}

impl Pairs {
    /// Connects.
    pub fn connect(server: &Place) -> Result<Self, Fault> {
        let (questions, answers) = connect(server)?;
        Ok(Self { questions, answers })
    }

    fn ask(&mut self, command: &Command) -> Result<Reply, Fault> {
        let asked = self.questions.ask(command).and_then(|()| self.questions.flush());
        asked.map_err(|error| self.answers.fault(error.to_string()))?;
        self.answers.next(command)
    }

    /// What is stored of these keys, in their order.
    pub fn look(&mut self, keys: Vec<Bytes>) -> Result<Vec<Pair>, Fault> {
        let asked = keys
            .iter()
            .flat_map(|key| [key.clone(), records::name_of(key)])
            .collect();
        let found = match self.ask(&Command::Mget { keys: asked })? {
            Reply::Records(found) => found,
            reply => {
                let problem = format!("mget was answered with code {}", reply.code());
                return Err(self.answers.fault(problem));
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
            Some(_) => Err(self.answers.fault("mget was answered with other keys".to_owned())),
        }
    }

    /// Calls one of ttguard's own functions; true where it did what it is for.
    pub fn tidy(&mut self, function: &'static str, arguments: Vec<Bytes>) -> Result<bool, Fault> {
        let reply = self.ask(&Command::Misc {
            function: Bytes::from_static(function.as_bytes()),
            options: 0,
            arguments,
        })?;
        match reply.code() {
            0 => Ok(true),
            1 => Ok(false),
            5 => Err(self.answers.fault(
                "refuses to remove tombstones of this age: its own future_tolerance and delete_tolerance ask for more, or \
                 its stamps are no time"
                    .to_owned(),
            )),
            code => Err(self.answers.fault(format!("{function} was answered with code {code}"))),
        }
    }
}
