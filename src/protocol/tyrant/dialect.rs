//! The forms of the binary protocol: one table of what differs from 1.1.41.

use super::opcode::Opcode;
use crate::command::Verb;

/// Which form of the binary protocol a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// That of Tokyo Tyrant 1.1.41.
    #[default]
    Tyrant,
    /// That of PyTyrant 1.1.17, which has the command numbers of an older server.
    PyTyrant,
}

/// How the arguments of a command lie behind its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As in 1.1.41.
    Current,
    /// `setmst` without timestamp and options, `restore` without options.
    Short,
    /// `copy`, or a `restore` that was sent under the number of `copy`: see [`Dialect::request`].
    CopyOrRestore,
}

/// What a number means to PyTyrant where that is not what it means to 1.1.41; nothing where it has no such command.
const PYTYRANT: [(u8, Option<(Verb, Layout)>); 6] = [
    (0x71, Some((Verb::Vanish, Layout::Current))),
    (0x72, Some((Verb::Copy, Layout::CopyOrRestore))),
    (0x73, Some((Verb::Restore, Layout::Short))),
    (0x74, None),
    (0x78, Some((Verb::SetMst, Layout::Short))),
    (0xA0, None),
];

impl Dialect {
    /// What a request of this number asks for, and how it is laid out; nothing where the dialect has no such number.
    ///
    /// PyTyrant's `restore` is sent as `copy`, the timestamp between the size of the path and the path. No path begins
    /// with NUL, and every timestamp of this age does: that is how they are told apart.
    pub fn request(self, number: u8) -> Option<(Verb, Layout)> {
        let differs = match self {
            Self::Tyrant => None,
            Self::PyTyrant => PYTYRANT.iter().find(|(differs, _)| *differs == number),
        };
        match differs {
            Some((_, meaning)) => *meaning,
            None => Opcode::numbered(number).map(|row| (row.verb, Layout::Current)),
        }
    }

    /// Whether a failed `misc` counts its strings, of which there are none. PyTyrant does not read the count, and would
    /// take it for the answer to its next question.
    pub fn counts_when_failed(self) -> bool {
        self == Self::Tyrant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pytyrant_has_its_own_numbers_for_what_empties_copies_and_restores() {
        let differing: Vec<u8> = (0..=u8::MAX)
            .filter(|number| Dialect::PyTyrant.request(*number) != Dialect::Tyrant.request(*number))
            .collect();
        assert_eq!(differing, PYTYRANT.map(|(number, _)| number));
        let verb = |dialect: Dialect, number| dialect.request(number).map(|(verb, _)| verb);
        assert_eq!(verb(Dialect::PyTyrant, 0x71), Some(Verb::Vanish));
        assert_eq!(verb(Dialect::PyTyrant, 0x72), Some(Verb::Copy));
        assert_eq!(verb(Dialect::Tyrant, 0x72), Some(Verb::Vanish));
        assert_eq!(verb(Dialect::PyTyrant, 0x42), None);
    }
}
