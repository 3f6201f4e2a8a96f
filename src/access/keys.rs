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
            prefix: Bytes::new(),
        }
    }

    fn within(prefix: &'static str) -> KeyAccess {
        KeyAccess {
            prefix: prefix.into(),
            ..access(&[], &[])
        }
    }

    fn admits(access: &KeyAccess, command: &mut Command) -> bool {
        access.enter(command, &Limits::REQUEST)
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
        for key in [
            "",
            "b",
            "b:",
            "a:secret:1",
            "b:x:1",
            "c",
            "timestamp.c",
            "timestamp.a:1",
        ] {
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
            assert!(admits(&a, &mut command), "{command:?}");
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
            assert!(!admits(&a, &mut command), "{command:?}");
        }
    }

    #[test]
    fn every_key_of_a_request_gets_the_prefix_and_every_key_of_an_answer_loses_it() {
        let tenant = within("t:");
        for (mut command, entered) in [
            (Command::Get { key: "a".into() }, Command::Get { key: "t:a".into() }),
            (
                Command::FwmKeys {
                    prefix: "".into(),
                    max: 3,
                },
                Command::FwmKeys {
                    prefix: "t:".into(),
                    max: 3,
                },
            ),
            (
                misc("putlist", &["a", "1", "t:b", "t:"]),
                misc("putlist", &["t:a", "1", "t:t:b", "t:"]),
            ),
            (misc("outlist", &["", "b"]), misc("outlist", &["t:", "t:b"])),
            (misc("putcat", &["a", "b"]), misc("putcat", &["t:a", "b"])),
            (misc("getpart", &["a", "1"]), misc("getpart", &["t:a", "1"])),
            (misc("sync", &[]), misc("sync", &[])),
            (
                Command::Get {
                    key: "timestamp.x".into(),
                },
                Command::Get {
                    key: "t:timestamp.x".into(),
                },
            ),
        ] {
            assert!(admits(&tenant, &mut command));
            assert_eq!(command, entered);
        }
        for mut command in [
            misc("genuid", &[]),
            misc("error", &[]),
            misc("optimize", &[]),
            Command::Rnum,
            Command::Size,
            Command::Stat,
            Command::Vanish,
            Command::Copy { path: "/p".into() },
        ] {
            assert!(!admits(&tenant, &mut command), "{command:?}");
        }
        let list = misc("getlist", &["t:a"]);
        let strings = |texts: &[&'static str]| Reply::Strings {
            code: 0,
            strings: texts.iter().map(|text| (*text).into()).collect(),
        };
        assert_eq!(
            tenant.leave(&list, strings(&["t:a", "t:1"])),
            Some(strings(&["a", "t:1"]))
        );
        assert_eq!(tenant.leave(&list, strings(&["t:a", "1", "u:b", "2"])), None);
        let keys = |keys: &[&'static str]| Reply::Keys(keys.iter().map(|key| (*key).into()).collect());
        assert_eq!(
            tenant.leave(&Command::Rnum, keys(&["t:", "t:a"])),
            Some(keys(&["", "a"]))
        );
        assert_eq!(tenant.leave(&Command::Rnum, keys(&["t"])), None);
        assert_eq!(within("").leave(&Command::Rnum, keys(&["t"])), Some(keys(&["t"])));
    }

    #[test]
    fn a_request_that_grows_beyond_the_limits_is_none() {
        let limits = Limits {
            argument_max: 4,
            frame_max: 10,
            ..Limits::REQUEST
        };
        let tenant = within("t:");
        let enter = |keys: &[&'static str]| {
            let mut command = Command::Mget {
                keys: keys.iter().map(|key| (*key).into()).collect(),
            };
            tenant.enter(&mut command, &limits)
        };
        assert!(enter(&["ab"]) && enter(&["ab", "ab", ""]));
        assert!(!enter(&["abc"]) && !enter(&["ab", "ab", "a"]));
    }

    #[test]
    fn prefixes_that_could_show_the_same_record_are_known() {
        let overlap = |one, other| within(one).overlaps(&within(other));
        assert!(overlap("a", "ab") && overlap("ab", "a"));
        assert!(!overlap("a:", "ab:") && !overlap("a", "a") && !overlap("", "a") && !overlap("a", ""));
        assert!(within("time").reaches_records() && within("timestamp.a").reaches_records());
        assert!(!within("").reaches_records() && !within("tenant:").reaches_records());
    }
}
