//! Changes that are made of what is stored. The key is kept to oneself from the reading to the writing, so nothing that
//! goes through this guard can come between. What goes to the backend directly, or by a script function, can.

use std::rc::Rc;

use bytes::Bytes;

use super::making::{Made, Making};
use super::{Done, Sequence, answered, outcome};
use crate::command::edit::Edit;
use crate::command::{Answer, Command, Reply};
use crate::engine::apart::copying;
use crate::engine::completion::{NoReply, Unrecorded};
use crate::engine::failure::Failure;
use crate::engine::records;
use crate::engine::sending::Via;
use crate::engine::write::companion::{UNAVAILABLE, of_code};
use crate::engine::write::judging::Passage;
use crate::engine::write::settlement::Tickets;
use crate::guard::verdict::{Change, Refusal};
use crate::metrics::{Outcome, RetryKind};
use crate::pairing::owed::Lost;

/// How much of what is stored has to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// Whether there is anything.
    Presence,
    /// Its first bytes, and only where they are no whole stamp.
    Head,
    /// All of it, and the record of its stamp.
    Whole,
}

impl Wants {
    fn of(making: &Making) -> Self {
        match (making.edit, &making.command) {
            (Some(Edit::Prepend | Edit::Decimal(_)), _) | (None, Command::PutShl { .. }) => Self::Whole,
            (Some(Edit::IfPresent), _)
                if making.is_put() || !making.value().first().is_some_and(u8::is_ascii_digit) =>
            {
                Self::Presence
            }
            _ => Self::Head,
        }
    }
}

impl Sequence {
    /// Carries out a command with the difference that `edit` makes.
    pub async fn carry_out_edit(mut self, command: Command, edit: Option<Edit>) -> Done {
        if let Some(stamp) = self.stamp {
            return self.make_stamped(command, edit, stamp).await;
        }
        let making = match &command {
            Command::Put { .. } | Command::PutCat { .. } | Command::PutShl { .. } | Command::AddInt { .. } => {
                Making::of(command.clone(), edit)
            }
            _ => None,
        };
        // No protocol has such an edit, but an edge may say so all the same.
        let Some(making) = making else {
            return Ok(answered(of_code(self.verb, 1)));
        };
        if !making.is_put()
            && let Err(refusal) = self.engine.admit_unordered(self.asker(), self.verb, &making.key)
        {
            return Ok(self.refused(refusal));
        }
        self.make(making, command).await
    }

    /// `putcat` in `misc`, of what may be a part of a stamp. `wire` is how it was asked.
    pub(super) async fn append(&mut self, key: Bytes, value: Bytes, wire: Command) -> Done {
        match Making::of(Command::PutCat { key, value }, None) {
            Some(making) => self.make(making, wire).await,
            None => Ok(answered(of_code(self.verb, 1))),
        }
    }

    /// Has it made until it is. `wire` is what is sent where that does not depend on what is stored.
    async fn make(&mut self, making: Making, wire: Command) -> Done {
        loop {
            if let Some(done) = self.try_to_make(&making, &wire).await? {
                return Ok(done);
            }
        }
    }

    /// One try; nothing where it has to be tried again.
    async fn try_to_make(&mut self, making: &Making, wire: &Command) -> Result<Option<(Outcome, Answer)>, Failure> {
        let (key, engine) = (&making.key, Rc::clone(&self.engine));
        let change = if making.is_put() {
            engine.change_of(making.value())
        } else {
            Change::Unordered
        };
        let passage = match self.take_key(key, change, making.is_put()).await? {
            Ok(passage) => passage,
            Err(refusal) => return Ok(Some(self.refused(refusal))),
        };
        let found = match self.look(&passage.via, making).await {
            Ok(Looked::Found(found)) => found,
            Ok(Looked::Missing) if making.edit.is_none() => Stored::MISSING,
            Ok(Looked::Missing) => return Ok(Some((Outcome::Failed, Answer::NoRecord))),
            Ok(Looked::Failed(reply)) => return Ok(Some(answered(of_code(self.verb, reply.code())))),
            Err(none) => {
                self.may_repeat(none, true, RetryKind::Read)?;
                return Ok(None);
            }
        };
        // A server takes what lies behind an argument that is too large for it for new requests.
        let size_max = engine.settings().limits.request.value_max as usize;
        if making.edit.is_some() && making.value().len() + found.len() > size_max {
            return Ok(Some(answered(Reply::Code(1))));
        }
        let edited = self.edited(making, wire, found).await?;
        if !making.is_put() {
            let made = edited.made.as_deref().unwrap_or_default();
            if let Err(refusal) = engine.admit_made(self.asker(), key, made) {
                return Ok(Some(self.refused(refusal)));
            }
            // Whatever is made goes no further than the claim's mark.
            while let Some(until) = engine.below_mark(engine.change_of(made)) {
                self.hold(until).await?;
            }
            engine.count_passage(self.asker(), change);
        }
        self.send_edited(making, passage, edited).await
    }

