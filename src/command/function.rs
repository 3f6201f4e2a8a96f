//! The functions that `misc` calls by name.
//!
//! Names and meanings are those of Tokyo Cabinet 1.4.48 (`tcadbmisc`); which of them a server has
//! depends on the kind of its database.

use bytes::Bytes;

use super::Verb;

/// What calling a `misc` function does, as far as a proxy cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `put`: key, value; on a table: key, then columns and values in turn.
    Put,
    /// `putkeep`: as `put`, unless the key exists.
    PutKeep,
    /// `putlist`: keys and values in turn. On a B+ tree each pair is added as a duplicate.
    PutList,
    /// `out`: key.
    Out,
    /// `outlist`: keys.
    OutList,
    /// `get`, `getlist`, `getpart`, `error`: changes nothing; may be asked twice.
    Read,
    /// `regex`, `range`: answers keys and values in turn; moves the shared iterator on some databases; may take long.
    Scan,
    /// `search`, `metasearch`: answers keys, and can delete or change what it finds; may take long.
    Search,
    /// `iterinit`: moves the iterator that the whole server shares.
    IterInit,
    /// `iternext`: answers the iterator's next key and value.
    IterNext,
    /// `vanish`: deletes every record.
    Vanish,
    /// `putcat`, `putdup`, `putdupback`: changes the record of its first argument in a way that a stamp cannot order.
    Unordered,
    /// `sync`, `optimize`, `defrag`, `cacheclear`, `setindex`, `genuid`: concerns the whole store; may take long.
    Control,
    /// `ttguard_rnum`: ttguard's own; how many records there are, hidden ones included.
    CountAll,
    /// `ttguard_iternext`: ttguard's own; as `iternext`, hidden records included; with any argument an empty text stands
    /// for each value.
    IterNextAll,
    /// `ttguard_forget`: ttguard's own; milliseconds and a key whose tombstone is to go when it is older than that.
    Forget,
    /// `ttguard_mend`: ttguard's own; a key whose `timestamp.` record is to go, or to be written anew, where it is older
    /// than the value.
    Mend,
    /// `ttguard_stamp`: ttguard's own; a key whose value is to be given a stamp, where it has none and ttguard gives stamps.
    Stamp,
    /// `ttguard_unstamp`: ttguard's own; a key whose value is to lose the stamp that ttguard gave it.
    Unstamp,
    /// `ttguard_stored`: ttguard's own; as `getlist`, with hidden records, and values as they are stored.
    Stored,
    /// `ttguard_link`: ttguard's own; the connection becomes the link of an edge, or that of the client whom its argument
    /// names. Never carried out as a request.
    Link,
    /// Any other name: treated as if it could do anything.
    Unknown,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A key, or what keys are to begin with.
    Key,
    /// A value, or a column of one.
    Value,
    /// Anything else.
    Other,
}

/// Every function that any kind of database has, and ttguard's own, by its name.
pub const NAMES: [(&str, Function); 33] = [
    ("put", Function::Put),
    ("putkeep", Function::PutKeep),
    ("putlist", Function::PutList),
    ("putcat", Function::Unordered),
    ("putdup", Function::Unordered),
    ("putdupback", Function::Unordered),
    ("out", Function::Out),
    ("outlist", Function::OutList),
    ("get", Function::Read),
    ("getlist", Function::Read),
    ("getpart", Function::Read),
    ("error", Function::Read),
    ("regex", Function::Scan),
    ("range", Function::Scan),
    ("search", Function::Search),
    ("metasearch", Function::Search),
    ("iterinit", Function::IterInit),
    ("iternext", Function::IterNext),
    ("vanish", Function::Vanish),
    ("sync", Function::Control),
    ("optimize", Function::Control),
    ("defrag", Function::Control),
    ("cacheclear", Function::Control),
    ("setindex", Function::Control),
    ("genuid", Function::Control),
    ("ttguard_rnum", Function::CountAll),
    ("ttguard_iternext", Function::IterNextAll),
    ("ttguard_forget", Function::Forget),
    ("ttguard_mend", Function::Mend),
    ("ttguard_stamp", Function::Stamp),
    ("ttguard_unstamp", Function::Unstamp),
    ("ttguard_stored", Function::Stored),
    ("ttguard_link", Function::Link),
];

impl Function {
    /// The function called `name`. The server reads a name up to its first NUL.
    pub fn named(name: &[u8]) -> Self {
        let name = until_nul(name);
        let known = NAMES.iter().find(|(known, _)| known.as_bytes() == name);
        known.map_or(Self::Unknown, |(_, function)| *function)
    }

