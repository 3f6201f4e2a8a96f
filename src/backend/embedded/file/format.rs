//! The file itself: whose it is, what it looks like, and who may have it open.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::draft::Draft;
use crate::files::{self, Kind, Problem};

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
const TABLES: [(&str, &str); 2] = [
    (
        "meta",
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    ),
    (
        "records",
        "CREATE TABLE records (key BLOB PRIMARY KEY, checksum INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",
    ),
];

/// Bytes of a record's key and value together, at most: no request has more than 256 MiB in an argument.
const RECORD_MAX: i64 = 2 * (256 << 20);

/// What belongs to a store beside its file.
pub const SUFFIXES: [&str; 5] = ["-wal", "-shm", "-journal", "-lock", "-new"];

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
pub fn resolve(path: &Path) -> Result<PathBuf, String> {
    let say = |error: io::Error| error.to_string();
    match files::look(path).map_err(say)? {
        Some((Kind::Link, _)) => path
            .canonicalize()
            .map_err(|error| format!("is a link that leads nowhere: {error}")),
        Some(_) => path.canonicalize().map_err(say),
        None => {
            let path = std::path::absolute(path).map_err(say)?;
            match (path.parent(), path.file_name()) {
                (Some(folder), Some(name)) => Ok(folder.canonicalize().map_err(say)?.join(name)),
                _ => Err("is no name of a file".to_owned()),
            }
        }
    }
}

/// Looks whose file there is at `path`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn examine(path: &Path) -> Result<Found, String> {
    let mut header = Vec::new();
    let mut file = match files::open_to_read(path) {
        Ok(file) => file,
        Err(problem) if problem.is_absence() => return Ok(Found::Nothing),
        Err(Problem::Is(kind)) if kind != Kind::Folder => return Err(format!("is no ordinary file but {kind}")),
        Err(problem) => return Err(problem.to_string()),
    };
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

/// Looks whether a file, and what lies beside it, are for this process alone.
///
/// # Errors
/// What is wrong, in words: by a second name another process could have the same file open, and know nothing of us.
pub fn is_alone(path: &Path) -> Result<(), String> {
    let look = |path: &Path| files::look(path).map_err(|error| error.to_string());
    if let Some((_, found)) = look(path)? {
        if found.nlink() > 1 {
            return Err(Problem::Shared.to_string());
        }
        if found.permissions().mode() & 0o002 != 0 {
            return Err(Problem::Writable.to_string());
        }
    }
    for suffix in ["-wal", "-shm", "-journal"] {
        let beside = beside(path, suffix);
        match look(&beside)? {
            Some((Kind::File, found)) if found.nlink() == 1 => {}
            Some((Kind::File, _)) => return Err(format!("cannot be used: {} {}", beside.display(), Problem::Shared)),
            Some((kind, _)) => return Err(format!("cannot be used: {} is {kind}", beside.display())),
            None => {}
        }
    }
    Ok(())
}

/// The right to have a file open: as long as it lives, no other process gets it. The system takes it back when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Nobody is to find it afterwards.
    removed: bool,
}

impl Lock {
    /// Takes the lock of the file at `path`, which lies beside it, as the engine's own locks forbid that anyone else opens
    /// the file itself.
    pub fn take(path: &Path) -> Result<Self, String> {
        let lock = beside(path, "-lock");
        let cannot = |problem: Problem| format!("cannot be locked: {} {problem}", lock.display());
        loop {
            let mut file = files::hold(&lock).map_err(cannot)?;
            let mut pid = String::new();
            let read = Read::by_ref(&mut file).take(32).read_to_string(&mut pid);
            if read.is_err() || !pid.trim_end().bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!(
                    "cannot be locked: {} is a file of something else",
                    lock.display()
                ));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(match pid.trim().parse::<u32>() {
                        Ok(pid) => format!("is in use by another process, pid {pid}"),
                        Err(_) => "is in use by another process".to_owned(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(cannot(error.into())),
            }
            // Whoever has removed it meanwhile had it before: it is the name that counts.
            if files::is_at(&file, &lock).map_err(|error| cannot(error.into()))? {
                // Only for the words of whoever comes second.
                let _ = file.set_len(0).and_then(|()| file.rewind());
                let _ = writeln!(file, "{}", std::process::id());
                let (path, removed) = (lock, false);
                return Ok(Self { file, path, removed });
            }
        }
    }

    /// The same for a moment: what was made for it goes with it.
    pub fn take_for_now(path: &Path) -> Result<Self, String> {
        let was_there = files::look(&beside(path, "-lock"))
            .map_err(|error| error.to_string())?
            .is_some();
        let mut lock = Self::take(path)?;
        lock.removed = !was_there;
        Ok(lock)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.removed && files::is_at(&self.file, &self.path).unwrap_or(false) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes an empty file at `path`: whole, or not at all.
pub fn create(path: &Path) -> Result<(), String> {
    let draft = Draft::begin(path)?;
    let made = (|| {
        let connection = draft.connection()?;
        let tables = TABLES.map(|(_, table)| table).join("; ");
        connection.execute_batch(&format!(
            "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = {APPLICATION_ID}; \
             PRAGMA user_version = {FORMAT}; BEGIN; {tables}; INSERT INTO meta VALUES ('rnum', 0); COMMIT;"
        ))?;
        connection.close().map_err(|(_, error)| error)?;
        draft.publish(path)?;
        Ok::<(), Box<dyn std::error::Error>>(())
    })();
    made.map_err(|error| format!("cannot be made: {error}"))
}

/// Whether a file has our tables and nothing else: with a view, a trigger or a table of another kind it could make the
/// engine do anything at all.
pub fn has_our_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
    let mut rows = statement.query([])?;
    for (name, sql) in TABLES {
        let Some(row) = rows.next()? else { return Ok(false) };
        if row.get_ref(0)?.as_str() != Ok(name) || row.get_ref(1)?.as_str() != Ok(sql) {
            return Ok(false);
        }
    }
    Ok(rows.next()?.is_none())
}

/// What is wrong with a file that somebody else may have written; nothing where all of it can be read.
///
/// # Errors
/// Where it cannot even be asked.
pub fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    if !has_our_tables(connection)? {
        return Ok(Some("has other tables than a store".to_owned()));
    }
    // A page that two places name could be read without end.
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(Some(format!("is damaged: {}", found.escape_debug())));
    }
    let sql = "SELECT count(*) FROM records WHERE length(key) + length(value) > ?1";
    let large: i64 = connection.query_row(sql, [RECORD_MAX], |row| row.get(0))?;
    Ok((large > 0).then(|| format!("has {large} records that no request could have stored")))
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
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    prepare(Connection::open_with_flags(path, flags)?)
}

/// A connection to the store's own file, of which this process alone has any. Then the index of the log is kept in this
/// process's memory. In a mapped file, as the engine has it otherwise, a device that is stuck would hold up readers.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    prepare(Connection::open_with_flags_and_vfs(path, flags, c"unix-excl")?)
}

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
