//! The settings as validated: what the rest of the program is built from.

use std::path::PathBuf;
use std::time::Duration;

use super::address::{Address, BackendUrl};
use super::listeners::ListenerSettings;
use super::words::{
    KEY_FORMS, LEDGERS, LogFormat, LogLevel, MODES, Pipelining, SharedPuts, StaleReply, StampSource, Sync, UNITS, word,
};
use crate::access::Access;
use crate::guard::rules::Rules;
use crate::protocol::tyrant::limits::Limits;
use crate::recent::refusals::KeyForm;

/// Everything that an operator decides, within its ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where clients connect; at least one, none twice.
    pub listeners: Vec<ListenerSettings>,
    /// The store behind the guard; with `edge_of` the first of those.
    pub backend: BackendUrl,
    /// The guards that judge for this process, which is an edge then, and has no store: the first of them that serves is
    /// used. None where it is a guard itself.
    pub edge_of: Vec<BackendUrl>,
    /// How the backend, or each of these guards, is spoken to by TLS.
    pub backend_tls: BackendTls,
    /// `HOST:PORT` of metrics, health checks and dashboard; nothing where they are off.
    pub admin: Option<String>,
    /// How keys are written on the dashboard and in logs.
    pub admin_keys: KeyForm,
    /// Names under which the admin listener may be asked without a token, beside `localhost` and addresses.
    pub admin_hosts: Vec<String>,
    /// File with the token that the admin listener asks for.
    pub admin_token_file: Option<PathBuf>,
    /// File that names the process and is locked by it.
    pub pid_file: Option<PathBuf>,
    /// Whether to take over from the process that has locked `pid_file`, and to let others share the ports.
    pub takeover: bool,
    /// Whether the older process may be killed where it does not end in time.
    pub takeover_kill: bool,
    /// Whether a server's claim is kept: only the ttguard that holds it writes there.
    pub claim: bool,
    /// How long the holder of a claim may show no sign of life before another takes it.
    pub claim_timeout: Duration,
    /// Whether to wait for a claim that another holds, instead of ending.
    pub standby: bool,
    /// How long readiness fails before listeners close.
    pub drain_delay: Duration,
    /// How long sessions may take to end once listeners are closed.
    pub drain_timeout: Duration,
    /// Threads that serve clients.
    pub workers: usize,
    /// Pipelined backend connections, per worker.
    pub lanes: usize,
    /// Further lanes, per worker, for large values alone; zero where these go with the others.
    pub bulk_lanes: usize,
    /// From so many bytes on a value is large.
    pub bulk_size: usize,
    /// Lanes, of all workers together, that may keep a thread of the backend waiting for their next request.
    pub primed_lanes: usize,
    /// Which puts may share a request.
    pub shared_puts: SharedPuts,
    /// How long a worker looks for work before it sleeps; zero where it sleeps at once.
    pub busy_poll: Duration,
    /// How writes are judged.
    pub rules: Rules,
    /// Who gives values their stamps; nothing where that was not said, which is clients, and on an edge whoever its guard
    /// says.
    pub stamp_source: Option<StampSource>,
    /// How far the clock of an edge may be from its guard's before that is said.
    pub max_offset: Duration,
    /// Memory for the newest stamp of each key, in bytes.
    pub ledger_memory: u64,
    /// What a client is told about a refused write.
    pub stale_reply: StaleReply,
    /// Whether the key of each `get` is asked for by `mget`, whose echoed key must match.
    pub verify_reads: bool,
    /// How answers are kept with their questions.
    pub pairing: PairingSettings,
    /// How much of everything there may be.
    pub limits: LimitSettings,
    /// How a store in a file is kept.
    pub store: StoreSettings,
    /// What is logged.
    pub log: LogSettings,
}

impl Settings {
    /// Whether the store is to be claimed: one in this process is nobody else's.
    pub fn claims(&self) -> bool {
        self.claim && self.backend.is_server() && !self.is_edge()
    }

    /// Whether guards judge for it, instead of itself.
    pub fn is_edge(&self) -> bool {
        !self.edge_of.is_empty()
    }

