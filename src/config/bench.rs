//! The settings of `ttguard bench`: what load to send where.

mod measures;
mod written;

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::address::Address;
use super::measure::{write_duration, write_size};
use crate::command::Verb;
use crate::protocol::tyrant::opcode::Opcode;

pub(crate) use written::BenchWritten;

/// Bytes of the smallest value: it holds its stamp, its key, its number and its size.
pub const VALUE_MIN: usize = 32;

/// Everything that whoever measures decides, within its ranges.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchSettings {
    /// What is measured.
    pub target: Address,
    /// What it is compared with, where it is.
    pub compare: Option<Comparison>,
    /// What is sent.
    pub load: Load,
    /// Whether the result is one JSON object instead of text for people.
    pub json: bool,
}

/// What the target is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The baseline.
    pub address: Address,
    /// How often each of the two is measured, in turn.
    pub rounds: usize,
}

/// What is sent, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Clients, each with a connection of its own and one question at a time.
    pub connections: usize,
    /// Threads that drive them.
    pub threads: usize,
    /// Requests per second of all connections together (open loop); nothing where each client asks as soon as it has
    /// its answer (closed loop).
    pub rate: Option<u64>,
    /// What is asked.
    pub mix: Mix,
    /// Keys in one `mget`.
    pub mget_keys: usize,
    /// How many keys there are.
    pub keys: u32,
    /// How often each is chosen.
    pub distribution: Distribution,
    /// The least and the most bytes of a value, all sizes between them equally often.
    pub value_size: RangeInclusive<usize>,
    /// The share of writes whose stamp is late, from 0 to 1.
    pub late: f64,
    /// By how much it is.
    pub late_by: Duration,
    /// How long requests are sent before any is measured.
    pub warmup: Duration,
    /// When the measurement is over.
    pub end: End,
    /// How long an answer is awaited.
    pub timeout: Duration,
    /// Whether every key is written once before the first run.
    pub fill: bool,
    /// Whether the target is known to refuse late writes, so that a read older than any acknowledged write is wrong.
    pub guarded: bool,
    /// Whether the target may forget records by itself, so that "no record" is never wrong.
    pub allow_misses: bool,
}

/// When a measurement is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// After this time.
    After(Duration),
    /// After so many requests.
    Requests(u64),
}

/// How often each key is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// All equally often.
    Uniform,
    /// The key of rank r in proportion to r to the minus this exponent.
    Zipf(f64),
}

/// The verbs that are asked, each with its share; the shares add up to whatever they add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(pub(super) Vec<(Verb, u32)>);

impl Mix {
    /// The verbs that can be in it.
    pub const VERBS: [Verb; 5] = [Verb::Put, Verb::Get, Verb::PutNr, Verb::Out, Verb::Mget];

    /// Verbs and shares, as written; at least one share is not zero.
    pub fn shares(&self) -> &[(Verb, u32)] {
        &self.0
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self
            .0
            .iter()
            .map(|(verb, share)| format!("{}={share}", Opcode::of(*verb).name))
            .collect();
        f.write_str(&words.join(","))
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(duration) => f.write_str(&write_duration(*duration)),
            Self::Requests(count) => write!(f, "{count} requests"),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rate {
            Some(rate) => write!(f, "open loop of {rate}/s, ")?,
            None => write!(f, "closed loop, ")?,
        }
        let size = |bytes: &usize| write_size(*bytes as u64);
        let (min, max) = (size(self.value_size.start()), size(self.value_size.end()));
        let counted = |count: usize, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (connections, threads) = (counted(self.connections, "connection"), counted(self.threads, "thread"));
        write!(f, "{connections} on {threads}, ")?;
        write!(
            f,
            "{}, {} keys {}, values of {min}",
            self.mix, self.keys, self.distribution
        )?;
        if min != max {
            write!(f, " to {max}")?;
        }
        if self.late > 0.0 {
            write!(f, ", {} late by {}", self.late, write_duration(self.late_by))?;
        }
        write!(f, ", {} after {} of warm-up", self.end, write_duration(self.warmup))
    }
}

#[cfg(test)]
mod tests;
