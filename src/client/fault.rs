//! What can go wrong with a server.

use std::io;

use crate::protocol::tyrant::reply::ReplyFault;

/// Why a question has no answer that can be used. Whatever it is, the connection is not to be used any more: an answer
/// may still come, or the next one may be that to another question.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// There is no connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The server ended the connection.
    #[error("the connection was ended")]
    Ended,
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] io::Error),
    /// What came is no answer to such a question.
    #[error("an answer does not parse: {0}")]
    Unreadable(#[from] ReplyFault),
    /// So many bytes more than the answer.
    #[error("{0} bytes came that nobody asked for")]
    Unasked(usize),
    /// An answer that says something else than it may, in words.
    #[error("{0}")]
    Unfit(String),
}

/// Which server, and what the trouble with it was.
#[derive(Debug, thiserror::Error)]
#[error("{server}: {trouble}")]
pub struct Fault {
    /// Its address, as it was written.
    pub server: String,
    /// What happened.
    pub trouble: Trouble,
}
