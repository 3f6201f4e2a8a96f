//! Lists of puts and deletes: each record is judged by itself; those that pass travel together.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

use super::{Call, Done, Guarded, Sequence, outcome};
use crate::command::{Answer, Command, Reply};
use crate::engine::apart::is_long_copy;
use crate::engine::completion::{NoReply, Told};
use crate::engine::failure::Failure;
use crate::engine::look_up::Looked;
use crate::engine::records::Probe;
use crate::engine::sending::Via;
use crate::engine::stint::Stint;
use crate::engine::waiting::Standing;
use crate::engine::write::judging::{Decision, Proposal, ROOM};
use crate::engine::write::refusal::refused;
use crate::engine::write::settlement::Tickets;
use crate::guard::verdict::{Change, Refusal, Ticket};
use crate::metrics::{Outcome, RetryKind};
use crate::pairing::owed::Lost;

/// Most records that travel in one frame of a list.
const BATCH_RECORDS: usize = 256;

/// Records of a list that are judged and sent before the outcome of the first is waited for.
const PART_RECORDS: usize = 8192;

/// A frame of a list is closed when it has grown to so many bytes.
const BATCH_BYTES: usize = 1 << 20;

/// So many records of a list are looked at to find those whose keys have to be looked up.
const LOOK_AHEAD: usize = 4096;

/// A key, and its value where one is put.
type Record = (Bytes, Option<Bytes>);

/// Records that were judged and travel together.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    tickets: Vec<Ticket>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, key: Bytes, value: Option<Bytes>, ticket: Ticket) {
        self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        self.records.push((key, value));
        self.tickets.push(ticket);
    }

    fn is_full(&self) -> bool {
        self.records.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }
}

/// Records on their way.
struct Frame {
    records: Vec<Record>,
    /// Whether each record of a stamp in the frame is a new one.
    probes: Vec<Probe>,
    is_idempotent: bool,
    reply: Told,
}

/// A list that is being sent.
struct Sending<'a> {
    function: &'a Bytes,
    options: u32,
    via: Via,
    /// Judged, and not sent yet.
    batch: Batch,
    frames: Vec<Frame>,
}

impl Sending<'_> {
    /// Whether one record more may go with the others: each may send a probe and the record of its stamp ahead of it.
    fn has_room(&self) -> bool {
        self.via.has_room(self.batch.records.len() * 2 + ROOM)
    }
}

/// What came of a list so far.
#[derive(Default)]
struct Tally {
    refused: Option<Refusal>,
    code: u8,
    failed: bool,
}

impl Tally {
    fn answered(&mut self, code: u8) {
        if code != 0 {
            self.code = code;
            self.failed = true;
        }
    }

    fn refused(&mut self, refusal: Refusal, code: u8) {
        if self.refused.is_none() || code != 0 {
            self.refused = Some(refusal);
        }
        if !self.failed && code != 0 {
            self.code = code;
        }
    }

    /// The code of the backend's own failure, or of the last refusal. Like the server's own failure it comes with an
    /// empty list: PyTyrant does not read what follows a code other than 0.
    fn answer(self) -> (Outcome, Answer) {
        let reply = Reply::Strings {
            code: self.code,
            strings: Vec::new(),
        };
        match (self.failed, self.refused) {
            (true, _) => (Outcome::Failed, Answer::Reply(reply)),
            (false, Some(refusal)) => (Outcome::Refused, refused(refusal, self.code, reply)),
            (false, None) => (Outcome::Answered, Answer::Reply(reply)),
        }
    }
}

impl Sequence {
    pub(super) async fn put_list(&mut self, call: Call) -> Done {
        let Call {
            function,
            options,
            arguments,
        } = call;
        let mut strings = arguments.into_iter();
        let records = std::iter::from_fn(|| Some((strings.next()?, Some(strings.next()?))));
        self.list(&function, options, records).await
    }

    pub(super) async fn out_list(&mut self, call: Call) -> Done {
        let Call {
            function,
            options,
            arguments,
        } = call;
        let records = arguments.into_iter().map(|key| (key, None));
        self.list(&function, options, records).await
    }

