//! All records of a server, one after the other.

use bytes::Bytes;

use super::{Fault, connect};
use crate::claim;
use crate::client::blocking::Blocking;
use crate::client::place::Place;
use crate::command::{Command, Reply};
use crate::guard::stamp::RECORD_PREFIX;

/// Records that are asked for ahead. They are read in their order, so that no more than one is held.
const WINDOW: usize = 128;

/// Of those, so many are asked for together: one by one, each would cost both sides a system call.
const TOGETHER: usize = 32;

/// More records than were counted, by this factor and [some](TOO_MANY_MORE), show that somebody else sets the iterator back:
/// without a bound the walk might never end.
const TOO_MANY: u64 = 2;

/// See [`TOO_MANY`].
const TOO_MANY_MORE: u64 = 10_000;

/// A walk over a server's records. A server has one iterator for all its clients, so nobody else may use it meanwhile:
/// [`Self::count`] before and after shows whether the walk can have seen everything. It ends where it has met far more
/// records than were counted before.
pub(crate) struct Walk {
    connection: Blocking,
    /// Whether it goes through a ttguard, which shows its hidden records.
    through_guard: bool,
    further: Command,
    /// Records that have come and that none was asked for in place of.
    due: usize,
    /// Records that were met, of those that are counted.
    met: u64,
    /// It ends when it has met so many.
    most: u64,
    /// Records that ttguard hides are left out here.
    skips_hidden: bool,
}

impl Walk {
    /// Over the records that every client sees.
    pub fn of_visible(server: &Place) -> Result<Self, Fault> {
        Ok(Self {
            connection: connect(server)?,
            through_guard: false,
            further: call("iternext"),
            due: 0,
            met: 0,
            most: u64::MAX,
            skips_hidden: false,
        })
    }

    /// The same with their values as they are stored, where a ttguard gives them stamps that no client sees.
    pub fn of_stored(server: &Place) -> Result<Self, Fault> {
        let mut walk = Self::of_all(server)?;
        // Those that are hidden are not counted.
        walk.skips_hidden = std::mem::replace(&mut walk.through_guard, false);
        Ok(walk)
    }

    /// Over all, those too that ttguard hides.
    pub fn of_all(server: &Place) -> Result<Self, Fault> {
        let mut walk = Self::of_visible(server)?;
        // A server that does not know it answers code 1.
        let reply = walk.connection.ask(&call("ttguard_rnum"))?;
        walk.through_guard = reply.code() == 0;
        if walk.through_guard {
            walk.further = call("ttguard_iternext");
        }
        Ok(walk)
    }

    /// Over all, with nothing for their values where the server is a ttguard.
    pub fn of_all_keys(server: &Place) -> Result<Self, Fault> {
        let mut walk = Self::of_all(server)?;
        if let (true, Command::Misc { arguments, .. }) = (walk.through_guard, &mut walk.further) {
            arguments.push(Bytes::from_static(b"keys"));
        }
        Ok(walk)
    }

    /// Whether the server is a ttguard.
    pub fn is_through_guard(&self) -> bool {
        self.through_guard
    }

    /// How many records it has met, of those that [`Self::count`] counts.
    pub fn met(&self) -> u64 {
        self.met
    }

    /// How many records there are: those that are walked over, and what says whose the server is. To be called before the
    /// walk, too.
    pub fn count(&mut self) -> Result<u64, Fault> {
        let (name, reply) = if self.through_guard {
            ("ttguard_rnum", self.connection.ask(&call("ttguard_rnum"))?)
        } else {
            ("rnum", self.connection.ask(&Command::Rnum)?)
        };
        let count = match &reply {
            Reply::Count(count) => Some(*count),
            Reply::Strings { code: 0, strings } => strings.first().and_then(|text| number(text)),
            _ => None,
        };
        let count = count.ok_or_else(|| {
            let code = reply.code();
            let problem = format!("{name} was answered with code {code}");
            self.connection.unfit(problem)
        })?;
        self.most = count.saturating_mul(TOO_MANY).saturating_add(TOO_MANY_MORE);
        Ok(count)
    }

    /// Puts the iterator before the first record.
    pub fn start(&mut self) -> Result<(), Fault> {
        let reply = self.connection.ask(&Command::IterInit)?;
        if reply.code() != 0 {
            let problem = format!("iterinit was answered with code {}", reply.code());
            return Err(self.connection.unfit(problem).into());
        }
        self.ask_further(WINDOW);
        Ok(())
    }

    fn ask_further(&mut self, records: usize) {
        for _ in 0..records {
            self.connection.put(&self.further);
        }
    }

    /// The next record; nothing when there are no more, or far too many. To be called until then, and not again. What says
    /// whose a server is belongs to that server, and is left out.
    pub fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, Fault> {
        loop {
            match self.next_of_all()? {
                Some((key, _)) if self.skips_hidden && key.starts_with(RECORD_PREFIX) => {}
                Some((key, _)) if claim::is_ours(&key) => self.met += 1,
                next => {
                    self.met += u64::from(next.is_some());
                    return Ok(next);
                }
            }
        }
    }

    /// The next of all records. Key and value come in one step: `iternext` and `get` could be two records.
    fn next_of_all(&mut self) -> Result<Option<(Bytes, Bytes)>, Fault> {
        if self.met >= self.most {
            self.drain(WINDOW - self.due)?;
            return Ok(None);
        }
        match self.connection.next(&self.further)? {
            Reply::Strings { code: 0, strings } => {
                let record = <[Bytes; 2]>::try_from(strings).map_err(|_| {
                    let problem = "keeps no plain keys and values: a table's records have no line and no stamp";
                    self.connection.unfit(problem)
                })?;
                self.due += 1;
                if self.due == TOGETHER {
                    self.ask_further(TOGETHER);
                    self.due = 0;
                }
                let [key, value] = record;
                Ok(Some((key, value)))
            }
            _ => {
                // What was asked for ahead is answered in the same way.
                self.drain(WINDOW - self.due - 1)?;
                Ok(None)
            }
        }
    }

    /// Receives so many answers that nobody needs any more.
    fn drain(&mut self, answers: usize) -> Result<(), Fault> {
        for _ in 0..answers {
            self.connection.next(&self.further)?;
        }
        Ok(())
    }
}

/// A function of `misc` without arguments.
fn call(function: &'static str) -> Command {
    Command::Misc {
        function: Bytes::from_static(function.as_bytes()),
        options: 0,
        arguments: Vec::new(),
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
