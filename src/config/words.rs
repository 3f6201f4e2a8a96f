//! The words of the settings file and what they mean: one table for reading and printing.

use crate::guard::rules::{ExtMeaning, LedgerMode, Mode, Policy, Tie};
use crate::guard::stamp::Unit;
use crate::protocol::Protocol;
use crate::protocol::tyrant::dialect::Dialect;
use crate::recent::refusals::KeyForm;

/// Where puts that come together may go out as one `misc putlist`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedPuts {
    /// Nowhere.
    Off,
    /// Where the backend keeps a hash in a file.
    Hash,
    /// There, and where it keeps a hash or a tree in memory: one that may grow without bounds, since `putlist` does not
    /// keep it within them.
    All,
}

/// What a client is told about a refused write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleReply {
    /// A code of its own for each reason.
    Error,
    /// Success.
    Ok,
}

/// Whether a client may send a request while an answer is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipelining {
    /// It may.
    Allow,
    /// It means that the client gave up on the first: the session ends.
    Forbid,
}

/// Who gives values their stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampSource {
    /// Clients: a stamp is a part of the value.
    Client,
    /// The ttguard that a client asks, an edge or a guard: the client's value has none, and never shows one.
    Edge,
}

/// Which edges may speak for their clients at a listener. What they say of them is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edges {
    /// None.
    None,
    /// Those that are known: of this machine, by a Unix socket or loopback, or by a certificate that TLS has asked for.
    #[default]
    Known,
    /// All that connect: the network is trusted.
    Any,
}

/// When a write to a store in a file has to be on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before it is answered.
    Always,
    /// Now and then: when the machine dies, at most so much of the newest is lost.
    Interval,
    /// When the system thinks fit.
    Os,
}

/// How severe a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something needs a look.
    Warn,
    /// What happens once in a while.
    Info,
    /// What happens often.
    Debug,
    /// Every step.
    Trace,
}

/// What a message looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line to read.
    Text,
    /// A JSON object on a line.
    Json,
}

/// Each meaning by its word.
pub(super) type Names<T> = [(&'static str, T)];

pub(super) const UNITS: &Names<Unit> = &[
    ("s", Unit::Seconds),
    ("ms", Unit::Milliseconds),
    ("us", Unit::Microseconds),
    ("ns", Unit::Nanoseconds),
    ("opaque", Unit::Opaque),
];
pub(super) const SOURCES: &Names<Option<StampSource>> = &[
    ("auto", None),
    ("client", Some(StampSource::Client)),
    ("edge", Some(StampSource::Edge)),
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
pub(super) const EDGES: &Names<Edges> = &[("none", Edges::None), ("known", Edges::Known), ("any", Edges::Any)];
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

impl LogLevel {
    /// The level's word, as a filter of log messages takes it.
    pub fn name(self) -> &'static str {
        word(LEVELS, &self)
    }
}
