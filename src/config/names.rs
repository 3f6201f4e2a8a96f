//! The words of the settings file: one table for reading and printing.

use super::settings::{LogFormat, LogLevel, Pipelining, Settings, SharedPuts, StaleReply, Sync};
use crate::guard::rules::{ExtMeaning, LedgerMode, Mode, Policy, Tie};
use crate::guard::stamp::Unit;
use crate::journal::refusals::KeyForm;
use crate::protocol::Protocol;
use crate::protocol::tyrant::dialect::Dialect;

/// Each meaning by its word.
pub(super) type Names<T> = [(&'static str, T)];

pub(super) const UNITS: &Names<Unit> = &[
    ("s", Unit::Seconds),
    ("ms", Unit::Milliseconds),
    ("us", Unit::Microseconds),
    ("ns", Unit::Nanoseconds),
    ("opaque", Unit::Opaque),
];
pub(super) const MODES: &Names<Mode> = &[("enforce", Mode::Enforce), ("observe", Mode::Observe)];
pub(super) const LEDGERS: &Names<LedgerMode> = &[("inline", LedgerMode::Inline), ("record", LedgerMode::Record)];
pub(super) const TIES: &Names<Tie> = &[("last", Tie::Last), ("first", Tie::First), ("greater", Tie::Greater)];
pub(super) const POLICIES: &Names<Policy> = &[("pass", Policy::Pass), ("refuse", Policy::Refuse)];
pub(super) const MEANINGS: &Names<ExtMeaning> = &[
    ("put", ExtMeaning::Put),
    ("putkeep", ExtMeaning::PutKeep),
    ("out", ExtMeaning::Out),
];
pub(super) const STALE_REPLIES: &Names<StaleReply> = &[("error", StaleReply::Error), ("ok", StaleReply::Ok)];
pub(super) const SHARED_PUTS: &Names<SharedPuts> = &[
    ("off", SharedPuts::Off),
    ("hash", SharedPuts::Hash),
    ("all", SharedPuts::All),
];
pub(super) const PIPELININGS: &Names<Pipelining> = &[("allow", Pipelining::Allow), ("forbid", Pipelining::Forbid)];
pub(super) const DIALECTS: &Names<Dialect> = &[("tyrant", Dialect::Tyrant), ("pytyrant", Dialect::PyTyrant)];
pub(super) const PROTOCOLS: &Names<Protocol> = &[
    ("binary", Protocol::Binary),
    ("memcached", Protocol::Memcached),
    ("http", Protocol::Http),
];
pub(super) const KEY_FORMS: &Names<KeyForm> = &[
    ("shown", KeyForm::Shown),
    ("shortened", KeyForm::Shortened),
    ("hashed", KeyForm::Hashed),
    ("hidden", KeyForm::Hidden),
];
pub(super) const SYNCS: &Names<Sync> = &[("always", Sync::Always), ("interval", Sync::Interval), ("os", Sync::Os)];
pub(super) const FORMATS: &Names<LogFormat> = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
pub(super) const LEVELS: &Names<LogLevel> = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// The meaning of a word.
pub(super) fn meaning<T: Copy>(names: &Names<T>, word: &str) -> Option<T> {
    names
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, meaning)| *meaning)
}

/// The word for a meaning.
pub(super) fn word<T: PartialEq>(names: &Names<T>, meaning: &T) -> &'static str {
    names
        .iter()
        .find(|(_, named)| named == meaning)
        .map_or("", |(name, _)| name)
}

/// All the words, as they are listed in a message.
pub(super) fn words<T>(names: &Names<T>) -> String {
    let words: Vec<_> = names.iter().map(|(name, _)| *name).collect();
    words.join(", ")
}

impl Settings {
    /// The word for how keys are written for people.
    pub fn key_form_in_words(&self) -> &'static str {
        word(KEY_FORMS, &self.admin_keys)
    }

    /// What the guard does, in a few words.
    pub fn guard_in_words(&self) -> String {
        let rules = &self.rules;
        let (mode, ledger) = (word(MODES, &rules.mode), word(LEDGERS, &rules.ledger));
        let (digits, unit) = (rules.stamp.digits(), word(UNITS, &rules.stamp.unit()));
        format!("guard {mode} {digits} digits {unit} {ledger} ledger")
    }
}

impl LogLevel {
    /// The level's word, as a filter of log messages takes it.
    pub fn name(self) -> &'static str {
        word(LEVELS, &self)
    }
}
