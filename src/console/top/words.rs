//! Figures as people read them.

use bytesize::ByteSize;

use crate::recent::edges::Named;

/// A number with few digits.
fn round(number: f64) -> String {
    let size = number.abs();
    match size {
        _ if size >= 100.0 || number == 0.0 => format!("{number:.0}"),
        _ if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// How often in a second.
pub fn rate(number: f64) -> String {
    match number {
        _ if number > 0.0 && number < 10.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// A length of time, of so many seconds.
pub fn lasting(seconds: f64) -> String {
    let size = seconds.abs();
    match size {
        _ if size == 0.0 => "0 s".to_owned(),
        _ if size < 0.001 => format!("{} us", round(seconds * 1e6)),
        _ if size < 1.0 => format!("{} ms", round(seconds * 1e3)),
        _ if size < 120.0 => format!("{} s", round(seconds)),
        _ if size < 7200.0 => format!("{} min", round(seconds / 60.0)),
        _ if size < 172_800.0 => format!("{} h", round(seconds / 3600.0)),
        _ => format!("{} d", round(seconds / 86_400.0)),
    }
}

/// A client: its address, the name in its certificate, and the edge that it comes through.
pub fn client(address: &str, certificate: Option<&str>, edge: Option<&Named>) -> String {
    let certificate = certificate.map_or_else(String::new, |name| format!(" ({name})"));
    let edge = edge.map_or_else(String::new, |edge| format!(" through {edge}"));
    format!("{address}{certificate}{edge}")
}

/// As [`lasting`], where something was measured.
pub fn measured(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), lasting)
}

/// A size.
pub fn bytes(number: u64) -> String {
    ByteSize(number).display().iec().to_string()
}

/// A part of what there may be.
pub fn share(part: u64, whole: u64) -> String {
    format!("{} %", round(100.0 * part as f64 / whole.max(1) as f64))
}

/// The time of day at so many seconds since the epoch, UTC.
pub fn clock(at: f64) -> String {
    let second = at.rem_euclid(86_400.0) as u32;
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// A label's value.
pub fn plain(name: &str) -> String {
    name.replace('_', " ")
}

/// Where the horizon lies, which is so many seconds old.
pub fn horizon(age: f64) -> String {
    // Ten years: that is no stamp, but the beginning.
    const BEGINNING: f64 = 315_360_000.0;
    match age {
        _ if age < 0.0 => format!("{} ahead of the clock", lasting(-age)),
        _ if age > BEGINNING => "before all stamps".to_owned(),
        _ => format!("{} behind the clock", lasting(age)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_few_digits_and_a_unit() {
        let told: Vec<_> = [0.0, 0.000_012_3, 0.25, 1.5, 119.0, 600.0, 36_000.0, 864_000.0]
            .map(lasting)
            .to_vec();
        assert_eq!(
            told,
            [
                "0 s", "12.3 us", "250 ms", "1.50 s", "119 s", "10.0 min", "10.0 h", "10.0 d"
            ]
        );
        assert_eq!([0.0, 0.25, 9.96, 1234.4].map(rate), ["0", "0.2", "10.0", "1234"]);
        assert_eq!((bytes(3 << 20).as_str(), share(1, 3).as_str()), ("3.0 MiB", "33.3 %"));
        assert_eq!((bytes(0).as_str(), share(0, 0).as_str()), ("0 B", "0 %"));
    }

    #[test]
    fn times_are_those_of_the_day_and_no_number_is_too_strange() {
        assert_eq!(clock(1_795_277_412.345), "16:10:12");
        for strange in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(clock(strange).len(), 8);
            assert!(!lasting(strange).is_empty() && !horizon(strange).is_empty());
        }
    }

    #[test]
    fn the_horizon_is_told_from_the_clock() {
        assert_eq!(horizon(-300.0), "5.00 min ahead of the clock");
        assert_eq!(horizon(30.0), "30.0 s behind the clock");
        assert_eq!(horizon(1.7e9), "before all stamps");
    }
}
