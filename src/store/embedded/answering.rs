//! What answers are made from: the records, and what clients share beside them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;

use super::records::{Cursor, Fault, Records};
use super::stat::{self, Master, Origin, Status};
use crate::command::Reply;
use crate::command::function::until_nul;

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

    /// Takes note of a master, which `stat` tells of.
    pub fn set_master(&self, host: &[u8], port: i32, timestamp: u64) -> Reply {
        let mut master = self.state.master.lock();
        master.host = String::from_utf8_lossy(until_nul(host)).into_owned();
        master.port = port;
        if timestamp > 0 {
            master.timestamp = timestamp;
        }
        Reply::OK
    }

    /// What `stat` says.
    pub fn stat(&self, now: Duration) -> Result<String, Fault> {
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
