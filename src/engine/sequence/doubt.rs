//! What a server's code 1 means. Of `get`, `vsiz` and `out` it says that there is no record, of `putkeep` that there is one,
//! and of all four that they failed or are denied by its mask (1.1.41, `do_out` and the like). Clients of the binary
//! protocol know it so. The text protocols have words for each, so it is found out what is stored.

use std::rc::Rc;

use bytes::Bytes;
use tokio::task::spawn_local;

use super::{Done, Sequence, answered};
use crate::clock::now;
use crate::command::{Answer, Command, Reply};
use crate::engine::Engine;
use crate::engine::channel::Client;
use crate::engine::failure::Failure;
use crate::engine::request::Request;
use crate::engine::state::Settled;
use crate::metrics::Outcome;
use crate::protocol::answer::Form;

/// The code.
const DOUBTFUL: Reply = Reply::Code(1);

impl Engine {
    /// Whether this answer of the backend does not say enough for the client of this request.
    pub fn leaves_in_doubt(&self, request: &Request, reply: &Reply) -> bool {
        request.place.is_some() && self.leaves_in_doubt_as(request.form, &request.command, reply)
    }

    /// As [`Self::leaves_in_doubt`], for a command that is answered in this form. A store in this process knows what it
    /// says.
    pub fn leaves_in_doubt_as(&self, form: Form, command: &Command, reply: &Reply) -> bool {
        *reply == DOUBTFUL && form.can_say_unavailable() && key_of(command).is_some() && self.store.here().is_none()
    }

    /// Finds out what an answer means that [leaves that in doubt](Self::leaves_in_doubt), and answers the client. Until
    /// then its request counts as one that is on a lane, and `writes` as it did there.
    pub fn clear_up(&self, client: Rc<dyn Client>, request: Request, writes: bool, reply: Reply) {
        // Not in this step, in which a lane gives out its answers.
        spawn_local(async move {
            let sequence = Sequence::new(client.channel(), &request);
            let done = sequence.clear_up(&request.command, reply).await;
            client.channel().landed(writes);
            match done {
                Ok((outcome, answer)) => {
                    let asked = request.settled(Settled::Answered);
                    client.answered(asked, outcome, answer, now());
                }
                Err(failure) => client.failed(request.settled(Settled::Failed), failure),
            }
        });
    }
}

impl Sequence {
    /// The answer to a command whose code 1 may mean what it says.
    pub(super) async fn clear_up(&self, command: &Command, reply: Reply) -> Done {
        let Some(key) = key_of(command) else {
            return Ok(answered(reply));
        };
        let is_there = self.is_there(key).await?;
        if is_there == matches!(command, Command::PutKeep { .. }) {
            return Ok(answered(reply));
        }
        Ok((Outcome::Failed, Answer::Unavailable))
    }

    /// Whether there is a record, as far as the server lets one know: it leaves out of an `mget` what it cannot read.
    async fn is_there(&self, key: &Bytes) -> Result<bool, Failure> {
        let ask = Command::Mget {
            keys: vec![key.clone()],
        };
        match self.exchange(&ask, true).await {
            Ok(Reply::Records(found)) if found.iter().any(|(echoed, _)| echoed != key) => {
                return Err(Failure::LaneLost);
            }
            Ok(Reply::Records(found)) if !found.is_empty() => return Ok(true),
            Ok(Reply::Records(_)) if self.engine.mget_finds.get() => return Ok(false),
            // What has never found anything may be denied by the server's mask.
            Ok(_) => {}
            // An answer without a record is not too large.
            Err(Failure::ReplyTooLarge) => return Ok(true),
            Err(end) => return Err(end),
        }
        match self.exchange(&Command::Vsiz { key: key.clone() }, true).await? {
            Reply::Number(_) => Ok(true),
            DOUBTFUL => Ok(false),
            _ => Err(Failure::LaneLost),
        }
    }
}

/// The key of a command whose code 1 has two meanings.
fn key_of(command: &Command) -> Option<&Bytes> {
    match command {
        Command::Get { key } | Command::Vsiz { key } | Command::Out { key } | Command::PutKeep { key, .. } => Some(key),
        _ => None,
    }
}
