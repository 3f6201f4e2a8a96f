//! How an input says in which pieces its bytes arrive.

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
