//! Work that takes long because there is much of it, done by another thread: a worker's own would keep everybody waiting.

use tokio::task::spawn_blocking;

use crate::command::{Answer, Command, Reply};
use crate::engine::failure::Failure;
use crate::store::embedded::LONG_COPY;

/// With more strings than this, what is to be done with each of them is done apart.
pub const MANY: usize = 4096;

/// Does `work` on so many strings: at once where they are few, by another thread where they are [many](MANY).
///
/// # Errors
/// When there is no thread for it any more.
pub async fn apart<T: Send + 'static>(strings: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    if strings <= MANY {
        return Ok(work());
    }
    spawn_blocking(work).await.map_err(|_| Failure::Stopping)
}

/// Whether to copy so many bytes takes long.
pub fn is_long_copy(bytes: usize) -> bool {
    bytes >= LONG_COPY
}

/// As [`apart`], for work that copies so many bytes.
///
/// # Errors
/// When there is no thread for it any more.
pub async fn copying<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    apart(if is_long_copy(bytes) { usize::MAX } else { 0 }, work).await
}

/// How many strings an answer has.
pub fn strings_of(answer: &Answer) -> usize {
    match answer {
        Answer::Reply(reply) | Answer::Refused { told: reply, .. } => strings_in(reply),
        Answer::Unavailable | Answer::NoRecord => 0,
    }
}

/// How many strings a command has, where it may have many.
pub fn strings_of_command(command: &Command) -> usize {
    match command {
        Command::Mget { keys: strings } | Command::Misc { arguments: strings, .. } => strings.len(),
        _ => 1,
    }
}

/// How many strings a reply has.
pub fn strings_in(reply: &Reply) -> usize {
    match reply {
        Reply::Keys(strings) | Reply::Strings { strings, .. } => strings.len(),
        Reply::Records(records) => 2 * records.len(),
        Reply::Code(_) | Reply::Value(_) | Reply::Number(_) | Reply::Double { .. } | Reply::Count(_) => 1,
    }
}
