//! Bytes that arrive in pieces, and what a decoder makes of them.

use bytes::BytesMut;

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
