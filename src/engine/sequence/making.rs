//! What is made of a stored value by a change that depends on it: as the server makes it, or memcached's protocol has it.

use bytes::Bytes;

use crate::command::edit::Edit;
use crate::command::function::Function;
use crate::command::{Answer, Command, Reply, columns};
use crate::engine::write::companion::of_code;
use crate::store::embedded::number;

/// A change that is made of what is stored.
#[derive(Clone, Debug)]
pub(super) struct Making {
    /// Of which key.
    pub(super) key: Bytes,
    /// What is asked.
    pub(super) command: Command,
    /// How that differs from its command.
    pub(super) edit: Option<Edit>,
}

/// What comes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// This is stored, without its stamp, and that is answered.
    Stored(Bytes, Reply),
    /// Nothing is stored.
    Not(Answer),
}

impl Making {
    /// What a command asks for, where it names a key.
    pub(super) fn of(command: Command, edit: Option<Edit>) -> Option<Self> {
        let key = match &command {
            Command::Misc { arguments, .. } => arguments.first().cloned(),
            other => other.key().map(Bytes::copy_from_slice),
        };
        Some(Self {
            key: key?,
            command,
            edit,
        })
    }

    /// Whether it is a `put` with a condition: what it stores does not depend on what is there, and is judged by its stamp.
    pub(super) fn is_put(&self) -> bool {
        matches!(self.command, Command::Put { .. })
    }

    /// The value that comes with the command.
    pub(super) fn value(&self) -> &[u8] {
        match &self.command {
            Command::Put { value, .. }
            | Command::PutKeep { value, .. }
            | Command::PutCat { value, .. }
            | Command::PutShl { value, .. } => value,
            Command::Misc { arguments, .. } => arguments.get(1).map_or(&[], |value| value),
            _ => &[],
        }
    }

    /// What comes of it where this is stored, without its stamp: as the server makes it, or memcached's protocol has it.
    pub(super) fn made(&self, stored: Option<Bytes>) -> Made {
        let given = self.value();
        let done = of_code(self.command.verb(), 0);
        let failed = || Made::Not(Answer::Reply(of_code(self.command.verb(), 1)));
        if self.edit.is_some() && stored.is_none() {
            return Made::Not(Answer::NoRecord);
        }
        let joined = |first: &[u8], second: &[u8]| Bytes::from([first, second].concat());
        let old = stored.as_deref().unwrap_or_default();
        match (&self.command, self.edit) {
            (Command::Put { .. }, _) => Made::Stored(Bytes::copy_from_slice(given), done),
            (_, Some(Edit::Prepend)) => Made::Stored(joined(given, old), done),
            (_, Some(Edit::Decimal(by))) => {
                let sum = Edit::sum(old, by);
                Made::Stored(Bytes::from(sum.to_string()), Reply::Count(sum))
            }
            (Command::PutKeep { .. }, _) => match stored {
                Some(_) => failed(),
                None => Made::Stored(Bytes::copy_from_slice(given), done),
            },
            (Command::PutCat { .. }, _) => Made::Stored(joined(old, given), done),
            // Where there is nothing the whole of what is added is stored.
            (Command::PutShl { .. }, _) if stored.is_none() => Made::Stored(Bytes::copy_from_slice(given), done),
            (Command::PutShl { width, .. }, _) => {
                let whole = joined(old, given);
                let kept = usize::try_from(*width).unwrap_or(0).min(whole.len());
                Made::Stored(whole.slice(whole.len() - kept..), done)
            }
            (Command::AddInt { number, .. }, _) => {
                let sum = number::add_integer(stored.clone(), *number);
                Self::added(stored, sum.value, sum.answer.map(Reply::Number))
            }
            (
                Command::AddDouble {
                    integral, fractional, ..
                },
                _,
            ) => {
                let sum = number::add_double(stored.clone(), number::unpack(*integral, *fractional));
                let reply = sum.answer.map(|sum| {
                    let (integral, fractional) = number::pack(sum);
                    Reply::Double { integral, fractional }
                });
                Self::added(stored, sum.value, reply)
            }
            (Command::Misc { function, .. }, _) => match (Function::named(function), stored.is_some()) {
                (Function::PutKeep, true) => failed(),
                (Function::PutKeep, false) => Made::Stored(Bytes::copy_from_slice(given), done),
                _ => Made::Stored(joined(old, given), done),
            },
            _ => failed(),
        }
    }

    /// A sum that cannot be answered is stored all the same, where there was a number.
    fn added(before: Option<Bytes>, sum: Bytes, reply: Option<Reply>) -> Made {
        match reply {
            Some(reply) => Made::Stored(sum, reply),
            None if before.as_ref() == Some(&sum) => Made::Not(Answer::Reply(Reply::Code(1))),
            None => Made::Stored(sum, Reply::Code(1)),
        }
    }

