//! Where the digits at the head of values lie as times: whether they look like stamps at all.

use std::time::Duration;

use serde::Serialize;

use super::rules::Rules;

/// Where a value's stamp lies, seen from the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lies {
    /// The value has none: it does not begin with so many digits.
    Nowhere,
    /// In the last minute, or ahead of the clock by no more than `future_tolerance`.
    Minute,
    /// In the last hour.
    Hour,
    /// In the last day.
    Day,
    /// In the last year.
    Year,
    /// Further back.
    Older,
    /// Further ahead than `future_tolerance`.
    Future,
    /// Its stamps are no times.
    Timeless,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Lies {
    /// All of them, by index.
    pub const ALL: [Self; 8] = [
        Self::Nowhere,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Year,
        Self::Older,
        Self::Future,
        Self::Timeless,
    ];

    /// Where this stamp, if there is one, lies at `now`, which is time since the epoch.
    pub fn of(stamp: Option<u64>, rules: &Rules, now: Duration) -> Self {
        let (Some(stamp), format) = (stamp, rules.stamp) else {
            return Self::Nowhere;
        };
        let (Some(clock), Some(latest)) = (format.at(now), format.at(now + rules.future_tolerance)) else {
            return Self::Timeless;
        };
        if stamp > latest {
            return Self::Future;
        }
        Self::behind(format.between(stamp, clock).unwrap_or_default())
    }

    /// Where a stamp lies that is so far behind the clock.
    pub fn behind(age: Duration) -> Self {
        let bounds = [
            (MINUTE, Self::Minute),
            (MINUTE * 60, Self::Hour),
            (MINUTE * 60 * 24, Self::Day),
            (MINUTE * 60 * 24 * 365, Self::Year),
        ];
        let within = bounds.iter().find(|(bound, _)| age <= *bound);
        within.map_or(Self::Older, |(_, lies)| *lies)
    }

    /// A short name that stays the same from release to release.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "nowhere",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Year => "year",
            Self::Older => "older",
            Self::Future => "future",
            Self::Timeless => "timeless",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::stamp::{StampFormat, Unit};

    #[test]
    fn an_isbn_and_a_card_number_lie_in_the_future_and_a_telephone_number_in_another_century() {
        let rules = Rules {
            future_tolerance: MINUTE * 5,
            ..Rules::default()
        };
        let now = Duration::from_secs(1_700_000_000);
        let lies = |value: &str| Lies::of(rules.stamp.read(value.as_bytes()), &rules, now);
        for (value, wanted) in [
            ("9783161484100", Lies::Future),
            ("4155550123456", Lies::Future),
            ("4111111111111111", Lies::Future),
            ("1700000300001", Lies::Future),
            ("1700000300000 in time", Lies::Minute),
            ("1699999940000", Lies::Minute),
            ("1699999939999", Lies::Hour),
            ("1699996399999", Lies::Day),
            ("1699913599999", Lies::Year),
            ("1600000000000", Lies::Older),
            ("0049301234567", Lies::Older),
            ("a value", Lies::Nowhere),
            ("170000000000", Lies::Nowhere),
        ] {
            assert_eq!(lies(value), wanted, "{value}");
        }
        let stamp = StampFormat::new(13, Unit::Opaque).expect("a width in range");
        let opaque = Rules { stamp, ..rules };
        assert_eq!(Lies::of(Some(1), &opaque, now), Lies::Timeless);
        assert_eq!(Lies::of(None, &opaque, now), Lies::Nowhere);
    }
}
