//! Commands that take several exchanges. Each is alone in its session until it is done.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout_at};

use super::dispatch::refusal_reply;
use super::passenger::Cargo;
use super::records;
use super::session::{End, Item, Session};
use super::slow;
use super::store::Via;
use super::waiting::{GuardWait, Standing, Unfenced};
use super::worker::{Decision, Worker};
use crate::backend::tyrant::greeting::DatabaseKind;
use crate::command::function::Function;
use crate::command::{Command, Reply, Verb};
use crate::guard::rules::{ExtMeaning, LedgerMode};
use crate::guard::verdict::{Change, Refusal, Ticket};
use crate::metrics::{Outcome, RetryKind};
use crate::pairing::owed::Lost;

/// Most records that travel in one frame of a list.
const BATCH_RECORDS: usize = 256;

/// A frame of a list is closed when it has grown to so many bytes.
const BATCH_BYTES: usize = 1 << 20;

/// What a mapped script function answers when the value was stored.
pub const EXT_STORED: &[u8] = b"ok";

type Done = Result<(Outcome, Reply), End>;

/// One command on its way through several exchanges.
pub struct Steps {
    pub worker: Rc<Worker>,
    pub link: usize,
    pub received: Instant,
    pub deadline: Instant,
    verb: Verb,
    /// Part of it was sent before, on a lane that was lost.
    retried: bool,
}

/// What came of a guarded exchange.
enum Guarded {
    Answered(Reply),
    Refused(Refusal),
}

/// A function of `misc` with what it was called with.
struct Call {
    function: Bytes,
    options: u32,
    arguments: Vec<Bytes>,
}

impl Call {
    fn command(self) -> Command {
        Command::Misc {
            function: self.function,
            options: self.options,
            arguments: self.arguments,
        }
    }
}

impl Steps {
    pub fn new(session: Rc<Session>, item: &Item) -> Self {
        Self {
            worker: Rc::clone(&session.worker),
            link: session.link,
            received: item.received,
            deadline: item.deadline,
            verb: item.command.verb(),
            retried: item.retried,
        }
    }

    pub async fn carry_out(mut self, command: Command) -> Done {
        match command {
            Command::Misc {
                function,
                options,
                arguments,
            } => {
                let call = Call {
                    function,
                    options,
                    arguments,
                };
                self.call(call).await
            }
            Command::Put { key, value } | Command::PutNr { key, value } => {
                self.put_then_record(key, value, false).await
            }
            Command::PutKeep { key, value } => self.put_then_record(key, value, true).await,
            Command::IterNext => self.iter_next().await,
            Command::FwmKeys { prefix, max } => self.fwmkeys(prefix, max).await,
            Command::Rnum => self.rnum().await,
            Command::Stat => self.stat().await,
            Command::Ext {
                function, key, value, ..
            } if self.is_guarded_put(&function) => self.ext_put(key, value).await,
            Command::Ext { ref key, .. } => {
                let key = key.clone();
                self.slow_unordered(command, key).await
            }
            Command::Vanish | Command::Restore { .. } => self.upheaval(command).await,
            other => Ok(answered(slow::exchange(&self, other, None).await?)),
        }
    }

    async fn call(&mut self, call: Call) -> Done {
        let pair = call.arguments.len() == 2;
        match Function::named(&call.function) {
            Function::Put if pair => self.misc_put(call, true).await,
            Function::PutKeep if pair => self.misc_put(call, false).await,
            Function::PutList => self.put_list(call).await,
            Function::Out if !call.arguments.is_empty() => self.misc_out(call).await,
            Function::OutList => self.out_list(call).await,
            Function::Put | Function::PutKeep | Function::Unordered if !call.arguments.is_empty() => {
                self.misc_unordered(call).await
            }
            Function::IterNext => self.misc_iter_next(call).await,
            Function::Scan => {
                let reply = slow::exchange(self, call.command(), None).await?;
                Ok(answered(match reply {
                    Reply::Strings { code, strings } => Reply::Strings {
                        code,
                        strings: records::visible_pairs(strings),
                    },
                    other => other,
                }))
            }
            Function::Search if call.arguments.iter().any(|argument| argument == "out") => {
                self.upheaval_allowed(call).await
            }
            Function::Unknown => self.upheaval_allowed(call).await,
            Function::Vanish => self.upheaval(call.command()).await,
            _ => Ok(answered(slow::exchange(self, call.command(), None).await?)),
        }
    }