    /// The column that carries the stamp in front of a table: where ttguard gives the stamps there always is one.
    pub fn stamp_column(&self) -> Option<String> {
        let given = || self.rules.stamp.is_given().then(|| GIVEN_COLUMN.to_owned());
        self.rules.column.clone().or_else(given)
    }

    /// Whether ttguard gives the stamps, as these settings have it; nothing where they leave that to the guard of an edge.
    pub fn says_given(&self) -> Option<bool> {
        self.stamp_source.map(|source| source == StampSource::Edge)
    }

    /// Pipelined backend connections that each worker keeps up.
    pub fn links(&self) -> usize {
        self.lanes + self.bulk_lanes
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listeners: vec![ListenerSettings::new(Address::Tcp("127.0.0.1:1978".to_owned()))],
            backend: BackendUrl::Memory,
            edge_of: Vec::new(),
            backend_tls: BackendTls::default(),
            admin: Some("127.0.0.1:9178".to_owned()),
            admin_keys: KeyForm::default(),
            admin_hosts: Vec::new(),
            admin_token_file: None,
            pid_file: None,
            takeover: false,
            takeover_kill: false,
            claim: true,
            claim_timeout: Duration::from_secs(2),
            standby: false,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(10),
            workers: half_the_cores(),
            lanes: 1,
            bulk_lanes: 2,
            bulk_size: 32 << 10,
            primed_lanes: 4,
            shared_puts: SharedPuts::Hash,
            busy_poll: Duration::ZERO,
            rules: Rules::default(),
            stamp_source: None,
            max_offset: Duration::from_millis(500),
            ledger_memory: 256 << 20,
            stale_reply: StaleReply::Error,
            verify_reads: true,
            pairing: PairingSettings::default(),
            limits: LimitSettings::default(),
            store: StoreSettings::default(),
            log: LogSettings::default(),
        }
    }
}

/// The column for stamps that ttguard gives, where the settings name none.
const GIVEN_COLUMN: &str = "_stamp";

/// The other half is the backend's, which is often on the same machine.
fn half_the_cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, 256)
}

/// The files by which a backend at `tyrants://HOST:PORT` is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendTls {
    /// Authorities, one of which must have signed the server's certificate. Not those that the system knows: any of these
    /// could sign a certificate for a name that leads elsewhere.
    pub ca: Option<PathBuf>,
    /// The certificate that the server is shown, and those that lead from it to an authority; nothing where it asks for none.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// What the server's certificate must name; the host of the URL where nothing is said.
    pub server_name: Option<String>,
}

/// How answers are kept with their questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingSettings {
    /// Whether a client may send a request while an answer is owed.
    pub pipelining: Pipelining,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long a command may take that is slow by nature: `optimize`, `copy`, `restore`, searches, `ext`.
    pub slow_timeout: Duration,
    /// How long the end of a lane is waited for, from which its writes are done with.
    pub fence_timeout: Duration,
    /// How long guarded writes wait after the backend's first answer, for what a former process left on its way.
    pub start_hold: Duration,
    /// How long a half-sent request may stay without progress.
    pub frame_timeout: Duration,
    /// How long a request may take to come in whole, whatever its progress.
    pub frame_deadline: Duration,
    /// How long a backend may be out of reach before requests fail at once, instead of at their deadlines.
    pub fail_fast_after: Duration,
    /// How long a connection to the backend may take to open.
    pub connect_timeout: Duration,
}

impl Default for PairingSettings {
    fn default() -> Self {
        Self {
            pipelining: Pipelining::Allow,
            request_timeout: Duration::from_secs(2),
            slow_timeout: Duration::from_secs(600),
            fence_timeout: Duration::from_secs(5),
            start_hold: Duration::from_millis(500),
            frame_timeout: Duration::from_secs(10),
            frame_deadline: Duration::from_secs(60),
            fail_fast_after: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
        }
    }
}

