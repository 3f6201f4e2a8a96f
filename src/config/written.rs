//! The settings as written: every key may be missing, and no value has been judged yet.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::error::UsageError;
use super::given::Given;

/// A settings file's text and the name it is called by in messages.
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl SourceFile {
    /// `name:line` of the byte at `offset`.
    pub(super) fn place(&self, offset: usize) -> String {
        let before = self.text.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        format!("{}:{line}", self.name)
    }

    /// Reads the keys; refuses what is no TOML and keys that do not exist.
    pub(super) fn written(&self) -> Result<Written, UsageError> {
        toml::from_str(&self.text).map_err(|error| self.mistake(&error))
    }

    /// The parser's words as what was found and what is allowed.
    fn mistake(&self, error: &toml::de::Error) -> UsageError {
        let place = self.place(error.span().map_or(0, |span| span.start));
        let message = error.message().replace("unknown field", "unknown key");
        let (problem, allowed) = match message.split_once(", expected ") {
            Some((problem, allowed)) => (problem, allowed.trim_start_matches("one of ")),
            None => (message.as_str(), "TOML, `key = value` on a line, each key once"),
        };
        UsageError::new(place, problem, allowed)
    }
}

/// What flags, or variables, say.
#[derive(Default)]
pub(crate) struct Overrides {
    pub(crate) listen: Option<Given>,
    pub(crate) dialect: Option<Given>,
    pub(crate) protocols: Option<Given>,
    pub(crate) allow: Option<Given>,
    pub(crate) deny: Option<Given>,
    pub(crate) allow_keys: Option<Given>,
    pub(crate) deny_keys: Option<Given>,
    pub(crate) prefix: Option<Given>,
    pub(crate) networks: Option<Given>,
    pub(crate) backend: Option<Given>,
    pub(crate) admin: Option<Given>,
    pub(crate) admin_token_file: Option<Given>,
    pub(crate) pid_file: Option<Given>,
    pub(crate) drain_delay: Option<Given>,
    pub(crate) drain_timeout: Option<Given>,
    pub(crate) stamp_digits: Option<Given>,
    pub(crate) stamp_unit: Option<Given>,
    pub(crate) mode: Option<Given>,
    pub(crate) ledger: Option<Given>,
    pub(crate) workers: Option<Given>,
    pub(crate) lanes: Option<Given>,
    pub(crate) primed_lanes: Option<Given>,
    pub(crate) shared_puts: Option<Given>,
    pub(crate) busy_poll: Option<Given>,
    pub(crate) request_timeout: Option<Given>,
    pub(crate) sync: Option<Given>,
    pub(crate) copy_dir: Option<Given>,
    pub(crate) log: Option<Given>,
    pub(crate) log_format: Option<Given>,
    pub(crate) log_file: Option<Given>,
}

/// Every key there is.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    pub(super) listen: Option<Given>,
    pub(super) dialect: Option<Given>,
    pub(super) protocols: Option<Given>,
    pub(super) allow: Option<Given>,
    pub(super) deny: Option<Given>,
    pub(super) allow_keys: Option<Given>,
    pub(super) deny_keys: Option<Given>,
    pub(super) prefix: Option<Given>,
    pub(super) networks: Option<Given>,
    pub(super) http_hosts: Option<Given>,
    #[serde(deserialize_with = "tables")]
    pub(super) listener: Vec<Spanned<Listed<ListenerWritten>>>,
    #[serde(deserialize_with = "table")]
    pub(super) tls: TlsWritten,
    pub(super) backend: Option<Given>,
    pub(super) admin: Option<Given>,
    pub(super) admin_keys: Option<Given>,
    pub(super) admin_hosts: Option<Given>,
    pub(super) admin_token_file: Option<Given>,
    pub(super) pid_file: Option<Given>,
    pub(super) takeover: Option<Given>,
    pub(super) takeover_kill: Option<Given>,
    pub(super) drain_delay: Option<Given>,
    pub(super) drain_timeout: Option<Given>,
    pub(super) workers: Option<Given>,
    pub(super) lanes: Option<Given>,
    pub(super) bulk_lanes: Option<Given>,
    pub(super) bulk_size: Option<Given>,
    pub(super) primed_lanes: Option<Given>,
    pub(super) shared_puts: Option<Given>,
    pub(super) busy_poll: Option<Given>,
    #[serde(deserialize_with = "table")]
    pub(super) stamp: StampWritten,
    #[serde(deserialize_with = "table")]
    pub(super) guard: GuardWritten,
    #[serde(deserialize_with = "table")]
    pub(super) pairing: PairingWritten,
    #[serde(deserialize_with = "table")]
    pub(super) limits: LimitsWritten,
    #[serde(deserialize_with = "table")]
    pub(super) store: StoreWritten,
    #[serde(deserialize_with = "table")]
    pub(super) log: LogWritten,
}

