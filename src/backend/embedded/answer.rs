//! What each command does and answers: written once, for records wherever they are kept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;

use super::misc;
use super::number;
use super::records::{Cursor, Fault, Records};
use super::stat::{self, Master, Origin, Status};
use crate::command::function::Function;
use crate::command::function::until_nul;
use crate::command::{Command, Kind, Reply};
use crate::protocol::tyrant::opcode::Opcode;

/// The answer to what cannot be done, the only one that the server knows.
pub const FAILED: Reply = Reply::Code(1);

/// What clients share beside the records. It ends with the process.
pub struct State {
    /// The one iterator that all clients share.
    pub iterator: Mutex<Cursor>,
    master: Mutex<Master>,
    started: Duration,
    /// What `stat` says of the records' whereabouts.
    origin: Origin,
}

impl State {
    /// Of a store that counts its age from now.
    pub fn new(origin: Origin) -> Self {
        Self {
            iterator: Mutex::new(Cursor::END),
            master: Mutex::default(),
            started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            origin,
        }
    }
}

/// Records, and what is needed to answer for them.
pub struct Answering<'a, R> {
    pub state: &'a State,
    pub records: &'a R,
}

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

    /// The next record of the iterator that all share. Two who ask at once get two records.
    pub fn iternext(&self) -> Result<Option<(Bytes, Bytes)>, Fault> {
        let mut found = None;
        let mut cursor = self.state.iterator.lock();
        self.records.walk(&mut cursor, |key, value| {
            found = Some((key, value));
            false
        })?;
        Ok(found)
    }

    /// Deletes every record; the iterator is at its end until it is started again.
    pub fn vanish(&self) -> Result<(), Fault> {
        self.records.clear()?;
        *self.state.iterator.lock() = Cursor::END;
        Ok(())
    }

    fn set_master(&self, host: &[u8], port: i32, timestamp: u64) -> Reply {
        let mut master = self.state.master.lock();
        master.host = String::from_utf8_lossy(until_nul(host)).into_owned();
        master.port = port;
        if timestamp > 0 {
            master.timestamp = timestamp;
        }
        Reply::OK
    }

    fn stat(&self, now: Duration) -> Result<String, Fault> {
        let master = self.state.master.lock().clone();
        Ok(stat::lines(&Status {
            now,
            uptime: now.saturating_sub(self.state.started),
            records: self.records.len()?,
            size: self.records.size()?,
            origin: &self.state.origin,
            master,
        }))
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

/// Whether the parameters of `optimize` (`name=value`, joined by `#`) bound the store by dropping records.
/// A bound of zero or below is none.
pub fn asks_for_bounds(parameters: &[u8]) -> bool {
    until_nul(parameters).split(|byte| *byte == b'#').any(|parameter| {
        let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
        let value = parameter.get(name.len() + 1..).unwrap_or_default();
        let bounds = name.eq_ignore_ascii_case(b"capnum") || name.eq_ignore_ascii_case(b"capsiz");
        bounds && value.iter().any(|byte| (b'1'..=b'9').contains(byte)) && !value.contains(&b'-')
    })
}
