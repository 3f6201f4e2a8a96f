//! What is asked next.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution as _, Zipf};

use crate::command::Verb;
use crate::config::{Distribution, Load};

/// One question, used again for the next one so that asking takes no memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    /// One of those that a mix can have.
    pub verb: Verb,
    /// The indices of its keys: one, or those of an `mget`.
    pub keys: Vec<u32>,
    /// Bytes of its value, where it has one.
    pub size: usize,
    /// Whether its stamp is to be late.
    pub late: bool,
}

impl Question {
    /// To be filled in.
    pub fn new() -> Self {
        Self {
            verb: Verb::Get,
            keys: Vec::new(),
            size: 0,
            late: false,
        }
    }

    /// Its first key; of all but an `mget` the only one.
    pub fn key(&self) -> u32 {
        self.keys.first().copied().unwrap_or_default()
    }

    /// Whether it changes its record.
    pub fn writes(&self) -> bool {
        self.stores() || self.verb == Verb::Out
    }

    /// Whether it carries a value.
    pub fn stores(&self) -> bool {
        matches!(self.verb, Verb::Put | Verb::PutNr)
    }
}

/// Draws questions as the load says.
#[derive(Debug)]
pub(super) struct Draw {
    random: SmallRng,
    /// Verbs, each with the sum of its share and those before it.
    verbs: Vec<(Verb, u32)>,
    total: u32,
    /// The first of its keys.
    first: u32,
    keys: u32,
    zipf: Option<Zipf<f64>>,
    size_min: usize,
    size_max: usize,
    late: f64,
    mget_keys: usize,
}

impl Draw {
    /// The questions of this load about keys from `first` on; the same ones for the same seed.
    pub fn new(load: &Load, first: u32, seed: u64) -> Self {
        let mut total = 0;
        let sum = |(verb, share): &(Verb, u32)| {
            total += share;
            (*verb, total)
        };
        Self {
            random: SmallRng::seed_from_u64(seed),
            verbs: load.mix.shares().iter().map(sum).collect(),
            total,
            first,
            keys: load.keys,
            zipf: match load.distribution {
                Distribution::Uniform => None,
                // Nothing but a number of keys or an exponent below what a load can have is refused.
                Distribution::Zipf(exponent) => Zipf::new(f64::from(load.keys), exponent).ok(),
            },
            size_min: *load.value_size.start(),
            size_max: *load.value_size.end(),
            late: load.late,
            mget_keys: load.mget_keys,
        }
    }

    /// Draws the next question.
    pub fn next(&mut self, question: &mut Question) {
        let at = self.random.random_range(0..self.total);
        let drawn = self.verbs.iter().find(|(_, sum)| at < *sum);
        question.verb = drawn.map_or(Verb::Get, |(verb, _)| *verb);
        question.keys.clear();
        let keys = if question.verb == Verb::Mget { self.mget_keys } else { 1 };
        for _ in 0..keys {
            let key = self.key();
            question.keys.push(key);
        }
        if question.stores() {
            question.size = self.size();
            question.late = self.late > 0.0 && self.random.random_bool(self.late);
        }
    }

    /// The `put` that gives one of its keys its first record.
    pub fn fill(&mut self, place: u32, question: &mut Question) {
        question.verb = Verb::Put;
        question.keys.clear();
        question.keys.push(self.first + place);
        question.size = self.size();
        question.late = false;
    }

    /// The most popular key is the first.
    fn key(&mut self) -> u32 {
        let place = match &self.zipf {
            None => self.random.random_range(0..self.keys),
            Some(zipf) => (zipf.sample(&mut self.random) as u32).clamp(1, self.keys) - 1,
        };
        self.first + place
    }

    fn size(&mut self) -> usize {
        if self.size_min == self.size_max {
            return self.size_min;
        }
        self.random.random_range(self.size_min..=self.size_max)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::bench::testing::load;

    fn drawn(load: &Load, count: usize) -> Vec<Question> {
        let mut draw = Draw::new(load, 0, 42);
        let mut question = Question::new();
        let mut next = || {
            draw.next(&mut question);
            question.clone()
        };
        (0..count).map(|_| next()).collect()
    }

    fn share(questions: &[Question], counted: impl Fn(&Question) -> bool) -> f64 {
        questions.iter().filter(|question| counted(question)).count() as f64 / questions.len() as f64
    }

    #[test]
    fn verbs_come_in_their_shares_and_late_writes_in_theirs() {
        let load = load(&[
            "--mix",
            "put=60,get=30,mget=10,out=0",
            "--late",
            "20%",
            "--mget-keys",
            "3",
        ]);
        let questions = drawn(&load, 100_000);
        for (verb, expected) in [(Verb::Put, 0.6), (Verb::Get, 0.3), (Verb::Mget, 0.1), (Verb::Out, 0.0)] {
            let seen = share(&questions, |question| question.verb == verb);
            assert!((seen - expected).abs() < 0.01, "{verb:?} {seen}");
        }
        let puts: Vec<_> = questions.into_iter().filter(Question::stores).collect();
        let late = share(&puts, |question| question.late);
        assert!((late - 0.2).abs() < 0.01, "{late}");
    }

    #[test]
    fn mget_asks_for_as_many_keys_as_it_should_and_the_others_for_one() {
        for question in drawn(&load(&["--mix", "mget=1,get=1", "--mget-keys", "7"]), 100) {
            let keys = if question.verb == Verb::Mget { 7 } else { 1 };
            assert_eq!(question.keys.len(), keys);
        }
    }

    #[test]
    fn sizes_are_spread_over_their_whole_range() {
        let questions = drawn(&load(&["--mix", "put=1", "--value-size", "32-41"]), 10_000);
        for size in 32..=41 {
            let seen = share(&questions, |question| question.size == size);
            assert!((seen - 0.1).abs() < 0.02, "{size} {seen}");
        }
    }

    fn counts(load: &Load) -> HashMap<u32, f64> {
        let mut counts = HashMap::new();
        for question in drawn(load, 200_000) {
            *counts.entry(question.key()).or_default() += 1.0;
        }
        counts
    }

    #[test]
    fn keys_are_equally_popular_or_in_proportion_to_a_power_of_their_rank() {
        let uniform = counts(&load(&["--keys", "10"]));
        assert_eq!(uniform.len(), 10);
        assert!(
            uniform.values().all(|count| (count - 20_000.0).abs() < 800.0),
            "{uniform:?}"
        );

        let zipf = counts(&load(&["--keys", "1000", "--distribution", "zipf:1"]));
        let harmonic: f64 = (1..=1000).map(|rank| 1.0 / f64::from(rank)).sum();
        for key in [0, 1, 9, 99] {
            let expected = 200_000.0 / harmonic / f64::from(key + 1);
            let seen = zipf[&key];
            assert!((seen / expected - 1.0).abs() < 0.2, "{key}: {seen}, not {expected}");
        }
        assert!(zipf.keys().all(|key| *key < 1000));
    }

    #[test]
    fn a_baseline_has_keys_of_its_own() {
        let load = load(&["--keys", "10", "--fill"]);
        let (mut draw, mut question) = (Draw::new(&load, 10, 1), Question::new());
        for place in 0..10 {
            draw.fill(place, &mut question);
            assert_eq!(question.key(), 10 + place);
            draw.next(&mut question);
            assert!((10..20).contains(&question.key()));
        }
    }

    #[test]
    fn one_key_is_enough() {
        for distribution in ["uniform", "zipf"] {
            let questions = drawn(&load(&["--keys", "1", "--distribution", distribution]), 100);
            assert!(questions.iter().all(|question| question.key() == 0));
        }
    }
}