    // Getting to the backend.

    /// Waits for a lane with room.
    async fn via(&self) -> Result<Via, End> {
        loop {
            if let Some(via) = self.worker.via(self.link, 1) {
                return Ok(via);
            }
            let changed = self.worker.changed.notified();
            timeout_at(self.deadline.into(), changed)
                .await
                .map_err(|_| End::Deadline)?;
        }
    }

    /// As [`Self::via`], for a guarded write: after a start those are held back for a while.
    pub async fn via_for_write(&self) -> Result<Via, End> {
        loop {
            let via = self.via().await?;
            let Some(until) = self.worker.hold_until() else {
                return Ok(via);
            };
            sleep_until(until.min(self.deadline).into()).await;
            if until > self.deadline {
                return Err(End::Deadline);
            }
        }
    }

    fn send(&self, via: &Via, command: &Command, tickets: Vec<Ticket>) -> oneshot::Receiver<Result<Reply, Lost>> {
        let (reply_to, reply) = oneshot::channel();
        let cargo = Cargo::Exchange { reply_to, tickets };
        via.submit(command, self.deadline, self.worker.passenger(cargo));
        reply
    }

    /// Sends a command that is not judged; again where that cannot do harm.
    async fn exchange(&self, command: &Command, is_idempotent: bool) -> Result<Reply, End> {
        loop {
            let via = self.via().await?;
            let reply = self.send(&via, command, Vec::new());
            match outcome(reply).await {
                Ok(reply) => return Ok(reply),
                Err(lost) => self.may_repeat(lost, is_idempotent, RetryKind::Read)?,
            }
        }
    }

    fn may_repeat(&self, lost: Lost, is_idempotent: bool, kind: RetryKind) -> Result<(), End> {
        if tokio::time::Instant::now().into_std() >= self.deadline {
            return Err(End::Deadline);
        }
        let kind = match lost {
            Lost::Unsent => RetryKind::Unsent,
            Lost::Sent if is_idempotent => kind,
            Lost::Sent => return Err(End::LaneLost),
        };
        self.worker.shared.metrics.retries.of(kind).increment(1);
        Ok(())
    }

    pub async fn woken(&self, mut wait: GuardWait) -> Result<Standing, End> {
        match timeout_at(self.deadline.into(), wait.woken()).await {
            Ok(Ok(standing)) => Ok(standing),
            Ok(Err(Unfenced)) if self.retried => Err(End::LaneLost),
            Ok(Err(Unfenced)) => Ok(Standing::default()),
            Err(_) => Err(End::Deadline),
        }
    }

    /// Judges until there is a verdict. The ticket must be used before anything is awaited.
    async fn admit(&self, key: &Bytes, change: Change<'_>) -> Result<Result<(Via, Ticket), Refusal>, End> {
        if self.worker.denies_key(key) {
            return Ok(Err(Refusal::Denied));
        }
        let mut standing = Standing::default();
        loop {
            let via = self.via_for_write().await?;
            match self.worker.judge(&via, via.id(), key, change, &mut standing) {
                Decision::Go(ticket) => return Ok(Ok((via, ticket))),
                Decision::Refused(refusal) => return Ok(Err(refusal)),
                Decision::Wait(wait) => standing = self.woken(wait).await?,
            }
        }
    }

