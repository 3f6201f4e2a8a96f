//! How long a client may wait for its answer.

use std::time::Duration;

use crate::command::function::Function;
use crate::command::{Command, Verb};
use crate::config::PairingSettings;

/// Whether a command may take long by its nature.
pub fn is_slow(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => matches!(
            Function::named(function),
            Function::Scan | Function::Search | Function::Vanish | Function::Control | Function::Unknown
        ),
        other => matches!(
            other.verb(),
            Verb::FwmKeys
                | Verb::Ext
                | Verb::Sync
                | Verb::Optimize
                | Verb::Vanish
                | Verb::Copy
                | Verb::Restore
                | Verb::SetMst
        ),
    }
}

/// For so many records of a list a request has its time once more: each is judged by itself, and many may have to be
/// looked up.
const LIST_PATIENCE: usize = 10_000;

/// How long a client may wait for the answer to this command.
pub fn of(command: &Command, timeouts: &PairingSettings) -> Duration {
    let (timeout, longest) = (timeouts.request_timeout, timeouts.slow_timeout);
    match command {
        command if is_slow(command) => longest,
        Command::Misc {
            function, arguments, ..
        } => {
            let records = match Function::named(function) {
                Function::PutList => arguments.len() / 2,
                Function::OutList => arguments.len(),
                _ => 0,
            };
            let times = 1 + u32::try_from(records / LIST_PATIENCE).unwrap_or(u32::MAX - 1);
            timeout.saturating_mul(times).min(longest.max(timeout))
        }
        _ => timeout,
    }
}
