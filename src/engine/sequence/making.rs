//! Changes that are made of what is stored, where ttguard gives the stamps: read, made and written with the key to
//! themselves, with a stamp that is above both what they were given and what is there. So each of them is carried out, in
//! the order in which they come, and each is ordered among all other writes of its key from then on.

use std::rc::Rc;

use bytes::Bytes;

use super::{Call, Done, Sequence, answered, outcome};
use crate::command::edit::Edit;
use crate::command::function::Function;
use crate::command::{Answer, Command, Reply, columns};
use crate::engine::apart::copying;
use crate::engine::completion::NoReply;
use crate::engine::failure::Failure;
use crate::engine::sending::Via;
use crate::engine::write::companion::of_code;
use crate::engine::write::judging::Passage;
use crate::engine::write::settlement::Tickets;
use crate::guard::stamp::StampFormat;
use crate::guard::verdict::{Change, ReadBack, Refusal};
use crate::metrics::{Outcome, RetryKind};
use crate::pairing::owed::Lost;
use crate::store::embedded::{number, part};

/// A change that is made of what is stored.
#[derive(Clone, Debug)]
struct Making {
    key: Bytes,
    command: Command,
    edit: Option<Edit>,
}

/// What comes of it.
#[derive(Debug, PartialEq, Eq)]
enum Made {
    /// This is stored, without its stamp, and that is answered.
    Stored(Bytes, Reply),
    /// Nothing is stored.
    Not(Answer),
}

/// What a client's own function answers of a value that was, or was not, changed.
fn says(code: u8) -> Done {
    Ok(answered(Reply::Strings {
        code,
        strings: Vec::new(),
    }))
}

/// The code of a change that was not called for, or could not be made.
const LEFT: u8 = 1;

impl Making {
    fn of(command: Command, edit: Option<Edit>) -> Option<Self> {
        let key = match &command {
            Command::Misc { arguments, .. } => arguments.first().cloned(),
            other => other.key().map(Bytes::copy_from_slice),
        };
        Some(Self {
            key: key?,
            command,
            edit,
        })
    }

    /// The value that comes with the command.
    fn value(&self) -> &[u8] {
        match &self.command {
            Command::Put { value, .. }
            | Command::PutKeep { value, .. }
            | Command::PutCat { value, .. }
            | Command::PutShl { value, .. } => value,
            Command::Misc { arguments, .. } => arguments.get(1).map_or(&[], |value| value),
            _ => &[],
        }
    }

    /// What comes of it where this is stored, without its stamp: as the server makes it, or memcached's protocol has it.
    fn made(&self, stored: Option<Bytes>) -> Made {
        let given = self.value();
        let done = of_code(self.command.verb(), 0);
        let failed = || Made::Not(Answer::Reply(of_code(self.command.verb(), 1)));
        if self.edit.is_some() && stored.is_none() {
            return Made::Not(Answer::NoRecord);
        }
        let joined = |first: &[u8], second: &[u8]| Bytes::from([first, second].concat());
        let old = stored.as_deref().unwrap_or_default();
        match (&self.command, self.edit) {
            (Command::Put { .. }, _) => Made::Stored(Bytes::copy_from_slice(given), done),
            (_, Some(Edit::Prepend)) => Made::Stored(joined(given, old), done),
            (_, Some(Edit::Decimal(by))) => {
                let sum = Edit::sum(old, by);
                Made::Stored(Bytes::from(sum.to_string()), Reply::Count(sum))
            }
            (Command::PutKeep { .. }, _) => match stored {
                Some(_) => failed(),
                None => Made::Stored(Bytes::copy_from_slice(given), done),
            },
            (Command::PutCat { .. }, _) => Made::Stored(joined(old, given), done),
            // Where there is nothing the whole of what is added is stored.
            (Command::PutShl { .. }, _) if stored.is_none() => Made::Stored(Bytes::copy_from_slice(given), done),
            (Command::PutShl { width, .. }, _) => {
                let whole = joined(old, given);
                let kept = usize::try_from(*width).unwrap_or(0).min(whole.len());
                Made::Stored(whole.slice(whole.len() - kept..), done)
            }
            (Command::AddInt { number, .. }, _) => {
                let sum = number::add_integer(stored.clone(), *number);
                Self::added(stored, sum.value, sum.answer.map(Reply::Number))
            }
            (
                Command::AddDouble {
                    integral, fractional, ..
                },
                _,
            ) => {
                let sum = number::add_double(stored.clone(), number::unpack(*integral, *fractional));
                let reply = sum.answer.map(|sum| {
                    let (integral, fractional) = number::pack(sum);
                    Reply::Double { integral, fractional }
                });
                Self::added(stored, sum.value, reply)
            }
            (Command::Misc { function, .. }, _) => match (Function::named(function), stored.is_some()) {
                (Function::PutKeep, true) => failed(),
                (Function::PutKeep, false) => Made::Stored(Bytes::copy_from_slice(given), done),
                _ => Made::Stored(joined(old, given), done),
            },
            _ => failed(),
        }
    }

