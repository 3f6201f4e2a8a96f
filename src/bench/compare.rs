//! A target beside its baseline: medians, and ratios with their spread.

use serde::Serialize;

use super::report::Measured;

/// One measurement of each.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Whether the target went first; the other does in the next round.
    pub target_first: bool,
    /// The target's.
    pub target: Measured,
    /// The baseline's.
    pub baseline: Measured,
}

/// One figure of both over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The target's median.
    pub target: f64,
    /// The baseline's median.
    pub baseline: f64,
    /// The first by the second.
    pub ratio: f64,
    /// The least ratio within one round.
    pub ratio_min: f64,
    /// The greatest ratio within one round.
    pub ratio_max: f64,
}

/// The figures that are compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)] // as in a measurement
pub struct Summary {
    pub requests_per_second: Option<Compared>,
    pub p50_us: Option<Compared>,
    pub p90_us: Option<Compared>,
    pub p99_us: Option<Compared>,
    pub p99_9_us: Option<Compared>,
    pub max_us: Option<Compared>,
}

impl Summary {
    /// Of some rounds.
    pub(super) fn of(rounds: &[Round]) -> Self {
        let latency = |figure: fn(&super::report::Latency) -> f64| {
            compared(rounds, |measured| measured.all.latency.as_ref().map(figure))
        };
        Self {
            requests_per_second: compared(rounds, |measured| Some(measured.all.requests_per_second)),
            p50_us: latency(|latency| latency.p50_us),
            p90_us: latency(|latency| latency.p90_us),
            p99_us: latency(|latency| latency.p99_us),
            p99_9_us: latency(|latency| latency.p99_9_us),
            max_us: latency(|latency| latency.max_us),
        }
    }
}

fn compared(rounds: &[Round], figure: impl Fn(&Measured) -> Option<f64>) -> Option<Compared> {
    let pairs: Option<Vec<(f64, f64)>> = rounds
        .iter()
        .map(|round| Some((figure(&round.target)?, figure(&round.baseline)?)))
        .collect();
    compare(&pairs?)
}

/// Nothing where there is nothing to divide by.
fn compare(pairs: &[(f64, f64)]) -> Option<Compared> {
    if pairs.is_empty() || pairs.iter().any(|(_, baseline)| *baseline <= 0.0) {
        return None;
    }
    let target = median(pairs.iter().map(|(target, _)| *target));
    let baseline = median(pairs.iter().map(|(_, baseline)| *baseline));
    let ratios = || pairs.iter().map(|(target, baseline)| target / baseline);
    Some(Compared {
        target,
        baseline,
        ratio: target / baseline,
        ratio_min: ratios().fold(f64::INFINITY, f64::min),
        ratio_max: ratios().fold(0.0, f64::max),
    })
}

/// The middle one, or the mean of the two in the middle.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let (lower, upper) = ((figures.len().max(1) - 1) / 2, figures.len() / 2);
    match (figures.get(lower), figures.get(upper)) {
        (Some(lower), Some(upper)) => (lower + upper) / 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_the_spread_of_the_ratios() {
        let compared = compare(&[(10.0, 10.0), (30.0, 10.0), (20.0, 40.0)]).expect("figures");
        assert_eq!((compared.target, compared.baseline, compared.ratio), (20.0, 10.0, 2.0));
        assert_eq!((compared.ratio_min, compared.ratio_max), (0.5, 3.0));
        assert_eq!(median([1.0, 2.0, 4.0, 3.0].into_iter()), 2.5);
        assert_eq!(compare(&[]), None);
        assert_eq!(compare(&[(1.0, 0.0)]), None);
    }
}
