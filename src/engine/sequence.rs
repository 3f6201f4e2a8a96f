//! Commands that take several exchanges. Each is alone in its session until it is done.

mod doubt;
mod edits;
mod lists;
pub mod pieces;
mod reads;
mod recorded;
mod tidy;
mod upheavals;
mod writes;

pub use self::recorded::{Recorded, Unrecorded};

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout_at};

use crate::backend::tyrant::greeting::DatabaseKind;
use crate::command::function::{self, Function};
use crate::command::{Answer, Command, Reply, Verb};
use crate::config::ListenerSettings;
use crate::engine::Engine;
use crate::engine::apart::apart;
use crate::engine::completion::{Cargo, NoReply, Passenger};
use crate::engine::dedicated::{self, Touches};
use crate::engine::pipeline::ROOM;
use crate::engine::store::Via;
use crate::engine::waiting::{GuardWait, Standing, Unfenced};
use crate::engine::write::judging::{Decision, Proposal};
use crate::front::session::{End, Item, Session, denial_for_keys, now};
use crate::guard::verdict::{Change, Refusal, Ticket};
use crate::metrics::{Outcome, RetryKind};
use crate::pairing::owed::Lost;
use crate::protocol::answer::Form;
use crate::recent::Asker;

/// What a mapped script function answers when it was carried out.
pub const EXT_DONE: &[u8] = b"ok";

type Done = Result<(Outcome, Answer), End>;

/// One command on its way through several exchanges.
pub struct Steps {
    pub engine: Rc<Engine>,
    pub link: usize,
    pub received: Instant,
    pub deadline: Instant,
    verb: Verb,
    pub asker: Asker,
    /// How clients are served where this one has connected.
    listener: Arc<ListenerSettings>,
    form: Form,
    /// Part of it was sent before, on a lane that was lost.
    retried: bool,
    /// How often connections had moved to another backend when it was first on its way.
    moves: Cell<Option<u64>>,
}

/// What came of a guarded exchange.
enum Guarded {
    Answered(Reply),
    Refused(Refusal),
}

