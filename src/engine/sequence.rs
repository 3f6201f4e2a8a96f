//! Commands that take several exchanges. Each is alone in its session until it is done.

mod asking;
pub mod dedicated;
mod doubt;
mod edits;
mod exchanges;
mod lists;
mod making;
mod own;
pub mod pieces;
mod reads;
mod restamping;
mod stamped;
mod tidy;
mod upheavals;
mod writes;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use self::dedicated::Touches;
use super::Engine;
use super::apart::apart;
use super::channel::Channel;
use super::completion::{NoReply, Told, outcome_of};
use super::denial::denial_for_keys;
use super::failure::Failure;
use super::request::Request;
use super::stamping::Newest;
use super::stamping::values::{Values, Writing};
use crate::command::function::Function;
use crate::command::{Answer, Command, Reply, Verb};
use crate::config::ListenerSettings;
use crate::guard::verdict::Refusal;
use crate::metrics::Outcome;
use crate::pairing::owed::Lost;
use crate::protocol::Protocol;
use crate::protocol::answer::Form;
use crate::recent::Asker;
use crate::transport::Who;

/// What came of one: how it is counted, and what its client is told.
pub type Done = Result<(Outcome, Answer), Failure>;

/// One command on its way through several exchanges.
pub struct Sequence {
    pub engine: Rc<Engine>,
    pub link: usize,
    pub received: Instant,
    pub deadline: Instant,
    verb: Verb,
    who: Who,
    protocol: Protocol,
    /// How clients are served where this one has connected.
    listener: Arc<ListenerSettings>,
    form: Form,
    /// The stamp that it was given, where ttguard gives stamps and it is a write.
    stamp: Option<u64>,
    /// The newest stamp that was seen so far.
    seen: Newest,
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

impl Sequence {
    /// Of a request of this client.
    pub fn new(channel: &Channel, request: &Request) -> Self {
        Self {
            engine: Rc::clone(&channel.engine),
            link: channel.links.current(),
            received: request.received,
            deadline: request.deadline,
            verb: request.command.verb(),
            who: channel.who().clone(),
            protocol: request.protocol(),
            listener: Arc::clone(&channel.listener),
            form: request.form,
            stamp: request.stamp,
            seen: Newest::default(),
            retried: request.retried,
            moves: Cell::new(None),
        }
    }

    /// Who asks.
    pub fn asker(&self) -> Asker<'_> {
        Asker {
            who: &self.who,
            protocol: self.protocol,
        }
    }

    /// Where it says which is the newest stamp that it has seen.
    pub fn seen(&self) -> Newest {
        Rc::clone(&self.seen)
    }

    /// Takes note of a stamp that its client is about to see.
    fn saw(&self, stamp: u64) {
        self.seen.set(self.seen.get().max(stamp));
    }

    /// Carries out a command, and shows its answer as the client may see it.
    pub async fn carry_out_shown(self, command: Command) -> Done {
        let (engine, seen, values) = (Rc::clone(&self.engine), self.seen(), Values::of(&command));
        let (outcome, answer) = self.carry_out(command).await?;
        let (answer, newest) = engine.stripped_apart(values, answer).await?;
        seen.set(seen.get().max(newest));
        Ok((outcome, answer))
    }

    async fn carry_out(mut self, command: Command) -> Done {
        match command {
            Command::PutKeep { .. }
            | Command::PutCat { .. }
            | Command::PutShl { .. }
            | Command::AddInt { .. }
            | Command::AddDouble { .. }
                if let Some(stamp) = self.stamp =>
            {
                self.make_stamped(command, None, stamp).await
            }
            Command::Vsiz { key } => self.size_of(key).await,
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

    /// As [`Self::carry_out_shown`], once all keys of a long list that is `unlooked` were looked at and made the store's,
    /// and its values have the stamp that they are given.
    pub async fn carry_out_whole(self, mut command: Command, unlooked: bool) -> Done {
        if unlooked {
            command = match self.entered(command).await? {
                Ok(command) => command,
                Err(denial) => return Ok((Outcome::Refused, denial)),
            };
        }
        if let (Some(stamp), Writing::Plain) = (self.stamp, Writing::of(&command)) {
            let stamping = self.engine.stamping(stamp);
            command = apart(usize::MAX, move || stamping.command(command)).await?;
        }
        self.carry_out_shown(command).await
    }

    /// A long list with its keys made the store's, or the answer to one that names a key its client may not.
    async fn entered(&self, mut command: Command) -> Result<Result<Command, Answer>, Failure> {
        let (listener, limits) = (Arc::clone(&self.listener), self.engine.settings().limits.request);
        let looked = apart(usize::MAX, move || {
            (listener.keys.enter(&mut command, &limits), command)
        });
        let (may, command) = looked.await?;
        if may {
            return Ok(Ok(command));
        }
        let denial = denial_for_keys(&self.engine, &self.listener, &command, self.form)?;
        Ok(Err(denial))
    }

    async fn call(&mut self, call: Call) -> Done {
        let engine = Rc::clone(&self.engine);
        // Behind key and value a table takes more columns; nobody else looks at what follows.
        let most = if engine.capabilities().has_columns {
            2
        } else {
            usize::MAX
        };
        let pair = (2..=most).contains(&call.arguments.len());
        match Function::named(&call.function) {
            Function::PutKeep | Function::Unordered
                if let (Some(stamp), Writing::Made) =
                    (self.stamp, Writing::of_call(&call.function, &call.arguments)) =>
            {
                self.make_stamped(call.command(), None, stamp).await
            }
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
            Function::Read if engine.given_format().is_some() && Function::reads_part(&call.function) => {
                self.part_of(call).await
            }
            Function::Read if Function::lists(&call.function) => self.get_list(call).await,
            Function::Put | Function::PutKeep | Function::Unordered if !call.arguments.is_empty() => {
                self.misc_unordered(call).await
            }
            Function::IterNext => self.misc_iter_next(call).await,
            Function::Scan => self.scan(call).await,
            Function::Search => self.search(call).await,
            Function::Unknown => self.upheaval_allowed(call).await,
            Function::Vanish => self.upheaval(call.command()).await,
            Function::CountAll => self.count_all().await,
            Function::IterNextAll => self.iter_next_all(call).await,
            Function::Forget => self.forget(call).await,
            Function::Mend => self.mend(call).await,
            Function::Stored => self.stored(call).await,
            Function::Stamp => self.stamp_stored(call).await,
            Function::Unstamp => self.unstamp_stored(call).await,
            _ => Ok(answered(
                dedicated::exchange(self, call.command(), Touches::Nothing).await?,
            )),
        }
    }
}

fn answered(reply: Reply) -> (Outcome, Answer) {
    let answer = Answer::Reply(reply);
    (outcome_of(&answer), answer)
}

/// A lane tells every completion its outcome; one that went without a word may have been carried out.
async fn outcome(reply: Told) -> Result<Reply, NoReply> {
    reply.await.unwrap_or(Err(NoReply::Lost(Lost::Sent)))
}
