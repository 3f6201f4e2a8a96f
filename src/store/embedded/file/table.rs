//! Records in a table of the file, as one connection sees them: the writer's with what it has not committed yet, a reader's
//! with what has been.

use std::cell::Cell;
use std::hash::Hasher;
use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use siphasher::sip::SipHasher13;

use super::place::beside;
use crate::store::embedded::records::{Cursor, Fault, Records};

/// Records over one connection, for one transaction.
pub struct Table<'a> {
    connection: &'a Connection,
    path: &'a Path,
    /// Records that the transaction has added, less those that it has removed.
    added: Cell<i64>,
    /// Someone asked that everything be on the device.
    sync: Cell<bool>,
    /// Bytes of values that may still be read, where that is bounded.
    most: Option<Cell<usize>>,
}

impl<'a> Table<'a> {
    /// The records in the file at `path`, over a connection to it.
    pub fn new(connection: &'a Connection, path: &'a Path) -> Self {
        Self {
            connection,
            path,
            added: Cell::new(0),
            sync: Cell::new(false),
            most: None,
        }
    }

    /// To read values of no more than so many bytes in all: of what is larger nothing is read, and that is said.
    pub fn at_most(self, bytes: usize) -> Self {
        Self {
            most: Some(Cell::new(bytes)),
            ..self
        }
    }

    /// Enters the number of records into the books of the file, in the same transaction.
    pub fn close_books(&self) -> Result<(), Fault> {
        let added = self.added.take();
        if added != 0 {
            let mut statement = self
                .connection
                .prepare_cached("UPDATE meta SET value = value + ?1 WHERE name = 'rnum'")?;
            statement.execute([added])?;
        }
        Ok(())
    }

    /// Whether everything is to be on the device before anyone is answered.
    pub fn wants_sync(&self) -> bool {
        self.sync.get()
    }

    fn add(&self, added: i64) {
        self.added.set(self.added.get() + added);
    }

    fn counted(&self) -> Result<i64, Fault> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM meta WHERE name = 'rnum'")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    fn get_at_most(&self, key: &[u8], most: &Cell<usize>) -> Result<Option<Bytes>, Fault> {
        // The length is in the head of the row: it is known before any of the value is looked at.
        let mut statement = self.connection.prepare_cached(
            "SELECT length(value), checksum, CASE WHEN length(value) <= ?2 THEN value END FROM records WHERE key = ?1",
        )?;
        let mut rows = statement.query((key, most.get() as i64))?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let size = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
        let left = most.get().checked_sub(size).ok_or(Fault::Large)?;
        most.set(left);
        checked(key, row, 1).map(Some)
    }

    fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize, Fault> {
        Ok(self.connection.prepare_cached(sql)?.execute(parameters)?)
    }
}

