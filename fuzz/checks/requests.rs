//! What must hold of any bytes that are read as requests, in any dialect.

use bytes::BytesMut;
use ttguard::command::Command;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::dialect::Dialect;
use ttguard::protocol::tyrant::request::{RequestDecoder, RequestFault, encode};

use super::pieces;

/// Checks one input: how its bytes are cut, as [`pieces::list`] reads it, and then the bytes.
///
/// # Panics
/// When the bytes give other commands in pieces than whole, or do not come out of the encoder as they were.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let cut = pieces::cut(lengths, input);
    assert_eq!(decode(Dialect::PyTyrant, &cut), decode(Dialect::PyTyrant, &[input]));
    let (commands, end) = decode(Dialect::Tyrant, &[input]);
    assert_eq!(decode(Dialect::Tyrant, &cut), (commands.clone(), end));
    let bytes = encoded(&commands);
    assert!(input.starts_with(&bytes), "the bytes came out changed");
    if let Ok(left) = end {
        assert_eq!(bytes.len() + left, input.len());
    }
    assert_eq!(decode(Dialect::Tyrant, &[&bytes]), (commands, Ok(0)));
}

/// The commands in `pieces`, and the fault or the bytes left over that end them.
fn decode(dialect: Dialect, pieces: &[&[u8]]) -> (Vec<Command>, Result<usize, RequestFault>) {
    let mut decoder = RequestDecoder::new(pieces::LIMITS).in_dialect(dialect);
    let mut input = BytesMut::new();
    let mut commands = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(command)) => commands.push(command),
                Ok(None) => break,
                Err(fault) => return (commands, Err(fault)),
            }
        }
    }
    (commands, Ok(input.len()))
}

fn encoded(commands: &[Command]) -> Vec<u8> {
    let mut out = Outgoing::new();
    commands.iter().for_each(|command| encode(command, &mut out));
    out.take().to_vec()
}
