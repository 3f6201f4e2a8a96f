//! The values that only `ttguard bench` takes, as they are written.

use std::ops::RangeInclusive;

use super::{Distribution, Mix, VALUE_MIN};
use crate::config::measure::read_size;
use crate::protocol::tyrant::opcode::Opcode;

/// What can be written for a mix.
pub(super) const MIX_ALLOWED: &str = "VERB=SHARE of put, get, putnr, out, mget with commas between, each once, shares \
    from 0 to 1000000 and not all 0, such as put=90,get=10";

/// What can be written for a distribution.
pub(super) const DISTRIBUTION_ALLOWED: &str = "uniform, zipf, or zipf:EXPONENT from 0.01 to 10";

/// What can be written for the size of a value.
pub(super) const VALUE_SIZE_ALLOWED: &str = "a size such as 1KiB or two as in 32-64KiB, from 32B to 16MiB";

/// What can be written for a share.
pub(super) const SHARE_ALLOWED: &str = "a share from 0 to 1, or from 0% to 100%";

const SHARE_MAX: u32 = 1_000_000;
const VALUE_MAX: u64 = 16 << 20;
const EXPONENT: RangeInclusive<f64> = 0.01..=10.0;

/// The exponent of `zipf` alone, which is that of other load generators.
const EXPONENT_DEFAULT: f64 = 0.99;

/// `VERB=SHARE,...`
pub(super) fn read_mix(text: &str) -> Option<Mix> {
    let mut shares = Vec::new();
    for part in text.split(',') {
        let (name, share) = part.split_once('=')?;
        let verb = Mix::VERBS.into_iter().find(|verb| Opcode::of(*verb).name == name)?;
        let share = digits(share)?.parse().ok().filter(|share| *share <= SHARE_MAX)?;
        if shares.iter().any(|(seen, _)| *seen == verb) {
            return None;
        }
        shares.push((verb, share));
    }
    shares.iter().any(|(_, share)| *share > 0).then_some(Mix(shares))
}

/// `uniform`, `zipf` or `zipf:EXPONENT`
pub(super) fn read_distribution(text: &str) -> Option<Distribution> {
    match text {
        "uniform" => Some(Distribution::Uniform),
        "zipf" => Some(Distribution::Zipf(EXPONENT_DEFAULT)),
        _ => {
            let exponent = fraction(text.strip_prefix("zipf:")?)?;
            EXPONENT.contains(&exponent).then_some(Distribution::Zipf(exponent))
        }
    }
}

/// `SIZE` or `SIZE-SIZE`
pub(super) fn read_value_size(text: &str) -> Option<RangeInclusive<usize>> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let size = |text| read_size(text).filter(|size| (VALUE_MIN as u64..=VALUE_MAX).contains(size));
    let (min, max) = (usize::try_from(size(min)?).ok()?, usize::try_from(size(max)?).ok()?);
    (min <= max).then_some(min..=max)
}

/// `0.1` or `10%`
pub(super) fn read_share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => fraction(percent)? / 100.0,
        None => fraction(text)?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

/// A decimal fraction: digits and at most one point, since Rust would also read `inf` or `1e9`.
fn fraction(text: &str) -> Option<f64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole)?;
    digits(rest)?;
    text.parse().ok()
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}
