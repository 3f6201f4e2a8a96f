//! The numbers that values can hold, and those that arguments of `misc` spell out.

use bytes::Bytes;

/// Parts of the fractional part of a number, on the wire.
const TRILLION: f64 = 1e12;

/// What became of an addition: the sum, or none when the value was no such number or the sum cannot be
/// told from a failure; and the value to store.
pub struct Sum<T> {
    /// The sum, if there is one to answer.
    pub answer: Option<T>,
    /// What the record is to hold.
    pub value: Bytes,
}

/// Adds to a 32-bit integer in the machine's own byte order, wrapping around, as `tcmapaddint` does.
///
/// A value of another size is left alone. A sum of -2^31 is stored, but answered as a failure: the
/// server knows no other sign of one.
pub fn add_integer(value: Option<Bytes>, number: i32) -> Sum<i32> {
    let sum = match value {
        None => number,
        Some(value) => match <[u8; 4]>::try_from(&value[..]) {
            Ok(bytes) => i32::from_ne_bytes(bytes).wrapping_add(number),
            Err(_) => return Sum { answer: None, value },
        },
    };
    Sum {
        answer: Some(sum).filter(|sum| *sum != i32::MIN),
        value: Bytes::copy_from_slice(&sum.to_ne_bytes()),
    }
}

/// Adds to a `double` in the machine's own byte order, as `tcmapadddouble` does.
///
/// A value of another size is left alone. A sum that is no number is stored, but answered as a failure.
pub fn add_double(value: Option<Bytes>, number: f64) -> Sum<f64> {
    let sum = match value {
        None => number,
        Some(value) => match <[u8; 8]>::try_from(&value[..]) {
            Ok(bytes) => number + f64::from_ne_bytes(bytes),
            Err(_) => return Sum { answer: None, value },
        },
    };
    Sum {
        answer: Some(sum).filter(|sum| !sum.is_nan()),
        value: Bytes::copy_from_slice(&sum.to_ne_bytes()),
    }
}

/// The number that the two parts on the wire stand for (`ttunpackdouble`); `fractional` is in units of 10^-12.
pub fn unpack(integral: i64, fractional: i64) -> f64 {
    match (integral, fractional) {
        (i64::MIN, i64::MIN) => f64::NAN,
        (i64::MAX, _) => f64::INFINITY,
        (i64::MIN, _) => f64::NEG_INFINITY,
        _ => integral as f64 + fractional as f64 / TRILLION,
    }
}

/// The two parts of `number` on the wire (`ttpackdouble`): integral, and fractional in units of 10^-12.
pub fn pack(number: f64) -> (i64, i64) {
    let integral = number.trunc();
    if number.is_nan() {
        (i64::MIN, i64::MIN)
    } else if number.is_infinite() {
        (if number > 0.0 { i64::MAX } else { i64::MIN }, 0)
    } else {
        (wrap_to_minimum(integral), ((number - integral) * TRILLION) as i64)
    }
}

/// What the server's machine makes of a number that no 64-bit integer can hold: the smallest one.
fn wrap_to_minimum(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

/// The number at the head of `text` (`tcatoi`): spaces, a sign, digits; 0 when there are none. It wraps around
/// at 64 bits, and the callers in the server keep the low 32.
pub fn parse(text: &[u8]) -> i32 {
    let blanks = text.iter().take_while(|byte| (1..=b' ').contains(*byte)).count();
    let (negative, digits) = match &text[blanks..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let number = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i32, |sum, byte| {
            sum.wrapping_mul(10).wrapping_add(i32::from(byte - b'0'))
        });
    if negative { number.wrapping_neg() } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_packed_as_the_server_does() {
        const MAX: i64 = i64::MAX;
        const MIN: i64 = i64::MIN;
        // What `adddouble` on a new key answered.
        for (asked, answered) in [
            ((1, 500_000_000_000), (1, 500_000_000_000)),
            ((MAX, 0), (MAX, 0)),
            ((MIN, 0), (MIN, 0)),
            ((5, 3_000_000_000_000), (8, 0)),
            ((-1, -500_000_000_000), (-1, -500_000_000_000)),
            ((9_007_199_254_740_993, 1), (9_007_199_254_740_992, 0)),
            ((MAX - 1, 1_000_000_000_000), (MIN, 0)),
            ((0, 1), (0, 1)),
            ((0, -1), (0, -1)),
            ((1, MIN), (-9_223_371, -36_854_775_622)),
            ((MIN + 1, 7), (MIN, 0)),
        ] {
            assert_eq!(pack(unpack(asked.0, asked.1)), answered, "{asked:?}");
        }
        assert!(unpack(MIN, MIN).is_nan());
        assert_eq!(pack(f64::NAN), (MIN, MIN));
        assert_eq!(pack(1e300), (MIN, 0));
        assert_eq!(pack(-0.3), (0, -300_000_000_000));
        assert_eq!(pack(5e-324), (0, 0));
    }

    #[test]
    fn sums_that_the_server_cannot_answer_are_stored_all_the_same() {
        let sum = add_integer(Some(Bytes::copy_from_slice(&i32::MAX.to_ne_bytes())), 1);
        assert_eq!((sum.answer, &sum.value[..]), (None, &i32::MIN.to_ne_bytes()[..]));
        let sum = add_integer(Some(sum.value), 1);
        assert_eq!(sum.answer, Some(i32::MIN + 1));
        let sum = add_double(
            Some(Bytes::copy_from_slice(&f64::INFINITY.to_ne_bytes())),
            f64::NEG_INFINITY,
        );
        assert!(sum.answer.is_none() && sum.value.len() == 8);
    }

    #[test]
    fn a_value_of_another_size_is_left_alone() {
        for value in [&b""[..], b"abc", b"hello"] {
            let sum = add_integer(Some(Bytes::from_static(value)), 1);
            assert_eq!((sum.answer, sum.value), (None, Bytes::from_static(value)));
            let sum = add_double(Some(Bytes::from_static(value)), 1.0);
            assert_eq!((sum.answer.is_none(), sum.value), (true, Bytes::from_static(value)));
        }
    }

    #[test]
    fn spelled_numbers_are_read_as_the_server_does() {
        for (text, number) in [
            (&b""[..], 0),
            (b"12", 12),
            (b" +2", 2),
            (b"\t\n2x", 2),
            (b"- 2", 0),
            (b"-4", -4),
            (b"x", 0),
            (b"\x80 2", 0),
            (b"2\x003", 2),
            (b"4294967298", 2),
            (b"18446744073709551617", 1),
        ] {
            assert_eq!(parse(text), number, "{text:?}");
        }
    }
}
