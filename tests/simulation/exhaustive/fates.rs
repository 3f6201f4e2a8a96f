//! What became of each write of a story, as its client knows it, and whether that agrees with what is stored.

use bytes::Bytes;
use ttguard::command::{Command, Reply, Verb};
use ttguard::guard::rules::Tie;

use super::book::newest_of;
use super::caller::Heard;
use super::requests::first_value;
use super::small::Small;
use super::stories::Part;
use crate::history::stamp_of;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Acknowledged,
    Refused,
    Unknown,
}

/// All writes of a story.
pub struct Fates {
    disturbed: bool,
    writes: Vec<(Bytes, Bytes, Fate)>,
    removal: Option<Fate>,
}

/// What one client has asked and heard.
pub struct Talk {
    /// For each question that is not answered yet: how much the book held when it was asked.
    asked_at: std::collections::VecDeque<usize>,
    /// The greatest stamp that was acknowledged to this client.
    acknowledged: Option<u64>,
    /// What it writes later than the question that is answered next.
    later: Vec<Bytes>,
}

impl Talk {
    /// A question is about to be asked.
    pub fn asked(&mut self, small: &Small) {
        self.asked_at.push_back(small.backend.book.borrow().versions.len());
    }
}

/// The keys and values that a request stores.
fn writes_of(command: &Command) -> Vec<(Bytes, Bytes)> {
    match command {
        Command::Put { key, value } | Command::PutNr { key, value } => vec![(key.clone(), value.clone())],
        Command::Misc { arguments, .. } => {
            let pairs = arguments.chunks_exact(2);
            pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect()
        }
        _ => Vec::new(),
    }
}

impl Fates {
    /// Nothing was written yet.
    pub fn new(disturbed: bool) -> Self {
        Self {
            disturbed,
            writes: vec![(Bytes::from("k"), first_value(), Fate::Acknowledged)],
            removal: None,
        }
    }

    /// A client begins.
    pub fn begin(&mut self, part: &Part) -> Talk {
        let later = part.asks.iter().flat_map(writes_of).map(|(_, value)| value);
        Talk {
            asked_at: Default::default(),
            acknowledged: None,
            later: later.collect(),
        }
    }

    /// What a client heard to the oldest of its questions; true when its connection is over.
    pub fn heard(&mut self, small: &Small, talk: &mut Talk, ask: &Command, heard: &Heard) -> Result<bool, String> {
        let asked_at = talk.asked_at.pop_front().unwrap_or(0);
        let writes = writes_of(ask);
        talk.later.drain(..writes.len());
        let reply = match heard {
            Heard::Answer(reply) => Some(reply),
            Heard::Silence if ask.verb() != Verb::PutNr => return Err(format!("{ask:?} got neither answer nor end")),
            Heard::End if !self.disturbed => return Err(format!("{ask:?} ended its connection")),
            Heard::End | Heard::Silence => None,
        };
        let fates = match reply {
            None => vec![Fate::Unknown; writes.len()],
            Some(Reply::Strings { code: 2, strings }) if strings.is_empty() => list_fates(small, &writes, asked_at)?,
            Some(_) if writes.is_empty() => Vec::new(),
            Some(reply) => vec![fate_of(reply)?; writes.len()],
        };
        for ((key, value), fate) in writes.into_iter().zip(fates) {
            match fate {
                Fate::Acknowledged => talk.acknowledged = talk.acknowledged.max(stamp_of(&value)),
                Fate::Refused => check_refusal(small, &key, &value)?,
                Fate::Unknown => {}
            }
            self.writes.push((key, value, fate));
        }
        match (ask, reply) {
            (Command::Out { .. }, reply) => self.removal = Some(removal_of(reply)?),
            (Command::Get { key }, Some(reply)) => self.check_read(small, talk, key, reply, asked_at)?,
            _ => {}
        }
        Ok(*heard == Heard::End)
    }

