//! What must hold of any bytes that are read as requests in whatever protocol.

use bytes::BytesMut;
use ttguard::command::{Answer, Reply};
use ttguard::protocol::Protocols;
use ttguard::protocol::answer;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::request::{Decoder, Fault, Incoming};
use ttguard::protocol::tyrant::dialect::Dialect;

use super::pieces;

/// Checks one input: how its bytes are cut, as [`pieces::list`] reads it, and then the bytes.
///
/// # Panics
/// When the bytes give other requests in pieces than whole, when a fault does not stay, or when a request of a text
/// protocol has no words for each kind of answer.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let (requests, end) = decode(&[input]);
    assert_eq!(decode(&pieces::cut(lengths, input)), (requests.clone(), end));
    for request in &requests {
        if let Incoming::Request(request) = request
            && !request.form.is_binary()
        {
            for said in [
                Answer::Unavailable,
                Answer::Reply(Reply::Code(1)),
                Answer::Reply(Reply::OK),
            ] {
                let mut out = Outgoing::new();
                answer::encode(request.form, &said, &mut out);
                assert!(
                    out.take().ends_with(b"\n"),
                    "{request:?} is answered {said:?} by nothing"
                );
            }
        }
    }
}

/// The requests in `pieces`, and the fault or the bytes left over that end them.
fn decode(pieces: &[&[u8]]) -> (Vec<Incoming>, Result<usize, Fault>) {
    let mut decoder = Decoder::new(pieces::LIMITS, Protocols::ALL, Dialect::Tyrant);
    let mut input = BytesMut::new();
    let mut requests = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(fault) => {
                    assert_eq!(decoder.decode(&mut input), Err(fault), "a fault stays");
                    return (requests, Err(fault));
                }
            }
        }
    }
    (requests, Ok(input.len()))
}