    /// Carries out a list of puts (with values) or deletes (without).
    async fn list(&mut self, function: &Bytes, options: u32, mut records: impl Iterator<Item = Record>) -> Done {
        let mut tally = Tally::default();
        loop {
            let (mut work, mut large) = (VecDeque::new(), None);
            for (key, value) in records.by_ref() {
                large = value
                    .as_ref()
                    .and_then(|value| self.large(function, options, &key, value));
                if large.is_some() {
                    break;
                }
                work.push_back((key, value));
                if work.len() == PART_RECORDS {
                    break;
                }
            }
            if work.is_empty() && large.is_none() {
                return Ok(tally.answer());
            }
            self.part_of_list(function, options, work, &mut tally).await?;
            if let Some((key, value, wire)) = large {
                self.large_of_list(key, value, wire, &mut tally).await?;
            }
        }
    }

    /// A record of a list that goes by itself, as it takes long to be stored, and the command by which it goes.
    fn large(&self, function: &Bytes, options: u32, key: &Bytes, value: &Bytes) -> Option<(Bytes, Bytes, Command)> {
        if !is_long_copy(value.len()) {
            return None;
        }
        let wire = Command::Misc {
            function: function.clone(),
            options,
            arguments: vec![key.clone(), value.clone()],
        };
        (self.engine.store.takes_long(&wire)).then(|| (key.clone(), value.clone(), wire))
    }

    async fn large_of_list(
        &mut self,
        key: Bytes,
        value: Bytes,
        wire: Command,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let engine = Rc::clone(&self.engine);
        match self.guarded(&key, engine.change_of(&value), &wire, true).await? {
            Guarded::Answered(reply) if reply.code() == 0 => tally.answered(self.record_stamp(&key, &value).await?),
            Guarded::Answered(reply) => tally.answered(reply.code()),
            Guarded::Refused(refusal) => tally.refused(refusal, engine.refusal_code(refusal)),
        }
        Ok(())
    }

    async fn part_of_list(
        &mut self,
        function: &Bytes,
        options: u32,
        mut work: VecDeque<Record>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        while !work.is_empty() {
            for frame in self.send_list(function, options, &mut work, tally).await? {
                let Frame {
                    records,
                    probes,
                    is_idempotent,
                    reply,
                } = frame;
                match outcome(reply).await {
                    Ok(reply) => self.list_answered(records, &probes, reply.code(), tally).await?,
                    Err(none) => {
                        self.engine.shared.hidden.doubt();
                        self.may_repeat(none, is_idempotent, RetryKind::Write)?;
                        self.retried |= none == NoReply::Lost(Lost::Sent);
                        work.extend(records);
                    }
                }
            }
        }
        Ok(())
    }

    async fn list_answered(
        &self,
        records: Vec<Record>,
        probes: &[Probe],
        code: u8,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        tally.answered(code);
        let hidden = &self.engine.shared.hidden;
        probes.iter().for_each(|probe| hidden.written(code, probe));
        if code == 0 && !self.engine.capabilities().lists_replace() {
            for (key, value) in records {
                if let Some(value) = value {
                    tally.answered(self.record_stamp(&key, &value).await?);
                }
            }
        }
        Ok(())
    }

    /// Judges record by record and sends those that pass. What was judged is sent before anything is awaited.
    async fn send_list(
        &self,
        function: &Bytes,
        options: u32,
        work: &mut VecDeque<Record>,
        tally: &mut Tally,
    ) -> Result<Vec<Frame>, Failure> {
        let mut sending = Sending {
            function,
            options,
            via: self.via_for_write(None).await?,
            batch: Batch::default(),
            frames: Vec::new(),
        };
        let mut standing = Standing::default();
        // Records at the head of what is left to do whose keys have been looked up ahead, where that is called for.
        let mut looked = 0usize;
        let mut stint = Stint::begin();
        while let Some((key, value)) = work.pop_front() {
            looked = looked.saturating_sub(1);
            if stint.is_over() {
                self.send_batch(&mut sending);
                stint.rest().await;
                sending.via = self.via_for_write(None).await?;
            }
            if self.engine.denies_key(self.asker(), &key) {
                tally.refused(Refusal::Denied, self.engine.refusal_code(Refusal::Denied));
                continue;
            }
            self.make_way(&mut sending, self.change_of(&value)).await?;
            let proposal = Proposal {
                asker: Some(self.asker()),
                ..Proposal::by(&sending.via, &key, self.change_of(&value))
            };
            match self.engine.judge(proposal, &mut standing) {
                Decision::Refused(refusal) => tally.refused(refusal, self.engine.refusal_code(refusal)),
                Decision::Go(ticket) => {
                    if self.add_to_batch(&mut sending, key, value, ticket) {
                        sending.via = self.via_for_write(None).await?;
                    }
                }
                Decision::Wait(wait) => {
                    self.send_batch(&mut sending);
                    looked = self.look_ahead(&sending.via, work, looked) + 1;
                    work.push_front((key, value));
                    standing = self.woken(wait).await?;
                    sending.via = self.via_for_write(None).await?;
                }
            }
        }
        self.send_batch(&mut sending);
        Ok(sending.frames)
    }

