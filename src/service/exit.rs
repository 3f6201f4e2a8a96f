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

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> i32 {
        match self {
            Self::Drained => 0,
            Self::Failed => 1,
            Self::Usage => UsageError::EXIT_CODE.into(),
            Self::Cut => 3,
            Self::AtOnce => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // All fit.
        Self::from(u8::try_from(exit.code()).unwrap_or(1))
    }
}
