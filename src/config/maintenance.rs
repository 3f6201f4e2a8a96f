//! The settings of `ttguard verify` and `ttguard gc`.

use std::time::Duration;

use super::address::Address;
use super::error::{UsageError, quoted};
use super::measure::{read_duration, write_duration};
use super::transfer::read_server;
use crate::guard::rules::Rules;

/// Most keys that are shown of each kind.
const KEYS_MAX: usize = 10_000;

/// Most records that are changed in a second, where a rate is given.
const RATE_MAX: u64 = 1_000_000;

/// Looking through the stamps of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifySettings {
    /// The server, ttguard or any other of the Tyrant protocol.
    pub server: Address,
    /// How stamps are read, and what is too far in the future.
    pub rules: Rules,
    /// So many keys of each kind are shown.
    pub keys: usize,
    /// Whether what was found is written as JSON.
    pub json: bool,
    /// Whether what can be mended without touching a value is mended.
    pub fix: bool,
}

/// Removing tombstones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcSettings {
    /// The ttguard that they are removed through.
    pub server: Address,
    /// How stamps are read.
    pub rules: Rules,
    /// Only older ones go.
    pub older_than: Duration,
    /// How many are removed in a second at most.
    pub rate: Option<u64>,
    /// Whether they are only counted.
    pub dry_run: bool,
}

/// What values are to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// With a stamp that ttguard gives, where they have none.
    Stamped,
    /// Without the stamp that ttguard gave.
    Unstamped,
}

/// Giving stamps to what is stored, or taking them off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestampSettings {
    /// The ttguard that they are given by.
    pub server: Address,
    /// What values are to become.
    pub becomes: Becomes,
    /// How many are looked at in a second at most.
    pub rate: Option<u64>,
}

/// Reads a rate that was written on the command line.
fn read_rate(rate: Option<&str>) -> Result<Option<u64>, UsageError> {
    let read = |text: &str| {
        let rate = text.parse().ok().filter(|rate| (1..=RATE_MAX).contains(rate));
        rate.ok_or_else(|| UsageError::new("--rate", quoted(text), format_args!("1 to {RATE_MAX} in a second")))
    };
    rate.map(read).transpose()
}

impl RestampSettings {
    /// Reads what was written on the command line.
    pub(crate) fn read(server: &str, becomes: Becomes, rate: Option<&str>) -> Result<Self, UsageError> {
        Ok(Self {
            server: read_server(server)?,
            becomes,
            rate: read_rate(rate)?,
        })
    }
}

impl VerifySettings {
    /// Reads what was written on the command line.
    pub(crate) fn read(server: &str, rules: Rules, keys: &str, json: bool, fix: bool) -> Result<Self, UsageError> {
        let keys = keys
            .parse()
            .ok()
            .filter(|keys| *keys <= KEYS_MAX)
            .ok_or_else(|| UsageError::new("--keys", quoted(keys), format_args!("0 to {KEYS_MAX}")))?;
        Ok(Self {
            server: read_server(server)?,
            rules,
            keys,
            json,
            fix,
        })
    }
}

impl GcSettings {
    /// Reads what was written on the command line.
    pub(crate) fn read(
        server: &str,
        rules: Rules,
        older_than: &str,
        rate: Option<&str>,
        dry_run: bool,
    ) -> Result<Self, UsageError> {
        let server = read_server(server)?;
        if rules.stamp.unit().nanoseconds().is_none() {
            return Err(UsageError::new(
                "--stamp-unit",
                "opaque stamps are no time, so that no tombstone is older than any other",
                "s, ms, us, ns",
            ));
        }
        let least = rules.age_min();
        let older_than = read_duration(older_than).filter(|age| *age >= least).ok_or_else(|| {
            UsageError::new(
                "--older-than",
                quoted(older_than),
                format_args!(
                    "a duration of {} or more (future_tolerance + delete_tolerance: a write may be late, or a clock off, \
                     by that much, and would bring a deleted record back), such as 7d",
                    write_duration(least)
                ),
            )
        })?;
        Ok(Self {
            server,
            rules,
            older_than,
            rate: read_rate(rate)?,
            dry_run,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::stamp::{StampFormat, Unit};

    #[test]
    fn a_tombstone_that_may_still_be_needed_cannot_be_asked_for() {
        let read = |age| GcSettings::read("h:1", Rules::default(), age, Some("5"), false);
        assert_eq!(read("301s").expect("the least").older_than, Duration::from_secs(301));
        for age in ["300s", "0s", "x", "-1d"] {
            let line = read(age).expect_err(age).to_string();
            assert!(
                line.starts_with("--older-than: ") && line.contains("a duration of 301s or more ("),
                "{line}"
            );
        }
    }

    #[test]
    fn mistakes_are_named_by_their_flag() {
        let rules = Rules::default;
        let opaque = Rules {
            stamp: StampFormat::new(13, Unit::Opaque).expect("a format"),
            ..rules()
        };
        for (result, start) in [
            (GcSettings::read("memory:", rules(), "7d", None, false), "URL: "),
            (GcSettings::read("h:1", rules(), "7d", Some("0"), false), "--rate: "),
            (GcSettings::read("h:1", opaque, "7d", None, false), "--stamp-unit: "),
        ] {
            let line = result.expect_err(start).to_string();
            assert!(line.starts_with(start) && line.contains("; allowed: "), "{line}");
        }
        let line = VerifySettings::read("h:1", rules(), "-1", false, false).expect_err("no number");
        assert!(line.to_string().starts_with("--keys: \"-1\"; allowed: "), "{line}");
    }
}
