//! Keys and values that say what they are, so that an answer can be told from that to another question.
//!
//! A value is its stamp (13 digits of milliseconds), then its key's index, its number and its own size, in digits of
//! six bits, then filler that is the same everywhere. So nothing need be remembered of a value to know it again, be it
//! one that an earlier run with other settings has stored.

use crate::config::VALUE_MIN;

/// Bytes of a key.
pub(super) const KEY: usize = PREFIX.len() + KEY_DIGITS;

/// What every key begins with, so that the records of others are left alone.
const PREFIX: &[u8; 6] = b"bench:";
const KEY_DIGITS: usize = 9;

const STAMP_DIGITS: usize = 13;
const INDEX_DIGITS: usize = 6;
const NUMBER_DIGITS: usize = 8;
const SIZE_DIGITS: usize = 5;
const _: () = assert!(STAMP_DIGITS + INDEX_DIGITS + NUMBER_DIGITS + SIZE_DIGITS == VALUE_MIN);

/// Digits of six bits, and one period of the filler.
const SIXTY_FOUR: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/// What a value says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Milliseconds since the epoch.
    pub stamp: u64,
    /// Of its key.
    pub index: u32,
}

/// Writes the key with this index.
pub(super) fn write_key(index: u32, into: &mut [u8]) {
    let (prefix, digits) = into.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    decimal(u64::from(index), digits);
}

/// Writes what a value says of itself at the head of `value`, which has at least [`VALUE_MIN`] bytes and is filled
/// already. `number` tells apart what this process writes; its low 48 bits count.
pub(super) fn write_head(said: Said, number: u64, value: &mut [u8]) {
    let size = value.len() as u64;
    let (stamp, rest) = value.split_at_mut(STAMP_DIGITS);
    let (index, rest) = rest.split_at_mut(INDEX_DIGITS);
    let (place, rest) = rest.split_at_mut(NUMBER_DIGITS);
    decimal(said.stamp, stamp);
    six_bits(u64::from(said.index), index);
    six_bits(number, place);
    six_bits(size, &mut rest[..SIZE_DIGITS]);
}

/// Fills what follows the head.
pub(super) fn fill(value: &mut [u8]) {
    for piece in value[VALUE_MIN..].chunks_mut(SIXTY_FOUR.len()) {
        piece.copy_from_slice(&SIXTY_FOUR[..piece.len()]);
    }
}

/// Reads a value; nothing where it is not whole or was never one of ours.
pub(super) fn read(value: &[u8]) -> Option<Said> {
    let (head, filler) = value.split_at_checked(VALUE_MIN)?;
    let (stamp, rest) = head.split_at(STAMP_DIGITS);
    let (index, rest) = rest.split_at(INDEX_DIGITS);
    let (number, size) = rest.split_at(NUMBER_DIGITS);
    let stamp = stamp.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0'))
    })?;
    read_six_bits(number)?;
    let whole = read_six_bits(size)? == value.len() as u64
        && filler
            .chunks(SIXTY_FOUR.len())
            .all(|piece| piece == &SIXTY_FOUR[..piece.len()]);
    let index = u32::try_from(read_six_bits(index)?).ok()?;
    whole.then_some(Said { stamp, index })
}

fn decimal(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn six_bits(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = SIXTY_FOUR[(number % 64) as usize];
        number /= 64;
    }
}

fn read_six_bits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        Some(sum * 64 + u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(said: Said, number: u64, size: usize) -> Vec<u8> {
        let mut value = vec![0; size];
        fill(&mut value);
        write_head(said, number, &mut value);
        value
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_else(
            stamp in 0..10u64.pow(13), index in 0..1_000_000_000u32, number in any::<u64>(),
            size in VALUE_MIN..500, at in any::<prop::sample::Index>(), flip in 1..=255u8,
        ) {
            let said = Said { stamp, index };
            let mut value = value(said, number, size);
            prop_assert_eq!(read(&value), Some(said));
            prop_assert_eq!(read(&value[..size - 1]), None);
            let at = at.index(size);
            value[at] ^= flip;
            prop_assert!(at < VALUE_MIN || read(&value).is_none());
            value.push(b'0');
            prop_assert_eq!(read(&value), None);
        }
    }

    #[test]
    fn keys_are_of_one_size_and_differ() {
        let key = |index| {
            let mut key = [0; KEY];
            write_key(index, &mut key);
            String::from_utf8_lossy(&key).into_owned()
        };
        assert_eq!(key(0), "bench:000000000");
        assert_eq!(key(999_999_999), "bench:999999999");
    }
}
