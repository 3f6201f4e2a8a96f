//! Reads that tell of a part of a value, or of its size: where ttguard gives the stamps, what is stored is longer than a
//! client's own bytes.
//!
//! The first bytes of a value say whether it has a stamp. They are asked for before and behind what is told of it, on one
//! lane: where both say the same, it held in between, for what has a stamp is followed only by what has one. So a large value
//! is not read for its size.

use bytes::Bytes;

use super::{Call, Done, Sequence, answered, outcome};
use crate::clock::now;
use crate::command::{Command, Reply};
use crate::engine::completion::Told;
use crate::engine::failure::Failure;
use crate::engine::write::settlement::Tickets;
use crate::metrics::RetryKind;
use crate::store::embedded::{asked_part, part};

/// What a store says of the first bytes of a value.
#[derive(Clone, Copy)]
enum Head {
    /// They are a stamp.
    Stamp(u64),
    /// They are none.
    None,
    /// It does not say.
    Unsaid,
}

/// The functions that read parts of values: key, offset, length.
fn part_of(key: &Bytes, offset: usize, length: usize) -> Command {
    // A server reads numbers of 32 bits.
    let number = |number: usize| Bytes::from(number.min(i32::MAX as usize).to_string());
    Command::Misc {
        function: Bytes::from_static(b"getpart"),
        options: 0,
        arguments: vec![key.clone(), number(offset), number(length)],
    }
}

impl Sequence {
    /// `vsiz`: the size of the client's own bytes.
    pub(super) async fn size_of(&mut self, key: Bytes) -> Done {
        let ask = Command::Vsiz { key: key.clone() };
        if let Some(column) = self.engine.stamp_column() {
            // A row is kept in a form of its own: each name and each value behind its length.
            let taken = column.len() + usize::from(self.engine.shared.guard.stamp().digits()) + 2;
            let (taken, reply) = (i32::try_from(taken).unwrap_or(0), self.exchange(&ask, true).await?);
            let row = self.exchange(&self.engine.question_of(&key), true).await?;
            let has_stamp = self
                .engine
                .read_back_of(&key, row)
                .is_some_and(|row| row.stamp.is_some());
            return Ok(answered(match reply {
                Reply::Number(size) if has_stamp => Reply::Number(size - taken),
                other => other,
            }));
        }
        let head = i32::try_from(self.engine.shared.guard.stamp().head()).unwrap_or(0);
        loop {
            let Some((before, reply, after)) = self.ask_between(&key, &ask).await? else {
                continue;
            };
            let size = match (before, after, reply) {
                (Head::Stamp(_), Head::Stamp(_), Reply::Number(size)) => size - head,
                (Head::None, Head::None, Reply::Number(size)) => size,
                // Of an empty value there is no part.
                (_, _, Reply::Number(0)) => 0,
                (Head::Unsaid, Head::Unsaid, Reply::Number(_)) => match self.read(&key).await? {
                    Ok(value) => i32::try_from(value.len()).unwrap_or(i32::MAX),
                    Err(code) => return Ok(answered(Reply::Code(code))),
                },
                // Its first stamp came between.
                (_, _, Reply::Number(_)) => continue,
                (_, _, other) => return Ok(answered(other)),
            };
            return Ok(answered(Reply::Number(size)));
        }
    }

    /// `getpart`: a part of the client's own bytes.
    pub(super) async fn part_of(&mut self, call: Call) -> Done {
        let key = match call.arguments.first() {
            Some(key) if self.engine.stamp_column().is_none() => key.clone(),
            _ => return Ok(answered(self.exchange(&call.command(), true).await?)),
        };
        let (offset, length) = asked_part(&call.arguments);
        let mut head = self.engine.shared.guard.stamp().head();
        loop {
            let ask = part_of(&key, offset.saturating_add(head), length);
            let Some((before, reply, after)) = self.ask_between(&key, &ask).await? else {
                continue;
            };
            match (before, after) {
                (Head::Stamp(_), Head::Stamp(stamp)) if head > 0 => {
                    self.saw(self.engine.saw(stamp));
                    return Ok(answered(reply));
                }
                (Head::None, Head::None) if head == 0 => return Ok(answered(reply)),
                // It is old data.
                (Head::None, Head::None) => head = 0,
                (Head::Unsaid, Head::Unsaid) => {
                    let (code, strings) = match self.read(&key).await? {
                        Ok(value) => match part(value, &call.arguments) {
                            Some(part) => (0, vec![part]),
                            None => (1, Vec::new()),
                        },
                        Err(code) => (code, Vec::new()),
                    };
                    return Ok(answered(Reply::Strings { code, strings }));
                }
                // Its first stamp came between.
                _ => head = self.engine.shared.guard.stamp().head(),
            }
        }
    }

    /// Asks for the first bytes of a value before and behind this question, on one lane; nothing where it has to be asked
    /// again.
    async fn ask_between(&self, key: &Bytes, ask: &Command) -> Result<Option<(Head, Reply, Head)>, Failure> {
        if now() >= self.deadline {
            return Err(Failure::Deadline);
        }
        let via = self.via(Some(key), 3).await?;
        let head = part_of(key, 0, self.engine.shared.guard.stamp().head());
        let told = [&head, ask, &head].map(|command| self.send(&via, command, Tickets::None));
        drop(via);
        let [before, reply, after] = told;
        let (before, reply, after) = (
            self.told(before).await?,
            self.told(reply).await?,
            self.told(after).await?,
        );
        Ok(match (before, reply, after) {
            (Some(before), Some(reply), Some(after)) => Some((self.head_in(&before), reply, self.head_in(&after))),
            _ => None,
        })
    }

    /// The answer; nothing where it is to be asked for again.
    async fn told(&self, told: Told) -> Result<Option<Reply>, Failure> {
        match outcome(told).await {
            Ok(reply) => Ok(Some(reply)),
            Err(none) => self.may_repeat(none, true, RetryKind::Read).map(|()| None),
        }
    }

    /// A server whose mask denies `misc` answers it with nothing, whatever the code.
    fn head_in(&self, reply: &Reply) -> Head {
        match reply {
            Reply::Strings { code: 0, strings } if !strings.is_empty() => {
                let stamp = self.engine.shared.guard.stamp().read(&strings[0]);
                stamp.map_or(Head::None, Head::Stamp)
            }
            _ => Head::Unsaid,
        }
    }

    /// All of a client's own bytes; or the code of the store where it has none, or cannot say.
    async fn read(&self, key: &Bytes) -> Result<Result<Bytes, u8>, Failure> {
        let value = match self.exchange(&Command::Get { key: key.clone() }, true).await? {
            Reply::Value(value) => value,
            other => return Ok(Err(other.code())),
        };
        Ok(Ok(match self.engine.shared.guard.stamp().strip(&value) {
            Some((stamp, own)) => {
                self.saw(self.engine.saw(stamp));
                own
            }
            None => value,
        }))
    }
}
