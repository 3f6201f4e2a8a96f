//! The flags of `bench`.

use clap::Args;

use crate::config::{BenchWritten, Place, Value};

// Every value is taken as text, as those of `serve` are.
#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct BenchFlags {
    /// The server to measure: HOST:PORT, tcp://HOST:PORT or unix:/path [default: 127.0.0.1:1978]
    #[arg(long, value_name = "ADDR")]
    target: Option<String>,
    /// A baseline: both are measured in turn, and the ratios are those of target to baseline
    #[arg(long, value_name = "ADDR")]
    compare: Option<String>,
    /// How often each of the two is measured [default: 5]
    #[arg(long, value_name = "N")]
    rounds: Option<String>,
    /// Synchronous clients, each with a connection of its own [default: 8]
    #[arg(long, value_name = "N")]
    connections: Option<String>,
    /// Threads that drive them [default: 1]
    #[arg(long, value_name = "N")]
    threads: Option<String>,
    /// Requests per second of all together (open loop), with latencies from the intended start [default: as many as are
    /// answered (closed loop)]
    #[arg(long, value_name = "N")]
    rate: Option<String>,
    /// Shares of put, get, putnr, out and mget, such as put=90,get=10 [default: put=50,get=50]
    #[arg(long, value_name = "VERB=SHARE,...")]
    mix: Option<String>,
    /// Keys in one mget [default: 10]
    #[arg(long, value_name = "N")]
    mget_keys: Option<String>,
    /// Number of keys, named bench:000000000 and so on, and as many for the baseline; 4 bytes of memory each [default:
    /// 100000]
    #[arg(long, value_name = "N")]
    keys: Option<String>,
    /// How often each key is chosen: uniform, zipf or zipf:EXPONENT [default: uniform]
    #[arg(long, value_name = "DIST")]
    distribution: Option<String>,
    /// Bytes of a value, or the least and the most as in 32-64KiB [default: 32B]
    #[arg(long, value_name = "SIZE")]
    value_size: Option<String>,
    /// Share of the writes whose stamp is late, such as 0.1 or 10% [default: 0]
    #[arg(long, value_name = "SHARE")]
    late: Option<String>,
    /// By how much they are late [default: 10s]
    #[arg(long, value_name = "DUR")]
    late_by: Option<String>,
    /// How long requests are sent before any is measured [default: 1s]
    #[arg(long, value_name = "DUR")]
    warmup: Option<String>,
    /// How long is measured [default: 10s]
    #[arg(long, value_name = "DUR")]
    duration: Option<String>,
    /// How many requests are measured, instead of a duration
    #[arg(long, value_name = "N")]
    requests: Option<String>,
    /// How long an answer is awaited; after twice this time without any, all ends [default: 5s]
    #[arg(long, value_name = "DUR")]
    timeout: Option<String>,
    /// Write every key once before anything else, so that reads find records
    #[arg(long)]
    fill: bool,
    /// The target refuses late writes: a read older than any acknowledged write is a wrong answer. The baseline is
    /// not held to it
    #[arg(long)]
    guarded: bool,
    /// The servers may forget records by themselves: a read that finds none is never a wrong answer
    #[arg(long)]
    allow_misses: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl BenchFlags {
    /// What was written.
    pub(super) fn written(self) -> BenchWritten {
        let one = |name, text: Option<String>| text.map(|text| Value::text(text, Place::Flag(name)));
        BenchWritten {
            target: one("target", self.target),
            compare: one("compare", self.compare),
            rounds: one("rounds", self.rounds),
            connections: one("connections", self.connections),
            threads: one("threads", self.threads),
            rate: one("rate", self.rate),
            mix: one("mix", self.mix),
            mget_keys: one("mget-keys", self.mget_keys),
            keys: one("keys", self.keys),
            distribution: one("distribution", self.distribution),
            value_size: one("value-size", self.value_size),
            late: one("late", self.late),
            late_by: one("late-by", self.late_by),
            warmup: one("warmup", self.warmup),
            duration: one("duration", self.duration),
            requests: one("requests", self.requests),
            timeout: one("timeout", self.timeout),
            fill: self.fill,
            guarded: self.guarded,
            allow_misses: self.allow_misses,
            json: self.json,
        }
    }
}
