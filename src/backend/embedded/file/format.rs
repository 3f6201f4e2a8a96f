//! The file itself: whose it is, what it looks like, and who may have it open.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// Says in the file's header that it is ours: "ttgd".
const APPLICATION_ID: u32 = 0x7474_6764;

/// The version of what is in the file. A greater one was made by a later release.
const FORMAT: u32 = 1;

/// What every file of the engine begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The engine's header; our two numbers are big-endian at these places in it.
const HEADER: usize = 100;
const FORMAT_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;

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

/// Small records share pages without a second tree for their numbers. Pages come back to the system bit by bit
/// (`auto_vacuum`), which only an empty file can be told.
const SCHEMA: &str = "
    CREATE TABLE records (key BLOB PRIMARY KEY, checksum INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('rnum', 0);
";

/// Why a path cannot be used: one line that says which, why, and what can be.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; allowed: a file that ttguard made, or a path in a folder of yours where there is nothing yet", path.display())]
pub struct OpenError {
    path: PathBuf,
    problem: String,
}

impl OpenError {
    pub(super) fn new(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// What there is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or a file of no bytes.
    Nothing,
    /// A file that ttguard made.
    Ours,
}

/// The path of a file that belongs to the one at `path`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The one path by which a file is known, however it was named.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    if path.exists() {
        return path.canonicalize();
    }
    let path = std::path::absolute(path)?;
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => Ok(folder.canonicalize()?.join(name)),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Looks whose file there is at `path`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn examine(path: &Path) -> Result<Found, String> {
    let mut header = Vec::new();
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error.to_string()),
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("is a folder".to_owned());
    }
    if !metadata.is_file() {
        return Err("is no ordinary file".to_owned());
    }
    let read = Read::by_ref(&mut file).take(HEADER as u64).read_to_end(&mut header);
    read.map_err(|error| error.to_string())?;
    let number = |at: usize| {
        let bytes = header.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    match (number(APPLICATION_ID_AT), number(FORMAT_AT)) {
        _ if header.is_empty() => Ok(Found::Nothing),
        _ if !header.starts_with(MAGIC) => Err("is a file of something else".to_owned()),
        (Some(APPLICATION_ID), Some(FORMAT)) => Ok(Found::Ours),
        (Some(APPLICATION_ID), Some(format)) => Err(format!(
            "has format {format}, and this release of ttguard knows format {FORMAT}"
        )),
        (Some(_), _) => Err("is a database of another program".to_owned()),
        (None, _) => Err("is damaged: it ends within its header".to_owned()),
    }
}

/// The right to have a file open: as long as it lives, no other process gets it. The system takes it back when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl Lock {
    /// Takes the lock of the file at `path`, which lies beside it, as the engine's own locks forbid that anyone else opens
    /// the file itself.
    pub fn take(path: &Path) -> Result<Self, String> {
        let lock = beside(path, "-lock");
        let opened = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock);
        let mut file = opened.map_err(|error| format!("cannot open {}: {error}", lock.display()))?;
        match file.try_lock() {
            Ok(()) => {
                // Only for the words of whoever comes second.
                let _ = file.set_len(0);
                let _ = writeln!(file, "{}", std::process::id());
                Ok(Self(file))
            }
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                Err(match pid.trim().parse::<u32>() {
                    Ok(pid) => format!("is in use by another process, pid {pid}"),
                    Err(_) => "is in use by another process".to_owned(),
                })
            }
            Err(TryLockError::Error(error)) => Err(format!("cannot lock {}: {error}", lock.display())),
        }
    }
}

/// Makes an empty file at `path`: whole, or not at all.
pub fn create(path: &Path) -> Result<(), String> {
    let draft = beside(path, "-new");
    let made = (|| {
        remove(&draft)?;
        let connection = Connection::open(&draft)?;
        connection.execute_batch(&format!(
            "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = {APPLICATION_ID}; \
             PRAGMA user_version = {FORMAT}; BEGIN; {SCHEMA} COMMIT;"
        ))?;
        connection.close().map_err(|(_, error)| error)?;
        publish(&draft, path)?;
        Ok::<(), Box<dyn std::error::Error>>(())
    })();
    made.map_err(|error| format!("cannot be made: {error}"))
}

/// Gives a finished file its name, and has both on the device.
pub fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    File::open(draft)?.sync_all()?;
    std::fs::rename(draft, path)?;
    sync_folder(path)
}

/// Has the name of the file at `path` on the device.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes a file of which it does not matter whether it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    for path in [path.to_owned(), beside(path, "-journal"), beside(path, "-wal")] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

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
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(Connection::open_with_flags(path, flags)?)
}

/// A connection to the store's own file, of which this process alone has any. Then the index of the log is kept in this
/// process's memory. In a mapped file, as the engine has it otherwise, a device that is stuck would hold up readers.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(Connection::open_with_flags_and_vfs(path, flags, c"unix-excl")?)
}

fn prepare(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A damaged page is found out where it is read.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Mapped into memory, a file that shrinks or a device that fails would end the process.
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(connection)
}
