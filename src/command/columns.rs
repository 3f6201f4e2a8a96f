//! The columns of a table's record.
//!
//! The plain commands take and give them as one value: names and values in turn with NUL between. `misc` has each in a
//! string of its own. Of columns with one name the last counts, and a name without a value is none.

use bytes::{BufMut, Bytes, BytesMut};

/// The column called `name` in a value.
pub fn in_value<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    last(value.split(|byte| *byte == 0), name)
}

/// The column called `name` among strings.
pub fn among<'a>(strings: &'a [Bytes], name: &[u8]) -> Option<&'a [u8]> {
    last(strings.iter().map(AsRef::as_ref), name)
}

/// The strings as one value.
pub fn joined(strings: &[Bytes]) -> Bytes {
    let mut value = BytesMut::with_capacity(strings.iter().map(|string| string.len() + 1).sum());
    for (at, string) in strings.iter().enumerate() {
        if at > 0 {
            value.put_u8(0);
        }
        value.put_slice(string);
    }
    value.freeze()
}

/// The strings of a value, each a slice of it.
pub fn split(value: &Bytes) -> Vec<Bytes> {
    value
        .split(|byte| *byte == 0)
        .map(|part| value.slice_ref(part))
        .collect()
}

/// The columns of a row with those of the others whose names it has not got: what `putcat` makes of them.
pub fn added(row: Vec<Bytes>, others: Vec<Bytes>) -> Vec<Bytes> {
    let mut all = row;
    all.truncate(all.len() & !1);
    for pair in others.chunks_exact(2) {
        if among(&all, &pair[0]).is_none() {
            all.extend_from_slice(pair);
        }
    }
    all
}

fn last<'a>(mut strings: impl Iterator<Item = &'a [u8]>, wanted: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    while let (Some(name), Some(value)) = (strings.next(), strings.next()) {
        if name == wanted {
            found = Some(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_by_its_name_as_the_server_finds_it() {
        for (value, found) in [
            (&b"ts\x005\0a\x001"[..], Some(&b"5"[..])),
            (b"a\0ts\0ts\x006", Some(b"6")),
            (b"ts\x001\0ts\x002", Some(b"2")),
            (b"a\x001\0ts", None),
            (b"ts\0", Some(b"")),
            (b"tsx\x001", None),
            (b"", None),
        ] {
            assert_eq!(in_value(value, b"ts"), found, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn columns_are_added_to_a_row_that_has_not_got_them() {
        let strings = |texts: &[&'static str]| texts.iter().map(|text| Bytes::from(*text)).collect::<Vec<_>>();
        assert_eq!(
            added(strings(&["a", "1", "odd"]), strings(&["a", "2", "b", "3", "odd"])),
            strings(&["a", "1", "b", "3"])
        );
        assert_eq!(added(split(&Bytes::new()), strings(&["a", "1"])), strings(&["a", "1"]));
        assert_eq!(split(&Bytes::from("a\x001")), strings(&["a", "1"]));
    }

    #[test]
    fn strings_may_hold_nul_and_are_told_apart_all_the_same() {
        let strings = [&b"a"[..], b"x\0ts\x009", b"ts", b"5"].map(Bytes::from_static);
        assert_eq!(among(&strings, b"ts"), Some(&b"5"[..]));
        assert_eq!(joined(&strings[..2]), &b"a\0x\0ts\x009"[..]);
        assert_eq!(joined(&[]), Bytes::new());
    }
}
