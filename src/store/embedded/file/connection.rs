//! The engine's connections to a store's file, each for what it does there.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// How long another program that looks into the file is waited for.
pub const BUSY: Duration = Duration::from_secs(1);

/// Statements that a connection keeps prepared; more than there are.
const STATEMENTS: usize = 32;

/// Pages of the log from which on the committer writes it back. More would spare work where the same pages change again and
/// again, but all writes wait meanwhile: with 16,384 pages 2 seconds were seen, with these 0.4 at most, under a load of
/// hundreds of thousands of records a second.
const CHECKPOINT_PAGES: u32 = 1000;

/// The log is cut to so many bytes once it was longer.
const LOG_KEPT: u32 = 64 << 20;

/// KiB of pages that a connection keeps in memory: the writer's, and each reader's.
const WRITER_CACHE: u32 = 64 << 10;
const READER_CACHE: u32 = 16 << 10;

/// A connection that may write. `full` has every commit on the device before it returns and before anyone reads it.
pub fn writer(path: &Path, full: bool) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT)?;
    connection.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
    Ok(connection)
}

/// A connection that only reads what has been committed.
pub fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "cache_size", -i64::from(READER_CACHE))?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection to a file that nobody writes to.
pub fn archive(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    prepare(Connection::open_with_flags(path, flags)?)
}

/// A connection to the store's own file, of which this process alone has any. Then the index of the log is kept in this
/// process's memory. In a mapped file, as the engine has it otherwise, a device that is stuck would hold up readers.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    prepare(Connection::open_with_flags_and_vfs(path, flags, c"unix-excl")?)
}

/// Has a connection do what all of them do.
pub(super) fn prepare(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A damaged page is found out where it is read.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Mapped into memory, a file that shrinks or a device that fails would end the process.
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(connection)
}
