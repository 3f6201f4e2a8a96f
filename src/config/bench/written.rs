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
use crate::config::given::Given;
use crate::config::item::{Item, text};
use crate::config::ranges;

const CONNECTIONS_DEFAULT: usize = 8;
const KEYS_DEFAULT: u64 = 100_000;
const MGET_KEYS_DEFAULT: usize = 10;
const ROUNDS_DEFAULT: usize = 5;
const DURATION_DEFAULT: Duration = Duration::from_secs(10);
const WARMUP_DEFAULT: Duration = Duration::from_secs(1);
const LATE_BY_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The flags of `bench`, each as it was written.
#[derive(Default)]
pub(crate) struct BenchWritten {
    pub(crate) target: Option<Given>,
    pub(crate) compare: Option<Given>,
    pub(crate) rounds: Option<Given>,
    pub(crate) connections: Option<Given>,
    pub(crate) threads: Option<Given>,
    pub(crate) rate: Option<Given>,
    pub(crate) mix: Option<Given>,
    pub(crate) mget_keys: Option<Given>,
    pub(crate) keys: Option<Given>,
    pub(crate) distribution: Option<Given>,
    pub(crate) value_size: Option<Given>,
    pub(crate) late: Option<Given>,
    pub(crate) late_by: Option<Given>,
    pub(crate) warmup: Option<Given>,
    pub(crate) duration: Option<Given>,
    pub(crate) requests: Option<Given>,
    pub(crate) timeout: Option<Given>,
    pub(crate) fill: bool,
    pub(crate) guarded: bool,
    pub(crate) allow_misses: bool,
    pub(crate) json: bool,
}

fn item<'a>(key: &'static str, given: &'a Option<Given>) -> Item<'a> {
    Item {
        key,
        given: given.as_ref(),
        file: None,
    }
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
        let rounds = item("rounds", &self.rounds);
        let count = rounds.count(ranges::BENCH_ROUNDS, ROUNDS_DEFAULT)?;
        match target("compare", &self.compare)? {
            None => only_with(rounds, "--compare").map(|()| None),
            Some(address) => Ok(Some(Comparison { address, rounds: count })),
        }
    }

    fn load(&self) -> Result<Load, UsageError> {
        let connections =
            item("connections", &self.connections).count(ranges::BENCH_CONNECTIONS, CONNECTIONS_DEFAULT)?;
        let keys = item("keys", &self.keys).integer(ranges::BENCH_KEYS, KEYS_DEFAULT)?;
        let rate = item("rate", &self.rate);
        let late = item("late", &self.late).parsed(0.0, SHARE_ALLOWED, read_share)?;
        let late_by = item("late-by", &self.late_by);
        if late == 0.0 {
            only_with(late_by, "--late above 0")?;
        }
        Ok(Load {
            connections,
            threads: self.threads(connections)?,
            rate: match rate.given {
                Some(_) => Some(rate.integer(ranges::BENCH_RATE, 1)?),
                None => None,
            },
            mix: item("mix", &self.mix).parsed(default_mix(), MIX_ALLOWED, read_mix)?,
            mget_keys: item("mget-keys", &self.mget_keys).count(ranges::BENCH_MGET_KEYS, MGET_KEYS_DEFAULT)?,
            // Its range ends far below what 32 bits hold.
            keys: u32::try_from(keys).unwrap_or(u32::MAX),
            distribution: item("distribution", &self.distribution).parsed(
                Distribution::Uniform,
                DISTRIBUTION_ALLOWED,
                read_distribution,
            )?,
            value_size: item("value-size", &self.value_size).parsed(
                VALUE_MIN..=VALUE_MIN,
                VALUE_SIZE_ALLOWED,
                read_value_size,
            )?,
            late,
            late_by: late_by.duration(ranges::BENCH_LATE_BY, LATE_BY_DEFAULT)?,
            warmup: item("warmup", &self.warmup).duration(ranges::BENCH_WARMUP, WARMUP_DEFAULT)?,
            end: self.end()?,
            timeout: item("timeout", &self.timeout).duration(ranges::BENCH_TIMEOUT, TIMEOUT_DEFAULT)?,
            fill: self.fill,
            guarded: self.guarded,
            allow_misses: self.allow_misses,
        })
    }

    fn threads(&self, connections: usize) -> Result<usize, UsageError> {
        let item = item("threads", &self.threads);
        let threads = item.count(ranges::BENCH_THREADS, 1)?;
        if threads > connections {
            let problem = format_args!("threads is {threads}");
            return Err(item.refuse(problem, format_args!("at most connections, which is {connections}")));
        }
        Ok(threads)
    }

    fn end(&self) -> Result<End, UsageError> {
        let requests = item("requests", &self.requests);
        let count = requests.integer(ranges::BENCH_REQUESTS, 1)?;
        let duration = item("duration", &self.duration).duration(ranges::BENCH_DURATION, DURATION_DEFAULT)?;
        match (&self.requests, &self.duration) {
            (Some(_), Some(_)) => Err(requests.refuse("given with --duration", "one of the two")),
            (Some(_), None) => Ok(End::Requests(count)),
            _ => Ok(End::After(duration)),
        }
    }
}

fn default_mix() -> Mix {
    Mix(vec![(Verb::Put, 50), (Verb::Get, 50)])
}

/// Refuses a flag that means nothing without another.
fn only_with(item: Item<'_>, other: &str) -> Result<(), UsageError> {
    match item.given {
        None => Ok(()),
        Some(_) => Err(item.refuse("means nothing by itself", format_args!("with {other}"))),
    }
}

/// The address of a server; `tcp://` in front of `HOST:PORT` says what is so without it.
fn target(key: &'static str, given: &Option<Given>) -> Result<Option<Address>, UsageError> {
    let Some(given) = given else { return Ok(None) };
    let item = Item {
        key,
        given: Some(given),
        file: None,
    };
    let bare = text(&given.raw).and_then(|text| text.strip_prefix("tcp://"));
    let plain = bare.map_or_else(|| given.clone(), |text| Given::text(text, given.place));
    let address = item.read_address(&plain, Address::ALLOWED)?;
    if matches!(&address, Address::Tcp(text) if host_port(text) == Ok(0)) {
        return Err(item.refuse(format_args!("{key} {address} has port 0"), Address::ALLOWED));
    }
    Ok(Some(address))
}
