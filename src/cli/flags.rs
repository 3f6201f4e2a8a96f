//! The flags, and the variables that stand for them.

use clap::{Args, Parser, Subcommand};

use super::bench::BenchFlags;
use super::operator::{InspectFlags, TopFlags};
use super::transfer::TransferFlags;
use super::upkeep::{GcFlags, VerifyFlags};
use crate::config::{Given, Overrides, Place, variable};

/// A proxy for the Tokyo Tyrant protocol that refuses stale writes and pairs every answer with its question.
#[derive(Parser)]
#[command(name = "ttguard", version, propagate_version = true)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) action: Action,
}

#[derive(Subcommand)]
pub(super) enum Action {
    /// Serve clients. A flag goes before its variable TTGUARD_..., that before the file, that before the default
    Serve(Box<ServeFlags>),
    /// Validate a settings file and print the settings in effect; exit code 2 where there is a mistake
    Check(CheckFlags),
    /// Send load to any Tyrant server, measure it, and check every answer; exit code 1 where one was wrong
    Bench(Box<BenchFlags>),
    /// Store the records of a file of lines (key, tab, value) in any Tyrant server, through ttguard or not
    Import(TransferFlags),
    /// Write every record of any Tyrant server as a line (key, tab, value)
    Export(TransferFlags),
    /// Look through the stamps in any Tyrant server, through ttguard or not; exit code 1 where something is wrong
    Verify(VerifyFlags),
    /// Remove the tombstones of old deletes, through the ttguard that guards them
    Gc(GcFlags),
    /// Ask a running ttguard for one key: stamps, ledger, what is under way, and what a write stamped now would get
    Inspect(InspectFlags),
    /// Watch a running ttguard in a terminal: the figures of its dashboard
    Top(TopFlags),
    /// Show what the guard does, with a store and clients of its own
    Demo,
    /// Print what a shell needs to complete ttguard's words: bash, elvish, fish, powershell or zsh
    Completions {
        #[arg(value_name = "SHELL")]
        shell: Option<String>,
    },
    /// Print a page of the manual, or that of a command for man; without a name, a list of them
    Man {
        #[arg(value_name = "TOPIC")]
        topic: Option<String>,
    },
}

