//! The file itself: whose it is, and what it looks like.

use std::io::Read;
use std::path::Path;

use rusqlite::Connection;

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

/// What there is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or a file of no bytes.
    Nothing,
    /// A file that ttguard made.
    Ours,
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