    /// What was read was stored at some time between question and answer, and the client's own writes are in order.
    fn check_read(
        &self,
        small: &Small,
        talk: &Talk,
        key: &Bytes,
        reply: &Reply,
        asked_at: usize,
    ) -> Result<(), String> {
        let read = match reply {
            Reply::Value(value) => Some(value),
            Reply::Code(1) => None,
            other => return Err(format!("get {key:?} was answered {other:?}")),
        };
        let book = small.backend.book.borrow();
        let (before, since) = book.versions.split_at(asked_at);
        let old = before.iter().rev().find(|(changed, _)| changed == key);
        let old = old.and_then(|(_, value)| value.as_ref());
        let mut since = since.iter().filter(|(changed, _)| changed == key);
        if old != read && !since.any(|(_, value)| value.as_ref() == read) {
            return Err(format!("get {key:?} was answered {read:?}, which it did not hold then"));
        }
        let stamp = read.and_then(|value| stamp_of(value));
        if key == "k" && self.removal.is_none() && stamp < talk.acknowledged {
            return Err(format!("get {key:?} was answered {read:?}, older than its own write"));
        }
        match read {
            // A read that is sent again because its lane was lost may find a write that was pipelined behind it.
            Some(value) if talk.later.contains(value) && !self.disturbed => {
                Err(format!("{value:?} was read before it was asked for"))
            }
            _ => Ok(()),
        }
    }

    /// In the end each key holds a write that was not refused, and none older than what was acknowledged.
    pub fn check_end(&self, small: &Small) -> Result<(), String> {
        for key in ["k", "n"] {
            let stored = small.stored(key.as_bytes());
            let own = || self.writes.iter().filter(|(written, ..)| written == key);
            let acknowledged = own().filter(|(.., fate)| *fate == Fate::Acknowledged);
            let greatest = acknowledged.map(|(_, value, _)| rank(small, value)).max();
            let Some(value) = &stored else {
                if greatest.is_some() && (key != "k" || self.removal.is_none()) {
                    return Err(format!("{key}, of stamp {greatest:?}, is gone"));
                }
                continue;
            };
            if key == "k" && self.removal == Some(Fate::Acknowledged) {
                return Err(format!("{key} was removed and holds {value:?}"));
            }
            let is_known = own().any(|(_, own, fate)| own == value && *fate != Fate::Refused);
            if !is_known || Some(rank(small, value)) < greatest {
                return Err(format!("{key} holds {value:?}, of {:?}", self.writes));
            }
        }
        Ok(())
    }
}

/// What decides which of two writes stays: the stamp, and where the operator said so the bytes.
fn rank(small: &Small, value: &Bytes) -> (Option<u64>, Bytes) {
    let bytes = if small.kind.tie == Tie::Greater {
        value.clone()
    } else {
        Bytes::new()
    };
    (stamp_of(value), bytes)
}

fn fate_of(reply: &Reply) -> Result<Fate, String> {
    match reply {
        Reply::Code(0) | Reply::Strings { code: 0, .. } => Ok(Fate::Acknowledged),
        Reply::Code(2) => Ok(Fate::Refused),
        other => Err(format!("a write was answered {other:?}")),
    }
}

/// Of a list that was refused each record is judged by itself: what was not stored was refused, and something was.
fn list_fates(small: &Small, writes: &[(Bytes, Bytes)], asked_at: usize) -> Result<Vec<Fate>, String> {
    let book = small.backend.book.borrow();
    let is_stored = |(key, value): &(Bytes, Bytes)| {
        let mut since = book.versions[asked_at..].iter();
        since.any(|(changed, held)| changed == key && held.as_ref() == Some(value))
    };
    let fate = |write| {
        if is_stored(write) {
            Fate::Acknowledged
        } else {
            Fate::Refused
        }
    };
    let fates: Vec<_> = writes.iter().map(fate).collect();
    if fates.contains(&Fate::Refused) {
        Ok(fates)
    } else {
        Err(format!("{writes:?} were refused, and all are stored"))
    }
}

fn removal_of(reply: Option<&Reply>) -> Result<Fate, String> {
    match reply {
        None => Ok(Fate::Unknown),
        Some(Reply::Code(0)) => Ok(Fate::Acknowledged),
        Some(other) => Err(format!("a delete of what was there was answered {other:?}")),
    }
}

/// A refusal rests on a write that is stored.
fn check_refusal(small: &Small, key: &Bytes, value: &Bytes) -> Result<(), String> {
    let (stamp, newest) = (stamp_of(value), newest_of(&small.backend.records.borrow(), key));
    let stored = small.stored(key);
    let ties = stamp == newest && small.kind.tie != Tie::Last && stored.as_ref() != Some(value);
    if stamp < newest || ties {
        Ok(())
    } else {
        Err(format!(
            "{value:?} was refused while {key:?} holds {stored:?}, stamp {newest:?}"
        ))
    }
}
