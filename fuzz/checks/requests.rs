//! What must hold of any bytes that are read as requests.

use bytes::BytesMut;
use ttguard::command::Command;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::request::{RequestDecoder, RequestFault, encode};

use super::pieces;

/// Checks one input: how its bytes are cut, as [`pieces::list`] reads it, and then the bytes.
///
/// # Panics
/// When the bytes give other commands in pieces than whole, or do not come out of the encoder as they were.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let (commands, end) = decode(&[input]);
    assert_eq!(decode(&pieces::cut(lengths, input)), (commands.clone(), end));
    let bytes = encoded(&commands);
    assert!(input.starts_with(&bytes), "the bytes came out changed");
    if let Ok(left) = end {
        assert_eq!(bytes.len() + left, input.len());
    }
    assert_eq!(decode(&[&bytes]), (commands, Ok(0)));
}

/// The commands in `pieces`, and the fault or the bytes left over that end them.
fn decode(pieces: &[&[u8]]) -> (Vec<Command>, Result<usize, RequestFault>) {
    let mut decoder = RequestDecoder::new(pieces::LIMITS);
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
