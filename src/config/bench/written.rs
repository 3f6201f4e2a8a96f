//! From flags as written to a validated load.

use std::time::Duration;

use super::measures::{
    DISTRIBUTION_ALLOWED, MIX_ALLOWED, SHARE_ALLOWED, VALUE_SIZE_ALLOWED, read_distribution, read_mix, read_share,
    read_value_size,
};
use super::{BenchSettings, Comparison, Distribution, End, Load, Mix, VALUE_MIN};
use crate::command::Verb;
use crate::config::address::{Address, host_port};
use crate::config::error::UsageError;
use crate::config::field::Field;
use crate::config::kind::{self, Kind, Time, Whole};
use crate::config::value::Value;

const CONNECTIONS: Whole = Whole(1..=100_000);
const THREADS: Whole = Whole(1..=256);
const RATE: Whole = Whole(1..=10_000_000);
/// A target and its baseline have keys of their own, and nine digits name them all.
const KEYS: Whole = Whole(1..=500_000_000);
const MGET_KEYS: Whole = Whole(1..=10_000);
const REQUESTS: Whole = Whole(1..=1_000_000_000_000);
const ROUNDS: Whole = Whole(1..=1_000);

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

const LATE_BY: Time = Time(MILLISECOND..=DAY);
const WARMUP: Time = Time(Duration::ZERO..=HOUR);
const DURATION: Time = Time(Duration::from_millis(100)..=DAY);
const TIMEOUT: Time = Time(MILLISECOND..=HOUR);

const CONNECTIONS_DEFAULT: usize = 8;
const KEYS_DEFAULT: u32 = 100_000;
const MGET_KEYS_DEFAULT: usize = 10;
const ROUNDS_DEFAULT: usize = 5;
const DURATION_DEFAULT: Duration = Duration::from_secs(10);
const WARMUP_DEFAULT: Duration = Duration::from_secs(1);
const LATE_BY_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The flags of `bench`, each as it was written.
#[derive(Default)]
pub(crate) struct BenchWritten {
    pub(crate) target: Option<Value>,
    pub(crate) compare: Option<Value>,
    pub(crate) rounds: Option<Value>,
    pub(crate) connections: Option<Value>,
    pub(crate) threads: Option<Value>,
    pub(crate) rate: Option<Value>,
    pub(crate) mix: Option<Value>,
    pub(crate) mget_keys: Option<Value>,
    pub(crate) keys: Option<Value>,
    pub(crate) distribution: Option<Value>,
    pub(crate) value_size: Option<Value>,
    pub(crate) late: Option<Value>,
    pub(crate) late_by: Option<Value>,
    pub(crate) warmup: Option<Value>,
    pub(crate) duration: Option<Value>,
    pub(crate) requests: Option<Value>,
    pub(crate) timeout: Option<Value>,
    pub(crate) fill: bool,
    pub(crate) guarded: bool,
    pub(crate) allow_misses: bool,
    pub(crate) json: bool,
}

/// A flag that was given.
fn field<'a>(name: &'static str, value: &'a Option<Value>) -> Option<Field<'a>> {
    value.as_ref().map(|value| Field::of_flag(name, value))
}

/// What was written for a flag, or its default.
fn read<T>(name: &'static str, value: &Option<Value>, kind: impl Kind<T>, default: T) -> Result<T, UsageError> {
    field(name, value).map_or(Ok(default), |field| kind.read(&field))
}

