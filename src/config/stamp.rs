//! Which digits, unit, source and mark of stamps go together.

use super::error::UsageError;
use super::field::{Field, Fields};
use super::kind::{Kind, Whole, Word};
use super::words::{SOURCES, StampSource, UNITS, word, words};
use crate::guard::stamp::{DIGITS_MAX, Mark, StampFormat, Unit};

/// The digits, the unit, and the mark where ttguard gives the stamps.
pub(super) fn resolve(fields: &Fields<'_>) -> Result<StampFormat, UsageError> {
    let source = fields.get("stamp.source").map(|field| Word(SOURCES).read(&field));
    let mark = fields.get("stamp.mark").map(|field| mark(&field)).transpose()?;
    if source.transpose()?.flatten() == Some(StampSource::Edge) {
        return given(fields, mark.unwrap_or_default());
    }
    if mark.is_some_and(|mark| mark != Mark::default()) {
        let problem = "stamp.mark does nothing where clients give the stamps";
        return Err(fields.refuse("stamp.mark", problem, "with stamp.source = \"edge\""));
    }
    of_clients(fields)
}

fn mark(field: &Field<'_>) -> Result<Mark, UsageError> {
    let mark = field.text().and_then(|text| Mark::new(text.as_bytes()));
    let allowed = format_args!("1 to {} bytes of text, the first of them no digit", Mark::MAX);
    mark.ok_or_else(|| field.refuse_value(allowed))
}

/// The format of stamps that ttguard gives. A clock that counts on within its unit would be far ahead of the time with
/// fewer digits: with 100,000 writes a second and milliseconds, by five minutes within three seconds.
fn given(fields: &Fields<'_>, mark: Mark) -> Result<StampFormat, UsageError> {
    let format = StampFormat::given(mark);
    let (digits, unit) = (fields.get("stamp.digits"), fields.get("stamp.unit"));
    if let Some(digits) = digits {
        let width: u8 = Whole(1..=DIGITS_MAX.into()).read(&digits)?;
        if width != format.digits() {
            return Err(digits.refuse(
                format_args!(
                    "stamp.digits is {width}, and the stamps that ttguard gives have {}",
                    format.digits()
                ),
                format_args!("{}, or stamp.source client", format.digits()),
            ));
        }
    }
    if let Some(unit) = unit {
        let named = Word(UNITS).read(&unit)?;
        if named != format.unit() {
            return Err(unit.refuse(
                format_args!(
                    "stamp.unit is {}, and the stamps that ttguard gives are us",
                    word(UNITS, &named)
                ),
                "us, or stamp.source client",
            ));
        }
    }
    Ok(format)
}

/// The digits and the unit, each from the highest layer that names it.
///
/// Digits from a higher layer must not fall under a unit that was written for others: a stamp of 16 digits read
/// as milliseconds lies far ahead of the clock. The unit counts then only where it is the digits' own, or no time.
fn of_clients(fields: &Fields<'_>) -> Result<StampFormat, UsageError> {
    let (digits, unit) = (fields.get("stamp.digits"), fields.get("stamp.unit"));
    let width = |digits: &Field<'_>| -> Result<u8, UsageError> { Whole(1..=DIGITS_MAX.into()).read(digits) };
    let named = |unit: &Field<'_>| Word(UNITS).read(unit);
    match (digits, unit) {
        (None, None) => Ok(StampFormat::default()),
        (None, Some(unit)) => Ok(by_unit(named(&unit)?)),
        (Some(digits), None) => by_digits(&digits, width(&digits)?),
        (Some(digits), Some(unit)) => {
            let (width, named) = (width(&digits)?, named(&unit)?);
            if unit.value.place.layer() < digits.value.place.layer() {
                below(&digits, width, &unit, named)?;
            }
            wide_enough(&digits, width, named)?;
            format_of(&digits, width, named)
        }
    }
}

/// A unit alone takes its usual width: 13 digits of seconds would be no time of ours.
fn by_unit(unit: Unit) -> StampFormat {
    usual_width(unit)
        .and_then(|width| StampFormat::new(width, unit))
        .or_else(|| StampFormat::new(StampFormat::default().digits(), unit))
        .unwrap_or_default()
}

/// Digits alone mean their own unit, where they have one.
fn by_digits(digits: &Field<'_>, width: u8) -> Result<StampFormat, UsageError> {
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
fn below(digits: &Field<'_>, width: u8, unit: &Field<'_>, named: Unit) -> Result<(), UsageError> {
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
fn wide_enough(digits: &Field<'_>, width: u8, unit: Unit) -> Result<(), UsageError> {
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

fn format_of(digits: &Field<'_>, width: u8, unit: Unit) -> Result<StampFormat, UsageError> {
    let allowed = format_args!("1 to {DIGITS_MAX}");
    StampFormat::new(width, unit).ok_or_else(|| digits.refuse(format_args!("stamp.digits is {width}"), allowed))
}

/// The digits that mean this unit by themselves: what today's time has in it.
fn usual_width(unit: Unit) -> Option<u8> {
    (1..=DIGITS_MAX).find(|width| Unit::of_digits(*width) == Some(unit))
}
