//! What is asked and answered, in any protocol, with Tyrant's own verbs.
//!
//! A [`Command`] is one whole, valid question; a [`Reply`] is one whole answer. Both own their
//! bytes as slices of the buffer they arrived in, so nothing is copied to understand them.

pub mod columns;
pub mod edit;
pub mod function;
mod reply;

use bytes::Bytes;

pub use self::reply::{Answer, Reason, Reply};

/// One of the 26 verbs of Tokyo Tyrant 1.1.41.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Store a record, replacing what was there.
    Put,
    /// Store a record unless the key exists.
    PutKeep,
    /// Append to a record.
    PutCat,
    /// Append to a record and keep only its last bytes.
    PutShl,
    /// Store a record and answer nothing.
    PutNr,
    /// Delete a record.
    Out,
    /// Read one record.
    Get,
    /// Read several records.
    Mget,
    /// Ask for the size of a value.
    Vsiz,
    /// Start the iterator that the whole server shares.
    IterInit,
    /// Read the iterator's next key.
    IterNext,
    /// List keys with a prefix.
    FwmKeys,
    /// Add to an integer.
    AddInt,
    /// Add to a fixed-point number.
    AddDouble,
    /// Call a function of the server's script extension.
    Ext,
    /// Write the store to its device.
    Sync,
    /// Rebuild the store's file.
    Optimize,
    /// Delete every record.
    Vanish,
    /// Copy the store's file (a hot backup).
    Copy,
    /// Replay an update log into the store.
    Restore,
    /// Set the replication master.
    SetMst,
    /// Count the records.
    Rnum,
    /// Ask for the store's size in bytes.
    Size,
    /// Ask for the server's status lines.
    Stat,
    /// Call a versatile function by name.
    Misc,
    /// Stream the update log, for ever.
    Repl,
}

/// What kind of thing a verb does, as far as a proxy cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Changes nothing; may be asked twice.
    Read,
    /// Moves the iterator that the whole server shares; never asked twice.
    Iterate,
    /// Stores a value whose stamp can be judged.
    Write,
    /// Removes a record.
    Delete,
    /// Changes a record in a way that a stamp cannot order; never sent twice.
    Unordered,
    /// May take long and concerns the whole store; never sent twice.
    Control,
    /// Decided by the name of the function that is called.
    Function,
    /// Answers without end.
    Stream,
}

/// The shape of the answer to a command, once its code is 0.
///
/// Any other code stands alone, but for [`Shape::Strings`] where `misc` sends its count on failure too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// No answer at all (`putnr`).
    Nothing,
    /// The code alone.
    Code,
    /// A 32-bit size and that many bytes.
    Value,
    /// A signed 32-bit number.
    Number,
    /// A signed 64-bit integral part and a signed 64-bit part in units of 10^-12.
    Double,
    /// An unsigned 64-bit count.
    Count,
    /// A count, then for each record the two sizes, the key and the value.
    Records,
    /// A count, then for each string its size and bytes; the count is there only when the code is 0.
    Keys,
    /// As `Keys`, but the count and the strings follow whatever the code (`misc`).
    Strings,
    /// Bytes without end.
    Stream,
}

/// One whole question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are those of the protocol's own description
pub enum Command {
    Put {
        key: Bytes,
        value: Bytes,
    },
    PutKeep {
        key: Bytes,
        value: Bytes,
    },
    PutCat {
        key: Bytes,
        value: Bytes,
    },
    PutShl {
        key: Bytes,
        value: Bytes,
        width: i32,
    },
    PutNr {
        key: Bytes,
        value: Bytes,
    },
    Out {
        key: Bytes,
    },
    Get {
        key: Bytes,
    },
    Mget {
        keys: Vec<Bytes>,
    },
    Vsiz {
        key: Bytes,
    },
    IterInit,
    IterNext,
    /// `max` below zero means no limit.
    FwmKeys {
        prefix: Bytes,
        max: i32,
    },
    AddInt {
        key: Bytes,
        number: i32,
    },
    /// `fractional` is in units of 10^-12.
    AddDouble {
        key: Bytes,
        integral: i64,
        fractional: i64,
    },
    Ext {
        function: Bytes,
        options: u32,
        key: Bytes,
        value: Bytes,
    },
    Sync,
    Optimize {
        parameters: Bytes,
    },
    Vanish,
    Copy {
        path: Bytes,
    },
    /// `timestamp` in microseconds since the epoch.
    Restore {
        path: Bytes,
        timestamp: u64,
        options: u32,
    },
    /// `timestamp` in microseconds since the epoch.
    SetMst {
        host: Bytes,
        port: i32,
        timestamp: u64,
        options: u32,
    },
    Rnum,
    Size,
    Stat,
    Misc {
        function: Bytes,
        options: u32,
        arguments: Vec<Bytes>,
    },
    /// `timestamp` in microseconds since the epoch.
    Repl {
        timestamp: u64,
        server_id: u32,
    },
}

impl Command {
    /// The verb of this command.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Put { .. } => Verb::Put,
            Self::PutKeep { .. } => Verb::PutKeep,
            Self::PutCat { .. } => Verb::PutCat,
            Self::PutShl { .. } => Verb::PutShl,
            Self::PutNr { .. } => Verb::PutNr,
            Self::Out { .. } => Verb::Out,
            Self::Get { .. } => Verb::Get,
            Self::Mget { .. } => Verb::Mget,
            Self::Vsiz { .. } => Verb::Vsiz,
            Self::IterInit => Verb::IterInit,
            Self::IterNext => Verb::IterNext,
            Self::FwmKeys { .. } => Verb::FwmKeys,
            Self::AddInt { .. } => Verb::AddInt,
            Self::AddDouble { .. } => Verb::AddDouble,
            Self::Ext { .. } => Verb::Ext,
            Self::Sync => Verb::Sync,
            Self::Optimize { .. } => Verb::Optimize,
            Self::Vanish => Verb::Vanish,
            Self::Copy { .. } => Verb::Copy,
            Self::Restore { .. } => Verb::Restore,
            Self::SetMst { .. } => Verb::SetMst,
            Self::Rnum => Verb::Rnum,
            Self::Size => Verb::Size,
            Self::Stat => Verb::Stat,
            Self::Misc { .. } => Verb::Misc,
            Self::Repl { .. } => Verb::Repl,
        }
    }

    /// The one key that it names; nothing for one about several, or about none.
    pub fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Put { key, .. }
            | Self::PutKeep { key, .. }
            | Self::PutCat { key, .. }
            | Self::PutShl { key, .. }
            | Self::PutNr { key, .. }
            | Self::Out { key }
            | Self::Get { key }
            | Self::Vsiz { key }
            | Self::AddInt { key, .. }
            | Self::AddDouble { key, .. }
            | Self::Ext { key, .. } => Some(key),
            Self::Mget { keys } => match &keys[..] {
                [key] => Some(key),
                _ => None,
            },
            _ => None,
        }
    }
}
