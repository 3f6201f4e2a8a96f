//! What each command does and answers: written once, for records wherever they are kept.

use std::time::Duration;

use bytes::Bytes;

use super::answering::{Answering, FAILED};
use super::bounds::asks_for_bounds;
use super::misc;
use super::number;
use super::records::{Cursor, Fault, Records};
use crate::command::function::Function;
use crate::command::function::until_nul;
use crate::command::{Command, Kind, Reply};
use crate::protocol::tyrant::opcode::Opcode;

impl<R: Records> Answering<'_, R> {
    /// Carries out `command`, completely, before it returns. `now` is the time since the epoch, and only `stat` tells it.
    pub fn execute(&self, command: &Command, now: Duration) -> Result<Reply, Fault> {
        let records = self.records;
        Ok(match command {
            Command::Put { key, value } | Command::PutNr { key, value } => {
                records.put(key, value)?;
                Reply::OK
            }
            Command::PutKeep { key, value } => found(records.put_new(key, value)?),
            Command::PutCat { key, value } => found(self.append(key, value)?),
            Command::PutShl { key, value, width } => self.shift(key, value, *width)?,
            Command::Out { key } => found(records.remove(key)?),
            Command::Get { key } => records.get(key)?.map_or(FAILED, Reply::Value),
            Command::Mget { keys } => self.mget(keys)?,
            Command::Vsiz { key } => self.vsiz(key)?,
            Command::IterInit => {
                *self.state.iterator.lock() = Cursor::START;
                Reply::OK
            }
            Command::IterNext => self.iternext()?.map_or(FAILED, |(key, _)| Reply::Value(key)),
            Command::FwmKeys { prefix, max } => {
                Reply::Keys(records.keys(prefix, usize::try_from(*max).unwrap_or(usize::MAX))?)
            }
            Command::AddInt { key, number } => self.add_integer(key, *number)?,
            Command::AddDouble {
                key,
                integral,
                fractional,
            } => self.add_double(key, number::unpack(*integral, *fractional))?,
            Command::Optimize { parameters } if asks_for_bounds(parameters) => FAILED,
            Command::Optimize { .. } => Reply::OK,
            Command::Sync => {
                records.sync()?;
                Reply::OK
            }
            Command::Vanish => {
                self.vanish()?;
                Reply::OK
            }
            Command::SetMst {
                host, port, timestamp, ..
            } => self.set_master(host, *port, *timestamp),
            Command::Rnum => Reply::Count(records.len()?),
            Command::Size => Reply::Count(records.size()?),
            Command::Stat => Reply::Value(self.stat(now)?.into()),
            Command::Misc {
                function, arguments, ..
            } => match misc::call(self, function, arguments)? {
                Some(strings) => Reply::Strings { code: 0, strings },
                None => failure_of(command, FAILED.code()),
            },
            Command::Ext { .. } | Command::Copy { .. } | Command::Restore { .. } | Command::Repl { .. } => FAILED,
        })
    }

    fn mget(&self, keys: &[Bytes]) -> Result<Reply, Fault> {
        let mut found = Vec::new();
        for key in keys {
            if let Some(value) = self.records.get(key)? {
                found.push((key.clone(), value));
            }
        }
        Ok(Reply::Records(found))
    }

    fn vsiz(&self, key: &[u8]) -> Result<Reply, Fault> {
        let size = self.records.value_size(key)?;
        let size = size.and_then(|size| i32::try_from(size).ok());
        Ok(size.map_or(FAILED, Reply::Number))
    }
}

fn found(success: bool) -> Reply {
    if success { Reply::OK } else { FAILED }
}

/// The answer that says with this code that a command failed.
pub fn failure_of(command: &Command, code: u8) -> Reply {
    match command {
        Command::Misc { .. } => Reply::Strings {
            code,
            strings: Vec::new(),
        },
        _ => Reply::Code(code),
    }
}

/// Whether a command changes no record.
pub fn is_read(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => matches!(
            Function::named(until_nul(function)),
            Function::Read | Function::Scan | Function::IterInit | Function::IterNext
        ),
        other => matches!(Opcode::of(other.verb()).kind, Kind::Read | Kind::Iterate),
    }
}

/// What is answered, where that is possible: a change that failed has a code for it, never 1, which for `putkeep` and
/// `out` says something of the record. A read has none, since "no record" would be a lie; only what concerns no record in
/// particular can fail openly.
pub fn settled(command: &Command, outcome: Result<Reply, Fault>) -> Result<Reply, Fault> {
    match outcome {
        Err(_) if !is_read(command) || matches!(command, Command::Rnum | Command::Size | Command::Stat) => {
            Ok(failure_of(command, Reply::UNAVAILABLE))
        }
        other => other,
    }
}
