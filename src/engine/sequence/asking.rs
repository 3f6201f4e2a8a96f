//! A request with very many strings, or whose answer may have, on its way from an edge to its guard: another thread sees to
//! them.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::{Done, Sequence};
use crate::clock::now;
use crate::command::{Answer, Command};
use crate::engine::apart::{apart, strings_in, strings_of_command};
use crate::engine::completion::{Purpose, Whole, is_repeatable, outcome_of};
use crate::engine::failure::Failure;
use crate::engine::sending::Via;
use crate::engine::write::settlement::Tickets;
use crate::metrics::Outcome;
use crate::pairing::owed::Lost;
use crate::protocol::link::told::{Failed, Told};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::tyrant::request;
use crate::store::guards::Asking;

impl Sequence {
    /// Asks the guard, and waits for what it says. Of a list that is `unlooked` its keys are looked at first.
    pub async fn ask_guard(self, asking: Asking, mut command: Command, unlooked: bool) -> Done {
        if unlooked {
            command = match self.entered(command).await? {
                Ok(command) => command,
                Err(denial) => return Ok((Outcome::Refused, denial)),
            };
        }
        let answer = self.ask_until_told(asking, &command).await?;
        let answer = match answer {
            Answer::Reply(reply) => {
                let listener = Arc::clone(&self.listener);
                let own = apart(strings_in(&reply), move || listener.keys.leave(&command, reply));
                Answer::Reply(self.engine.shown(own.await?).ok_or(Failure::LaneLost)?)
            }
            other => other,
        };
        Ok((outcome_of(&answer), answer))
    }

    /// Asks again as long as nothing can have been done.
    async fn ask_until_told(&self, asking: Asking, command: &Command) -> Result<Answer, Failure> {
        loop {
            let asked = command.clone();
            let bytes = apart(strings_of_command(command), move || {
                let mut bytes = Outgoing::new();
                request::encode(&asked, &mut bytes);
                bytes
            });
            let bytes = bytes.await?;
            let via = self.link_with_room().await?;
            let (tell, told) = oneshot::channel();
            let keys = match command {
                Command::Mget { keys } => keys.clone(),
                _ => Vec::new(),
            };
            let purpose = Purpose::Whole(Whole { tell, keys });
            let completion = self.engine.completion(command, Tickets::None, purpose, now());
            self.engine.ask_bytes(&via, asking, bytes, self.deadline, completion);
            drop(via);
            match told.await.unwrap_or(Err(Lost::Sent)) {
                Ok(Told::Answer(answer)) => return Ok(answer),
                Ok(Told::Failed(Failed::Stopping | Failed::Waits)) | Err(Lost::Unsent) => {}
                Ok(Told::Failed(failed)) => return Err(Failure::of(failed)),
                Err(Lost::Sent) if is_repeatable(command) => {}
                Err(Lost::Sent) => return Err(Failure::LaneLost),
            }
        }
    }

    async fn link_with_room(&self) -> Result<Via, Failure> {
        loop {
            let changed = self.engine.changed.notified();
            if let Some(via) = self.engine.via(self.link, None, 1) {
                return Ok(via);
            }
            if timeout_at(self.deadline.into(), changed).await.is_err() {
                return Err(Failure::Deadline);
            }
        }
    }
}
