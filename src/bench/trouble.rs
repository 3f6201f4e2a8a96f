//! Why a question has no answer that could be checked, as it is counted and said.

use std::io;

use super::check::Wrong;
use crate::client::fault;

/// Why a question has no answer that could be checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// There is no connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The server ended the connection.
    #[error("the connection was ended: {0}")]
    Ended(io::Error),
    /// The answer is wrong.
    #[error("{0}")]
    Wrong(Wrong),
    /// The answer says that it was not done.
    #[error("answered with code {0}")]
    Failed(u8),
}

impl From<fault::Trouble> for Trouble {
    fn from(trouble: fault::Trouble) -> Self {
        use fault::Trouble;
        match trouble {
            Trouble::Connect(error) => Self::Connect(error),
            Trouble::TimedOut => Self::TimedOut,
            Trouble::Ended => Self::Ended(io::ErrorKind::UnexpectedEof.into()),
            Trouble::Broken(error) => Self::Ended(error),
            Trouble::Unreadable(_) | Trouble::Unasked(_) | Trouble::Unfit(_) => Self::Wrong(Wrong::Shape),
        }
    }
}