    /// What comes of it in front of a table where this row is stored: its columns, but for that of the stamp. Nothing where
    /// the server makes it in its own way.
    pub(super) fn row(&self, stored: Option<&Bytes>) -> Option<Made> {
        let given = match &self.command {
            Command::Misc { arguments, .. } => arguments.get(1..)?.to_vec(),
            Command::Put { value, .. } | Command::PutKeep { value, .. } | Command::PutCat { value, .. } => {
                columns::split(value)
            }
            _ => return None,
        };
        let done = of_code(self.command.verb(), 0);
        let keeps = match &self.command {
            Command::PutKeep { .. } => true,
            Command::Misc { function, .. } => Function::named(function) == Function::PutKeep,
            _ => false,
        };
        Some(match stored {
            None if self.edit.is_some() => Made::Not(Answer::NoRecord),
            Some(_) if keeps => Made::Not(Answer::Reply(of_code(self.command.verb(), 1))),
            Some(row) if !matches!(self.command, Command::Put { .. }) => {
                Made::Stored(columns::joined(&columns::added(columns::split(row), given)), done)
            }
            _ => Made::Stored(columns::joined(&given), done),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn making(command: Command, edit: Option<Edit>) -> Making {
        Making::of(command, edit).expect("it names a key")
    }

    fn bytes(text: &'static [u8]) -> Bytes {
        Bytes::from_static(text)
    }

    #[test]
    fn a_change_makes_of_a_value_what_the_server_would() {
        let (key, value) = (bytes(b"k"), bytes(b"new"));
        let cat = Command::PutCat {
            key: key.clone(),
            value: value.clone(),
        };
        let shl = |width| Command::PutShl {
            key: key.clone(),
            value: value.clone(),
            width,
        };
        let keep = Command::PutKeep {
            key: key.clone(),
            value: value.clone(),
        };
        let put = Command::Put {
            key: key.clone(),
            value: value.clone(),
        };
        let old = || Some(bytes(b"old"));
        let stored = |value: &'static [u8]| Made::Stored(bytes(value), Reply::Code(0));
        let exists = Made::Not(Answer::Reply(Reply::Code(1)));
        for (command, edit, before, after) in [
            (cat.clone(), None, old(), stored(b"oldnew")),
            (cat.clone(), None, None, stored(b"new")),
            (shl(4), None, old(), stored(b"dnew")),
            (shl(100), None, old(), stored(b"oldnew")),
            (shl(-1), None, old(), stored(b"")),
            (shl(1), None, None, stored(b"new")),
            (keep.clone(), None, None, stored(b"new")),
            (keep, None, old(), exists),
            (put.clone(), Some(Edit::IfPresent), old(), stored(b"new")),
            (put, Some(Edit::IfPresent), None, Made::Not(Answer::NoRecord)),
            (cat.clone(), Some(Edit::IfPresent), old(), stored(b"oldnew")),
            (cat.clone(), Some(Edit::Prepend), old(), stored(b"newold")),
            (cat, Some(Edit::Prepend), None, Made::Not(Answer::NoRecord)),
        ] {
            assert_eq!(
                making(command.clone(), edit).made(before),
                after,
                "{command:?} {edit:?}"
            );
        }
    }

    #[test]
    fn numbers_keep_what_they_mean_to_the_client() {
        let add = |number| {
            let command = Command::AddInt {
                key: bytes(b"k"),
                number,
            };
            making(command, None)
        };
        let five = Bytes::copy_from_slice(&5i32.to_ne_bytes());
        assert_eq!(add(5).made(None), Made::Stored(five.clone(), Reply::Number(5)));
        let twelve = Bytes::copy_from_slice(&12i32.to_ne_bytes());
        assert_eq!(add(7).made(Some(five)), Made::Stored(twelve, Reply::Number(12)));
        let failed = Made::Not(Answer::Reply(Reply::Code(1)));
        assert_eq!(add(1).made(Some(bytes(b"no number"))), failed);
        let least = Bytes::copy_from_slice(&i32::MIN.to_ne_bytes());
        assert_eq!(add(i32::MIN).made(None), Made::Stored(least, Reply::Code(1)));
        let counted = making(
            Command::AddInt {
                key: bytes(b"k"),
                number: 0,
            },
            Some(Edit::Decimal(3)),
        );
        assert_eq!(
            counted.made(Some(bytes(b"39"))),
            Made::Stored(bytes(b"42"), Reply::Count(42))
        );
    }
}
