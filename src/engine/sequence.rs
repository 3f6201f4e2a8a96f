//! Commands that take several exchanges. Each is alone in its session until it is done.

mod asking;
pub mod dedicated;
mod doubt;
mod edits;
mod exchanges;
mod lists;
pub mod pieces;
mod reads;
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
use crate::command::function::{self, Function};
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
    pub async fn carry_out_list(self, command: Command) -> Done {
        match self.entered(command).await? {
            Ok(command) => self.carry_out(command).await,
            Err(denial) => Ok((Outcome::Refused, denial)),
        }
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
}

fn answered(reply: Reply) -> (Outcome, Answer) {
    let answer = Answer::Reply(reply);
    (outcome_of(&answer), answer)
}

/// A lane tells every completion its outcome; one that went without a word may have been carried out.
async fn outcome(reply: Told) -> Result<Reply, NoReply> {
    reply.await.unwrap_or(Err(NoReply::Lost(Lost::Sent)))
}
