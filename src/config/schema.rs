//! Every setting: a row each.
//!
//! A row has the key, the field that holds the value, what can be written for it, when a change takes effect, and the
//! flag with its help. What reads files, variables and flags, what checks, prints and reloads goes by these rows; the
//! annotated file and the manual's table are held against them. The default is the field's own.

use std::time::Duration;

use super::draft;
use super::functions;
use super::guards::Guards;
use super::kind::{
    Backend, Column, FILE, FOLDER, HostPort, Hosts, Kind, ReplySize, ServerName, Size, Time, Truth, Whole, Word, string,
};
use super::listening::{LISTEN, LISTENER};
use super::row::{Change, Flag, Row, Setting, Takes, row};
use super::settings::Settings;
use super::words::{
    FORMATS, KEY_FORMS, LEDGERS, LEVELS, MODES, PIPELININGS, POLICIES, SHARED_PUTS, SOURCES, STALE_REPLIES, SYNCS,
    TIES, UNITS, word,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const ZERO: Duration = Duration::ZERO;
const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * MINUTE.as_secs())
}

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * DAY.as_secs())
}

/// All but those of listeners.
#[rustfmt::skip]
const ROWS: &[Row<Settings>] = &[
    row!("backend", backend, Backend, Live,
        Flag::new("backend", "URL", "The store: memory:, file:PATH, tyrant://HOST:PORT, tyrants://HOST:PORT \
            (by TLS) or tyrant:/path/to.sock")),
    row!("edge_of", edge_of, Guards, Restart,
        Flag::new("edge-of", "URL", "A guard that judges for this process, which is an edge then: tyrant://HOST:PORT, \
            tyrants://HOST:PORT or tyrant:/path/to.sock; may be repeated")
            .default("none").takes(Takes::Repeats)),
    row!("admin", admin, HostPort, Restart,
        Flag::new("admin", "ADDR", "HOST:PORT of metrics, health checks and dashboard, \"\" for none")),
    row!("admin_keys", admin_keys, Word(KEY_FORMS), Live),
    row!("admin_hosts", admin_hosts, Hosts, Live),
    row!("admin_token_file", admin_token_file, FILE, Live,
        Flag::new("admin-token-file", "FILE", "File with the token that admin asks for, but for health checks")
            .default("")),
    row!("pid_file", pid_file, FILE, Restart,
        Flag::new("pid-file", "FILE", "File to write the process's number to, locked while it runs").default("")),
    row!("takeover", takeover, Truth, Restart),
    row!("takeover_kill", takeover_kill, Truth, Restart),
    row!("claim", claim, Truth, Restart,
        Flag::new("claim", "BOOL", "Whether a server's claim is kept, so that only one ttguard writes to it: true, or false \
            where nobody else does")
            .takes(Takes::Switch)),
    row!("claim_timeout", claim_timeout, Time(Duration::from_millis(80)..=minutes(10)), Restart),
    row!("standby", standby, Truth, Restart,
        Flag::new("standby", "BOOL", "Whether to wait for a claim that another ttguard holds, instead of ending")
            .takes(Takes::Switch)),
    row!("drain_delay", drain_delay, Time(ZERO..=HOUR), Live,
        Flag::new("drain-delay", "DUR", "How long /readyz fails before listeners close, at the end")),
    row!("drain_timeout", drain_timeout, Time(MILLISECOND..=DAY), Live,
        Flag::new("drain-timeout", "DUR", "How long sessions may take to end, once listeners are closed")),

    row!("backend_tls.ca", backend_tls.ca, FILE, Live,
        Flag::new("backend-tls-ca", "FILE", "File with the authorities that may have signed the certificate of a \
            tyrants: backend").default("")),
    row!("backend_tls.cert", backend_tls.cert, FILE, Live,
        Flag::new("backend-tls-cert", "FILE", "File with the certificate that such a backend is shown").default("")),
    row!("backend_tls.key", backend_tls.key, FILE, Live,
        Flag::new("backend-tls-key", "FILE", "File with the private key of that certificate").default("")),
    row!("backend_tls.server_name", backend_tls.server_name, ServerName, Live,
        Flag::new("backend-tls-server-name", "NAME", "What the certificate of such a backend must name")
            .default("the URL's host")),

    // Which digits and which unit go together is decided in `stamp`.
    Row::together("stamp.digits", Change::Restart,
        Some(Flag::new("stamp-digits", "N", "Digits of the stamp at the head of a value, 1 to 19")),
        |of| of.rules.stamp.digits().to_string()),
    Row::together("stamp.unit", Change::Restart,
        Some(Flag::new("stamp-unit", "UNIT", "What the digits count: s, ms, us, ns or opaque")
            .default("by the digits")),
        |of| string(word(UNITS, &of.rules.stamp.unit()))),
    row!("stamp.source", stamp_source, Word(SOURCES), Restart,
        Flag::new("stamp-source", "SOURCE", "Who stamps values: client, edge (ttguard does, and clients never see a stamp) or \
            auto (client; on an edge as its guard says)")),
    Row::together("stamp.mark", Change::Restart, None,
        |of| string(&String::from_utf8_lossy(of.rules.stamp.mark().unwrap_or_default().bytes()))),
    row!("stamp.max_offset", max_offset, Time(MILLISECOND..=HOUR), Live),
    row!("stamp.column", rules.column, Column, Restart),

    row!("guard.mode", rules.mode, Word(MODES), Live,
        Flag::new("mode", "MODE", "Whether stale writes are refused: enforce, or observe to only count them")),
    row!("guard.ledger", rules.ledger, Word(LEDGERS), Live,
        Flag::new("ledger", "LEDGER", "Where stamps are kept in the backend: inline or record")),
    row!("guard.ledger_memory", ledger_memory, Size(64 * KIB..=TIB), Restart),
    row!("guard.tie", rules.tie, Word(TIES), Live),
    row!("guard.future_tolerance", rules.future_tolerance, Time(ZERO..=days(365)), Live),
    row!("guard.delete_tolerance", rules.delete_tolerance, Time(ZERO..=DAY), Live),
    row!("guard.unstamped", rules.unstamped, Word(POLICIES), Live),
    row!("guard.stale_reply", stale_reply, Word(STALE_REPLIES), Live),
    row!("guard.verify_reads", verify_reads, Truth, Live),
    row!("guard.commands.putcat", rules.unordered.putcat, Word(POLICIES), Live),
    row!("guard.commands.putshl", rules.unordered.putshl, Word(POLICIES), Live),
    row!("guard.commands.addint", rules.unordered.addint, Word(POLICIES), Live),
    row!("guard.commands.adddouble", rules.unordered.adddouble, Word(POLICIES), Live),
    row!("guard.commands.ext", rules.unordered.ext, Word(POLICIES), Live),
    row!("guard.commands.misc", rules.unordered.misc, Word(POLICIES), Live),
    FUNCTIONS,

    row!("workers", workers, Whole(1..=256), Restart,
        Flag::new("workers", "N", "Threads that serve clients").default("half the cores")),
    row!("lanes", lanes, Whole(1..=64), Restart,
        Flag::new("lanes", "N", "Backend connections per worker, 1 to 64")),
    row!("bulk_lanes", bulk_lanes, Whole(0..=64), Restart),
    row!("bulk_size", bulk_size, Size(1..=256 * MIB), Live),
    row!("primed_lanes", primed_lanes, Whole(0..=64), Restart,
        Flag::new("primed-lanes", "N", "Lanes that may keep a backend's thread waiting for the next request, 0 to 64")),
    row!("shared_puts", shared_puts, Word(SHARED_PUTS), Live,
        Flag::new("shared-puts", "WHERE", "Where puts that come together share one request: off, hash (databases in a \
            file) or all (also in memory, where there is neither capnum nor capsiz)")),
    row!("busy_poll", busy_poll, Time(ZERO..=Duration::from_millis(10)), Restart,
        Flag::new("busy-poll", "DUR", "How long a worker looks for work before it sleeps, such as 100us: less latency \
            for a core")),

    row!("pairing.pipelining", pairing.pipelining, Word(PIPELININGS), Live),
    row!("pairing.request_timeout", pairing.request_timeout, Time(MILLISECOND..=DAY), Live,
        Flag::new("request-timeout", "DUR", "How long a request may take, such as 500ms; set it below the clients' own \
            timeout")),
    row!("pairing.slow_timeout", pairing.slow_timeout, Time(MILLISECOND..=days(7)), Live),
    row!("pairing.fence_timeout", pairing.fence_timeout, Time(MILLISECOND..=HOUR), Live),
    row!("pairing.start_hold", pairing.start_hold, Time(ZERO..=minutes(10)), Live),
    row!("pairing.frame_timeout", pairing.frame_timeout, Time(MILLISECOND..=HOUR), Live),
    row!("pairing.frame_deadline", pairing.frame_deadline, Time(MILLISECOND..=DAY), Live),
    row!("pairing.fail_fast_after", pairing.fail_fast_after, Time(ZERO..=HOUR), Live),
    row!("pairing.connect_timeout", pairing.connect_timeout, Time(MILLISECOND..=minutes(5)), Live),

    // The most of an argument, and of arguments, is what a server of 1.1.41 takes.
    row!("limits.argument", limits.request.argument_max, Size(KIB..=256 * MIB), Live),
    row!("limits.key", limits.request.key_max, Size(1..=256 * MIB), Live),
    row!("limits.value", limits.request.value_max, Size(1..=256 * MIB), Live),
    row!("limits.arguments", limits.request.arguments_max, Whole(1..=1 << 20), Live),
    row!("limits.request", limits.request.frame_max, Size(4 * KIB..=GIB), Live),
    row!("limits.reply", limits.reply, ReplySize(4 * KIB..=4 * GIB), Live),
    row!("limits.sessions", limits.sessions, Whole(1..=1_000_000), Live),
    row!("limits.sessions_per_client", limits.sessions_per_client, Whole(1..=1_000_000), Live),
    row!("limits.session_rate", limits.session_rate, Whole(0..=1_000_000), Live),
    row!("limits.idle_timeout", limits.idle_timeout, Time(ZERO..=days(7)), Live),
    row!("limits.pipeline", limits.pipeline, Whole(1..=1 << 20), Live),
    // The least is what one write can put on a lane at once; with less no write would ever be sent.
    row!("limits.lane_queue", limits.lane_queue, Whole(4..=1 << 20), Live),
    row!("limits.session_backlog", limits.session_backlog, Size(4 * KIB..=4 * GIB), Live),
    row!("limits.buffer_memory", limits.buffer_memory, Size(64 * KIB..=TIB), Live),
    row!("limits.heavy_rate", limits.heavy_rate, Size(0..=4 * GIB), Live),
    row!("limits.slow_connections", limits.slow_connections, Whole(1..=256), Restart),

    row!("store.sync", store.sync, Word(SYNCS), Restart,
        Flag::new("sync", "SYNC", "When a write to file:PATH is on the device: always (before it is answered), interval \
            or os")),
    row!("store.sync_interval", store.sync_interval, Time(MILLISECOND..=HOUR), Restart),
    row!("store.copy_dir", store.copy_dir, FOLDER, Restart,
        Flag::new("copy-dir", "DIR", "The one folder where copies of a store in a file are made and found; without it \
            copy and restore are denied").default("none")),

    row!("log.level", log.level, Word(LEVELS), Live,
        Flag::new("log", "LEVEL", "error, warn, info, debug or trace")),
    row!("log.format", log.format, Word(FORMATS), Restart,
        Flag::new("log-format", "FORMAT", "text or json")),
    row!("log.file", log.file, FILE, Restart,
        Flag::new("log-file", "FILE", "File to log to, opened again at SIGUSR1").default("standard error")),
];

/// What script functions mean, each by a key of its own.
pub(super) const FUNCTIONS: Row<Settings> =
    Row::together("guard.ext", Change::Live, None, |of| functions::write(&of.rules.ext));

/// The rows whose values [`Settings`] hold: all but the terms of listeners.
pub(super) fn rows() -> impl Iterator<Item = &'static Row<Settings>> {
    [&LISTEN, &LISTENER].into_iter().chain(ROWS)
}

/// Every setting, in the order of the help.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    let terms = draft::ROWS.iter().map(|row| &row.setting);
    let tls = draft::TLS_ROWS.iter().map(|row| &row.setting);
    let rest = ROWS.iter().map(|row| &row.setting);
    std::iter::once(&LISTEN.setting)
        .chain(terms)
        .chain([&LISTENER.setting])
        .chain(tls)
        .chain(rest)
}