    /// A sum that cannot be answered is stored all the same, where there was a number.
    fn added(before: Option<Bytes>, sum: Bytes, reply: Option<Reply>) -> Made {
        match reply {
            Some(reply) => Made::Stored(sum, reply),
            None if before.as_ref() == Some(&sum) => Made::Not(Answer::Reply(Reply::Code(1))),
            None => Made::Stored(sum, Reply::Code(1)),
        }
    }

    /// What comes of it in front of a table where this row is stored: its columns, but for that of the stamp. Nothing where
    /// the server makes it in its own way.
    fn row(&self, stored: Option<&Bytes>) -> Option<Made> {
        let given = match &self.command {
            Command::Misc { arguments, .. } => arguments.get(1..)?.to_vec(),
            Command::Put { value, .. } | Command::PutKeep { value, .. } | Command::PutCat { value, .. } => {
                columns::split(value)
            }
            _ => return None,
        };
        let done = of_code(self.command.verb(), 0);
        let keeps = match &self.command {
            Command::PutKeep { .. } => true,
            Command::Misc { function, .. } => Function::named(function) == Function::PutKeep,
            _ => false,
        };
        Some(match stored {
            None if self.edit.is_some() => Made::Not(Answer::NoRecord),
            Some(_) if keeps => Made::Not(Answer::Reply(of_code(self.command.verb(), 1))),
            Some(row) if !matches!(self.command, Command::Put { .. }) => {
                Made::Stored(columns::joined(&columns::added(columns::split(row), given)), done)
            }
            _ => Made::Stored(columns::joined(&given), done),
        })
    }
}

impl Sequence {
    /// Carries out a change that is made of what is stored, which was given this stamp.
    pub(super) async fn make_stamped(&mut self, command: Command, edit: Option<Edit>, stamp: u64) -> Done {
        let Some(making) = Making::of(command, edit) else {
            return Ok(answered(of_code(self.verb, 1)));
        };
        loop {
            if let Some(done) = self.try_to_make_stamped(&making, stamp).await? {
                return Ok(done);
            }
        }
    }

    /// One try; nothing where it has to be tried again.
    async fn try_to_make_stamped(&mut self, making: &Making, given: u64) -> Result<Option<(Outcome, Answer)>, Failure> {
        let (key, engine) = (&making.key, Rc::clone(&self.engine));
        let passage = match self.take_key(key, Change::Made, false).await? {
            Ok(passage) => passage,
            Err(refusal) => return Ok(Some(self.refused(refusal))),
        };
        let found = match self.found(&passage.via, key).await {
            Ok(Ok(found)) => found,
            Ok(Err(code)) => return Ok(Some(answered(of_code(self.verb, code)))),
            Err(none) => {
                self.may_repeat(none, true, RetryKind::Read)?;
                return Ok(None);
            }
        };
        let stamp = given.max(self.above(&found));
        let change = Change::Stamped { stamp, value: b"" };
        if engine.is_ahead(stamp) {
            engine.note_refusal(self.asker(), key, change, Refusal::Future);
            return Ok(Some(self.refused(Refusal::Future)));
        }
        while let Some(until) = engine.below_mark(change) {
            self.hold(until).await?;
        }
        engine.count_passage(self.asker(), change);
        self.saw(engine.saw(stamp));
        if engine.stamp_column().is_some() {
            return self.make_in_table(making, passage, found, stamp).await;
        }
        let format = engine.shared.guard.stamp();
        let (asked, copied) = (
            making.clone(),
            making.value().len() + found.value.as_ref().map_or(0, Bytes::len),
        );
        let made = copying(copied, move || match asked.made(own(format, found.value)) {
            Made::Stored(value, reply) => Ok((value.len(), format.stamped(stamp, &value), reply)),
            Made::Not(answer) => Err(answer),
        });
        let (size, value, reply) = match made.await? {
            Ok(stored) => stored,
            Err(answer) => return Ok(Some((Outcome::Failed, answer))),
        };
        // A server takes what lies behind an argument that is too large for it for new requests.
        if size > engine.settings().limits.request.value_max as usize {
            return Ok(Some(answered(of_code(self.verb, 1))));
        }
        let wire = Command::Put {
            key: key.clone(),
            value: value.clone(),
        };
        let Some(code) = self.send_made(key, passage, &wire, stamp).await? else {
            return Ok(None);
        };
        let code = if code == 0 {
            self.record_stamp(key, &value).await?
        } else {
            code
        };
        Ok(Some(answered(if code == 0 { reply } else { of_code(self.verb, code) })))
    }

