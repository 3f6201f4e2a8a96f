//! The settings in effect, as an annotated file that reads back as the same settings.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::listeners::Printed;
use super::measure::{write_duration, write_size};
use super::names::{
    FORMATS, KEY_FORMS, LEDGERS, LEVELS, MEANINGS, MODES, PIPELININGS, POLICIES, SHARED_PUTS, STALE_REPLIES, SYNCS,
    TIES, UNITS, word,
};
use super::settings::Settings;

/// The one place where the keys are explained: the file that is shipped.
const TEMPLATE: &str = include_str!("../../config/ttguard.toml");

/// The comment in that file before which listeners with tables of their own are printed.
const LISTENER_EXAMPLE: &str = "# A listener that differs from the others, by way of example:";

/// Values as TOML, by key with its tables in front.
pub(super) type Values = BTreeMap<&'static str, String>;

impl Settings {
    /// The settings as an annotated TOML file, which reads back as the same settings.
    pub fn to_toml(&self) -> String {
        let tables = Printed::of(&self.listeners, self.base_access()).tables;
        let values = self.values();
        let mut table = "";
        let mut text = String::with_capacity(TEMPLATE.len() + 256);
        for line in TEMPLATE.lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                table = name;
            }
            if line == LISTENER_EXAMPLE {
                text.push_str(&tables);
            }
            text.push_str(&with_value(table, line, &values));
            text.push('\n');
            if line == "[guard.ext]" {
                text.push_str(&self.functions());
            }
        }
        text
    }

    /// Every key, its tables in front, with its value in effect. What must not be told is only said to be set.
    pub fn in_force(&self) -> Vec<(String, String)> {
        let mut table = String::new();
        let mut keys = Vec::new();
        for line in self.to_toml().lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[') {
                table = format!("{}.", name.trim_matches(['[', ']']));
            } else if let Some((name, value)) = line.split_once(" = ") {
                let secret = name.ends_with("token") && value != "\"\"";
                let value = if secret { "(set)" } else { value };
                keys.push((format!("{table}{name}"), value.to_owned()));
            }
        }
        keys
    }

    /// Every value in effect. `listener` and `guard.ext` stand for all that is written in those tables.
    pub(super) fn values(&self) -> Values {
        let listeners = Printed::of(&self.listeners, self.base_access());
        let mut values = Values::from_iter(listeners.top);
        values.insert("listener", listeners.tables);
        values.insert("guard.ext", self.functions());
        self.top(&mut values);
        self.guard(&mut values);
        self.pairing_values(&mut values);
        self.limit_values(&mut values);
        values
    }

    fn top(&self, values: &mut Values) {
        let stamp = self.rules.stamp;
        values.insert("backend", string(&self.backend.to_string()));
        values.insert("admin", string(self.admin.as_deref().unwrap_or_default()));
        values.insert("admin_keys", string(word(KEY_FORMS, &self.admin_keys)));
        let hosts: Vec<_> = self.admin_hosts.iter().map(|name| string(name)).collect();
        values.insert("admin_hosts", format!("[{}]", hosts.join(", ")));
        values.insert("workers", self.workers.to_string());
        values.insert("lanes", self.lanes.to_string());
        values.insert("bulk_lanes", self.bulk_lanes.to_string());
        values.insert("bulk_size", string(&write_size(self.bulk_size as u64)));
        values.insert("primed_lanes", self.primed_lanes.to_string());
        values.insert("shared_puts", string(word(SHARED_PUTS, &self.shared_puts)));
        values.insert("busy_poll", string(&write_duration(self.busy_poll)));
        values.insert("stamp.digits", stamp.digits().to_string());
        let column = self.rules.column.as_deref().unwrap_or_default();
        values.insert("stamp.column", string(column));
        values.insert("stamp.unit", string(word(UNITS, &stamp.unit())));
        values.insert("store.sync", string(word(SYNCS, &self.store.sync)));
        values.insert("store.sync_interval", string(&write_duration(self.store.sync_interval)));
        values.insert("store.copy_dir", path(self.store.copy_dir.as_ref()));
        values.insert("log.level", string(word(LEVELS, &self.log.level)));
        values.insert("log.format", string(word(FORMATS, &self.log.format)));
        values.insert("log.file", path(self.log.file.as_ref()));
        values.insert("drain_timeout", string(&write_duration(self.drain_timeout)));
        values.insert("drain_delay", string(&write_duration(self.drain_delay)));
        values.insert("pid_file", path(self.pid_file.as_ref()));
        values.insert("takeover", self.takeover.to_string());
        values.insert("takeover_kill", self.takeover_kill.to_string());
        values.insert("admin_token_file", path(self.admin_token_file.as_ref()));
    }

    fn guard(&self, values: &mut Values) {
        let rules = &self.rules;
        let commands = &rules.unordered;
        values.insert("guard.mode", string(word(MODES, &rules.mode)));
        values.insert("guard.ledger", string(word(LEDGERS, &rules.ledger)));
        values.insert("guard.ledger_memory", string(&write_size(self.ledger_memory)));
        values.insert("guard.tie", string(word(TIES, &rules.tie)));
        values.insert(
            "guard.future_tolerance",
            string(&write_duration(rules.future_tolerance)),
        );
        values.insert(
            "guard.delete_tolerance",
            string(&write_duration(rules.delete_tolerance)),
        );
        values.insert("guard.unstamped", string(word(POLICIES, &rules.unstamped)));
        values.insert("guard.stale_reply", string(word(STALE_REPLIES, &self.stale_reply)));
        values.insert("guard.verify_reads", self.verify_reads.to_string());
        values.insert("guard.commands.putcat", string(word(POLICIES, &commands.putcat)));
        values.insert("guard.commands.putshl", string(word(POLICIES, &commands.putshl)));
        values.insert("guard.commands.addint", string(word(POLICIES, &commands.addint)));
        values.insert("guard.commands.adddouble", string(word(POLICIES, &commands.adddouble)));
        values.insert("guard.commands.ext", string(word(POLICIES, &commands.ext)));
        values.insert("guard.commands.misc", string(word(POLICIES, &commands.misc)));
    }

    fn pairing_values(&self, values: &mut Values) {
        let pairing = &self.pairing;
        values.insert("pairing.pipelining", string(word(PIPELININGS, &pairing.pipelining)));
        let durations = [
            ("pairing.request_timeout", pairing.request_timeout),
            ("pairing.slow_timeout", pairing.slow_timeout),
            ("pairing.fence_timeout", pairing.fence_timeout),
            ("pairing.start_hold", pairing.start_hold),
            ("pairing.frame_timeout", pairing.frame_timeout),
            ("pairing.frame_deadline", pairing.frame_deadline),
            ("pairing.fail_fast_after", pairing.fail_fast_after),
            ("pairing.connect_timeout", pairing.connect_timeout),
        ];
        values.extend(durations.map(|(key, duration)| (key, string(&write_duration(duration)))));
    }

    fn limit_values(&self, values: &mut Values) {
        let limits = &self.limits;
        values.insert("limits.idle_timeout", string(&write_duration(limits.idle_timeout)));
        let sizes = [
            ("limits.argument", limits.request.argument_max as usize),
            ("limits.key", limits.request.key_max as usize),
            ("limits.value", limits.request.value_max as usize),
            ("limits.request", limits.request.frame_max),
            ("limits.reply", limits.reply.frame_max),
            ("limits.session_backlog", limits.session_backlog),
            ("limits.buffer_memory", limits.buffer_memory),
            ("limits.heavy_rate", limits.heavy_rate),
        ];
        let counts = [
            ("limits.arguments", limits.request.arguments_max as usize),
            ("limits.sessions", limits.sessions),
            ("limits.sessions_per_client", limits.sessions_per_client),
            ("limits.session_rate", limits.session_rate),
            ("limits.pipeline", limits.pipeline),
            ("limits.lane_queue", limits.lane_queue),
            ("limits.slow_connections", limits.slow_connections),
        ];
        values.extend(sizes.map(|(key, size)| (key, string(&write_size(size as u64)))));
        values.extend(counts.map(|(key, count)| (key, count.to_string())));
    }

    /// The lines of `[guard.ext]`, whose keys are the operator's own.
    fn functions(&self) -> String {
        let line = |(name, meaning): (&String, _)| format!("{} = {}\n", string(name), string(word(MEANINGS, meaning)));
        self.rules.ext.iter().map(line).collect()
    }
}

/// A line of the template with the value in effect, whether or not it is commented out there.
fn with_value<'a>(table: &str, line: &'a str, values: &Values) -> Cow<'a, str> {
    let Some((name, _)) = line.trim_start_matches('#').split_once(" = ") else {
        return Cow::Borrowed(line);
    };
    let key = if table.is_empty() {
        name.to_owned()
    } else {
        format!("{table}.{name}")
    };
    match values.get(key.as_str()) {
        Some(value) => Cow::Owned(format!("{name} = {value}")),
        None => Cow::Borrowed(line),
    }
}

/// A file's name, empty for none.
pub(super) fn path(path: Option<&PathBuf>) -> String {
    string(&path.map_or_else(String::new, |path| path.display().to_string()))
}

/// A string or a quoted key, on one line whatever is in it.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
