//! What must hold of any bytes that are read as requests of the binary protocol, in either dialect.

use bytes::BytesMut;
use ttguard::command::Command;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::dialect::Dialect;
use ttguard::protocol::tyrant::request::{RequestDecoder, RequestFault, encode};

use super::small::{ARGUMENTS, LIMITS};
use super::{fed, pieces};

/// Checks one input: how its bytes are cut, as [`pieces::list`] reads it, and then the bytes.
///
/// # Panics
/// When the bytes give other commands in pieces than whole, or do not come out of the encoder as they were, or when a
/// command in PyTyrant's dialect cannot be sent on.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let cut = pieces::cut(lengths, input);
    let of_pytyrant = decode(Dialect::PyTyrant, &[input]);
    assert_eq!(decode(Dialect::PyTyrant, &cut), of_pytyrant);
    of_pytyrant.0.iter().for_each(can_be_sent);
    let (commands, end) = decode(Dialect::Tyrant, &[input]);
    assert_eq!(decode(Dialect::Tyrant, &cut), (commands.clone(), end));
    let bytes = encoded(&commands);
    assert!(input.starts_with(&bytes), "the bytes came out changed");
    if let Ok(left) = end {
        assert_eq!(bytes.len() + left, input.len());
    }
    assert_eq!(decode(Dialect::Tyrant, &[&bytes]), (commands, Ok(0)));
}

/// Checks that a command, in whatever protocol it came, leaves as one whole frame that means the same.
///
/// # Panics
/// When it does not.
pub fn can_be_sent(command: &Command) {
    let bytes = encoded(std::slice::from_ref(command));
    let mut decoder = RequestDecoder::new(ARGUMENTS);
    let mut input = BytesMut::from(&bytes[..]);
    assert_eq!(decoder.decode(&mut input).as_ref(), Ok(&Some(command.clone())));
    assert!(input.is_empty(), "bytes behind the frame");
}

fn decode(dialect: Dialect, pieces: &[&[u8]]) -> (Vec<Command>, Result<usize, RequestFault>) {
    let mut decoder = RequestDecoder::new(LIMITS).in_dialect(dialect);
    fed::fed(pieces.iter().copied(), |input| decoder.decode(input))
}

fn encoded(commands: &[Command]) -> Vec<u8> {
    let mut out = Outgoing::new();
    commands.iter().for_each(|command| encode(command, &mut out));
    out.take().to_vec()
}