    /// The same in front of a table. Where the server makes it in its own way, the row gets its stamp behind that.
    async fn make_in_table(
        &mut self,
        making: &Making,
        passage: Passage,
        mut found: ReadBack,
        stamp: u64,
    ) -> Result<Option<(Outcome, Answer)>, Failure> {
        let key = &making.key;
        let is_made_there = making.row(found.value.as_ref()).is_none();
        let (row, reply) = match making.row(found.value.as_ref()) {
            Some(Made::Stored(row, reply)) => (row, reply),
            Some(Made::Not(answer)) => return Ok(Some((Outcome::Failed, answer))),
            None => {
                let Some(via) = self.via_to(passage.via.id(), key) else {
                    self.may_repeat(NoReply::Lost(Lost::Unsent), true, RetryKind::Unsent)?;
                    return Ok(None);
                };
                let reply = match outcome(self.send_alone(&via, &making.command, Tickets::None)).await {
                    Ok(reply) => reply,
                    Err(none) => {
                        self.may_repeat(none, false, RetryKind::Write)?;
                        return Ok(None);
                    }
                };
                if reply.code() != 0 {
                    return Ok(Some(answered(reply)));
                }
                found = match self.found(&via, key).await {
                    Ok(Ok(found)) => found,
                    // What was done already cannot be done again.
                    Ok(Err(_)) | Err(_) => return Err(Failure::LaneLost),
                };
                (found.value.unwrap_or_default(), reply)
            }
        };
        let wire = Command::Put {
            key: key.clone(),
            value: self.engine.stamping(stamp).value(&row),
        };
        match self.send_made(key, passage, &wire, stamp).await? {
            None if is_made_there => Err(Failure::LaneLost),
            None => Ok(None),
            Some(0) => Ok(Some(answered(reply))),
            Some(code) => Ok(Some(answered(of_code(self.verb, code)))),
        }
    }

    /// Sends what was made, by the same lane as everything before it; the code of the answer, or nothing where it has to be
    /// made again.
    async fn send_made(
        &mut self,
        key: &Bytes,
        passage: Passage,
        wire: &Command,
        stamp: u64,
    ) -> Result<Option<u8>, Failure> {
        // The lane may be another one by now; nothing has been sent on it.
        let Some(via) = self.via_to(passage.via.id(), key) else {
            self.may_repeat(NoReply::Lost(Lost::Unsent), true, RetryKind::Unsent)?;
            return Ok(None);
        };
        let (_, mut tickets) = passage.take();
        if let Tickets::One(ticket) = &mut tickets {
            ticket.stamp(stamp);
        }
        self.engine.let_in(Change::Stamped { stamp, value: b"" });
        match outcome(self.send_alone(&via, wire, tickets)).await {
            Ok(reply) => Ok(Some(reply.code())),
            Err(none) => {
                self.may_repeat(none, false, RetryKind::Write)?;
                Ok(None)
            }
        }
    }

    /// What is stored of a key, and the record of its stamp; or the code of a store that cannot say.
    async fn found(&self, via: &Via, key: &Bytes) -> Result<Result<ReadBack, u8>, NoReply> {
        let ask = self.engine.question_of(key);
        let asked = match &ask {
            Command::Mget { keys } => keys.clone(),
            _ => Vec::new(),
        };
        let reply = outcome(self.ask(via, &ask, asked)).await?;
        let code = reply.code();
        Ok(self.engine.read_back_of(key, reply).ok_or(code))
    }

    /// The stamp above all that is stored of a key. What is further ahead than a write may be binds nobody.
    fn above(&self, found: &ReadBack) -> u64 {
        let binding = |stamp: &u64| !self.engine.is_ahead(*stamp);
        let own = found.stamp.filter(binding).max(found.record.filter(binding));
        own.map_or(0, |newest| newest + 1)
    }

