//! Changes that depend on what is stored, which no command of Tyrant's binary protocol makes.

/// How a change differs from the [`Command`](super::Command) that it is judged and counted as. The key and the value
/// are those of the command. A record that is not there stays so, and the answer is
/// [`NoRecord`](super::Answer::NoRecord).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// As the command, where there is a record.
    IfPresent,
    /// The value goes before what is stored.
    Prepend,
    /// This is added to the number whose decimal digits are stored, and the digits of the sum are stored; below 0 the
    /// sum is 0. It is the answer, as a [`Count`](super::Reply::Count).
    Decimal(i64),
}

impl Edit {
    /// The number that a value begins with, read as the server does: blanks and a sign may stand before the digits,
    /// anything behind them, and what is too large wraps around.
    pub fn number_in(value: &[u8]) -> i64 {
        let digits = value.trim_ascii_start();
        let (sign, digits) = match digits.first() {
            Some(b'-') => (-1, &digits[1..]),
            Some(b'+') => (1, &digits[1..]),
            _ => (1, digits),
        };
        let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
        let number = digits.fold(0i64, |number, digit| {
            number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'))
        });
        number.wrapping_mul(sign)
    }

    /// What [`Edit::Decimal`] stores and answers where `value` is stored.
    pub fn sum(value: &[u8], by: i64) -> u64 {
        let sum = Self::number_in(value).wrapping_add(by);
        u64::try_from(sum).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_server_reads_them() {
        let cases: [(&[u8], i64); 7] = [
            (b"5", 5),
            (b"1a2", 1),
            (b" -5", -5),
            (b"+5.9", 5),
            (b"", 0),
            (b"x", 0),
            (b"99999999999999999999", 7_766_279_631_452_241_919),
        ];
        for (value, number) in cases {
            assert_eq!(Edit::number_in(value), number, "{}", value.escape_ascii());
        }
        assert_eq!((Edit::sum(b"5", 3), Edit::sum(b"5", -9), Edit::sum(b"", 4)), (8, 0, 4));
    }
}
