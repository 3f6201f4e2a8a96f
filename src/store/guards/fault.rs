//! Why a link is given up, or none can be had.

use std::io;

use crate::pairing::ids::NotOwed;
use crate::protocol::link::Fault;

/// Why a link is out of service.
#[derive(Debug, thiserror::Error)]
pub enum LinkFault {
    /// The guard ended it.
    #[error("the guard has ended it")]
    Eof,
    /// It broke.
    #[error("it broke: {0}")]
    Io(#[from] io::Error),
    /// What the guard sent is no frame, or none that a guard sends.
    #[error("the guard sent {0}")]
    Frame(#[from] Fault),
    /// An answer came that nobody is owed.
    #[error("the guard sent {0}")]
    NotOwed(#[from] NotOwed),
    /// An answer came that cannot belong to its question.
    #[error("the guard named a key that it was not asked for")]
    Mismatch,
    /// The guard gives no sign of life.
    #[error("the guard has said nothing for {0} ms")]
    Silent(u128),
    /// A request was not answered, nor given up by the guard, long after its deadline.
    #[error("the guard has not said what became of a request")]
    Unanswered,
    /// The guard does not serve any more, and nothing is owed.
    #[error("the guard does not serve any more")]
    Left,
    /// It is not wanted any more.
    #[error("it is not wanted any more")]
    Retired,
}

/// Why a guard cannot be linked to.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// Nobody answers, or the way is barred.
    #[error("it cannot be reached: {0}")]
    Connect(io::Error),
    /// Its name leads nowhere.
    #[error("its name leads nowhere: {0}")]
    Name(String),
    /// No answer in time.
    #[error("it does not answer")]
    Timeout,
    /// It is not the server that is trusted, or does not trust this side.
    #[error("{0}")]
    Tls(io::Error),
    /// What answers is no ttguard, or one that knows nothing of links.
    #[error("no ttguard there: an edge needs a guard; in front of a server use --backend")]
    NoGuard,
    /// It takes no link from here.
    #[error("it takes no link from here: {0}")]
    Denied(String),
    /// What it says cannot be understood.
    #[error("it says what no guard of this release does: {0}")]
    Frame(Fault),
    /// It does not serve.
    #[error("it waits for its store's claim, or is about to end")]
    Waits,
    /// Others give the stamps there than this process was told.
    #[error(
        "stamps are given by {} there, and stamp.source here says {}",
        if *given { "clients" } else { "ttguard" },
        if *given { "edge" } else { "client" }
    )]
    Source {
        /// Whether this process was told that ttguard does.
        given: bool,
    },
    /// It is another guard than the one that others are linked to.
    #[error("it is another guard than the one that has the other links")]
    OtherGuard,
}
