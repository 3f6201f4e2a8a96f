//! How a lane's service ends.

use std::io;

use crate::protocol::tyrant::reply::ReplyFault;

/// Why a lane was taken out of service.
#[derive(Debug, thiserror::Error)]
pub enum LaneFault {
    /// A request was still unanswered at its deadline.
    #[error("a request was not answered before its deadline")]
    Deadline,
    /// An answer that is none.
    #[error("an answer does not parse: {0}")]
    BadAnswer(#[from] ReplyFault),
    /// An answer that belongs to another question.
    #[error("an answer belongs to another question")]
    Mismatch,
    /// Bytes that nobody asked for.
    #[error("{0} bytes came that nobody asked for")]
    Unasked(usize),
    /// The server ended the connection: it is done with all that it had read.
    #[error("the server closed the connection")]
    Eof,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The proxy is stopping.
    #[error("the proxy is stopping")]
    Retired,
    /// The claim of the store is not held any more: what is on its way must not be sent, and what was sent is to stop.
    #[error("the claim of the store is not held any more")]
    Unclaimed,
    /// Another lane has taken its place, and nobody waits for anything more: what the server still sends, if anything, are
    /// answers to reads.
    #[error("another lane has taken its place")]
    HandedOver,
}
