//! What must hold of any bytes that are read as replies.

use bytes::BytesMut;
use ttguard::command::{Reply, Shape};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::reply::{Dropped, Record, RecordsDecoder, ReplyDecoder, ReplyFault, Taken, encode};

use super::small::LIMITS;
use super::{fed, pieces};

/// Bytes that a key may have, as of those who ask.
const LONGEST: usize = 300;

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
/// When the bytes give other replies in pieces than whole, or do not come out of the encoder as they were; or when those
/// over a limit, once they are dropped, change anything about the others.
pub fn check(mut input: &[u8]) {
    let lengths = pieces::list(&mut input);
    let shapes = pieces::list(&mut input).iter();
    let shapes: Vec<Shape> = shapes.map(|byte| SHAPES[usize::from(*byte) % SHAPES.len()]).collect();
    let pieces = pieces::cut(lengths, input);
    let (replies, end) = decode(&shapes, &[input], LIMITS);
    assert_eq!(decode(&shapes, &pieces, LIMITS), (replies.clone(), end));
    let bytes = encoded(&replies);
    assert!(input.starts_with(&bytes), "the bytes came out changed");
    if let Ok(left) = end {
        assert_eq!(bytes.len() + left, input.len());
    }
    assert_eq!(decode(&shapes[..replies.len()], &[&bytes], LIMITS), (replies, Ok(0)));
    check_dropping(&shapes, input, &pieces);
    check_records(input, &pieces);
}

/// What is dropped under the limits is what is read without them.
fn check_dropping(shapes: &[Shape], input: &[u8], pieces: &[&[u8]]) {
    let mut decoder = ReplyDecoder::new(LIMITS);
    let (taken, end) = fed::fed_by_shape(pieces.iter().copied(), shapes, |shape, input| {
        decoder.decode_or_drop(shape, input)
    });
    let (replies, unlimited_end) = decode(shapes, &[input], Limits::WIRE);
    assert_eq!(end.err(), unlimited_end.err());
    assert_eq!(taken.len(), replies.len());
    for ((taken, reply), shape) in taken.into_iter().zip(replies).zip(shapes) {
        let whole = encoded(std::slice::from_ref(&reply));
        let (within, fault) = decode(&[*shape], &[&whole], LIMITS);
        match taken {
            Taken::Reply(taken) => assert_eq!(vec![taken], within),
            Taken::Dropped(Dropped {
                code,
                bytes,
                fault: over,
            }) => {
                assert_eq!((code, bytes), (reply.code(), whole.len() as u64));
                assert_eq!(fault, Err(over.expect("a limit").into()));
            }
        }
    }
}

/// An answer that is taken apart has the same records as the whole, and those over a limit change nothing about the
/// others.
fn check_records(input: &[u8], pieces: &[&[u8]]) {
    let (head, records, end) = taken_apart(pieces, LIMITS);
    assert_eq!(taken_apart(&[input], LIMITS), (head, records.clone(), end));
    let (_, unlimited, unlimited_end) = taken_apart(&[input], Limits::WIRE);
    assert_eq!(end, unlimited_end);
    assert_eq!(records.len(), unlimited.len());
    let mut all = Vec::new();
    for (taken, record) in records.into_iter().zip(unlimited) {
        let Record::Whole(key, value) = &record else {
            panic!("the wire has no limits");
        };
        match &taken {
            Record::Whole(..) => assert_eq!(taken, record),
            Record::Dropped(dropped_key, dropped) => {
                assert_eq!(
                    (dropped_key, dropped.bytes),
                    (key, 8 + (key.len() + value.len()) as u64)
                );
                assert!(dropped.fault.is_some_and(|fault| fault.is_over_limit()));
            }
        }
        all.push((key.clone(), value.clone()));
    }
    if let (Some(count), Ok(_)) = (head, end)
        && count == all.len()
    {
        let whole = encoded(&[Reply::Records(all)]);
        assert!(input.starts_with(&whole), "the bytes came out changed");
    }
}

/// What the head of an answer says, its records, and the fault or the bytes left over that end them.
type TakenApart = (Option<usize>, Vec<Record>, Result<usize, ReplyFault>);

fn taken_apart(pieces: &[&[u8]], limits: Limits) -> TakenApart {
    let (mut decoder, mut bytes) = (RecordsDecoder::new(limits), BytesMut::new());
    let (mut head, mut records) = (None, Vec::new());
    for piece in pieces {
        bytes.extend_from_slice(piece);
        if head.is_none() {
            head = match decoder.head(&mut bytes) {
                Ok(head) => head,
                Err(fault) => return (None, records, Err(fault)),
            };
        }
        while head.is_some_and(|count| records.len() < count) {
            match decoder.record(&mut bytes, LONGEST) {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break,
                Err(fault) => return (head, records, Err(fault)),
            }
        }
    }
    // What is dropped leaves as it comes.
    let is_whole = head.is_none_or(|count| records.len() == count);
    (head, records, Ok(if is_whole { bytes.len() } else { 0 }))
}

/// The replies of these shapes in `pieces`, and the fault or the bytes left over that end them.
fn decode(shapes: &[Shape], pieces: &[&[u8]], limits: Limits) -> (Vec<Reply>, Result<usize, ReplyFault>) {
    let mut decoder = ReplyDecoder::new(limits);
    fed::fed_by_shape(pieces.iter().copied(), shapes, |shape, input| {
        decoder.decode(shape, input)
    })
}

fn encoded(replies: &[Reply]) -> Vec<u8> {
    let mut out = Outgoing::new();
    replies.iter().for_each(|reply| encode(reply, &mut out));
    out.take().to_vec()
}
