//! The functions that `misc` calls by name.
//!
//! Names and meanings are those of Tokyo Cabinet 1.4.48 (`tcadbmisc`); which of them a server has
//! depends on the kind of its database.

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
    /// Any other name: treated as if it could do anything.
    Unknown,
}

impl Function {
    /// The function called `name`.
    pub fn named(name: &[u8]) -> Self {
        match name {
            b"put" => Self::Put,
            b"putkeep" => Self::PutKeep,
            b"putlist" => Self::PutList,
            b"out" => Self::Out,
            b"outlist" => Self::OutList,
            b"get" | b"getlist" | b"getpart" | b"error" => Self::Read,
            b"regex" | b"range" => Self::Scan,
            b"search" | b"metasearch" => Self::Search,
            b"iterinit" => Self::IterInit,
            b"iternext" => Self::IterNext,
            b"vanish" => Self::Vanish,
            b"putcat" | b"putdup" | b"putdupback" => Self::Unordered,
            b"sync" | b"optimize" | b"defrag" | b"cacheclear" | b"setindex" | b"genuid" => Self::Control,
            b"ttguard_rnum" => Self::CountAll,
            b"ttguard_iternext" => Self::IterNextAll,
            b"ttguard_forget" => Self::Forget,
            b"ttguard_mend" => Self::Mend,
            _ => Self::Unknown,
        }
    }

    /// Whether it changes nothing, so that it may be asked twice.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Read)
    }
}
