//! From written to validated: every range and every pair that must fit, once, for all layers together.

use std::fmt::Display;
use std::time::Duration;

use super::address::{BackendUrl, host_port};
use super::error::{UsageError, quoted};
use super::given::{Given, Raw};
use super::item::{Item, text};
use super::measure::{write_duration, write_size};
use super::names::{FORMATS, KEY_FORMS, LEVELS, PIPELININGS, SHARED_PUTS, STALE_REPLIES, SYNCS};
use super::ranges;
use super::settings::{
    LimitSettings, LogSettings, PairingSettings, Settings, StoreSettings, base_access, reply_limits,
};
use super::written::{LimitsWritten, LogWritten, PairingWritten, SourceFile, StoreWritten, Written};
use crate::protocol::tyrant::limits::Limits;

/// Judges written values; knows the file for the sake of its line numbers.
pub(super) struct Validator<'a> {
    pub(super) file: Option<&'a SourceFile>,
}

impl<'a> Validator<'a> {
    pub(super) fn settings(&self, written: &'a Written) -> Result<Settings, UsageError> {
        let item = |key, given| self.item(key, given);
        let default = Settings::default();
        let guard = &written.guard;
        let pid_file = item("pid_file", &written.pid_file).file()?;
        let takeover_item = item("takeover", &written.takeover);
        let takeover = takeover_item.truth(default.takeover)?;
        if takeover && pid_file.is_none() {
            return Err(takeover_item.refuse("takeover needs to know whom to take over from", "with pid_file"));
        }
        let kill_item = item("takeover_kill", &written.takeover_kill);
        let takeover_kill = kill_item.truth(default.takeover_kill)?;
        if takeover_kill && !takeover {
            return Err(kill_item.refuse("takeover_kill has nobody to kill", "with takeover = true"));
        }
        let backend = item("backend", &written.backend).address(BackendUrl::ALLOWED, default.backend)?;
        if takeover && matches!(backend, BackendUrl::File(_)) {
            let problem = "takeover cannot work with a store in a file: one process has it alone until it has ended";
            return Err(takeover_item.refuse(problem, "takeover = false, or a tyrant: backend"));
        }
        let drain_delay = item("drain_delay", &written.drain_delay);
        if takeover && drain_delay.duration(ranges::DRAIN_DELAY, default.drain_delay)? > Duration::ZERO {
            let problem = "the process that takes over would hold its writes for all of drain_delay";
            return Err(drain_delay.refuse(problem, "0s with takeover = true"));
        }
        let store = self.store(&written.store)?;
        let base = base_access(&backend, &store);
        Ok(Settings {
            listeners: self.listeners(written, default.listeners, base)?,
            backend,
            admin: self.admin(&written.admin, default.admin)?,
            admin_keys: item("admin_keys", &written.admin_keys).word(KEY_FORMS, default.admin_keys)?,
            admin_hosts: self.hosts("admin_hosts", &written.admin_hosts)?.unwrap_or_default(),
            admin_token_file: item("admin_token_file", &written.admin_token_file).file()?,
            pid_file,
            takeover,
            takeover_kill,
            drain_delay: drain_delay.duration(ranges::DRAIN_DELAY, default.drain_delay)?,
            drain_timeout: item("drain_timeout", &written.drain_timeout)
                .duration(ranges::DRAIN_TIMEOUT, default.drain_timeout)?,
            workers: item("workers", &written.workers).count(ranges::WORKERS, default.workers)?,
            lanes: item("lanes", &written.lanes).count(ranges::LANES, default.lanes)?,
            bulk_lanes: item("bulk_lanes", &written.bulk_lanes).count(ranges::BULK_LANES, default.bulk_lanes)?,
            bulk_size: item("bulk_size", &written.bulk_size).bytes(ranges::BULK_SIZE, default.bulk_size)?,
            primed_lanes: item("primed_lanes", &written.primed_lanes)
                .count(ranges::PRIMED_LANES, default.primed_lanes)?,
            shared_puts: item("shared_puts", &written.shared_puts).word(SHARED_PUTS, default.shared_puts)?,
            busy_poll: item("busy_poll", &written.busy_poll).duration(ranges::BUSY_POLL, default.busy_poll)?,
            rules: self.rules(guard, &written.stamp)?,
            ledger_memory: item("guard.ledger_memory", &guard.ledger_memory)
                .size(ranges::LEDGER_MEMORY, default.ledger_memory)?,
            stale_reply: item("guard.stale_reply", &guard.stale_reply).word(STALE_REPLIES, default.stale_reply)?,
            verify_reads: item("guard.verify_reads", &guard.verify_reads).truth(default.verify_reads)?,
            pairing: self.pairing(&written.pairing)?,
            limits: self.limits(&written.limits)?,
            store,
            log: self.log(&written.log)?,
        })
    }

