//! What must hold of any bytes that are read as replies.

use ttguard::command::{Reply, Shape};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::reply::{ReplyDecoder, ReplyFault, encode};

use super::small::LIMITS;
use super::{fed, pieces};

/// The shapes that a byte of the input can name, by its remainder.
pub const SHAPES: [Shape; 10] = [
    Shape::Code,
    Shape::Value,
    Shape::Number,
    Shape::Double,
    Shape::Count,
    Shape::Records,
    Shape::Keys,
    Shape::Strings,
    Shape::Nothing,
    Shape::Stream,
];

/// Checks one input: how its bytes are cut and what shapes are owed, each as [`pieces::list`] reads it, and then the
/// bytes.
///
/// # Panics
/// When the bytes give other replies in pieces than whole, or do not come out of the encoder as they were.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let shapes = pieces::list(&mut input).iter();
    let shapes: Vec<Shape> = shapes.map(|byte| SHAPES[usize::from(*byte) % SHAPES.len()]).collect();
    let (replies, end) = decode(&shapes, &[input]);
    assert_eq!(decode(&shapes, &pieces::cut(lengths, input)), (replies.clone(), end));
    let bytes = encoded(&replies);
    assert!(input.starts_with(&bytes), "the bytes came out changed");
    if let Ok(left) = end {
        assert_eq!(bytes.len() + left, input.len());
    }
    assert_eq!(decode(&shapes[..replies.len()], &[&bytes]), (replies, Ok(0)));
}

/// The replies of these shapes in `pieces`, and the fault or the bytes left over that end them.
fn decode(shapes: &[Shape], pieces: &[&[u8]]) -> (Vec<Reply>, Result<usize, ReplyFault>) {
    let mut decoder = ReplyDecoder::new(LIMITS);
    fed::fed_by_shape(pieces.iter().copied(), shapes, |shape, input| {
        decoder.decode(shape, input)
    })
}

fn encoded(replies: &[Reply]) -> Vec<u8> {
    let mut out = Outgoing::new();
    replies.iter().for_each(|reply| encode(reply, &mut out));
    out.take().to_vec()
}