    /// One guarded exchange; sent again where that cannot do harm.
    async fn guarded(
        &mut self,
        key: &Bytes,
        change: Change<'_>,
        command: &Command,
        may_repeat: bool,
    ) -> Result<Guarded, End> {
        loop {
            let (via, ticket) = match self.admit(key, change).await? {
                Ok(passage) => passage,
                Err(refusal) => return Ok(Guarded::Refused(refusal)),
            };
            let is_idempotent = may_repeat && ticket.is_idempotent();
            self.worker.bury(&via, key, &ticket, self.deadline);
            let reply = self.send(&via, command, vec![ticket]);
            match outcome(reply).await {
                Ok(reply) => return Ok(Guarded::Answered(reply)),
                Err(lost) => {
                    self.may_repeat(lost, is_idempotent, RetryKind::Write)?;
                    self.retried |= lost == Lost::Sent;
                }
            }
        }
    }

    // Writes.

    fn keeps_records(&self) -> bool {
        self.worker.shared.guard.rules().ledger == LedgerMode::Record
            && self.worker.kind() != DatabaseKind::WithoutRecords
    }

    fn stamp_of(&self, value: &[u8]) -> Option<u64> {
        self.worker.shared.guard.rules().stamp.read(value)
    }

    /// Writes the record of a stamp after its value was stored, and waits until it is. For nothing where stamps have no
    /// records of their own.
    async fn record_stamp(&self, key: &Bytes, value: &Bytes) -> Result<(), End> {
        let Some(stamp) = self.stamp_of(value).filter(|_| self.keeps_records()) else {
            return Ok(());
        };
        let via = self.via().await?;
        self.worker.write_record(&via, key, stamp, self.deadline);
        // A cheap question behind it on the same lane: its answer says that the record was dealt with.
        let behind = self.send(
            &via,
            &Command::Vsiz {
                key: records::name_of(key),
            },
            Vec::new(),
        );
        match outcome(behind).await {
            Ok(Reply::Number(_)) => Ok(()),
            Ok(_) => {
                self.worker.shared.hidden.doubt();
                Ok(())
            }
            Err(_) => Err(End::LaneLost),
        }
    }