/// How much of everything there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// How large a client's request may be.
    pub request: Limits,
    /// How large a backend's reply may be.
    pub reply: Limits,
    /// Clients connected at once.
    pub sessions: usize,
    /// Those of one address, or of one process of this machine.
    pub sessions_per_client: usize,
    /// Clients taken in per second; zero for as many as come.
    pub session_rate: usize,
    /// How long a client may ask nothing; zero for as long as it likes.
    pub idle_timeout: Duration,
    /// Requests of one session that may be unanswered.
    pub pipeline: usize,
    /// Requests queued or unanswered on one lane.
    pub lane_queue: usize,
    /// Bytes of answers that may queue up behind the one that a client is reading.
    pub session_backlog: usize,
    /// Bytes that are held for clients, of all sessions together. Half of it is for large answers, which wait for room.
    pub buffer_memory: usize,
    /// Bytes per second that clients who move many may move, those of one worker together, while it is busy with others;
    /// zero for as many as they like.
    pub heavy_rate: usize,
    /// Slow commands under way at once, per worker: each has a backend connection of its own, or a thread where the store
    /// is in this process.
    pub slow_connections: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            request: Limits::REQUEST,
            reply: reply_limits(256 << 20),
            sessions: 10_000,
            sessions_per_client: 10_000,
            session_rate: 0,
            idle_timeout: Duration::ZERO,
            pipeline: 1024,
            lane_queue: 16_384,
            session_backlog: 64 << 20,
            buffer_memory: 1 << 30,
            heavy_rate: 8 << 20,
            slow_connections: 8,
        }
    }
}

/// What fits a reply of `frame_max` bytes: a server's own bounds, but no argument larger than the reply.
pub(super) fn reply_limits(frame_max: usize) -> Limits {
    let frame = u32::try_from(frame_max).unwrap_or(u32::MAX);
    Limits {
        argument_max: Limits::REPLY.argument_max.min(frame),
        frame_max,
        ..Limits::REPLY
    }
}

impl Settings {
    /// What clients may do where no `allow` and `deny` say otherwise. Whoever names a folder for copies wants them made; the
    /// path that a server is told is another machine's.
    pub(super) fn base_access(&self) -> Access {
        if !self.backend.is_server() && self.store.copy_dir.is_some() {
            Access::WITH_COPIES
        } else {
            Access::default()
        }
    }

    /// Whether `copy` and `restore` have no folder to work in.
    pub fn has_no_place_for_copies(&self) -> bool {
        matches!(self.backend, BackendUrl::File(_)) && self.store.copy_dir.is_none()
    }
}

/// How a store in a file is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// When a write has to be on the device.
    pub sync: Sync,
    /// How often the device gets what was written, with [`Sync::Interval`].
    pub sync_interval: Duration,
    /// The one folder in which `copy` makes copies and `restore` finds them; without one both are denied.
    pub copy_dir: Option<PathBuf>,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            sync: Sync::Always,
            sync_interval: Duration::from_secs(1),
            copy_dir: None,
        }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe messages that are written.
    pub level: LogLevel,
    /// What a message looks like.
    pub format: LogFormat,
    /// Where messages go, if not to standard error.
    pub file: Option<PathBuf>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Text,
            file: None,
        }
    }
}

impl Settings {
    /// The word for how keys are written for people.
    pub fn key_form_in_words(&self) -> &'static str {
        word(KEY_FORMS, &self.admin_keys)
    }

    /// What the guard does, in a few words.
    pub fn guard_in_words(&self) -> String {
        if self.is_edge() {
            let guards: Vec<String> = self.edge_of.iter().map(ToString::to_string).collect();
            return format!("edge of {}", guards.join(" "));
        }
        let rules = &self.rules;
        let (mode, ledger) = (word(MODES, &rules.mode), word(LEDGERS, &rules.ledger));
        let (digits, unit) = (rules.stamp.digits(), word(UNITS, &rules.stamp.unit()));
        let given = if rules.stamp.is_given() { " given here" } else { "" };
        format!("guard {mode} {digits} digits {unit}{given} {ledger} ledger")
    }
}
