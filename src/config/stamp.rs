//! Which digits and which unit of stamps go together.

use super::error::UsageError;
use super::item::Item;
use super::names::{UNITS, word, words};
use super::ranges::DIGITS;
use crate::guard::stamp::{DIGITS_MAX, StampFormat, Unit};

/// The digits and the unit, each from the highest layer that names it.
///
/// Digits from a higher layer must not fall under a unit that was written for others: a stamp of 16 digits read
/// as milliseconds lies far ahead of the clock. The unit counts then only where it is the digits' own, or no time.
pub(super) fn resolve(digits: Item<'_>, unit: Item<'_>) -> Result<StampFormat, UsageError> {
    let width = read_digits(digits)?;
    let named = unit.word(UNITS, Unit::Milliseconds)?;
    let (digits_given, unit_given) = match (digits.given, unit.given) {
        (None, None) => return Ok(StampFormat::default()),
        (None, Some(_)) => return Ok(by_unit(named)),
        (Some(_), None) => return by_digits(digits, width),
        (Some(digits), Some(unit)) => (digits, unit),
    };
    if unit_given.place.layer() < digits_given.place.layer() {
        below(digits, width, unit, named)?;
    }
    wide_enough(digits, width, named)?;
    format_of(digits, width, named)
}

fn read_digits(digits: Item<'_>) -> Result<u8, UsageError> {
    let number = digits.integer(DIGITS, u64::from(StampFormat::default().digits()))?;
    Ok(u8::try_from(number).unwrap_or(DIGITS_MAX))
}

/// A unit alone takes its usual width: 13 digits of seconds would be no time of ours.
fn by_unit(unit: Unit) -> StampFormat {
    usual_width(unit)
        .and_then(|width| StampFormat::new(width, unit))
        .or_else(|| StampFormat::new(StampFormat::default().digits(), unit))
        .unwrap_or_default()
}

/// Digits alone mean their own unit, where they have one.
fn by_digits(digits: Item<'_>, width: u8) -> Result<StampFormat, UsageError> {
    let unit = Unit::of_digits(width).ok_or_else(|| {
        digits.refuse(
            format_args!("stamp.digits is {width}, which means no unit by itself"),
            format_args!(
                "10 (s), 13 (ms), 16 (us), 19 (ns), or any from 1 to 19 with stamp.unit: {}",
                words(UNITS)
            ),
        )
    })?;
    format_of(digits, width, unit)
}

/// The unit was written in a lower layer than the digits.
fn below(digits: Item<'_>, width: u8, unit: Item<'_>, named: Unit) -> Result<(), UsageError> {
    match usual_width(named) {
        Some(usual) if usual != width => Err(digits.refuse(
            format_args!(
                "stamp.digits is {width}, but {} says stamp.unit {}, which has {usual}",
                unit.place(),
                word(UNITS, &named)
            ),
            format_args!(
                "{usual}, or the unit named in the same place or above: {}",
                words(UNITS)
            ),
        )),
        _ => Ok(()),
    }
}

/// A width that cannot hold today's time would make every deletion count as the newest write there can be.
fn wide_enough(digits: Item<'_>, width: u8, unit: Unit) -> Result<(), UsageError> {
    match usual_width(unit) {
        Some(least) if width < least => Err(digits.refuse(
            format_args!(
                "stamp.digits is {width}, too few for the time in {}",
                word(UNITS, &unit)
            ),
            format_args!("{least} to {DIGITS_MAX}, or stamp.unit opaque"),
        )),
        _ => Ok(()),
    }
}

fn format_of(digits: Item<'_>, width: u8, unit: Unit) -> Result<StampFormat, UsageError> {
    let allowed = format_args!("1 to {DIGITS_MAX}");
    StampFormat::new(width, unit).ok_or_else(|| digits.refuse(format_args!("stamp.digits is {width}"), allowed))
}

/// The digits that mean this unit by themselves: what today's time has in it.
fn usual_width(unit: Unit) -> Option<u8> {
    (1..=DIGITS_MAX).find(|width| Unit::of_digits(*width) == Some(unit))
}
