//! Which keys a listener's clients may name, how these are called in the store, and what of the store a command concerns
//! beyond them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::command::function::Function;
use crate::command::{Command, Reply, Verb};
use crate::guard::stamp::RECORD_PREFIX;
use crate::protocol::tyrant::limits::Limits;

/// Which keys clients may name, by how they begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyAccess {
    /// Where any are named, no other keys are allowed.
    pub allow: Vec<Bytes>,
    /// Of all that a key begins with the longest counts.
    pub deny: Vec<Bytes>,
    /// What is put before the key of each request and taken off the keys of each answer, so that clients see the records
    /// whose keys begin so and no others; empty for none. `allow` and `deny` are about what clients say.
    pub prefix: Bytes,
}

/// What of the store a command concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The records whose keys it names, and no others.
    Named,
    /// The keys that begin as it says.
    Listed,
    /// No record, and it tells nothing of any.
    Nothing,
    /// The store as a whole, and no record by itself.
    Store,
    /// Records that it does not name.
    Any,
}

impl KeyAccess {
    /// Whether clients may name every key.
    pub fn is_open(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty() && self.prefix.is_empty()
    }

    /// Whether some record may be seen both through this prefix and through the other one, which differs.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (one, other) = (&self.prefix, &other.prefix);
        let apart = one.is_empty() || other.is_empty() || one == other;
        !apart && (one.starts_with(other) || other.starts_with(one))
    }

    /// Whether this prefix together with a client's key could make the name of a record that keeps a stamp.
    pub fn reaches_records(&self) -> bool {
        !self.prefix.is_empty() && (RECORD_PREFIX.starts_with(&self.prefix) || self.prefix.starts_with(RECORD_PREFIX))
    }

    /// Whether clients may name this key. The record that keeps a key's stamp says something of that key.
    pub fn allows(&self, key: &[u8]) -> bool {
        let stamped = key.strip_prefix(RECORD_PREFIX);
        self.allows_itself(key) && stamped.is_none_or(|key| self.allows_itself(key))
    }

    fn allows_itself(&self, key: &[u8]) -> bool {
        let longest = |prefixes: &[Bytes]| {
            let begun = prefixes.iter().filter(|prefix| key.starts_with(prefix));
            begun.map(Bytes::len).max()
        };
        match (longest(&self.allow), longest(&self.deny)) {
            (None, None) => self.allow.is_empty(),
            (allowed, denied) => allowed > denied,
        }
    }

    /// Makes a client's command the store's. False when it may not be given, because of a key that it names, because it
    /// concerns others, or because it would be larger than a request may be.
    pub fn enter(&self, command: &mut Command, limits: &Limits) -> bool {
        let (mut allowed, mut keys, mut bytes, mut longest) = (true, 0, 0, 0);
        let reach_of = reach(command, |key| {
            allowed &= self.allows(key);
            keys += 1;
            bytes += key.len() + self.prefix.len();
            longest = longest.max(key.len() + self.prefix.len());
        });
        let may = match reach_of {
            Reach::Named => allowed,
            // What it finds is looked at.
            Reach::Listed | Reach::Nothing => true,
            Reach::Store => self.prefix.is_empty(),
            Reach::Any => false,
        };
        if self.prefix.is_empty() || !may {
            return may;
        }
        // A server takes what lies behind an argument that is too large for it for new requests.
        if longest > limits.argument_max as usize || bytes > limits.frame_max {
            return false;
        }
        let mut names = BytesMut::with_capacity(bytes);
        reach(command, |key| {
            names.put_slice(&self.prefix);
            names.put_slice(key);
            *key = names.split().freeze();
        });
        true
    }

    /// Makes the store's answer to a command the client's. Nothing when it shows a key that clients must not see.
    pub fn leave(&self, command: &Command, reply: Reply) -> Option<Reply> {
        if self.prefix.is_empty() {
            return Some(reply);
        }
        let own = |key: Bytes| key.starts_with(&self.prefix).then(|| key.slice(self.prefix.len()..));
        Some(match (command, reply) {
            (_, Reply::Records(records)) => {
                let own = |(key, value)| Some((own(key)?, value));
                Reply::Records(records.into_iter().map(own).collect::<Option<_>>()?)
            }
            (_, Reply::Keys(keys)) => Reply::Keys(keys.into_iter().map(own).collect::<Option<_>>()?),
            (Command::Misc { function, .. }, Reply::Strings { code, mut strings }) if Function::lists(function) => {
                for key in strings.iter_mut().step_by(2) {
                    *key = own(std::mem::take(key))?;
                }
                Reply::Strings { code, strings }
            }
            // No other command that may be given answers with keys.
            (_, reply) => reply,
        })
    }
}

/// Gives each key that a command names to `each`, or what the keys begin with that it lists, and says what else it
/// concerns.
pub fn reach(command: &mut Command, mut each: impl FnMut(&mut Bytes)) -> Reach {
    match command {
        Command::Put { key, .. }
        | Command::PutKeep { key, .. }
        | Command::PutCat { key, .. }
        | Command::PutShl { key, .. }
        | Command::PutNr { key, .. }
        | Command::Out { key }
        | Command::Get { key }
        | Command::Vsiz { key }
        | Command::AddInt { key, .. }
        | Command::AddDouble { key, .. } => each(key),
        Command::Mget { keys } => keys.iter_mut().for_each(each),
        Command::FwmKeys { prefix, .. } => {
            each(prefix);
            return Reach::Listed;
        }
        // A function that the settings map to a command; any other is a script's, and denied by who knows the settings.
        Command::Ext { key, .. } => each(key),
        Command::Misc {
            function, arguments, ..
        } => return reach_of_function(function, arguments, each),
        Command::Sync => return Reach::Nothing,
        Command::Optimize { .. } | Command::Copy { .. } | Command::Rnum | Command::Size | Command::Stat => {
            return Reach::Store;
        }
        Command::IterInit
        | Command::IterNext
        | Command::Vanish
        | Command::Restore { .. }
        | Command::SetMst { .. }
        | Command::Repl { .. } => return Reach::Any,
    }
    Reach::Named
}

fn reach_of_function(name: &[u8], arguments: &mut [Bytes], each: impl FnMut(&mut Bytes)) -> Reach {
    match Function::named(name) {
        Function::Put | Function::PutKeep | Function::Unordered | Function::Out => {
            arguments.first_mut().into_iter().for_each(each);
        }
        Function::Read if Function::lists(name) => arguments.iter_mut().for_each(each),
        Function::Read if Function::like(name, arguments).is_some() => {
            arguments.first_mut().into_iter().for_each(each);
        }
        Function::PutList => arguments.iter_mut().step_by(2).for_each(each),
        Function::OutList => arguments.iter_mut().for_each(each),
        Function::Control if Function::like(name, arguments) == Some(Verb::Sync) => return Reach::Nothing,
        Function::Read | Function::Control | Function::CountAll => return Reach::Store,
        Function::Scan
        | Function::Search
        | Function::IterInit
        | Function::IterNext
        | Function::Vanish
        // For operators, about stamps and the records that keep them.
        | Function::Stamp
        | Function::Unstamp
        | Function::Stored
        | Function::IterNextAll
        | Function::Forget
        | Function::Mend
        | Function::Link
        | Function::Unknown => return Reach::Any,
    }
    Reach::Named
}

#[cfg(test)]
mod tests;