    pub(super) fn item(&self, key: &'static str, given: &'a Option<Given>) -> Item<'a> {
        Item {
            key,
            given: given.as_ref(),
            file: self.file,
        }
    }

    fn admin(&self, given: &'a Option<Given>, default: Option<String>) -> Result<Option<String>, UsageError> {
        let allowed = "HOST:PORT, or nothing between the quotes to turn it off";
        let item = self.item("admin", given);
        let Some(given) = given else { return Ok(default) };
        match text(&given.raw) {
            None => Err(item.refuse_value(given, allowed)),
            Some("") => Ok(None),
            Some(text) => match host_port(text) {
                Ok(_) => Ok(Some(text.to_owned())),
                Err(reason) => Err(item.refuse(format_args!("admin {} {reason}", quoted(text)), allowed)),
            },
        }
    }

    /// Names of hosts, where any are given.
    pub(super) fn hosts(&self, key: &'static str, given: &'a Option<Given>) -> Result<Option<Vec<String>>, UsageError> {
        let allowed = "a list of host names, without ports";
        let item = self.item(key, given);
        let Some(given) = given else { return Ok(None) };
        let Raw::List(names) = &given.raw else {
            return Err(item.refuse_value(given, allowed));
        };
        let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let name = |given: &'a Given| match text(&given.raw) {
            Some(name) if (1..=253).contains(&name.len()) && name.bytes().all(is_of_names) => Ok(name.to_owned()),
            _ => Err(item.with(given).refuse_value(given, "a host name, without a port")),
        };
        names.iter().map(name).collect::<Result<_, _>>().map(Some)
    }

    fn pairing(&self, written: &'a PairingWritten) -> Result<PairingSettings, UsageError> {
        let item = |key, given| self.item(key, given);
        let default = PairingSettings::default();
        let request = item("pairing.request_timeout", &written.request_timeout);
        let slow = item("pairing.slow_timeout", &written.slow_timeout);
        let request_timeout = request.duration(ranges::REQUEST_TIMEOUT, default.request_timeout)?;
        // Held for as long as its own deadline, every first write would fail.
        let start_hold = default.start_hold.min(request_timeout / 2);
        let settings = PairingSettings {
            pipelining: item("pairing.pipelining", &written.pipelining).word(PIPELININGS, default.pipelining)?,
            request_timeout,
            slow_timeout: slow.duration(ranges::SLOW_TIMEOUT, default.slow_timeout)?,
            fence_timeout: item("pairing.fence_timeout", &written.fence_timeout)
                .duration(ranges::FENCE_TIMEOUT, default.fence_timeout)?,
            start_hold: item("pairing.start_hold", &written.start_hold).duration(ranges::START_HOLD, start_hold)?,
            frame_timeout: item("pairing.frame_timeout", &written.frame_timeout)
                .duration(ranges::FRAME_TIMEOUT, default.frame_timeout)?,
            frame_deadline: item("pairing.frame_deadline", &written.frame_deadline)
                .duration(ranges::FRAME_DEADLINE, default.frame_deadline)?,
            fail_fast_after: item("pairing.fail_fast_after", &written.fail_fast_after)
                .duration(ranges::FAIL_FAST_AFTER, default.fail_fast_after)?,
            connect_timeout: item("pairing.connect_timeout", &written.connect_timeout)
                .duration(ranges::CONNECT_TIMEOUT, default.connect_timeout)?,
        };
        let (lesser, greater) = (settings.request_timeout, settings.slow_timeout);
        at_most(request, lesser, slow, greater, write_duration)?;
        Ok(settings)
    }

    fn limits(&self, written: &'a LimitsWritten) -> Result<LimitSettings, UsageError> {
        let item = |key, given| self.item(key, given);
        let default = LimitSettings::default();
        let buffers = item("limits.buffer_memory", &written.buffer_memory);
        let request = item("limits.request", &written.request);
        let settings = LimitSettings {
            request: self.request_limits(written)?,
            reply: reply_limits(item("limits.reply", &written.reply).bytes(ranges::REPLY, default.reply.frame_max)?),
            sessions: item("limits.sessions", &written.sessions).count(ranges::SESSIONS, default.sessions)?,
            sessions_per_client: item("limits.sessions_per_client", &written.sessions_per_client)
                .count(ranges::SESSIONS, default.sessions_per_client)?,
            session_rate: item("limits.session_rate", &written.session_rate)
                .count(ranges::SESSION_RATE, default.session_rate)?,
            idle_timeout: item("limits.idle_timeout", &written.idle_timeout)
                .duration(ranges::IDLE_TIMEOUT, default.idle_timeout)?,
            pipeline: item("limits.pipeline", &written.pipeline).count(ranges::PIPELINE, default.pipeline)?,
            lane_queue: item("limits.lane_queue", &written.lane_queue).count(ranges::LANE_QUEUE, default.lane_queue)?,
            session_backlog: item("limits.session_backlog", &written.session_backlog)
                .bytes(ranges::SESSION_BACKLOG, default.session_backlog)?,
            buffer_memory: buffers.bytes(ranges::BUFFER_MEMORY, default.buffer_memory)?,
            heavy_rate: item("limits.heavy_rate", &written.heavy_rate).bytes(ranges::HEAVY_RATE, default.heavy_rate)?,
            slow_connections: item("limits.slow_connections", &written.slow_connections)
                .count(ranges::SLOW_CONNECTIONS, default.slow_connections)?,
        };
        let (lesser, greater) = (settings.request.frame_max, settings.buffer_memory);
        at_most(request, lesser, buffers, greater, |bytes| write_size(bytes as u64))?;
        Ok(settings)
    }

    fn request_limits(&self, written: &'a LimitsWritten) -> Result<Limits, UsageError> {
        let item = |key, given| self.item(key, given);
        let argument = item("limits.argument", &written.argument);
        let (key, value) = (item("limits.key", &written.key), item("limits.value", &written.value));
        let request = item("limits.request", &written.request);
        let arguments = item("limits.arguments", &written.arguments);
        let default = Limits::REQUEST;
        let argument_max = argument.size(ranges::ARGUMENT, u64::from(default.argument_max))?;
        let key_max = key.size(ranges::PART, argument_max)?;
        let value_max = value.size(ranges::PART, argument_max)?;
        let arguments_max = arguments.integer(ranges::ARGUMENTS, u64::from(default.arguments_max))?;
        let frame_max = request.bytes(ranges::REQUEST, default.frame_max)?;
        at_most(argument, argument_max, request, frame_max as u64, write_size)?;
        at_most(key, key_max, argument, argument_max, write_size)?;
        at_most(value, value_max, argument, argument_max, write_size)?;
        // All fit: their ranges end far below what 32 bits hold.
        let fitting = |size, default| u32::try_from(size).unwrap_or(default);
        Ok(Limits {
            argument_max: fitting(argument_max, default.argument_max),
            key_max: fitting(key_max, default.key_max),
            value_max: fitting(value_max, default.value_max),
            arguments_max: fitting(arguments_max, default.arguments_max),
            frame_max,
        })
    }

    fn store(&self, written: &'a StoreWritten) -> Result<StoreSettings, UsageError> {
        let default = StoreSettings::default();
        Ok(StoreSettings {
            sync: self.item("store.sync", &written.sync).word(SYNCS, default.sync)?,
            sync_interval: self
                .item("store.sync_interval", &written.sync_interval)
                .duration(ranges::SYNC_INTERVAL, default.sync_interval)?,
            copy_dir: self.item("store.copy_dir", &written.copy_dir).folder()?,
        })
    }

    fn log(&self, written: &'a LogWritten) -> Result<LogSettings, UsageError> {
        let default = LogSettings::default();
        Ok(LogSettings {
            level: self.item("log.level", &written.level).word(LEVELS, default.level)?,
            format: self.item("log.format", &written.format).word(FORMATS, default.format)?,
            file: self.item("log.file", &written.file).file()?,
        })
    }
}

/// Refuses a pair in the wrong order, at the one of the two that the operator wrote.
fn at_most<T: PartialOrd + Copy, W: Display>(
    lesser: Item<'_>,
    least: T,
    greater: Item<'_>,
    most: T,
    write: impl Fn(T) -> W,
) -> Result<(), UsageError> {
    if least <= most {
        return Ok(());
    }
    let (low, high) = (lesser.key, greater.key);
    let (least, most) = (write(least), write(most));
    if lesser.given.is_some() {
        Err(lesser.refuse(
            format_args!("{low} is {least}"),
            format_args!("at most {high}, which is {most}"),
        ))
    } else {
        Err(greater.refuse(
            format_args!("{high} is {most}"),
            format_args!("at least {low}, which is {least}"),
        ))
    }
}