impl Written {
    /// Lays a higher layer over this one.
    pub(super) fn overlay(&mut self, upper: Overrides) {
        let set = |below: &mut Option<Given>, above: Option<Given>| {
            if above.is_some() {
                *below = above;
            }
        };
        if upper.listen.is_some() {
            // Whoever says where clients connect says all of it.
            self.listener.clear();
        }
        set(&mut self.listen, upper.listen);
        set(&mut self.dialect, upper.dialect);
        set(&mut self.protocols, upper.protocols);
        set(&mut self.allow, upper.allow);
        set(&mut self.deny, upper.deny);
        set(&mut self.allow_keys, upper.allow_keys);
        set(&mut self.deny_keys, upper.deny_keys);
        set(&mut self.prefix, upper.prefix);
        set(&mut self.networks, upper.networks);
        set(&mut self.backend, upper.backend);
        set(&mut self.admin, upper.admin);
        set(&mut self.admin_token_file, upper.admin_token_file);
        set(&mut self.pid_file, upper.pid_file);
        set(&mut self.drain_delay, upper.drain_delay);
        set(&mut self.drain_timeout, upper.drain_timeout);
        set(&mut self.workers, upper.workers);
        set(&mut self.lanes, upper.lanes);
        set(&mut self.primed_lanes, upper.primed_lanes);
        set(&mut self.shared_puts, upper.shared_puts);
        set(&mut self.busy_poll, upper.busy_poll);
        set(&mut self.stamp.digits, upper.stamp_digits);
        set(&mut self.stamp.unit, upper.stamp_unit);
        set(&mut self.guard.mode, upper.mode);
        set(&mut self.guard.ledger, upper.ledger);
        set(&mut self.pairing.request_timeout, upper.request_timeout);
        set(&mut self.store.sync, upper.sync);
        set(&mut self.store.copy_dir, upper.copy_dir);
        set(&mut self.log.level, upper.log);
        set(&mut self.log.format, upper.log_format);
        set(&mut self.log.file, upper.log_file);
    }
}

/// `[[listener]]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ListenerWritten {
    pub(super) address: Option<Given>,
    pub(super) dialect: Option<Given>,
    pub(super) protocols: Option<Given>,
    pub(super) allow: Option<Given>,
    pub(super) deny: Option<Given>,
    pub(super) allow_keys: Option<Given>,
    pub(super) deny_keys: Option<Given>,
    pub(super) prefix: Option<Given>,
    pub(super) networks: Option<Given>,
    pub(super) http_hosts: Option<Given>,
    #[serde(deserialize_with = "table")]
    pub(super) tls: TlsWritten,
}

/// `[tls]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsWritten {
    pub(super) cert: Option<Given>,
    pub(super) key: Option<Given>,
    pub(super) client_ca: Option<Given>,
}

/// `[stamp]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StampWritten {
    pub(super) digits: Option<Given>,
    pub(super) unit: Option<Given>,
    pub(super) column: Option<Given>,
}

/// `[guard]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GuardWritten {
    pub(super) mode: Option<Given>,
    pub(super) ledger: Option<Given>,
    pub(super) ledger_memory: Option<Given>,
    pub(super) tie: Option<Given>,
    pub(super) future_tolerance: Option<Given>,
    pub(super) delete_tolerance: Option<Given>,
    pub(super) unstamped: Option<Given>,
    pub(super) stale_reply: Option<Given>,
    pub(super) verify_reads: Option<Given>,
    #[serde(deserialize_with = "table")]
    pub(super) commands: CommandsWritten,
    #[serde(deserialize_with = "table")]
    pub(super) ext: BTreeMap<String, Given>,
}

/// `[guard.commands]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CommandsWritten {
    pub(super) putcat: Option<Given>,
    pub(super) putshl: Option<Given>,
    pub(super) addint: Option<Given>,
    pub(super) adddouble: Option<Given>,
    pub(super) ext: Option<Given>,
    pub(super) misc: Option<Given>,
}

/// `[pairing]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PairingWritten {
    pub(super) pipelining: Option<Given>,
    pub(super) request_timeout: Option<Given>,
    pub(super) slow_timeout: Option<Given>,
    pub(super) fence_timeout: Option<Given>,
    pub(super) start_hold: Option<Given>,
    pub(super) frame_timeout: Option<Given>,
    pub(super) frame_deadline: Option<Given>,
    pub(super) fail_fast_after: Option<Given>,
    pub(super) connect_timeout: Option<Given>,
}

/// `[limits]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LimitsWritten {
    pub(super) argument: Option<Given>,
    pub(super) key: Option<Given>,
    pub(super) value: Option<Given>,
    pub(super) arguments: Option<Given>,
    pub(super) request: Option<Given>,
    pub(super) reply: Option<Given>,
    pub(super) sessions: Option<Given>,
    pub(super) sessions_per_client: Option<Given>,
    pub(super) session_rate: Option<Given>,
    pub(super) idle_timeout: Option<Given>,
    pub(super) pipeline: Option<Given>,
    pub(super) lane_queue: Option<Given>,
    pub(super) session_backlog: Option<Given>,
    pub(super) buffer_memory: Option<Given>,
    pub(super) heavy_rate: Option<Given>,
    pub(super) slow_connections: Option<Given>,
}

/// `[store]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StoreWritten {
    pub(super) sync: Option<Given>,
    pub(super) sync_interval: Option<Given>,
    pub(super) copy_dir: Option<Given>,
}

/// `[log]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogWritten {
    pub(super) level: Option<Given>,
    pub(super) format: Option<Given>,
    pub(super) file: Option<Given>,
}

/// Reads a table and nothing else: by itself serde would also take a list, as the values in the order of the fields.
fn table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_map(Table(PhantomData))
}

struct Table<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries))
    }
}

/// Reads tables of one name, each with its place in the file.
fn tables<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<Spanned<T>>, D::Error> {
    from.deserialize_seq(Tables(PhantomData))
}

struct Tables<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Tables<T> {
    type Value = Vec<Spanned<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tables of keys, each under its own [[...]]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut tables = Vec::new();
        while let Some(table) = list.next_element()? {
            tables.push(table);
        }
        Ok(tables)
    }
}

/// A table among several of one name.
pub(super) struct Listed<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        table(from).map(Self)
    }
}
