//! Percent escapes.

use bytes::{BufMut, Bytes, BytesMut};

/// Undoes the escapes of `text`; a plus sign is a space. `None` where an escape lacks its two digits. What has none is
/// not copied.
pub fn decode(text: Bytes) -> Option<Bytes> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(text);
    }
    let mut decoded = BytesMut::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        decoded.put_u8(match byte {
            b'%' => digit(rest.next())? << 4 | digit(rest.next())?,
            b'+' => b' ',
            other => other,
        });
    }
    Some(decoded.freeze())
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?).to_digit(16)?.try_into().ok()
}

/// Adds `bytes` with all but letters, digits and `-_.!~*'()` escaped.
pub fn encode(bytes: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.put_u8(byte);
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.put_slice(&[b'%', DIGITS[high], DIGITS[low]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_undone_as_the_server_does() {
        let decoded = |text: &'static str| decode(Bytes::from(text));
        assert_eq!(decoded("plain").unwrap(), "plain");
        assert_eq!(decoded("a%20b%2Fc%2f+d").unwrap(), "a b/c/ d");
        assert_eq!(decoded("%00%fF").unwrap(), &b"\0\xff"[..]);
        for broken in ["a%", "a%4", "a%zz", "a%+1", "%%20"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_out_as_it_was(bytes: Vec<u8>) {
            let mut escaped = BytesMut::new();
            encode(&bytes, &mut escaped);
            prop_assert!(escaped.is_ascii());
            prop_assert_eq!(decode(escaped.freeze()), Some(Bytes::from(bytes)));
        }
    }
}
