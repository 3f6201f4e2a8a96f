//! What must hold of the stamp of any value, in any format.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use ttguard::guard::stamp::{DIGITS_MAX, StampFormat, Unit};

/// A format, two stamps and an instant; what is left of an input is a value.
#[derive(Arbitrary, Debug)]
struct Given {
    digits: u8,
    unit: u8,
    stamps: [u64; 2],
    seconds: u64,
    nanoseconds: u32,
}

/// Checks one input.
///
/// # Panics
/// When a stamp is not what plain arithmetic on decimal digits says.
pub fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let Ok(given) = Given::arbitrary(&mut input) else {
        return;
    };
    let unit = [
        Unit::Seconds,
        Unit::Milliseconds,
        Unit::Microseconds,
        Unit::Nanoseconds,
        Unit::Opaque,
    ][usize::from(given.unit) % 5];
    // Two numbers of digits more than there can be.
    let digits = given.digits % (DIGITS_MAX + 3);
    let format = StampFormat::new(digits, unit);
    assert_eq!(format.is_some(), (1..=DIGITS_MAX).contains(&digits));
    let Some(format) = format else {
        return;
    };
    check_value(format, input.take_rest());
    check_numbers(format, given.stamps.map(|stamp| stamp % (format.max() + 1)));
    let instant = Duration::new(given.seconds, given.nanoseconds % 1_000_000_000);
    let stamp = unit.nanoseconds().map(|unit| instant.as_nanos() / u128::from(unit));
    assert_eq!(
        format.at(instant).map(u128::from),
        stamp.map(|stamp| stamp.min(format.max().into()))
    );
}

fn check_value(format: StampFormat, value: &[u8]) {
    let digits = value.get(..format.digits().into());
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    let digits = digits.filter(|digits| digits.chars().all(|char| char.is_ascii_digit()));
    assert_eq!(
        format.read(value),
        digits.map(|digits| digits.parse().expect("a number"))
    );
    if let (Some(stamp), Some(digits)) = (format.read(value), digits) {
        assert_eq!(format.write(stamp), digits);
    }
}

fn check_numbers(format: StampFormat, [one, other]: [u64; 2]) {
    let (text, other_text) = (format.write(one), format.write(other));
    assert_eq!(text.len(), usize::from(format.digits()));
    assert_eq!(format.read(text.as_bytes()), Some(one));
    assert_eq!(
        text.cmp(&other_text),
        one.cmp(&other),
        "digits are ordered as numbers are"
    );
    let between = format.unit().nanoseconds().map(|unit| {
        let nanoseconds = u128::from(other.saturating_sub(one)) * u128::from(unit);
        nanoseconds.min(u64::MAX.into())
    });
    assert_eq!(format.between(one, other).map(|time| time.as_nanos()), between);
}
