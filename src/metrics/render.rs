//! The Prometheus text format, for what the recorder does not write itself.

use std::fmt::Write;

use ::metrics::Label as Pair;

use super::Row;
use super::histogram::Snapshot;

/// Sorts the recorder's text: it writes families and series in a new order each time, which makes
/// two scrapes hard to compare by eye.
pub fn ordered(text: &str) -> String {
    let mut families: Vec<Vec<&str>> = text
        .split("\n\n")
        .map(|family| family.lines().collect::<Vec<_>>())
        .filter(|family| !family.is_empty())
        .collect();
    for family in &mut families {
        let series = family.iter().take_while(|line| line.starts_with('#')).count();
        family[series..].sort_unstable();
    }
    families.sort_unstable();

    let mut sorted = String::with_capacity(text.len());
    for line in families.into_iter().flatten() {
        sorted.push_str(line);
        sorted.push('\n');
    }
    sorted
}

/// The HELP and TYPE lines of a row. Help texts are our own literals: a test sees that none needs escaping.
pub fn head(text: &mut String, row: &Row) {
    let Row { name, help, kind, .. } = row;
    line(
        text,
        format_args!("# HELP {name} {help}\n# TYPE {name} {}", kind.as_str()),
    );
}

/// The one series of a counter.
pub fn counter(text: &mut String, row: &Row, labels: &[Pair], value: u64) {
    let braced = braced(&pairs(labels));
    line(text, format_args!("{}{braced} {value}", row.name));
}

/// The labels of a series, a comma behind each.
fn pairs(labels: &[Pair]) -> String {
    let mut pairs = String::new();
    for label in labels {
        let _ = write!(pairs, "{}=\"{}\",", label.key(), label.value());
    }
    pairs
}

fn braced(pairs: &str) -> String {
    match pairs.strip_suffix(',') {
        Some(pairs) => format!("{{{pairs}}}"),
        None => String::new(),
    }
}

/// The series of one histogram: a running count for each bound, then sum and count.
pub fn histogram(text: &mut String, row: &Row, labels: &[Pair], snapshot: &Snapshot) {
    let name = row.name;
    let pairs = pairs(labels);
    let mut total = 0;
    for (at, count) in snapshot.counts.iter().enumerate() {
        total += count;
        match row.buckets.get(at) {
            Some(bound) => line(text, format_args!("{name}_bucket{{{pairs}le=\"{bound}\"}} {total}")),
            None => line(text, format_args!("{name}_bucket{{{pairs}le=\"+Inf\"}} {total}")),
        }
    }
    totals(text, row, labels, snapshot);
}

/// The sum and the count of one histogram.
pub fn totals(text: &mut String, row: &Row, labels: &[Pair], snapshot: &Snapshot) {
    let (name, braced) = (row.name, braced(&pairs(labels)));
    let total: u64 = snapshot.counts.iter().sum();
    line(text, format_args!("{name}_sum{braced} {}", snapshot.sum));
    line(text, format_args!("{name}_count{braced} {total}"));
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{arguments}"); // writing to a String does not fail
}

#[cfg(test)]
mod tests {
    use ::metrics::Unit;

    use super::*;
    use crate::metrics::Kind;

    const ROW: Row = Row {
        name: "t_seconds",
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        labels: &[],
        help: "Help.",
        buckets: &[0.5, 1.0],
    };

    #[test]
    fn counts_run_up_to_infinity() {
        let snapshot = Snapshot {
            counts: vec![1, 0, 2],
            sum: 7.25,
        };
        let mut text = String::new();
        head(&mut text, &ROW);
        histogram(&mut text, &ROW, &[Pair::new("a", "b")], &snapshot);
        histogram(&mut text, &ROW, &[], &snapshot);
        assert_eq!(
            text,
            "# HELP t_seconds Help.\n# TYPE t_seconds histogram\n\
             t_seconds_bucket{a=\"b\",le=\"0.5\"} 1\n\
             t_seconds_bucket{a=\"b\",le=\"1\"} 1\n\
             t_seconds_bucket{a=\"b\",le=\"+Inf\"} 3\n\
             t_seconds_sum{a=\"b\"} 7.25\n\
             t_seconds_count{a=\"b\"} 3\n\
             t_seconds_bucket{le=\"0.5\"} 1\n\
             t_seconds_bucket{le=\"1\"} 1\n\
             t_seconds_bucket{le=\"+Inf\"} 3\n\
             t_seconds_sum 7.25\n\
             t_seconds_count 3\n"
        );
    }

    #[test]
    fn families_and_series_are_sorted_below_their_heads() {
        let text = "# HELP b B\n# TYPE b gauge\nb{x=\"2\"} 0\nb{x=\"1\"} 0\n\n# HELP a A\n# TYPE a gauge\na 1\n\n";
        assert_eq!(
            ordered(text),
            "# HELP a A\n# TYPE a gauge\na 1\n# HELP b B\n# TYPE b gauge\nb{x=\"1\"} 0\nb{x=\"2\"} 0\n"
        );
        assert_eq!(ordered(""), "");
    }
}