/// A function of `misc` with what it was called with.
#[derive(Clone)]
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
            engine: Rc::clone(&session.engine),
            link: session.links.current(),
            received: item.received,
            deadline: item.deadline,
            verb: item.command.verb(),
            asker: session.asker(item),
            listener: Arc::clone(&session.listener),
            form: item.form,
            retried: item.retried,
            moves: Cell::new(None),
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
            Command::Out { ref key } => {
                let key = key.clone();
                self.remove(&key, &command).await
            }
            Command::PutCat { .. } | Command::PutShl { .. } => self.carry_out_edit(command, None).await,
            Command::Mget { keys } => self.mget(keys).await,
            Command::IterNext => self.iter_next().await,
            Command::FwmKeys { prefix, max } => self.fwmkeys(prefix, max).await,
            Command::Rnum => self.rnum().await,
            Command::Stat => self.stat().await,
            Command::Ext {
                function, key, value, ..
            } if let Some(meaning) = self.engine.settings().rules.ext_meaning(&function) => {
                self.ext_mapped(meaning, key, value).await
            }
            Command::Ext { ref key, .. } => {
                let key = key.clone();
                self.script(command, key).await
            }
            Command::Vanish | Command::Restore { .. } | Command::SetMst { .. } => self.upheaval(command).await,
            other => Ok(answered(dedicated::exchange(&self, other, Touches::Nothing).await?)),
        }
    }

    /// As [`Self::carry_out`], once all keys of a long list were looked at, and made the store's.
    pub async fn carry_out_list(self, mut command: Command) -> Done {
        let (listener, limits) = (Arc::clone(&self.listener), self.engine.settings().limits.request);
        let looked = apart(usize::MAX, move || {
            (listener.keys.enter(&mut command, &limits), command)
        });
        let (may, command) = looked.await?;
        if !may {
            let answer = denial_for_keys(&self.engine, &self.listener, &command, self.form)?;
            return Ok((Outcome::Refused, answer));
        }
        self.carry_out(command).await
    }

    async fn call(&mut self, call: Call) -> Done {
        let engine = Rc::clone(&self.engine);
        // Behind key and value a table takes more columns; nobody else looks at what follows.
        let most = if engine.kind() == DatabaseKind::Table {
            2
        } else {
            usize::MAX
        };
        let pair = (2..=most).contains(&call.arguments.len());
        match Function::named(&call.function) {
            function @ (Function::Put | Function::PutKeep | Function::Unordered)
                if let (Some(column), false) = (engine.stamp_column(), call.arguments.is_empty()) =>
            {
                let may_repeat = function == Function::Put;
                self.misc_columns(call, column.as_bytes(), may_repeat).await
            }
            Function::Put if pair => self.misc_put(call, true).await,
            Function::PutKeep if pair => self.misc_put(call, false).await,
            Function::PutList => self.put_list(call).await,
            Function::Out if !call.arguments.is_empty() => self.misc_out(call).await,
            Function::OutList => self.out_list(call).await,
            Function::Read if Function::lists(&call.function) => self.get_list(call).await,
            Function::Put | Function::PutKeep | Function::Unordered if !call.arguments.is_empty() => {
                self.misc_unordered(call).await
            }
            Function::IterNext => self.misc_iter_next(call).await,
            Function::Scan => self.scan(call).await,
            Function::Search if function::deletes(&call.arguments) => self.upheaval_allowed(call).await,
            Function::Unknown => self.upheaval_allowed(call).await,
            Function::Vanish => self.upheaval(call.command()).await,
            Function::CountAll => self.count_all().await,
            Function::IterNextAll => self.iter_next_all(call).await,
            Function::Forget => self.forget(call).await,
            Function::Mend => self.mend(call).await,
            _ => Ok(answered(
                dedicated::exchange(self, call.command(), Touches::Nothing).await?,
            )),
        }
    }

    // Getting to the backend.

    /// Waits for a lane with room for so many requests. What has begun at one backend is not ended at another: what was
    /// read from the one says nothing of the other.
    async fn via(&self, requests: usize) -> Result<Via, End> {
        loop {
            if let Some(via) = self.engine.via(self.link, requests) {
                let moves = self.engine.shared.moves.load(Ordering::Relaxed);
                return match self.moves.replace(Some(moves)) {
                    Some(before) if before != moves => Err(End::LaneLost),
                    _ => Ok(via),
                };
            }
            let gives_up_at = self.engine.gives_up_at(self.link).filter(|at| *at < self.deadline);
            let (until, end) = match gives_up_at {
                Some(at) => (at, End::BackendDown),
                None => (self.deadline, End::Deadline),
            };
            let changed = self.engine.changed.notified();
            timeout_at(until.into(), changed).await.map_err(|_| end)?;
        }
    }

    /// As [`Self::via`], for all that belongs to a guarded write. After a start those are held back for a while.
    pub async fn via_for_write(&self) -> Result<Via, End> {
        loop {
            let via = self.via(ROOM).await?;
            let Some(until) = self.engine.hold_until() else {
                return Ok(via);
            };
            sleep_until(until.min(self.deadline).into()).await;
            if until > self.deadline {
                return Err(End::Deadline);
            }
        }
    }

    fn send(&self, via: &Via, command: &Command, tickets: Vec<Ticket>) -> oneshot::Receiver<Result<Reply, NoReply>> {
        let (passenger, reply) = self.passenger(command, tickets, Vec::new());
        via.submit(command, self.deadline, passenger);
        reply
    }

    /// As [`Self::send`], for a change that has its key to itself.
    fn send_alone(&self, via: &Via, command: &Command, ticket: Ticket) -> oneshot::Receiver<Result<Reply, NoReply>> {
        let (passenger, reply) = self.passenger(command, vec![ticket], Vec::new());
        via.submit_alone(command, self.deadline, passenger);
        reply
    }

    /// Sends a read of these keys, whose answer may name no others.
    fn ask(&self, via: &Via, command: &Command, asked: Vec<Bytes>) -> oneshot::Receiver<Result<Reply, NoReply>> {
        let (passenger, reply) = self.passenger(command, Vec::new(), asked);
        via.submit(command, self.deadline, passenger);
        reply
    }

    /// What travels with one exchange, and where its outcome is told.
    fn passenger(
        &self,
        command: &Command,
        tickets: Vec<Ticket>,
        asked: Vec<Bytes>,
    ) -> (Passenger, oneshot::Receiver<Result<Reply, NoReply>>) {
        let (reply_to, reply) = oneshot::channel();
        let cargo = Cargo::Exchange {
            reply_to,
            tickets,
            asked,
        };
        (self.engine.passenger(command, cargo, now()), reply)
    }

    /// Sends a command that is not judged; again where that cannot do harm.
    async fn exchange(&self, command: &Command, is_idempotent: bool) -> Result<Reply, End> {
        loop {
            let via = self.via(1).await?;
            let reply = self.send(&via, command, Vec::new());
            match outcome(reply).await {
                Ok(reply) => return Ok(reply),
                Err(none) => self.may_repeat(none, is_idempotent, RetryKind::Read)?,
            }
        }
    }

    fn may_repeat(&self, none: NoReply, is_idempotent: bool, kind: RetryKind) -> Result<(), End> {
        let NoReply::Lost(lost) = none else {
            return Err(End::ReplyTooLarge);
        };
        if now() >= self.deadline {
            return Err(End::Deadline);
        }
        let kind = match lost {
            Lost::Unsent => RetryKind::Unsent,
            Lost::Sent if is_idempotent => kind,
            Lost::Sent => return Err(End::LaneLost),
        };
        self.engine.shared.metrics.retries.of(kind).increment(1);
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

    /// Judges until there is a verdict, and counts it. The ticket must be used before anything is awaited.
    async fn admit(&self, alone: bool, key: &Bytes, change: Change<'_>) -> Result<Result<(Via, Ticket), Refusal>, End> {
        if self.engine.denies_key(self.asker, key) {
            return Ok(Err(Refusal::Denied));
        }
        self.admit_as(Some(self.asker), alone, key, change).await
    }

    /// As [`Self::admit`], of any key, for whom it is counted, and whether it must have its key to itself.
    async fn admit_as(
        &self,
        asker: Option<Asker>,
        alone: bool,
        key: &Bytes,
        change: Change<'_>,
    ) -> Result<Result<(Via, Ticket), Refusal>, End> {
        let mut standing = Standing::default();
        loop {
            let via = self.via_for_write().await?;
            let proposal = Proposal {
                alone,
                asker,
                ..Proposal::by(&via, key, change)
            };
            match self.engine.judge(proposal, &mut standing) {
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
        let alone = self.engine.store.takes_long(command);
        loop {
            let (via, ticket) = match self.admit(alone, key, change).await? {
                Ok(passage) => passage,
                Err(refusal) => return Ok(Guarded::Refused(refusal)),
            };
            let is_idempotent = may_repeat && ticket.is_idempotent();
            let reply = self.send_guarded(&via, key, command, ticket, alone);
            match outcome(reply).await {
                Ok(reply) => return Ok(Guarded::Answered(reply)),
                Err(none) => {
                    self.may_repeat(none, is_idempotent, RetryKind::Write)?;
                    self.retried |= none == NoReply::Lost(Lost::Sent);
                }
            }
        }
    }
}

fn answered(reply: Reply) -> (Outcome, Answer) {
    let outcome = if reply.code() == 0 {
        Outcome::Answered
    } else {
        Outcome::Failed
    };
    (outcome, Answer::Reply(reply))
}

/// A lane tells every passenger its outcome; one that went without a word may have been carried out.
async fn outcome(reply: oneshot::Receiver<Result<Reply, NoReply>>) -> Result<Reply, NoReply> {
    reply.await.unwrap_or(Err(NoReply::Lost(Lost::Sent)))
}
