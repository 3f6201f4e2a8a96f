//! Commands that may change anything.

use bytes::Bytes;

use super::{Call, Done, Steps, answered};
use crate::command::function::Function;
use crate::command::{Command, Verb};
use crate::proxy::slow;

impl Steps {
    pub(super) async fn slow_unordered(&mut self, command: Command, key: Bytes) -> Done {
        if let Err(refusal) = self.worker.admit_unordered(self.verb, &key) {
            return Ok(self.refused(refusal));
        }
        let reply = slow::exchange(self, command, Some(&key)).await?;
        // The function may have written any record.
        self.worker.shared.hidden.doubt();
        Ok(answered(reply))
    }

    pub(super) async fn upheaval_allowed(&mut self, call: Call) -> Done {
        if let Err(refusal) = self.worker.admit_unordered(Verb::Misc, &call.function) {
            return Ok(self.refused(refusal));
        }
        self.upheaval(call.command()).await
    }

    /// A command that can change every record: what is known of them is forgotten before and after.
    pub(super) async fn upheaval(&mut self, command: Command) -> Done {
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
