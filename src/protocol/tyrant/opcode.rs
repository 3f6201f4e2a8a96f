//! One table: number, name, what kind of command, what shape of reply.

use crate::command::{Kind, Shape, Verb};

/// The first byte of every request.
pub const MAGIC: u8 = 0xC8;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode {
    /// The second byte of a request.
    pub number: u8,
    /// What it asks for.
    pub verb: Verb,
    /// The name that the server's own documents use.
    pub name: &'static str,
    /// What kind of thing it does.
    pub kind: Kind,
    /// The shape of its answer.
    pub shape: Shape,
}

const fn row(number: u8, verb: Verb, name: &'static str, kind: Kind, shape: Shape) -> Opcode {
    Opcode {
        number,
        verb,
        name,
        kind,
        shape,
    }
}

/// Every command of 1.1.41, by [`Verb`] in its order of declaration. Numbers are those of `ttutil.h`.
pub const TABLE: [Opcode; 26] = [
    row(0x10, Verb::Put, "put", Kind::Write, Shape::Code),
    row(0x11, Verb::PutKeep, "putkeep", Kind::Write, Shape::Code),
    row(0x12, Verb::PutCat, "putcat", Kind::Unordered, Shape::Code),
    row(0x13, Verb::PutShl, "putshl", Kind::Unordered, Shape::Code),
    row(0x18, Verb::PutNr, "putnr", Kind::Write, Shape::Nothing),
    row(0x20, Verb::Out, "out", Kind::Delete, Shape::Code),
    row(0x30, Verb::Get, "get", Kind::Read, Shape::Value),
    row(0x31, Verb::Mget, "mget", Kind::Read, Shape::Records),
    row(0x38, Verb::Vsiz, "vsiz", Kind::Read, Shape::Number),
    row(0x50, Verb::IterInit, "iterinit", Kind::Iterate, Shape::Code),
    row(0x51, Verb::IterNext, "iternext", Kind::Iterate, Shape::Value),
    row(0x58, Verb::FwmKeys, "fwmkeys", Kind::Read, Shape::Keys),
    row(0x60, Verb::AddInt, "addint", Kind::Unordered, Shape::Number),
    row(0x61, Verb::AddDouble, "adddouble", Kind::Unordered, Shape::Double),
    row(0x68, Verb::Ext, "ext", Kind::Unordered, Shape::Value),
    row(0x70, Verb::Sync, "sync", Kind::Control, Shape::Code),
    row(0x71, Verb::Optimize, "optimize", Kind::Control, Shape::Code),
    row(0x72, Verb::Vanish, "vanish", Kind::Control, Shape::Code),
    row(0x73, Verb::Copy, "copy", Kind::Control, Shape::Code),
    row(0x74, Verb::Restore, "restore", Kind::Control, Shape::Code),
    row(0x78, Verb::SetMst, "setmst", Kind::Control, Shape::Code),
    row(0x80, Verb::Rnum, "rnum", Kind::Read, Shape::Count),
    row(0x81, Verb::Size, "size", Kind::Read, Shape::Count),
    row(0x88, Verb::Stat, "stat", Kind::Read, Shape::Value),
    row(0x90, Verb::Misc, "misc", Kind::Function, Shape::Strings),
    row(0xA0, Verb::Repl, "repl", Kind::Stream, Shape::Stream),
];

impl Opcode {
    /// The row with this number, if a server of 1.1.41 knows it.
    pub fn numbered(number: u8) -> Option<&'static Opcode> {
        TABLE.iter().find(|row| row.number == number)
    }

    /// The row of this verb.
    pub fn of(verb: Verb) -> &'static Opcode {
        &TABLE[verb as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_number_and_by_its_verb() {
        for row in &TABLE {
            assert_eq!(Opcode::numbered(row.number), Some(row));
            assert_eq!(Opcode::of(row.verb), row);
        }
        assert_eq!(Opcode::numbered(0x42), None);
    }
}