/// What `read` makes of the text that was written for a flag, or its default.
fn parsed<T>(
    name: &'static str,
    value: &Option<Value>,
    default: T,
    allowed: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, UsageError> {
    field(name, value).map_or(Ok(default), |field| {
        field.text().and_then(read).ok_or_else(|| field.refuse_value(allowed))
    })
}

impl BenchWritten {
    /// Judges what was written, and every pair that must fit.
    pub(crate) fn settings(&self) -> Result<BenchSettings, UsageError> {
        let default = || Address::Tcp("127.0.0.1:1978".to_owned());
        Ok(BenchSettings {
            target: target("target", &self.target)?.unwrap_or_else(default),
            compare: self.comparison()?,
            load: self.load()?,
            json: self.json,
        })
    }

    fn comparison(&self) -> Result<Option<Comparison>, UsageError> {
        let rounds = read("rounds", &self.rounds, ROUNDS, ROUNDS_DEFAULT)?;
        match target("compare", &self.compare)? {
            None => only_with(field("rounds", &self.rounds), "--compare").map(|()| None),
            Some(address) => Ok(Some(Comparison { address, rounds })),
        }
    }

    fn load(&self) -> Result<Load, UsageError> {
        let connections = read("connections", &self.connections, CONNECTIONS, CONNECTIONS_DEFAULT)?;
        let keys = read("keys", &self.keys, KEYS, KEYS_DEFAULT)?;
        let late = parsed("late", &self.late, 0.0, SHARE_ALLOWED, read_share)?;
        if late == 0.0 {
            only_with(field("late-by", &self.late_by), "--late above 0")?;
        }
        Ok(Load {
            connections,
            threads: self.threads(connections)?,
            rate: field("rate", &self.rate).map(|rate| RATE.read(&rate)).transpose()?,
            mix: parsed("mix", &self.mix, default_mix(), MIX_ALLOWED, read_mix)?,
            mget_keys: read("mget-keys", &self.mget_keys, MGET_KEYS, MGET_KEYS_DEFAULT)?,
            keys,
            distribution: parsed(
                "distribution",
                &self.distribution,
                Distribution::Uniform,
                DISTRIBUTION_ALLOWED,
                read_distribution,
            )?,
            value_size: parsed(
                "value-size",
                &self.value_size,
                VALUE_MIN..=VALUE_MIN,
                VALUE_SIZE_ALLOWED,
                read_value_size,
            )?,
            late,
            late_by: read("late-by", &self.late_by, LATE_BY, LATE_BY_DEFAULT)?,
            warmup: read("warmup", &self.warmup, WARMUP, WARMUP_DEFAULT)?,
            end: self.end()?,
            timeout: read("timeout", &self.timeout, TIMEOUT, TIMEOUT_DEFAULT)?,
            fill: self.fill,
            guarded: self.guarded,
            allow_misses: self.allow_misses,
        })
    }

    fn threads(&self, connections: usize) -> Result<usize, UsageError> {
        let threads = read("threads", &self.threads, THREADS, 1)?;
        match field("threads", &self.threads) {
            Some(field) if threads > connections => {
                let allowed = format_args!("at most connections, which is {connections}");
                Err(field.refuse(format_args!("threads is {threads}"), allowed))
            }
            _ => Ok(threads),
        }
    }

    fn end(&self) -> Result<End, UsageError> {
        let requests = field("requests", &self.requests);
        let duration = read("duration", &self.duration, DURATION, DURATION_DEFAULT)?;
        match (requests, &self.duration) {
            (Some(requests), Some(_)) => Err(requests.refuse("given with --duration", "one of the two")),
            (Some(requests), None) => Ok(End::Requests(REQUESTS.read(&requests)?)),
            (None, _) => Ok(End::After(duration)),
        }
    }
}

fn default_mix() -> Mix {
    Mix(vec![(Verb::Put, 50), (Verb::Get, 50)])
}

/// Refuses a flag that means nothing without another.
fn only_with(field: Option<Field<'_>>, other: &str) -> Result<(), UsageError> {
    field.map_or(Ok(()), |field| {
        Err(field.refuse("means nothing by itself", format_args!("with {other}")))
    })
}

/// The address of a server; `tcp://` in front of `HOST:PORT` says what is so without it.
fn target(name: &'static str, value: &Option<Value>) -> Result<Option<Address>, UsageError> {
    let Some(value) = value else { return Ok(None) };
    let bare = value.as_text().and_then(|text| text.strip_prefix("tcp://"));
    let plain = bare.map_or_else(|| value.clone(), |text| Value::text(text, value.place));
    let field = Field::of_flag(name, &plain);
    let address = kind::address(&field, Address::ALLOWED)?;
    if matches!(&address, Address::Tcp(text) if host_port(text) == Ok(0)) {
        return Err(field.refuse(format_args!("{name} {address} has port 0"), Address::ALLOWED));
    }
    Ok(Some(address))
}
