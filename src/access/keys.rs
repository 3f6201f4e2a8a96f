//! Which keys a listener's clients may name, and what of the store a command concerns beyond the keys that it names.

use bytes::Bytes;

use crate::command::Command;
use crate::command::function::Function;
use crate::guard::stamp::RECORD_PREFIX;

/// Which keys clients may name, by how they begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyAccess {
    /// Where any are named, no other keys are allowed.
    pub allow: Vec<Bytes>,
    /// Of all that a key begins with the longest counts.
    pub deny: Vec<Bytes>,
}

/// What of the store a command concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The records whose keys it names, and no others.
    Named,
    /// The keys that begin as it says.
    Listed,
    /// The store as a whole, and no record.
    Store,
    /// Records that it does not name.
    Any,
}

impl KeyAccess {
    /// Whether clients may name every key.
    pub fn is_open(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
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

    /// Whether a command may be given: all the keys that it names are allowed, and it concerns no others.
    pub fn admits(&self, command: &mut Command) -> bool {
        let mut allowed = true;
        let reach = reach(command, |key| allowed &= self.allows(key));
        match reach {
            Reach::Named => allowed,
            // What it finds is looked at.
            Reach::Listed | Reach::Store => true,
            Reach::Any => false,
        }
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
        Command::Sync
        | Command::Optimize { .. }
        | Command::Copy { .. }
        | Command::Rnum
        | Command::Size
        | Command::Stat => return Reach::Store,
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
        Function::Read | Function::Control => return Reach::Store,
        Function::Scan
        | Function::Search
        | Function::IterInit
        | Function::IterNext
        | Function::Vanish
        | Function::Unknown => return Reach::Any,
    }
    Reach::Named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(allow: &[&'static str], deny: &[&'static str]) -> KeyAccess {
        let prefixes = |texts: &[&'static str]| texts.iter().map(|text| Bytes::from(*text)).collect();
        KeyAccess {
            allow: prefixes(allow),
            deny: prefixes(deny),
        }
    }

    fn misc(function: &'static str, arguments: &[&'static str]) -> Command {
        Command::Misc {
            function: function.into(),
            options: 0,
            arguments: arguments.iter().map(|argument| (*argument).into()).collect(),
        }
    }

    #[test]
    fn of_all_that_a_key_begins_with_the_longest_counts() {
        let some = access(&["a:", "b:x:open"], &["a:secret:", "b:x:"]);
        for key in ["a:", "a:1", "a:secret", "b:x:open1"] {
            assert!(some.allows(key.as_bytes()), "{key}");
        }
        for key in ["", "b", "b:", "a:secret:1", "b:x:1", "c", "timestamp.c", "timestamp.a:1"] {
            assert!(!some.allows(key.as_bytes()), "{key}");
        }
        let all_but = access(&[], &["secret:"]);
        assert!(all_but.allows(b"") && all_but.allows(b"timestamp.a"));
        assert!(!all_but.allows(b"secret:") && !all_but.allows(b"timestamp.secret:1"));
        assert!(access(&["a"], &[""]).allows(b"ab") && !access(&["a"], &[""]).allows(b"b"));
        assert!(access(&[], &[]).is_open() && access(&[], &[]).allows(b"x"));
    }

    #[test]
    fn every_key_that_a_command_names_counts() {
        let a = access(&["a"], &[]);
        let mget = |keys: &[&'static str]| Command::Mget {
            keys: keys.iter().map(|key| (*key).into()).collect(),
        };
        for mut command in [
            mget(&["a1", "a2"]),
            mget(&[]),
            misc("put", &["a", "b"]),
            misc("putlist", &["a", "b", "a2", "b"]),
            misc("outlist", &["a", "a2"]),
            misc("getlist\0x", &["a", "a2"]),
            misc("getpart", &["a", "0"]),
            misc("get", &[]),
            misc("sync", &[]),
            misc("error", &[]),
            Command::Rnum,
        ] {
            assert!(a.admits(&mut command), "{command:?}");
        }
        for mut command in [
            mget(&["a1", "b"]),
            Command::Get { key: "b".into() },
            misc("putlist", &["a", "a", "b"]),
            misc("outlist", &["a", "b"]),
            misc("getlist", &["b"]),
            misc("putdupback", &["b", "a"]),
            misc("search", &[]),
            misc("regex", &["a"]),
            misc("vanish", &[]),
            misc("genuids", &[]),
            Command::Vanish,
            Command::IterNext,
        ] {
            assert!(!a.admits(&mut command), "{command:?}");
        }
    }
}
