//! What a guard has counted, as it is scraped.

use std::collections::BTreeMap;

/// What a guard has counted: for each name, the labels and the number of every series that is not 0.
#[derive(Clone, Debug, Default)]
pub struct Scrape(BTreeMap<String, BTreeMap<String, i64>>);

impl Scrape {
    /// Reads the text that is scraped. Fractions are of seconds only, and of no interest here.
    pub fn of(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines() {
            let series = line.strip_prefix("ttguard_").and_then(|line| line.rsplit_once(' '));
            let Some((series, number)) = series else {
                continue;
            };
            let number = number.parse::<f64>().map_or(0, |number| number as i64);
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            if number != 0 && !name.ends_with("_bucket") {
                scrape
                    .0
                    .entry(name.to_owned())
                    .or_default()
                    .insert(labels.to_owned(), number);
            }
        }
        scrape
    }

    /// The sum over all series of this name that have all these label values.
    pub fn sum(&self, name: &str, labels: &[&str]) -> i64 {
        let has = |series: &str, value: &str| series.split('"').any(|part| part == value);
        let series = self.0.get(name).into_iter().flatten();
        let of_these = series.filter(|(series, _)| labels.iter().all(|value| has(series, value)));
        of_these.map(|(_, number)| number).sum()
    }

    /// Adds what another guard has counted, or with a sign of -1 takes it away.
    pub fn add(&mut self, other: &Self, sign: i64) {
        for (name, series) in &other.0 {
            let sums = self.0.entry(name.clone()).or_default();
            for (labels, number) in series {
                *sums.entry(labels.clone()).or_default() += sign * number;
            }
        }
    }

    /// What was counted since then.
    pub fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        since.add(before, -1);
        since
    }

    /// Records that were refused.
    pub fn refusals(&self) -> i64 {
        let refusals = ["stale", "tie", "future", "unstamped_refused", "denied"];
        refusals
            .iter()
            .map(|verdict| self.sum("verdicts_total", &[verdict]))
            .sum()
    }
}