    /// What is made of what was found, put together by another thread where it is long.
    async fn edited(&self, making: &Making, wire: &Command, found: Stored) -> Result<Edited, Failure> {
        let digits = usize::from(self.engine.shared.guard.stamp().digits());
        let (asked, wire, copied) = (making.clone(), wire.clone(), making.value().len() + found.len());
        copying(copied, move || Edited::of(&asked, wire, found, digits)).await
    }

    /// Sends what was made, by the same lane as everything before it; nothing where it has to be made again.
    async fn send_edited(
        &mut self,
        making: &Making,
        passage: Passage,
        edited: Edited,
    ) -> Result<Option<(Outcome, Answer)>, Failure> {
        let (key, lane) = (&making.key, passage.via.id());
        // The lane may be another one by now; nothing has been sent on it.
        let Some(mut way) = self.via_to(lane, key) else {
            self.may_repeat(NoReply::Lost(Lost::Unsent), true, RetryKind::Unsent)?;
            return Ok(None);
        };
        let (_, mut tickets) = passage.take();
        let made = edited.made.as_ref();
        if let Some(stamp) = made.and_then(|made| self.forgotten(&edited.found, made)) {
            let mut pass = match self.keep(&way, key, tickets, stamp).await {
                Ok(pass) => pass,
                Err(Unrecorded::Failed) => return Ok(Some(answered(of_code(self.verb, UNAVAILABLE)))),
                Err(Unrecorded::Lost(lost)) => {
                    self.may_repeat(NoReply::Lost(lost), true, RetryKind::Write)?;
                    return Ok(None);
                }
            };
            let (Some(again), Some(same)) = (self.via_to(lane, key), pass.take()) else {
                self.may_repeat(NoReply::Lost(Lost::Unsent), true, RetryKind::Unsent)?;
                return Ok(None);
            };
            (way, tickets) = (again, Tickets::One(same));
        }
        let is_idempotent = tickets.are_idempotent();
        let reply = match outcome(self.send_guarded(&way, key, &edited.wire, tickets, true)).await {
            Ok(reply) => reply,
            Err(none) => {
                self.may_repeat(none, is_idempotent, RetryKind::Write)?;
                self.retried |= none == NoReply::Lost(Lost::Sent);
                return Ok(None);
            }
        };
        if reply.code() == 0 && making.is_put() {
            let code = self.record_stamp(key, making.value()).await?;
            if code != 0 {
                return Ok(Some(answered(Reply::Code(code))));
            }
        }
        let said = edited.said.filter(|_| reply.code() == 0);
        Ok(Some(answered(said.unwrap_or(reply))))
    }

    /// The stamp of what is stored that nothing would tell of any more once this is made of it: its record has to.
    fn forgotten(&self, found: &Stored, made: &[u8]) -> Option<u64> {
        let engine = &self.engine;
        let own = engine.change_of(found.value.as_ref()?);
        let is_ahead = engine.shared.guard.refuses_made(own, (engine.shared.clock)()).is_some();
        let stamp = |change| match change {
            Change::Stamped { stamp, .. } => Some(stamp),
            _ => None,
        };
        let kept = stamp(engine.change_of(made)).max(found.record);
        stamp(own).filter(|own| engine.capabilities().holds_records && !is_ahead && Some(*own) > kept)
    }

    /// Waits until the key is this change's own. Where it is not counted now that is left to whoever knows what it makes.
    pub(super) async fn take_key(
        &self,
        key: &Bytes,
        change: Change<'_>,
        counted: bool,
    ) -> Result<Result<Passage, Refusal>, Failure> {
        if self.engine.denies_key(self.asker(), key) {
            return Ok(Err(Refusal::Denied));
        }
        let asker = Some(self.asker()).filter(|_| counted);
        self.admit_as(asker, None, true, key, change).await
    }

