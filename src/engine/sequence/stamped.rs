//! Changes that are made of what is stored, where ttguard gives the stamps: read, made and written with the key to
//! themselves, with a stamp that is above both what they were given and what is there. So each of them is carried out, in
//! the order in which they come, and each is ordered among all other writes of its key from then on.

use std::rc::Rc;

use bytes::Bytes;

use super::making::{Made, Making};
use super::{Done, Sequence, answered, outcome};
use crate::command::edit::Edit;
use crate::command::{Answer, Command, Reply};
use crate::engine::apart::copying;
use crate::engine::completion::NoReply;
use crate::engine::failure::Failure;
use crate::engine::records;
use crate::engine::sending::Via;
use crate::engine::write::companion::of_code;
use crate::engine::write::judging::Passage;
use crate::engine::write::settlement::Tickets;
use crate::guard::stamp::StampFormat;
use crate::guard::verdict::{Change, ReadBack, Refusal};
use crate::metrics::{Outcome, RetryKind};
use crate::pairing::owed::Lost;

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
        let stamp = given.max(self.above(key, &found));
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
    pub(super) async fn send_made(
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
    pub(super) async fn found(&self, via: &Via, key: &Bytes) -> Result<Result<ReadBack, u8>, NoReply> {
        let ask = self.engine.question_of(key);
        let asked = match &ask {
            Command::Mget { keys } => keys.clone(),
            _ => Vec::new(),
        };
        let reply = outcome(self.ask(via, &ask, asked)).await?;
        let code = reply.code();
        match self.engine.read_back_of(key, reply) {
            Some(found) if found.value.is_none() && self.engine.stamp_column().is_none() => {
                self.found_one_by_one(via, key, found).await
            }
            Some(found) => {
                self.engine.mget_finds.set(true);
                Ok(Ok(found))
            }
            None => Ok(Err(code)),
        }
    }

    /// The same where `mget` has found no record. A server whose mask denies that says so of any: what is made of nothing
    /// would then take the place of what there is.
    async fn found_one_by_one(&self, via: &Via, key: &Bytes, found: ReadBack) -> Result<Result<ReadBack, u8>, NoReply> {
        if self.engine.mget_finds.get() || found.record.is_some() {
            return Ok(Ok(found));
        }
        let format = self.engine.shared.guard.stamp();
        let mut values = [None, None];
        for (name, value) in [key.clone(), records::name_of(key)].into_iter().zip(&mut values) {
            match outcome(self.send(via, &Command::Get { key: name }, Tickets::None)).await? {
                Reply::Value(stored) => *value = Some(stored),
                // It says so of what it has not got, and of what it cannot read.
                Reply::Code(1) => {}
                other => return Ok(Err(other.code())),
            }
        }
        let [value, record] = values;
        Ok(Ok(ReadBack {
            stamp: value.as_ref().and_then(|value| format.read(value)),
            record: record.and_then(|record| format.read_digits(&record)),
            value,
        }))
    }

    /// The stamp above all that is stored of a key, and above what a delete has left, which may be nowhere but in the guard's
    /// memory. What is further ahead than a write may be binds nobody.
    fn above(&self, key: &Bytes, found: &ReadBack) -> u64 {
        let known = self.engine.shared.guard.glance(self.engine.hash_of(key)).known.stamp();
        let all = [found.stamp, found.record, known].into_iter().flatten();
        let binding = all.filter(|stamp| !self.engine.is_ahead(*stamp));
        binding.max().map_or(0, |newest| newest + 1)
    }
}

/// What is stored as its client wrote it.
fn own(format: StampFormat, stored: Option<Bytes>) -> Option<Bytes> {
    let stored = stored?;
    Some(format.strip(&stored).map_or(stored, |(_, own)| own))
}
