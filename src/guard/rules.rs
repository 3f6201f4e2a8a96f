//! What the operator decided: how stamps are read, and what becomes of which write.

use std::collections::BTreeMap;
use std::time::Duration;

use super::stamp::StampFormat;
use crate::command::Verb;
use crate::command::function::until_nul;

/// Everything that the judgement depends on, but the keys and the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How a value's stamp is read.
    pub stamp: StampFormat,
    /// The column whose value has the stamp, in front of a table.
    pub column: Option<String>,
    /// Whether refusals are carried out or only counted.
    pub mode: Mode,
    /// Where stamps are kept in the backend.
    pub ledger: LedgerMode,
    /// What becomes of a write whose stamp equals the stored one while its bytes differ.
    pub tie: Tie,
    /// How far ahead of the clock a stamp may be.
    pub future_tolerance: Duration,
    /// How far behind the clock a delete's tombstone lies when no newer stamp is known.
    pub delete_tolerance: Duration,
    /// What becomes of a value without a stamp.
    pub unstamped: Policy,
    /// What becomes of commands that a stamp cannot order.
    pub unordered: UnorderedPolicies,
    /// Script functions that stand for a guarded command, by name.
    pub ext: BTreeMap<String, ExtMeaning>,
}

impl Rules {
    /// What a script function stands for, by its name as the server reads it; nothing for most.
    pub fn ext_meaning(&self, function: &[u8]) -> Option<ExtMeaning> {
        let name = std::str::from_utf8(until_nul(function)).ok()?;
        self.ext.get(name).copied()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            stamp: StampFormat::default(),
            column: None,
            mode: Mode::Enforce,
            ledger: LedgerMode::Inline,
            tie: Tie::Last,
            future_tolerance: Duration::from_secs(300),
            delete_tolerance: Duration::from_secs(1),
            unstamped: Policy::Pass,
            unordered: UnorderedPolicies::default(),
            ext: BTreeMap::new(),
        }
    }
}

impl Rules {
    /// The age from which on a tombstone may go: senders' clocks may differ from ours by `future_tolerance`, and a
    /// tombstone lies `delete_tolerance` behind it. A younger one may be of a delete that has just been sent.
    pub fn age_min(&self) -> Duration {
        self.future_tolerance + self.delete_tolerance
    }
}

/// Whether refusals are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A refused write is not sent on.
    Enforce,
    /// Everything goes through; what would have been refused is counted and logged.
    Observe,
}

/// Where stamps are kept in the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerMode {
    /// In the value's own prefix; a record of its own only where the value cannot carry it.
    Inline,
    /// In a `timestamp.` record beside every value.
    Record,
}

/// What becomes of different bytes under an equal stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    /// The write that came last stays.
    Last,
    /// The write that came first stays.
    First,
    /// The greater bytes stay, in whatever order they came.
    Greater,
}

/// Pass or refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Send it on.
    Pass,
    /// Refuse it.
    Refuse,
}

/// What becomes of each command that a stamp cannot order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnorderedPolicies {
    /// `putcat`, and `putcat`, `putdup`, `putdupback` in `misc`.
    pub putcat: Policy,
    /// `putshl`.
    pub putshl: Policy,
    /// `addint`.
    pub addint: Policy,
    /// `adddouble`.
    pub adddouble: Policy,
    /// `ext`, but for functions that are mapped.
    pub ext: Policy,
    /// Columns put into a table, searches that change what they find, functions that ttguard does not know.
    pub misc: Policy,
}

impl Default for UnorderedPolicies {
    fn default() -> Self {
        Self {
            putcat: Policy::Pass,
            putshl: Policy::Pass,
            addint: Policy::Pass,
            adddouble: Policy::Pass,
            ext: Policy::Pass,
            misc: Policy::Pass,
        }
    }
}

impl UnorderedPolicies {
    /// The policy for a verb that a stamp cannot order.
    pub fn of(&self, verb: Verb) -> Policy {
        match verb {
            Verb::PutCat => self.putcat,
            Verb::PutShl => self.putshl,
            Verb::AddInt => self.addint,
            Verb::AddDouble => self.adddouble,
            Verb::Ext => self.ext,
            _ => self.misc,
        }
    }
}

/// What a mapped script function stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtMeaning {
    /// `ext NAME key value` is a guarded `put key value`.
    Put,
    /// The same for `putkeep key value`.
    PutKeep,
    /// `ext NAME key value` is a guarded `out key`.
    Out,
}

impl ExtMeaning {
    /// The command that it stands for.
    pub fn verb(self) -> Verb {
        match self {
            Self::Put => Verb::Put,
            Self::PutKeep => Verb::PutKeep,
            Self::Out => Verb::Out,
        }
    }
}
