//! What clients and the backend have seen, held against what the guard has counted.

mod end;
mod guard;
mod scrape;

use std::collections::BTreeMap;

use ttguard::command::{Command, Reply, Verb};
use ttguard::metrics::{Label, Outcome};

pub use self::scrape::Scrape;
use crate::world::World;

/// How an answer must have been counted.
fn outcome_of(reply: &Reply) -> Outcome {
    match reply.code() {
        0 => Outcome::Answered,
        2..=5 => Outcome::Refused,
        _ => Outcome::Failed,
    }
}

/// What was seen outside of the guard.
#[derive(Clone, Debug, Default)]
struct Seen {
    connected: i64,
    asked: BTreeMap<&'static str, i64>,
    heard: BTreeMap<(&'static str, &'static str), i64>,
    /// Refusals heard, by code.
    codes: BTreeMap<u8, i64>,
}

/// The books of a run.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    seen: Seen,
    /// Connections to the guard that runs now.
    opened: i64,
    /// Records that the guard has written to the backend, by the verdicts that let them through.
    stored: i64,
    removed: i64,
    unordered: i64,
    /// What all guards have counted that have ended.
    counted: Scrape,
}

impl Accounts {
    /// A client has connected.
    pub fn connected(&mut self) {
        self.seen.connected += 1;
        self.opened += 1;
    }

    /// A client is about to ask.
    pub fn asked(&mut self, verb: Verb) {
        *self.seen.asked.entry(verb.as_str()).or_default() += 1;
    }

    /// A client was answered.
    pub fn heard(&mut self, verb: Verb, reply: &Reply) {
        let outcome = outcome_of(reply);
        *self.seen.heard.entry((verb.as_str(), outcome.as_str())).or_default() += 1;
        if outcome == Outcome::Refused {
            *self.seen.codes.entry(reply.code()).or_default() += 1;
        }
    }

    /// The guard has written a request to the backend.
    pub fn carried(&mut self, command: &Command) {
        let is_shown = |key: &[u8]| i64::from(!key.starts_with(b"timestamp."));
        match command {
            Command::Put { key, .. } | Command::PutKeep { key, .. } => self.stored += is_shown(key),
            Command::Out { .. } => self.removed += 1,
            Command::PutCat { .. } | Command::AddInt { .. } | Command::Ext { .. } => self.unordered += 1,
            Command::Misc {
                function, arguments, ..
            } => match function.as_ref() {
                b"put" | b"putkeep" => self.stored += 1,
                b"putlist" => self.stored += arguments.chunks(2).map(|pair| is_shown(&pair[0])).sum::<i64>(),
                b"out" => self.removed += 1,
                b"outlist" => self.removed += arguments.len() as i64,
                _ => {}
            },
            _ => {}
        }
    }
}

fn demand(world: &World, holds: bool, how: impl FnOnce() -> String) {
    if !holds {
        world.violated("I13", how);
    }
}
