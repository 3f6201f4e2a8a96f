//! Commands that may change anything.

use super::dedicated::{self, Touches};
use super::{Call, Done, Sequence, answered};
use crate::command::function::Function;
use crate::command::{Command, Verb};
use crate::guard::verdict::Refusal;
use crate::metrics::Judged;

impl Sequence {
    /// A script function: it names one key, and may write any.
    pub(super) async fn script(&mut self, command: Command, key: bytes::Bytes) -> Done {
        if !self.listener.keys.is_open() {
            // The settings mapped it to a command when the request came, and do so no more.
            return Ok(self.refused(Refusal::Denied));
        }
        if let Err(refusal) = self.engine.admit_unordered(self.asker(), self.verb, &key) {
            return Ok(self.refused(refusal));
        }
        Ok(answered(dedicated::exchange(self, command, Touches::Key(key)).await?))
    }

    /// A `misc` function that can change every record, where the settings let it pass.
    pub(super) async fn upheaval_allowed(&mut self, call: Call) -> Done {
        if let Err(refusal) = self.engine.admit_unordered(self.asker(), Verb::Misc, &call.function) {
            return Ok(self.refused(refusal));
        }
        self.upheaval(call.command()).await
    }

    /// A command that can change every record.
    pub(super) async fn upheaval(&mut self, command: Command) -> Done {
        let function = match &command {
            Command::Misc { function, .. } => Some(Function::named(function)),
            _ => None,
        };
        let verdicts = &self.engine.shared.metrics.verdicts;
        verdicts.of(Judged::Unguarded, self.asker().protocol).increment(1);
        let touches = Touches::Everything {
            empties: matches!(command, Command::Vanish) || function == Some(Function::Vanish),
            // A database of a known kind answers an unknown name with a failure and does nothing.
            nothing_on_failure: function == Some(Function::Unknown) && self.engine.capabilities().knows_functions,
        };
        Ok(answered(dedicated::exchange(self, command, touches).await?))
    }
}