    /// `vsiz`: the size of the client's own bytes, for which the value is read.
    pub(super) async fn size_of(&mut self, key: Bytes) -> Done {
        if let Some(column) = self.engine.stamp_column() {
            // A row is kept in a form of its own: each name and each value behind its length.
            let taken = column.len() + usize::from(self.engine.shared.guard.stamp().digits()) + 2;
            let reply = self.exchange(&Command::Vsiz { key: key.clone() }, true).await?;
            let Reply::Number(size) = reply else {
                return Ok(answered(reply));
            };
            let row = self.exchange(&self.engine.question_of(&key), true).await?;
            let has_stamp = self
                .engine
                .read_back_of(&key, row)
                .is_some_and(|row| row.stamp.is_some());
            let taken = i32::try_from(taken).unwrap_or(0);
            return Ok(answered(Reply::Number(if has_stamp { size - taken } else { size })));
        }
        Ok(answered(match self.read(key).await? {
            Ok(value) => Reply::Number(i32::try_from(value.len()).unwrap_or(i32::MAX)),
            Err(code) => Reply::Code(code),
        }))
    }

    /// `getpart`: a part of the client's own bytes.
    pub(super) async fn part_of(&mut self, call: Call) -> Done {
        let key = match call.arguments.first() {
            Some(key) if self.engine.stamp_column().is_none() => key.clone(),
            _ => return Ok(answered(self.exchange(&call.command(), true).await?)),
        };
        let (code, strings) = match self.read(key).await? {
            Ok(value) => match part(value, &call.arguments) {
                Some(part) => (0, vec![part]),
                None => (1, Vec::new()),
            },
            Err(code) => (code, Vec::new()),
        };
        Ok(answered(Reply::Strings { code, strings }))
    }

    /// A client's own bytes; or the code of the store where it has none, or cannot say.
    async fn read(&mut self, key: Bytes) -> Result<Result<Bytes, u8>, Failure> {
        let format = self.engine.shared.guard.stamp();
        // An answer to `mget` names its key; a server that denies it finds nothing.
        let value = if self.engine.settings().verify_reads && self.engine.mget_finds.get() {
            let keys = vec![key.clone()];
            let via = self.via(Some(&key), 1).await?;
            match outcome(self.ask(&via, &Command::Mget { keys: keys.clone() }, keys)).await {
                Ok(Reply::Records(found)) => found.into_iter().next().map(|(_, value)| value).ok_or(1),
                Ok(other) => Err(other.code()),
                Err(none) => {
                    self.may_repeat(none, true, RetryKind::Read)?;
                    return Box::pin(self.read(key)).await;
                }
            }
        } else {
            match self.exchange(&Command::Get { key }, true).await? {
                Reply::Value(value) => Ok(value),
                other => Err(other.code()),
            }
        };
        let Ok(value) = value else {
            return Ok(value);
        };
        if let Some((stamp, own)) = format.strip(&value) {
            self.saw(self.engine.saw(stamp));
            return Ok(Ok(own));
        }
        Ok(Ok(value))
    }

    /// `ttguard_stamp`: a value without a stamp gets one that is older than any other, or that of its record: code 0. Code 1
    /// where there is no such value, or no stamps are given here. Without a key nothing is done but to say which.
    pub(super) async fn stamp_stored(&mut self, call: Call) -> Done {
        if call.arguments.is_empty() {
            return says(if self.engine.gives_stamps() { 0 } else { LEFT });
        }
        let (Some(_), [key]) = (self.stamp, &call.arguments[..]) else {
            return says(LEFT);
        };
        let format = self.engine.shared.guard.stamp();
        self.restamp(key.clone(), |engine, found| {
            let value = found.value.as_ref().filter(|_| found.stamp.is_none())?;
            let stamp = found
                .record
                .filter(|record| !engine.is_ahead(*record))
                .unwrap_or(0)
                .max(1);
            let value = match engine.stamp_column() {
                Some(_) => engine.stamping(stamp).value(value),
                None => format.stamped(stamp, value),
            };
            Some((value, stamp))
        })
        .await
    }

    /// `ttguard_unstamp`: a value loses the stamp that ttguard gave it: code 0. Code 1 where it has none, or where writes are
    /// given stamps now, so that it would have one again. Without a key nothing is done but to say which.
    pub(super) async fn unstamp_stored(&mut self, call: Call) -> Done {
        let takes_off = self.engine.given_format().is_some() && !self.engine.gives_stamps();
        if call.arguments.is_empty() {
            return says(if takes_off { 0 } else { LEFT });
        }
        let (Some(format), true, [key]) = (self.engine.given_format(), takes_off, &call.arguments[..]) else {
            return says(LEFT);
        };
        self.restamp(key.clone(), |engine, found| {
            found.stamp?;
            let stored = Reply::Value(found.value.clone()?);
            match crate::engine::stamping::values::Values::One.strip(format, engine.stamp_column(), stored) {
                (Reply::Value(own), _) => Some((own, 0)),
                _ => None,
            }
        })
        .await
    }

