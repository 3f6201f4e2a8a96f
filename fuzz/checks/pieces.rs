//! Bytes that arrive in pieces, and what a decoder makes of them.

use bytes::BytesMut;

/// Takes a list off the front of `input`: one byte that counts, and that many bytes.
pub fn list<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let Some((&count, rest)) = input.split_first() else {
        return &[];
    };
    let (list, rest) = rest.split_at(rest.len().min(count.into()));
    *input = rest;
    list
}

/// Cuts `bytes` into pieces of these lengths in turn, over and over; no lengths is one piece, and 0 means 256.
pub fn cut<'a>(lengths: &[u8], mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &length in lengths.iter().cycle() {
        let length = if length == 0 { 256 } else { length.into() };
        if bytes.len() <= length {
            break;
        }
        let (piece, rest) = bytes.split_at(length);
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

/// What comes of bytes that arrive in these pieces: what `decode` takes off their front, again and again until it wants
/// more, and the fault or the number of bytes left over that end it.
///
/// # Panics
/// When a fault does not stay.
pub fn fed<'a, T, F: Copy + PartialEq + std::fmt::Debug>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    mut decode: impl FnMut(&mut BytesMut) -> Result<Option<T>, F>,
) -> (Vec<T>, Result<usize, F>) {
    let mut input = BytesMut::new();
    let mut decoded = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decode(&mut input) {
                Ok(Some(one)) => decoded.push(one),
                Ok(None) => break,
                Err(fault) => {
                    assert_eq!(decode(&mut input).err(), Some(fault), "a fault stays");
                    return (decoded, Err(fault));
                }
            }
        }
    }
    (decoded, Ok(input.len()))
}

/// The same for what is read by the shape that is due: as much as there are shapes for.
///
/// # Panics
/// When a fault does not stay.
pub fn fed_by_shape<'a, S: Copy, T, F: Copy + PartialEq + std::fmt::Debug>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    shapes: &[S],
    mut decode: impl FnMut(S, &mut BytesMut) -> Result<Option<T>, F>,
) -> (Vec<T>, Result<usize, F>) {
    let mut shapes = shapes.iter();
    fed(pieces, |input| {
        let Some(shape) = shapes.as_slice().first() else {
            return Ok(None);
        };
        let decoded = decode(*shape, input)?;
        if decoded.is_some() {
            shapes.next();
        }
        Ok(decoded)
    })
}