// Every value is taken as text: files, variables and flags are then read, and refused, by the same code.
#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct ServeFlags {
    /// Settings file (TOML) [variable: TTGUARD_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,
    /// Where clients connect, HOST:PORT or unix:/path; may be repeated [default: 127.0.0.1:1978]
    /// [variable: TTGUARD_LISTEN, comma separated]
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// The form of the binary protocol that clients speak, tyrant or pytyrant [default: tyrant]
    /// [variable: TTGUARD_DIALECT]
    #[arg(long, value_name = "DIALECT")]
    dialect: Option<String>,
    /// The protocols to serve, of binary, memcached and http, comma separated [default: all]
    /// [variable: TTGUARD_PROTOCOLS]
    #[arg(long, value_name = "NAMES")]
    protocols: Option<String>,
    /// Commands that clients may give beside those that are not denied, by Tyrant's names, comma separated
    /// [variable: TTGUARD_ALLOW]
    #[arg(long, value_name = "NAMES")]
    allow: Option<String>,
    /// Commands that clients may not give, as of ttserver -mask, beside repl, setmst, restore and copy; comma separated
    /// [variable: TTGUARD_DENY]
    #[arg(long, value_name = "NAMES")]
    deny: Option<String>,
    /// What the keys begin with that clients may name, and no others, comma separated [default: any]
    /// [variable: TTGUARD_ALLOW_KEYS]
    #[arg(long, value_name = "PREFIXES")]
    allow_keys: Option<String>,
    /// What the keys begin with that clients may not name, comma separated [default: none]
    /// [variable: TTGUARD_DENY_KEYS]
    #[arg(long, value_name = "PREFIXES")]
    deny_keys: Option<String>,
    /// What is put before every key that clients name, and taken off again, so that they see no others [default: none]
    /// [variable: TTGUARD_PREFIX]
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// Networks that clients may connect from, such as 10.0.0.0/8, comma separated [default: all]
    /// [variable: TTGUARD_NETWORKS]
    #[arg(long, value_name = "CIDRS")]
    networks: Option<String>,
    /// The store: memory:, file:PATH, tyrant://HOST:PORT or tyrant:/path/to.sock [default: memory:]
    /// [variable: TTGUARD_BACKEND]
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// HOST:PORT of metrics, health checks and dashboard, "" for none [default: 127.0.0.1:9178]
    /// [variable: TTGUARD_ADMIN]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// File with the token that admin asks for, but for health checks [variable: TTGUARD_ADMIN_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<String>,
    /// File to write the process's number to, locked while it runs [variable: TTGUARD_PID_FILE]
    #[arg(long, value_name = "FILE")]
    pid_file: Option<String>,
    /// How long /readyz fails before listeners close, at the end [default: 0s] [variable: TTGUARD_DRAIN_DELAY]
    #[arg(long, value_name = "DUR")]
    drain_delay: Option<String>,
    /// How long sessions may take to end, once listeners are closed [default: 10s] [variable: TTGUARD_DRAIN_TIMEOUT]
    #[arg(long, value_name = "DUR")]
    drain_timeout: Option<String>,
    /// Digits of the stamp at the head of a value, 1 to 19 [default: 13] [variable: TTGUARD_STAMP_DIGITS]
    #[arg(long, value_name = "N")]
    stamp_digits: Option<String>,
    /// What the digits count: s, ms, us, ns or opaque [default: by the digits] [variable: TTGUARD_STAMP_UNIT]
    #[arg(long, value_name = "UNIT")]
    stamp_unit: Option<String>,
    /// Whether stale writes are refused: enforce, or observe to only count them [default: enforce]
    /// [variable: TTGUARD_MODE]
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Where stamps are kept in the backend: inline or record [default: inline] [variable: TTGUARD_LEDGER]
    #[arg(long, value_name = "LEDGER")]
    ledger: Option<String>,
    /// Threads that serve clients [default: half the cores] [variable: TTGUARD_WORKERS]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// Backend connections per worker, 1 to 64 [default: 1] [variable: TTGUARD_LANES]
    #[arg(long, value_name = "N")]
    lanes: Option<String>,
    /// Lanes that may keep a backend's thread waiting for the next request, 0 to 64 [default: 4]
    /// [variable: TTGUARD_PRIMED_LANES]
    #[arg(long, value_name = "N")]
    primed_lanes: Option<String>,
    /// Where puts that come together share one request: off, hash (databases in a file) or all (also in memory, where
    /// there is neither capnum nor capsiz) [default: hash] [variable: TTGUARD_SHARED_PUTS]
    #[arg(long, value_name = "WHERE")]
    shared_puts: Option<String>,
    /// How long a worker looks for work before it sleeps, such as 100us: less latency for a core [default: 0s]
    /// [variable: TTGUARD_BUSY_POLL]
    #[arg(long, value_name = "DUR")]
    busy_poll: Option<String>,
    /// How long a request may take, such as 500ms; set it below the clients' own timeout [default: 2s]
    /// [variable: TTGUARD_REQUEST_TIMEOUT]
    #[arg(long, value_name = "DUR")]
    request_timeout: Option<String>,
    /// When a write to file:PATH is on the device: always (before it is answered), interval or os [default: always]
    /// [variable: TTGUARD_SYNC]
    #[arg(long, value_name = "SYNC")]
    sync: Option<String>,
    /// The one folder where copies of a store in a file are made and found; without it copy and restore are denied
    /// [default: none] [variable: TTGUARD_COPY_DIR]
    #[arg(long, value_name = "DIR")]
    copy_dir: Option<String>,
    /// error, warn, info, debug or trace [default: info] [variable: TTGUARD_LOG]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// text or json [default: text] [variable: TTGUARD_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// File to log to, opened again at SIGUSR1 [default: standard error] [variable: TTGUARD_LOG_FILE]
    #[arg(long, value_name = "FILE")]
    log_file: Option<String>,
}