    /// The command of its own that it stands for, or comes closest to; nothing where there is none.
    pub fn like(name: &[u8], arguments: &[Bytes]) -> Option<Verb> {
        match Self::named(name) {
            Self::Put | Self::PutList | Self::Mend | Self::Stamp | Self::Unstamp => Some(Verb::Put),
            Self::PutKeep => Some(Verb::PutKeep),
            Self::Unordered => Some(Verb::PutCat),
            Self::Out | Self::OutList | Self::Forget => Some(Verb::Out),
            Self::Search if deletes(arguments) => Some(Verb::Out),
            Self::Vanish => Some(Verb::Vanish),
            Self::Read if until_nul(name) != b"error" => Some(Verb::Get),
            Self::Stored => Some(Verb::Get),
            Self::Scan | Self::Search => Some(Verb::Get),
            Self::IterInit => Some(Verb::IterInit),
            Self::IterNext | Self::IterNextAll => Some(Verb::IterNext),
            Self::CountAll => Some(Verb::Rnum),
            Self::Control if until_nul(name) == b"sync" => Some(Verb::Sync),
            Self::Control if until_nul(name) == b"optimize" => Some(Verb::Optimize),
            Self::Read | Self::Control | Self::Link | Self::Unknown => None,
        }
    }

    /// Whether it reads several records, and answers with their keys and values in turn.
    pub fn lists(name: &[u8]) -> bool {
        until_nul(name) == b"getlist"
    }

    /// Whether it reads a part of a value.
    pub fn reads_part(name: &[u8]) -> bool {
        until_nul(name) == b"getpart"
    }

    /// What each argument of the function called `name` is, by its place.
    pub fn parts(name: &[u8]) -> fn(usize) -> Part {
        match Self::named(name) {
            Self::Put | Self::PutKeep | Self::Unordered => |at| if at == 0 { Part::Key } else { Part::Value },
            Self::PutList => |at| if at % 2 == 0 { Part::Key } else { Part::Value },
            Self::OutList => |_| Part::Key,
            Self::Stored => |_| Part::Key,
            Self::Read if Self::lists(name) => |_| Part::Key,
            Self::Out | Self::Read | Self::IterInit | Self::Mend | Self::Stamp | Self::Unstamp => {
                |at| if at == 0 { Part::Key } else { Part::Other }
            }
            Self::Forget => |at| if at == 1 { Part::Key } else { Part::Other },
            Self::Scan
            | Self::Search
            | Self::IterNext
            | Self::Vanish
            | Self::Control
            | Self::CountAll
            | Self::IterNextAll
            | Self::Link
            | Self::Unknown => |_| Part::Other,
        }
    }

    /// Whether its answer is about what is stored, so that a failure could be taken for "no record".
    pub fn tells_of_records(self) -> bool {
        matches!(
            self,
            Self::Read
                | Self::Scan
                | Self::Search
                | Self::IterInit
                | Self::IterNext
                | Self::IterNextAll
                | Self::CountAll
        )
    }

    /// Whether it changes nothing, so that it may be asked twice.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Read)
    }
}

/// Whether a search with these arguments deletes what it finds: each is a word and its operands, with NUL between.
pub fn deletes(arguments: &[Bytes]) -> bool {
    let mut words = arguments.iter().map(|argument| until_nul(argument));
    words.any(|word| word == b"out" || word == b"remove")
}

/// A text as the server reads it, whose strings end at their first NUL.
pub fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_told_apart_by_their_places() {
        let (key, value, other) = (Part::Key, Part::Value, Part::Other);
        for (name, parts) in [
            ("put", [key, value, value]),
            ("putkeep\0x", [key, value, value]),
            ("putcat", [key, value, value]),
            ("putlist", [key, value, key]),
            ("out", [key, other, other]),
            ("outlist", [key, key, key]),
            ("get", [key, other, other]),
            ("getlist", [key, key, key]),
            ("getpart", [key, other, other]),
            ("ttguard_forget", [other, key, other]),
            ("search", [other, other, other]),
            ("a function", [other, other, other]),
        ] {
            assert_eq!([0, 1, 2].map(Function::parts(name.as_bytes())), parts, "{name}");
        }
    }

    #[test]
    fn names_and_words_end_where_the_server_ends_them() {
        assert_eq!(Function::named(b"put\0list"), Function::Put);
        assert_eq!(Function::named(b"Put"), Function::Unknown);
        let deleting = |words: &[&'static str]| {
            let arguments: Vec<_> = words.iter().map(|word| Bytes::from(*word)).collect();
            deletes(&arguments)
        };
        for words in [&["out"][..], &["remove"], &["out\0x"], &["get\0a", "remove\0"]] {
            assert!(deleting(words), "{words:?}");
        }
        for words in [&[][..], &["get\0out"], &["outer"], &["addcond\0out\0STREQ\0remove"]] {
            assert!(!deleting(words), "{words:?}");
        }
    }
}