impl Records for Table<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        if let Some(most) = &self.most {
            return self.get_at_most(key, most);
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT checksum, value FROM records WHERE key = ?1")?;
        let mut rows = statement.query([key])?;
        match rows.next()? {
            Some(row) => checked(key, row, 0).map(Some),
            None => Ok(None),
        }
    }

    fn value_size(&self, key: &[u8]) -> Result<Option<usize>, Fault> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT length(value) FROM records WHERE key = ?1")?;
        let size = statement.query_row([key], |row| row.get::<_, i64>(0)).optional()?;
        Ok(size.and_then(|size| usize::try_from(size).ok()))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let updated = self.execute(
            "UPDATE records SET checksum = ?2, value = ?3 WHERE key = ?1",
            (key, checksum(key, value), value),
        )?;
        if updated == 0 {
            self.put_new(key, value)?;
        }
        Ok(())
    }

    fn put_new(&self, key: &[u8], value: &[u8]) -> Result<bool, Fault> {
        let inserted = self.execute(
            "INSERT OR IGNORE INTO records VALUES (?1, ?2, ?3)",
            (key, checksum(key, value), value),
        )?;
        self.add(i64::from(inserted > 0));
        Ok(inserted > 0)
    }

    fn update(&self, key: &[u8], change: impl FnOnce(Option<Bytes>) -> Bytes) -> Result<(), Fault> {
        let value = change(self.get(key)?);
        self.put(key, &value)
    }

    fn remove(&self, key: &[u8]) -> Result<bool, Fault> {
        let removed = self.execute("DELETE FROM records WHERE key = ?1", [key])?;
        self.add(-i64::from(removed > 0));
        Ok(removed > 0)
    }

    fn clear(&self) -> Result<(), Fault> {
        self.execute("DELETE FROM records", [])?;
        self.added.set(-self.counted()?);
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        self.sync.set(true);
        Ok(())
    }

    fn len(&self) -> Result<u64, Fault> {
        let count = self.counted()? + self.added.get();
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Of the file and its log.
    fn size(&self) -> Result<u64, Fault> {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        Ok(size(self.path) + size(&beside(self.path, "-wal")))
    }

    fn keys(&self, prefix: &[u8], max: usize) -> Result<Vec<Bytes>, Fault> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT key FROM records WHERE key >= ?1 ORDER BY key")?;
        let mut rows = statement.query([prefix])?;
        let mut keys = Vec::new();
        while keys.len() < max
            && let Some(row) = rows.next()?
        {
            let key = blob(row, 0)?;
            if !key.starts_with(prefix) {
                break;
            }
            keys.push(Bytes::copy_from_slice(key));
        }
        Ok(keys)
    }

    fn cursor_at(&self, key: &[u8]) -> Result<Option<Cursor>, Fault> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM records WHERE key = ?1")?;
        Ok(statement.exists([key])?.then(|| Cursor {
            shard: 0,
            from: Bound::Included(Bytes::copy_from_slice(key)),
        }))
    }

    fn walk(&self, cursor: &mut Cursor, mut visit: impl FnMut(Bytes, Bytes) -> bool) -> Result<(), Fault> {
        if *cursor == Cursor::END {
            return Ok(());
        }
        let (sql, from) = match &cursor.from {
            Bound::Excluded(key) => (
                "SELECT key, checksum, value FROM records WHERE key > ?1 ORDER BY key",
                key.clone(),
            ),
            Bound::Included(key) => (FROM_HERE, key.clone()),
            Bound::Unbounded => (FROM_HERE, Bytes::new()),
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([&from[..]])?;
        while let Some(row) = rows.next()? {
            let key = Bytes::copy_from_slice(blob(row, 0)?);
            let value = checked(&key, row, 1)?;
            cursor.from = Bound::Excluded(key.clone());
            if !visit(key, value) {
                return Ok(());
            }
        }
        *cursor = Cursor::END;
        Ok(())
    }
}

const FROM_HERE: &str = "SELECT key, checksum, value FROM records WHERE key >= ?1 ORDER BY key";

/// The value of `row`, if it is what was stored under `key`; its checksum is in column `at`, the value behind it.
fn checked(key: &[u8], row: &Row<'_>, at: usize) -> Result<Bytes, Fault> {
    let stored: i64 = row.get(at)?;
    let value = blob(row, at + 1)?;
    if stored == checksum(key, value) {
        Ok(Bytes::copy_from_slice(value))
    } else {
        Err(Fault::Damaged)
    }
}

fn blob<'a>(row: &'a Row<'_>, at: usize) -> Result<&'a [u8], Fault> {
    match row.get_ref(at)? {
        ValueRef::Blob(bytes) => Ok(bytes),
        _ => Err(Fault::Damaged),
    }
}

/// Against devices that forget or mix up bits: the engine does not see that in what it stores for others.
fn checksum(key: &[u8], value: &[u8]) -> i64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&(key.len() as u64).to_le_bytes());
    hasher.write(key);
    hasher.write(value);
    hasher.finish().cast_signed()
}
