//! What the commands need of records, wherever those are kept: the one seam between what is answered and how it is
//! stored.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::ErrorCode;

/// Why records could not be read or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// There is no room for what was to be stored.
    #[error("the disk is full")]
    Full,
    /// What is stored under a key is not what was stored there.
    #[error("a record is damaged: its bytes do not match their checksum")]
    Damaged,
    /// It is more than is read at once by a thread that has others to serve.
    #[error("it is too much to be read at once")]
    Large,
    /// Someone else had it locked for longer than is waited.
    #[error("the file is locked")]
    Locked,
    /// The engine or the system failed.
    #[error("{0}")]
    Engine(Arc<rusqlite::Error>),
    /// The store is closing.
    #[error("the store is closing")]
    Closing,
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy) => Self::Locked,
            _ => Self::Engine(Arc::new(error)),
        }
    }
}

/// A place between two records. It outlives every change of the records: what was deleted is passed over, what was added
/// behind it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The part of the records, where they have parts.
    pub shard: usize,
    /// The place within the part.
    pub from: Bound<Bytes>,
}

impl Cursor {
    /// Before the first record.
    pub const START: Self = Self {
        shard: 0,
        from: Bound::Unbounded,
    };

    /// Behind the last record: nothing that is added later can be found from here.
    pub const END: Self = Self {
        shard: usize::MAX,
        from: Bound::Unbounded,
    };
}

/// Records by their keys. Whatever changes one record is one step for everyone else.
///
/// # Errors
/// Of every method: a [`Fault`] when it could not be done. A change that failed may have been made in part.
pub trait Records {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Fault>;
    /// The size of the value of `key`, in bytes.
    fn value_size(&self, key: &[u8]) -> Result<Option<usize>, Fault>;
    /// Stores a copy of `key` and `value`, in place of what was there.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Fault>;
    /// Stores a copy of `key` and `value` unless there is a record; says whether it did.
    fn put_new(&self, key: &[u8], value: &[u8]) -> Result<bool, Fault>;
    /// Gives the value of `key` to `change`, none when there is no record, and stores what it returns.
    fn update(&self, key: &[u8], change: impl FnOnce(Option<Bytes>) -> Bytes) -> Result<(), Fault>;
    /// Deletes the record of `key`; says whether there was one.
    fn remove(&self, key: &[u8]) -> Result<bool, Fault>;
    /// Deletes every record.
    fn clear(&self) -> Result<(), Fault>;
    /// Has all that was changed before on its device before anyone hears that this succeeded, where there is a device.
    fn sync(&self) -> Result<(), Fault>;
    /// How many records there are.
    fn len(&self) -> Result<u64, Fault>;
    /// How many bytes the records take where they are kept.
    fn size(&self) -> Result<u64, Fault>;
    /// Up to `max` keys that begin with `prefix`, in no order that means anything.
    fn keys(&self, prefix: &[u8], max: usize) -> Result<Vec<Bytes>, Fault>;
    /// The place before the record of `key`, if there is one.
    fn cursor_at(&self, key: &[u8]) -> Result<Option<Cursor>, Fault>;
    /// Walks the records behind `cursor`, which moves on past each, until `visit` says that it has seen enough. Every
    /// record that is there from the first call to the last is met once.
    fn walk(&self, cursor: &mut Cursor, visit: impl FnMut(Bytes, Bytes) -> bool) -> Result<(), Fault>;
}
