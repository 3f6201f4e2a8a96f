//! What the exit code says.

use std::process::ExitCode;

use crate::config::UsageError;

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: all that was asked was answered.
    Drained,
    /// 1: something failed.
    Failed,
    /// 2: a mistake in what the operator has written.
    Usage,
    /// 3: sessions had to be cut off when `drain_timeout` was over.
    Cut,
    /// 4: a second signal ended it at once.
    AtOnce,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Drained => 0,
            Exit::Failed => 1,
            Exit::Usage => UsageError::EXIT_CODE,
            Exit::Cut => 3,
            Exit::AtOnce => 4,
        })
    }
}
