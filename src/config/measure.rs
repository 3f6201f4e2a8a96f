//! Durations and sizes as text, each way exact.

use std::time::Duration;

use bytesize::ByteSize;

const DURATION_UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIZE_UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A duration such as `2s` or `1h 30m`.
pub(super) fn read_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// A size in bytes, such as `64KiB`, `1.5GiB` or `1024`.
pub(super) fn read_size(text: &str) -> Option<u64> {
    text.parse::<ByteSize>().ok().map(|size| size.0)
}

/// The duration in the greatest unit that holds it without a rest.
pub(super) fn write_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let whole = DURATION_UNITS
        .iter()
        .find(|(_, unit)| nanoseconds.is_multiple_of(*unit));
    whole.map_or_else(String::new, |(name, unit)| format!("{}{name}", nanoseconds / unit))
}

/// The size in the greatest unit that holds it without a rest.
pub(super) fn write_size(bytes: u64) -> String {
    let whole = SIZE_UNITS
        .iter()
        .find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| "0B".to_owned(), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_greatest_whole_unit_is_used() {
        assert_eq!(write_duration(Duration::from_secs(90)), "90s");
        assert_eq!(write_duration(Duration::from_secs(600)), "10m");
        assert_eq!(write_duration(Duration::ZERO), "0s");
        assert_eq!(write_size(64 << 20), "64MiB");
        assert_eq!(write_size((64 << 20) + 1), "67108865B");
        assert_eq!(write_size(0), "0B");
    }

    #[test]
    fn nonsense_is_no_measure() {
        for text in [
            "",
            "2",
            "s",
            "-1s",
            "2 parsecs",
            "2s2",
            "1e9s",
            "99999999999999999999999d",
            "٣s",
        ] {
            assert_eq!(read_duration(text), None, "{text}");
        }
        for text in ["", "MiB", "-1", "1.2.3MiB", "12 apples", "0x10", "1MiB 2KiB", "٣"] {
            assert_eq!(read_size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn measures_are_read_as_written(nanoseconds in any::<u64>(), bytes in any::<u64>()) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(read_duration(&write_duration(duration)), Some(duration));
            prop_assert_eq!(read_size(&write_size(bytes)), Some(bytes));
        }
    }
}
