//! What one thread has seen, added up.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::check::Wrong;
use super::question::Question;
use super::trouble::Trouble;
use crate::command::Verb;
use crate::config::Mix;
use crate::protocol::tyrant::opcode::Opcode;

/// The longest latency that is told from longer ones, in nanoseconds: the longest timeout there is.
const LATENCY_MAX: u64 = 3_600_000_000_000;

/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

/// Of one verb, while it was measured.
#[derive(Clone, Debug)]
pub(super) struct VerbTally {
    /// Done: answered, whatever the code, or sent, where no answer is owed.
    pub done: u64,
    /// Of these, those that were done before the measurement's end.
    pub in_time: u64,
    /// Bytes of the requests.
    pub sent: u64,
    /// Bytes of their answers.
    pub received: u64,
    /// Answers by their code.
    pub codes: BTreeMap<u8, u64>,
    /// From the intended start to the answer, in nanoseconds.
    pub latency: Histogram<u64>,
}

/// Of all requests of a thread, or of all threads.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub verbs: Vec<(Verb, VerbTally)>,
    /// Requests without an answer, of the warm-up too.
    pub errors: BTreeMap<&'static str, u64>,
    /// What the first of them said.
    pub first_error: Option<String>,
    /// Answers that were checked for more than their shape, of the warm-up too.
    pub checked: u64,
    /// Answers that were wrong, of the warm-up too.
    pub wrong: BTreeMap<Wrong, u64>,
    /// What the first of them was.
    pub first_wrong: Option<String>,
    /// Writes with a late stamp that were answered.
    pub late: Late,
    /// Requests of an open loop that were due and not sent before the end.
    pub unsent: u64,
    /// When the last of all was done.
    pub finished: Option<Instant>,
}

/// What became of writes with a late stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Late {
    /// Answered with code 0.
    pub accepted: u64,
    /// Answered with another code.
    pub refused: u64,
}

impl VerbTally {
    /// Nothing done yet.
    pub fn new() -> Self {
        Self {
            done: 0,
            in_time: 0,
            sent: 0,
            received: 0,
            codes: BTreeMap::new(),
            latency: Histogram::new_with_bounds(1, LATENCY_MAX, DIGITS).expect("bounds that a histogram takes"),
        }
    }

    /// A request is done that was meant to start so long ago. Where no answer is owed there is no latency to speak of.
    pub fn done(&mut self, sent: usize, received: u64, code: Option<u8>, latency: Duration, in_time: bool) {
        self.done += 1;
        self.in_time += u64::from(in_time);
        self.sent += sent as u64;
        self.received += received;
        if let Some(code) = code {
            *self.codes.entry(code).or_default() += 1;
            self.latency
                .saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Adds what another thread has seen of the same verb, or what was seen of another verb.
    pub fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.in_time += other.in_time;
        self.sent += other.sent;
        self.received += other.received;
        add(&mut self.codes, &other.codes);
        // Both have the same bounds.
        let _ = self.latency.add(&other.latency);
    }
}

impl Tally {
    /// Nothing seen yet.
    pub fn new(mix: &Mix) -> Self {
        let verbs = mix.shares().iter().map(|(verb, _)| (*verb, VerbTally::new()));
        Self {
            verbs: verbs.collect(),
            errors: BTreeMap::new(),
            first_error: None,
            checked: 0,
            wrong: BTreeMap::new(),
            first_wrong: None,
            late: Late::default(),
            unsent: 0,
            finished: None,
        }
    }

    /// The sums of a verb, where it is in the mix.
    pub fn of(&mut self, verb: Verb) -> Option<&mut VerbTally> {
        let found = self.verbs.iter_mut().find(|(counted, _)| *counted == verb);
        found.map(|(_, tally)| tally)
    }

    /// A request had no answer.
    pub fn error(&mut self, trouble: &Trouble) {
        let name = match trouble {
            Trouble::Connect(_) => "connect",
            Trouble::TimedOut => "timeout",
            Trouble::Ended(_) | Trouble::Wrong(_) | Trouble::Failed(_) => "ended",
        };
        *self.errors.entry(name).or_default() += 1;
        self.first_error.get_or_insert_with(|| trouble.to_string());
    }

    /// An answer was wrong.
    pub fn wrong(&mut self, wrong: Wrong, question: &Question) {
        *self.wrong.entry(wrong).or_default() += 1;
        let (name, key) = (Opcode::of(question.verb).name, question.key());
        self.first_wrong
            .get_or_insert_with(|| format!("{wrong}, as the answer to {name} of key {key}"));
    }

    /// Adds what another thread has seen.
    pub fn add(&mut self, other: Self) {
        for (verb, theirs) in other.verbs {
            if let Some(ours) = self.of(verb) {
                ours.add(&theirs);
            }
        }
        add(&mut self.errors, &other.errors);
        add(&mut self.wrong, &other.wrong);
        self.first_error = self.first_error.take().or(other.first_error);
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
        self.checked += other.checked;
        self.late.accepted += other.late.accepted;
        self.late.refused += other.late.refused;
        self.unsent += other.unsent;
        self.finished = self.finished.max(other.finished);
    }
}

fn add<K: Ord + Copy>(ours: &mut BTreeMap<K, u64>, theirs: &BTreeMap<K, u64>) {
    for (key, count) in theirs {
        *ours.entry(*key).or_default() += count;
    }
}