    /// `put` and `putkeep` where the stamp's record must follow the value's outcome.
    async fn put_then_record(&mut self, key: Bytes, value: Bytes, keep: bool) -> Done {
        let shared = std::sync::Arc::clone(&self.worker.shared);
        let (key_sent, value_sent) = (key.clone(), value.clone());
        let wire = if keep {
            Command::PutKeep {
                key: key_sent,
                value: value_sent,
            }
        } else {
            Command::Put {
                key: key_sent,
                value: value_sent,
            }
        };
        match self.guarded(&key, shared.guard.change_of(&value), &wire, !keep).await? {
            Guarded::Answered(reply) => {
                if reply.code() == 0 {
                    self.record_stamp(&key, &value).await?;
                }
                Ok(answered(reply))
            }
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    fn is_guarded_put(&self, function: &[u8]) -> bool {
        let mapped = &self.worker.shared.guard.rules().ext;
        let name = std::str::from_utf8(function).ok();
        name.and_then(|name| mapped.get(name)) == Some(&ExtMeaning::Put)
    }

    /// A script function that stands for a guarded put.
    async fn ext_put(&mut self, key: Bytes, value: Bytes) -> Done {
        let (outcome, reply) = self.put_then_record(key, value, false).await?;
        Ok(match reply {
            Reply::Code(0) => (outcome, Reply::Value(Bytes::from_static(EXT_STORED))),
            other => (outcome, other),
        })
    }

    async fn misc_put(&mut self, call: Call, may_repeat: bool) -> Done {
        let (key, value) = (call.arguments[0].clone(), call.arguments[1].clone());
        let shared = std::sync::Arc::clone(&self.worker.shared);
        let wire = call.command();
        match self
            .guarded(&key, shared.guard.change_of(&value), &wire, may_repeat)
            .await?
        {
            Guarded::Answered(reply) => {
                if reply.code() == 0 {
                    self.record_stamp(&key, &value).await?;
                }
                Ok(answered(reply))
            }
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    async fn misc_out(&mut self, call: Call) -> Done {
        let key = call.arguments[0].clone();
        match self.guarded(&key, Change::Delete, &call.command(), false).await? {
            Guarded::Answered(reply) => Ok(answered(reply)),
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    async fn misc_unordered(&mut self, call: Call) -> Done {
        let key = call.arguments[0].clone();
        let policy = if Function::named(&call.function) == Function::Unordered {
            Verb::PutCat
        } else {
            Verb::Misc
        };
        if let Err(refusal) = self.worker.admit_unordered(policy, &key) {
            return Ok(self.refused(refusal));
        }
        match self.guarded(&key, Change::Unordered, &call.command(), false).await? {
            Guarded::Answered(reply) => Ok(answered(reply)),
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    fn refused(&self, refusal: Refusal) -> (Outcome, Reply) {
        let code = self.worker.refusal_code(refusal);
        (Outcome::Refused, refusal_reply(self.verb, code))
    }

    // Lists: each record is judged by itself; those that pass travel together.

    async fn put_list(&mut self, call: Call) -> Done {
        let pairs = call
            .arguments
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), Some(pair[1].clone())));
        let work = pairs.collect();
        self.list(&call.function, call.options, work).await
    }

    async fn out_list(&mut self, call: Call) -> Done {
        let work = call.arguments.iter().map(|key| (key.clone(), None)).collect();
        self.list(&call.function, call.options, work).await
    }

    /// Carries out a list of puts (with values) or deletes (without).
    async fn list(&mut self, function: &Bytes, options: u32, mut work: VecDeque<Record>) -> Done {
        let mut tally = Tally::default();
        while !work.is_empty() {
            for frame in self.send_list(function, options, &mut work, &mut tally).await? {
                let Frame {
                    records,
                    probes,
                    is_idempotent,
                    reply,
                } = frame;
                match outcome(reply).await {
                    Ok(reply) => self.list_answered(records, &probes, reply.code(), &mut tally).await?,
                    Err(lost) => {
                        self.may_repeat(lost, is_idempotent, RetryKind::Write)?;
                        self.retried |= lost == Lost::Sent;
                        self.worker.shared.hidden.doubt();
                        work.extend(records);
                    }
                }
            }
        }
        Ok(tally.reply())
    }

    async fn list_answered(
        &self,
        records: Vec<Record>,
        probes: &[Rc<Cell<bool>>],
        code: u8,
        tally: &mut Tally,
    ) -> Result<(), End> {
        tally.answered(code);
        let hidden = &self.worker.shared.hidden;
        if code != 0 && !probes.is_empty() {
            hidden.doubt();
        } else if code == 0 {
            probes.iter().filter(|is_new| is_new.get()).for_each(|_| hidden.added());
            if self.worker.kind() == DatabaseKind::BPlusTree {
                for (key, value) in records {
                    if let Some(value) = value {
                        self.record_stamp(&key, &value).await?;
                    }
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
    ) -> Result<Vec<Frame>, End> {
        let mut frames = Vec::new();
        let mut batch = Batch::default();
        let mut standing = Standing::default();
        let mut via = self.via_for_write().await?;
        while let Some((key, value)) = work.pop_front() {
            if self.worker.denies_key(&key) {
                tally.refused(key, self.worker.refusal_code(Refusal::Denied));
                continue;
            }
            let change = match &value {
                Some(value) => self.worker.shared.guard.change_of(value),
                None => Change::Delete,
            };
            match self.worker.judge(&via, via.id(), &key, change, &mut standing) {
                Decision::Refused(refusal) => tally.refused(key, self.worker.refusal_code(refusal)),
                Decision::Go(ticket) => {
                    self.worker.bury(&via, &key, &ticket, self.deadline);
                    batch.add(key, value, ticket);
                    if batch.is_full() {
                        frames.extend(self.send_batch(&via, function, options, &mut batch));
                        via = self.via_for_write().await?;
                    }
                }
                Decision::Wait(wait) => {
                    frames.extend(self.send_batch(&via, function, options, &mut batch));
                    work.push_front((key, value));
                    standing = self.woken(wait).await?;
                    via = self.via_for_write().await?;
                }
            }
        }
        frames.extend(self.send_batch(&via, function, options, &mut batch));
        Ok(frames)
    }

    fn send_batch(&self, via: &Via, function: &Bytes, options: u32, batch: &mut Batch) -> Option<Frame> {
        let Batch { records, tickets, .. } = std::mem::take(batch);
        if records.is_empty() {
            return None;
        }
        let is_idempotent = tickets.iter().all(Ticket::is_idempotent);
        let mut arguments = Vec::with_capacity(records.len() * 2);
        let mut probes = Vec::new();
        for (key, value) in &records {
            arguments.push(key.clone());
            arguments.extend(value.clone());
            let stamp = value.as_ref().and_then(|value| self.stamp_of(value));
            if let Some(stamp) = stamp.filter(|_| self.keeps_records() && self.worker.kind() == DatabaseKind::Plain) {
                let (name, digits) = self.worker.record_of(key, stamp);
                probes.push(self.worker.probe(via, &name, self.deadline));
                arguments.extend([name, digits]);
            }
        }
        let wire = Command::Misc {
            function: function.clone(),
            options,
            arguments,
        };
        let reply = self.send(via, &wire, tickets);
        Some(Frame {
            records,
            probes,
            is_idempotent,
            reply,
        })
    }

    // Reads that must not show hidden records.

    async fn iter_next(&mut self) -> Done {
        loop {
            match self.exchange(&Command::IterNext, false).await? {
                Reply::Value(key) if records::is_hidden(&key) => {}
                reply => return Ok(answered(reply)),
            }
        }
    }

    async fn misc_iter_next(&mut self, call: Call) -> Done {
        let command = call.command();
        loop {
            match self.exchange(&command, false).await? {
                Reply::Strings { strings, .. } if strings.first().is_some_and(|key| records::is_hidden(key)) => {}
                reply => return Ok(answered(reply)),
            }
        }
    }

    /// Asks for more than was asked for as long as hidden keys take the place of visible ones.
    async fn fwmkeys(&mut self, prefix: Bytes, max: i32) -> Done {
        let mut ask = max;
        loop {
            let command = Command::FwmKeys {
                prefix: prefix.clone(),
                max: ask,
            };
            let keys = match slow::exchange(self, command, None).await? {
                Reply::Keys(keys) => keys,
                other => return Ok(answered(other)),
            };
            let found = keys.len();
            let mut visible = records::visible_keys(keys);
            let (Ok(wanted), Ok(asked)) = (usize::try_from(max), usize::try_from(ask)) else {
                return Ok(answered(Reply::Keys(visible)));
            };
            if visible.len() >= wanted || found < asked {
                visible.truncate(wanted);
                return Ok(answered(Reply::Keys(visible)));
            }
            ask = ask.saturating_mul(2);
        }
    }

    async fn rnum(&mut self) -> Done {
        let reply = self.exchange(&Command::Rnum, true).await?;
        let Reply::Count(all) = reply else {
            return Ok(answered(reply));
        };
        let hidden = self.hidden_records().await?.unwrap_or(0);
        Ok(answered(Reply::Count(all.saturating_sub(hidden))))
    }

    /// `stat` with hidden records left out of `rnum`, and said in a line of their own where there are any.
    async fn stat(&mut self) -> Done {
        let reply = self.exchange(&Command::Stat, true).await?;
        let Reply::Value(lines) = &reply else {
            return Ok(answered(reply));
        };
        let hidden = self.hidden_records().await?;
        let text = String::from_utf8_lossy(lines);
        let mut visible = String::with_capacity(text.len() + 32);
        for line in text.lines() {
            let rnum = line.strip_prefix("rnum\t").and_then(|rnum| rnum.parse::<u64>().ok());
            match (rnum, hidden) {
                (Some(all), Some(hidden)) => {
                    visible.push_str(&format!("rnum\t{}\n", all.saturating_sub(hidden)));
                    if hidden > 0 {
                        visible.push_str(&format!("ttguard_hidden\t{hidden}\n"));
                    }
                }
                _ => {
                    visible.push_str(line);
                    visible.push('\n');
                }
            }
        }
        Ok(answered(Reply::Value(Bytes::from(visible))))
    }

    /// How many hidden records there are; counted when nobody knows, which takes as long as listing them. Nothing when
    /// the count kept changing.
    async fn hidden_records(&self) -> Result<Option<u64>, End> {
        const TRIES: usize = 3;
        if self.worker.kind() == DatabaseKind::WithoutRecords {
            return Ok(Some(0));
        }
        let hidden = &self.worker.shared.hidden;
        for _ in 0..TRIES {
            if let Some(count) = hidden.get() {
                return Ok(Some(count));
            }
            let changes = hidden.changes();
            let command = Command::FwmKeys {
                prefix: Bytes::from_static(records::PREFIX),
                max: -1,
            };
            if let Reply::Keys(keys) = slow::exchange(self, command, None).await? {
                hidden.counted(keys.len() as u64, changes);
            }
        }
        Ok(hidden.get())
    }

    // Commands that may change anything.

    async fn slow_unordered(&mut self, command: Command, key: Bytes) -> Done {
        if let Err(refusal) = self.worker.admit_unordered(self.verb, &key) {
            return Ok(self.refused(refusal));
        }
        let reply = slow::exchange(self, command, Some(&key)).await?;
        // The function may have written any record.
        self.worker.shared.hidden.doubt();
        Ok(answered(reply))
    }

    async fn upheaval_allowed(&mut self, call: Call) -> Done {
        if let Err(refusal) = self.worker.admit_unordered(Verb::Misc, &call.function) {
            return Ok(self.refused(refusal));
        }
        self.upheaval(call.command()).await
    }

    /// A command that can change every record: what is known of them is forgotten before and after.
    async fn upheaval(&mut self, command: Command) -> Done {
        let shared = &self.worker.shared;
        let empties = matches!(&command, Command::Vanish)
            || matches!(&command, Command::Misc { function, .. } if Function::named(function) == Function::Vanish);
        shared.guard.distrust_everything((shared.clock)());
        shared.hidden.doubt();
        let result = slow::exchange(self, command, None).await;
        shared.guard.distrust_everything((shared.clock)());
        let reply = result?;
        if empties && reply.code() == 0 {
            shared.hidden.reset();
        }
        Ok(answered(reply))
    }
}

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
    probes: Vec<Rc<Cell<bool>>>,
    is_idempotent: bool,
    reply: oneshot::Receiver<Result<Reply, Lost>>,
}

/// What came of a list so far.
#[derive(Default)]
struct Tally {
    refused: Vec<Bytes>,
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

    fn refused(&mut self, key: Bytes, code: u8) {
        if code != 0 {
            self.refused.push(key);
            if !self.failed {
                self.code = code;
            }
        }
    }

    /// The keys that were refused, under the code of the last refusal, or the backend's own failure.
    fn reply(self) -> (Outcome, Reply) {
        let outcome = match (self.failed, self.refused.is_empty()) {
            (true, _) => Outcome::Failed,
            (false, false) => Outcome::Refused,
            (false, true) => Outcome::Answered,
        };
        let (code, strings) = (self.code, self.refused);
        (outcome, Reply::Strings { code, strings })
    }
}

fn answered(reply: Reply) -> (Outcome, Reply) {
    let outcome = if reply.code() == 0 {
        Outcome::Answered
    } else {
        Outcome::Failed
    };
    (outcome, reply)
}

/// A lane tells every passenger its outcome; one that went without a word may have been carried out.
async fn outcome(reply: oneshot::Receiver<Result<Reply, Lost>>) -> Result<Reply, Lost> {
    reply.await.unwrap_or(Err(Lost::Sent))
}