    /// Waits until one change more may be judged, and go with the others.
    async fn make_way(&self, sending: &mut Sending<'_>, change: Change<'_>) -> Result<(), Failure> {
        while let Some(until) = self.engine.below_mark(change) {
            self.send_batch(sending);
            self.hold(until).await?;
            sending.via = self.via_for_write(None).await?;
        }
        if !sending.has_room() {
            self.send_batch(sending);
            sending.via = self.via_for_write(None).await?;
        }
        Ok(())
    }

    /// Adds a record that was let through to the others; whether that has sent them.
    fn add_to_batch(&self, sending: &mut Sending<'_>, key: Bytes, value: Option<Bytes>, ticket: Ticket) -> bool {
        // What has to wait for its record must not hold up the others of a list, which are in the order of their lane. All
        // deletes have to.
        let waits_alone = self.engine.wants_record(&ticket) && value.is_some();
        if waits_alone {
            self.send_batch(sending);
        }
        sending.batch.add(key, value, ticket);
        let is_full = sending.batch.is_full() || waits_alone;
        if is_full {
            self.send_batch(sending);
        }
        is_full
    }

    fn change_of<'a>(&self, value: &'a Option<Bytes>) -> Change<'a> {
        match value {
            Some(value) => self.engine.change_of(value),
            None => Change::delete(self.stamp),
        }
    }

    /// Has the keys of a list looked up while one of it is waited for, behind the first so many, for which that was done
    /// before. Returns for how many it is now.
    fn look_ahead(&self, via: &Via, work: &VecDeque<Record>, looked: usize) -> usize {
        let ahead = work.iter().take(LOOK_AHEAD).skip(looked);
        let seen = ahead.take_while(|(key, value)| {
            let change = self.change_of(value);
            self.engine.look_ahead(via, key, change) != Looked::Enough
        });
        looked + seen.count()
    }

    /// Sends the records that were let through so far.
    fn send_batch(&self, sending: &mut Sending<'_>) {
        let Batch { records, tickets, .. } = std::mem::take(&mut sending.batch);
        if records.is_empty() {
            return;
        }
        let via = &sending.via;
        let is_idempotent = tickets.iter().all(Ticket::is_idempotent);
        let mut arguments = Vec::with_capacity(records.len() * 2);
        let mut probes = Vec::new();
        for (key, value) in &records {
            arguments.push(key.clone());
            arguments.extend(value.clone());
            let stamp = value.as_ref().and_then(|value| self.stamp_of(value));
            if let Some(stamp) =
                stamp.filter(|_| self.engine.keeps_records() && self.engine.capabilities().lists_replace())
            {
                let (name, digits) = self.engine.record_of(key, stamp);
                probes.push(self.engine.probe(via, &name, self.deadline));
                arguments.extend([name, digits]);
            }
        }
        let wire = Command::Misc {
            function: sending.function.clone(),
            options: sending.options,
            arguments,
        };
        let reply = if tickets.iter().any(|ticket| self.engine.wants_record(ticket)) {
            let keys = records.iter().map(|(key, _)| key.clone());
            let changes = keys.zip(tickets).collect();
            self.engine.send_recorded(via, self.link, changes, wire, self.deadline)
        } else {
            self.send(via, &wire, Tickets::Several(tickets))
        };
        sending.frames.push(Frame {
            records,
            probes,
            is_idempotent,
            reply,
        });
    }
}