#[derive(Args)]
pub(super) struct CheckFlags {
    /// Settings file (TOML) [variable: TTGUARD_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,
    /// The file that a running ttguard was started with: say what a reload would say
    #[arg(long, value_name = "FILE")]
    pub(super) running: Option<String>,
}

impl ServeFlags {
    /// The layer of the flags.
    pub(super) fn overrides(self) -> Overrides {
        let one = |name, text: Option<String>| text.map(|text| Given::text(text, Place::Flag(name)));
        let list = |name, text: Option<String>| text.map(|text| split(&text, Place::Flag(name)));
        let listen = (!self.listen.is_empty()).then(|| Given::list(self.listen, Place::Flag("listen")));
        Overrides {
            listen,
            dialect: one("dialect", self.dialect),
            protocols: list("protocols", self.protocols),
            allow: list("allow", self.allow),
            deny: list("deny", self.deny),
            allow_keys: list("allow-keys", self.allow_keys),
            deny_keys: list("deny-keys", self.deny_keys),
            prefix: one("prefix", self.prefix),
            networks: list("networks", self.networks),
            backend: one("backend", self.backend),
            admin: one("admin", self.admin),
            admin_token_file: one("admin-token-file", self.admin_token_file),
            pid_file: one("pid-file", self.pid_file),
            drain_delay: one("drain-delay", self.drain_delay),
            drain_timeout: one("drain-timeout", self.drain_timeout),
            stamp_digits: one("stamp-digits", self.stamp_digits),
            stamp_unit: one("stamp-unit", self.stamp_unit),
            mode: one("mode", self.mode),
            ledger: one("ledger", self.ledger),
            workers: one("workers", self.workers),
            lanes: one("lanes", self.lanes),
            primed_lanes: one("primed-lanes", self.primed_lanes),
            shared_puts: one("shared-puts", self.shared_puts),
            busy_poll: one("busy-poll", self.busy_poll),
            request_timeout: one("request-timeout", self.request_timeout),
            sync: one("sync", self.sync),
            copy_dir: one("copy-dir", self.copy_dir),
            log: one("log", self.log),
            log_format: one("log-format", self.log_format),
            log_file: one("log-file", self.log_file),
        }
    }
}

/// The layer of the environment.
pub(super) fn from_env(env: impl Fn(&str) -> Option<String>) -> Overrides {
    let one = |name| env(&variable(name)).map(|text| Given::text(text, Place::Variable(name)));
    let list = |name| env(&variable(name)).map(|text| split(&text, Place::Variable(name)));
    Overrides {
        listen: list("listen"),
        dialect: one("dialect"),
        protocols: list("protocols"),
        allow: list("allow"),
        deny: list("deny"),
        allow_keys: list("allow-keys"),
        deny_keys: list("deny-keys"),
        prefix: one("prefix"),
        networks: list("networks"),
        backend: one("backend"),
        admin: one("admin"),
        admin_token_file: one("admin-token-file"),
        pid_file: one("pid-file"),
        drain_delay: one("drain-delay"),
        drain_timeout: one("drain-timeout"),
        stamp_digits: one("stamp-digits"),
        stamp_unit: one("stamp-unit"),
        mode: one("mode"),
        ledger: one("ledger"),
        workers: one("workers"),
        lanes: one("lanes"),
        primed_lanes: one("primed-lanes"),
        shared_puts: one("shared-puts"),
        busy_poll: one("busy-poll"),
        request_timeout: one("request-timeout"),
        sync: one("sync"),
        copy_dir: one("copy-dir"),
        log: one("log"),
        log_format: one("log-format"),
        log_file: one("log-file"),
    }
}

/// A list in one text, its elements with commas between.
fn split(text: &str, place: Place) -> Given {
    Given::list(text.split(',').map(|part| part.trim().to_owned()), place)
}
