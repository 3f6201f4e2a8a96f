//! Long lists, taken apart bit by bit: a million arguments at once would hold up everybody else.

use bytes::Bytes;

use crate::command::Command;
use crate::protocol::tyrant::sizes;

/// Elements that are taken off a list at once.
const PART: usize = 16 * 1024;

/// What a list is asked with.
#[derive(Debug)]
pub(super) enum Asked {
    /// `mget`, for these keys.
    Mget,
    /// `misc`, of these arguments.
    Misc { function: Bytes, options: u32 },
}

/// A list that has come whole, and how far it was taken apart.
#[derive(Debug)]
pub(super) struct List {
    asked: Asked,
    frame: Bytes,
    left: usize,
    strings: Vec<Bytes>,
}

impl List {
    /// A list of `count` elements, which a scan has found in `frame`.
    pub(super) fn new(asked: Asked, frame: Bytes, count: usize) -> Self {
        Self {
            asked,
            frame,
            left: count,
            strings: Vec::with_capacity(count),
        }
    }

    /// Takes some more off; whether that was all.
    pub(super) fn go_on(&mut self) -> bool {
        let count = self.left.min(PART);
        sizes::take_strings(&mut self.frame, count, &mut self.strings);
        self.left -= count;
        self.left == 0
    }

    /// The command, once all was taken off.
    pub(super) fn command(self) -> Command {
        match self.asked {
            Asked::Mget => Command::Mget { keys: self.strings },
            Asked::Misc { function, options } => Command::Misc {
                function,
                options,
                arguments: self.strings,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::protocol::outgoing::Outgoing;
    use crate::protocol::tyrant::limits::Limits;
    use crate::protocol::tyrant::request::{RequestDecoder, encode};

    #[test]
    fn a_long_list_is_taken_apart_bit_by_bit_and_nothing_behind_it_is_touched() {
        let strings: Vec<Bytes> = (0..2 * PART + 1).map(|number| number.to_string().into()).collect();
        let misc = Command::Misc {
            function: Bytes::from_static(b"outlist"),
            options: 1,
            arguments: strings.clone(),
        };
        for command in [Command::Mget { keys: strings }, misc] {
            let mut out = Outgoing::new();
            encode(&command, &mut out);
            out.put_slice(b"next");
            let mut decoder = RequestDecoder::new(Limits::REQUEST);
            let mut input = BytesMut::from(&out.take()[..]);
            for _ in 0..2 {
                assert_eq!(decoder.decode_some(&mut input), Ok(None));
                assert!(decoder.is_busy());
                assert_eq!(input, "next");
            }
            assert_eq!(decoder.decode_some(&mut input), Ok(Some(command)));
            assert!(!decoder.is_busy());
            assert_eq!(input, "next");
        }
    }
}
