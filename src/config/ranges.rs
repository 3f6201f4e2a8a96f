//! The least and the most of every number in the settings.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::guard::stamp::DIGITS_MAX;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) const WORKERS: RangeInclusive<u64> = 1..=256;
pub(super) const LANES: RangeInclusive<u64> = 1..=64;
pub(super) const BULK_LANES: RangeInclusive<u64> = 0..=64;
pub(super) const BULK_SIZE: RangeInclusive<u64> = 1..=256 * MIB;
pub(super) const PRIMED_LANES: RangeInclusive<u64> = 0..=64;
pub(super) const BUSY_POLL: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_millis(10);
pub(super) const DIGITS: RangeInclusive<u64> = 1..=DIGITS_MAX as u64;

pub(super) const DRAIN_DELAY: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
pub(super) const DRAIN_TIMEOUT: RangeInclusive<Duration> = MILLISECOND..=DAY;

pub(super) const LEDGER_MEMORY: RangeInclusive<u64> = 64 * KIB..=TIB;
pub(super) const FUTURE_TOLERANCE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(365 * 86_400);
pub(super) const DELETE_TOLERANCE: RangeInclusive<Duration> = Duration::ZERO..=DAY;

pub(super) const REQUEST_TIMEOUT: RangeInclusive<Duration> = MILLISECOND..=DAY;
pub(super) const SLOW_TIMEOUT: RangeInclusive<Duration> = MILLISECOND..=Duration::from_secs(7 * 86_400);
pub(super) const FENCE_TIMEOUT: RangeInclusive<Duration> = MILLISECOND..=HOUR;
pub(super) const START_HOLD: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
pub(super) const FRAME_TIMEOUT: RangeInclusive<Duration> = MILLISECOND..=HOUR;
pub(super) const FRAME_DEADLINE: RangeInclusive<Duration> = MILLISECOND..=DAY;
pub(super) const FAIL_FAST_AFTER: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
pub(super) const CONNECT_TIMEOUT: RangeInclusive<Duration> = MILLISECOND..=Duration::from_secs(5 * MINUTE.as_secs());

/// The most is what a server of 1.1.41 takes.
pub(super) const ARGUMENT: RangeInclusive<u64> = KIB..=256 * MIB;
/// A key or a value, within what any argument may have.
pub(super) const PART: RangeInclusive<u64> = 1..=256 * MIB;
/// The most is what a server of 1.1.41 takes.
pub(super) const ARGUMENTS: RangeInclusive<u64> = 1..=1 << 20;
pub(super) const REQUEST: RangeInclusive<u64> = 4 * KIB..=GIB;
pub(super) const REPLY: RangeInclusive<u64> = 4 * KIB..=4 * GIB;
pub(super) const SESSIONS: RangeInclusive<u64> = 1..=1_000_000;
pub(super) const SESSION_RATE: RangeInclusive<u64> = 0..=1_000_000;
pub(super) const IDLE_TIMEOUT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(7 * 86_400);
pub(super) const PIPELINE: RangeInclusive<u64> = 1..=1 << 20;
/// The least is what one write can put on a lane at once; with less no write would ever be sent.
pub(super) const LANE_QUEUE: RangeInclusive<u64> = 4..=1 << 20;
pub(super) const SESSION_BACKLOG: RangeInclusive<u64> = 4 * KIB..=4 * GIB;
pub(super) const BUFFER_MEMORY: RangeInclusive<u64> = 64 * KIB..=TIB;
pub(super) const HEAVY_RATE: RangeInclusive<u64> = 0..=4 * GIB;
pub(super) const SLOW_CONNECTIONS: RangeInclusive<u64> = 1..=256;

pub(super) const SYNC_INTERVAL: RangeInclusive<Duration> = MILLISECOND..=HOUR;

pub(super) const BENCH_CONNECTIONS: RangeInclusive<u64> = 1..=100_000;
pub(super) const BENCH_THREADS: RangeInclusive<u64> = 1..=256;
pub(super) const BENCH_RATE: RangeInclusive<u64> = 1..=10_000_000;
/// A target and its baseline have keys of their own, and nine digits name them all.
pub(super) const BENCH_KEYS: RangeInclusive<u64> = 1..=500_000_000;
pub(super) const BENCH_MGET_KEYS: RangeInclusive<u64> = 1..=10_000;
pub(super) const BENCH_LATE_BY: RangeInclusive<Duration> = MILLISECOND..=DAY;
pub(super) const BENCH_WARMUP: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
pub(super) const BENCH_DURATION: RangeInclusive<Duration> = Duration::from_millis(100)..=DAY;
pub(super) const BENCH_REQUESTS: RangeInclusive<u64> = 1..=1_000_000_000_000;
pub(super) const BENCH_TIMEOUT: RangeInclusive<Duration> = MILLISECOND..=HOUR;
pub(super) const BENCH_ROUNDS: RangeInclusive<u64> = 1..=1_000;