    /// Looks at what is stored, as far as that has to be known.
    async fn look(&self, via: &Via, making: &Making) -> Result<Looked, NoReply> {
        let (key, wants) = (&making.key, Wants::of(making));
        let is_enough = wants == Wants::Presence && !self.engine.settings().verify_reads;
        if wants == Wants::Head || is_enough {
            let ask = Command::Vsiz { key: key.clone() };
            let digits = i32::from(self.engine.shared.guard.stamp().digits());
            match outcome(self.send(via, &ask, Tickets::None)).await? {
                // Behind a whole stamp, or what can be none, anything may be added.
                Reply::Number(size) if is_enough || size >= digits => return Ok(Looked::Found(Stored::UNCHANGED)),
                Reply::Number(_) => {}
                // `vsiz` of a server says the same where it failed.
                Reply::Code(1) if is_enough && self.engine.store.here().is_some() => return Ok(Looked::Missing),
                Reply::Code(1) => {}
                other => return Ok(Looked::Failed(other)),
            }
        }
        let mut keys = vec![key.clone()];
        if wants == Wants::Whole && self.engine.capabilities().holds_records {
            keys.push(records::name_of(key));
        }
        let ask = Command::Mget { keys: keys.clone() };
        let found = match outcome(self.send(via, &ask, Tickets::None)).await {
            Ok(Reply::Records(found)) => found,
            Ok(other) => return Ok(Looked::Failed(other)),
            // An answer without a record is not too large.
            Err(NoReply::TooLarge) if wants == Wants::Presence => return Ok(Looked::Found(Stored::UNCHANGED)),
            Err(none) => return Err(none),
        };
        if found.iter().any(|(echoed, _)| !keys.contains(echoed)) {
            return Err(NoReply::Lost(Lost::Sent));
        }
        let of = |wanted: Option<&Bytes>| found.iter().find(|(echoed, _)| Some(echoed) == wanted);
        let Some((_, value)) = of(keys.first()) else {
            return Ok(Looked::Missing);
        };
        let record = of(keys.get(1)).and_then(|(_, record)| self.engine.shared.guard.stamp().read_digits(record));
        Ok(Looked::Found(match wants {
            Wants::Presence => Stored::UNCHANGED,
            Wants::Head | Wants::Whole => Stored {
                value: Some(value.clone()),
                record,
                is_missing: false,
            },
        }))
    }
}

/// What is made of what was found.
struct Edited {
    found: Stored,
    /// What the key holds afterwards, as far as that can have another stamp.
    made: Option<Bytes>,
    /// What is sent.
    wire: Command,
    /// What is answered when that succeeds, where it is not the store's own answer.
    said: Option<Reply>,
}

impl Edited {
    fn of(making: &Making, wire: Command, found: Stored, digits: usize) -> Self {
        let is_whole = Wants::of(making) == Wants::Whole;
        let stored = match &found.value {
            // Its head stays what it is.
            _ if making.is_put() => None,
            Some(value) if value.len() >= digits && !is_whole => None,
            stored => stored.as_ref(),
        };
        let made = stored.map(|value| making.made(Some(value.clone()).filter(|_| !found.is_missing)));
        let (made, wire, said) = match (made, making.edit) {
            (Some(Made::Stored(value, reply)), Some(Edit::Prepend | Edit::Decimal(_))) => {
                let (key, sent) = (making.key.clone(), value.clone());
                (Some(value), Command::Put { key, value: sent }, Some(reply))
            }
            (Some(Made::Stored(value, _)), _) => (Some(value), wire, None),
            (Some(Made::Not(_)) | None, _) => (None, wire, None),
        };
        Self {
            found,
            made,
            wire,
            said,
        }
    }
}

/// What is stored of a key.
#[derive(Debug)]
struct Stored {
    /// Nothing where nobody has to know it, since its head stays what it is.
    value: Option<Bytes>,
    record: Option<u64>,
    is_missing: bool,
}

impl Stored {
    /// Bytes of the value, where it has to be known.
    fn len(&self) -> usize {
        self.value.as_ref().map_or(0, Bytes::len)
    }

    const UNCHANGED: Self = Self {
        value: None,
        record: None,
        is_missing: false,
    };

    const MISSING: Self = Self {
        value: Some(Bytes::new()),
        record: None,
        is_missing: true,
    };
}

/// What a look at a key has shown.
enum Looked {
    Found(Stored),
    Missing,
    Failed(Reply),
}