    /// Has the key to itself from looking at it until its value is what it is to become, where it is to be another, and has
    /// this stamp then.
    async fn restamp(
        &mut self,
        key: Bytes,
        becomes: impl Fn(&crate::engine::Engine, &ReadBack) -> Option<(Bytes, u64)>,
    ) -> Done {
        loop {
            // Without a stamp it is to be read back before its next write.
            let change = if self.stamp.is_some() {
                Change::Made
            } else {
                Change::Unordered
            };
            let Ok(passage) = self.take_key(&key, change, false).await? else {
                return says(LEFT);
            };
            let found = match self.found(&passage.via, &key).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) => return says(LEFT),
                Err(none) => {
                    self.may_repeat(none, true, RetryKind::Read)?;
                    continue;
                }
            };
            let Some((value, stamp)) = becomes(&self.engine, &found) else {
                return says(LEFT);
            };
            let wire = Command::Put {
                key: key.clone(),
                value,
            };
            if let Some(code) = self.send_made(&key, passage, &wire, stamp).await? {
                return says(code);
            }
        }
    }
}

/// What is stored as its client wrote it.
fn own(format: StampFormat, stored: Option<Bytes>) -> Option<Bytes> {
    let stored = stored?;
    Some(format.strip(&stored).map_or(stored, |(_, own)| own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn making(command: Command, edit: Option<Edit>) -> Making {
        Making::of(command, edit).expect("it names a key")
    }

    fn bytes(text: &'static [u8]) -> Bytes {
        Bytes::from_static(text)
    }

    #[test]
    fn a_change_makes_of_a_value_what_the_server_would() {
        let (key, value) = (bytes(b"k"), bytes(b"new"));
        let cat = Command::PutCat {
            key: key.clone(),
            value: value.clone(),
        };
        let shl = |width| Command::PutShl {
            key: key.clone(),
            value: value.clone(),
            width,
        };
        let keep = Command::PutKeep {
            key: key.clone(),
            value: value.clone(),
        };
        let put = Command::Put {
            key: key.clone(),
            value: value.clone(),
        };
        let old = || Some(bytes(b"old"));
        let stored = |value: &'static [u8]| Made::Stored(bytes(value), Reply::Code(0));
        let exists = Made::Not(Answer::Reply(Reply::Code(1)));
        for (command, edit, before, after) in [
            (cat.clone(), None, old(), stored(b"oldnew")),
            (cat.clone(), None, None, stored(b"new")),
            (shl(4), None, old(), stored(b"dnew")),
            (shl(100), None, old(), stored(b"oldnew")),
            (shl(-1), None, old(), stored(b"")),
            (shl(1), None, None, stored(b"new")),
            (keep.clone(), None, None, stored(b"new")),
            (keep, None, old(), exists),
            (put.clone(), Some(Edit::IfPresent), old(), stored(b"new")),
            (put, Some(Edit::IfPresent), None, Made::Not(Answer::NoRecord)),
            (cat.clone(), Some(Edit::IfPresent), old(), stored(b"oldnew")),
            (cat.clone(), Some(Edit::Prepend), old(), stored(b"newold")),
            (cat, Some(Edit::Prepend), None, Made::Not(Answer::NoRecord)),
        ] {
            assert_eq!(
                making(command.clone(), edit).made(before),
                after,
                "{command:?} {edit:?}"
            );
        }
    }

    #[test]
    fn numbers_keep_what_they_mean_to_the_client() {
        let add = |number| {
            let command = Command::AddInt {
                key: bytes(b"k"),
                number,
            };
            making(command, None)
        };
        let five = Bytes::copy_from_slice(&5i32.to_ne_bytes());
        assert_eq!(add(5).made(None), Made::Stored(five.clone(), Reply::Number(5)));
        let twelve = Bytes::copy_from_slice(&12i32.to_ne_bytes());
        assert_eq!(add(7).made(Some(five)), Made::Stored(twelve, Reply::Number(12)));
        let failed = Made::Not(Answer::Reply(Reply::Code(1)));
        assert_eq!(add(1).made(Some(bytes(b"no number"))), failed);
        let least = Bytes::copy_from_slice(&i32::MIN.to_ne_bytes());
        assert_eq!(add(i32::MIN).made(None), Made::Stored(least, Reply::Code(1)));
        let counted = making(
            Command::AddInt {
                key: bytes(b"k"),
                number: 0,
            },
            Some(Edit::Decimal(3)),
        );
        assert_eq!(
            counted.made(Some(bytes(b"39"))),
            Made::Stored(bytes(b"42"), Reply::Count(42))
        );
    }
}
