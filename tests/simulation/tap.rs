//! What a connection to the backend carries, seen from outside: the requests as the guard writes them, and how much of
//! the answers it has read. And a mark on every answer that it must not read any more.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use ttguard::command::{Command, Reply};
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::opcode::MAGIC;
use ttguard::protocol::tyrant::reply;
use ttguard::protocol::tyrant::request::RequestDecoder;

use crate::history::base_of;

/// Stands in every answer that the guard reads on a connection that it has given up.
const MARK: u8 = 0x5E;

/// A code that no backend of this simulation answers.
const MARKED_CODE: u8 = 0xF7;

/// Greater than the size of any value.
const MARKED_NUMBER: i32 = i32::from_be_bytes([MARK; 4]);

/// What the guard has written on one connection to the backend, and read.
#[derive(Debug)]
pub struct Tap {
    /// The guard process that opened it.
    pub generation: u64,
    /// Most bytes that can be on their way to the backend at once.
    room: usize,
    /// Whether the guard sends the first byte of a lane's next request ahead.
    primes: bool,
    decoder: RequestDecoder,
    /// The beginning of a request that is not whole yet.
    rest: BytesMut,
    /// The last write took all the room there was, so that it may have ended within a request.
    filled: bool,
    /// Whether the first request was the greeting of a lane; nothing before it was whole.
    is_lane: Option<bool>,
    /// The question has been written which run of the backend this is.
    asked_who: bool,
    /// The whole requests that are not answered, oldest first.
    unanswered: VecDeque<Unanswered>,
    /// So many bytes of the backend were answers that have been read to their end.
    read_whole: u64,
    /// Where each answer ends that has not been read, in all that the backend has written.
    ends: VecDeque<u64>,
    /// All that the backend has written, as it must not be read on a connection that was given up.
    marked: BytesMut,
    /// Requests whose answers were read while it was in service, at most: several may share an `mget`, and each has its
    /// answer before the others' have come, or a `putlist`.
    pub answers: u64,
    /// When the guard has finished or closed its side.
    pub given_up: Option<u64>,
    /// When the guard has closed it.
    pub closed: Option<u64>,
}

/// A request of the guard that has no answer.
#[derive(Debug)]
struct Unanswered {
    /// The keys that it changes.
    keys: Vec<Bytes>,
    /// Requests that it may stand for, and that have not been counted as answered.
    stands_for: u64,
}

/// What the guard can take bytes of the backend for.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// The answer to the oldest request.
    Answer(&'a Reply),
    /// Each byte passes for the answer to a request that was written whole and waits for no more than a code.
    Codes,
    /// No answer.
    Nonsense,
}

/// A request of the guard was carried by a connection.
pub struct Carried {
    pub command: Command,
    /// The keys that it changes, without those of hidden records.
    pub keys: Vec<Bytes>,
}

impl Tap {
    /// For a connection of this guard process, with room for so many bytes. `primes` says whether the first byte of a
    /// lane's next request may be sent ahead.
    pub fn new(generation: u64, room: usize, primes: bool) -> Self {
        Self {
            generation,
            room,
            primes,
            decoder: RequestDecoder::new(Limits::REQUEST),
            rest: BytesMut::new(),
            filled: false,
            asked_who: false,
            is_lane: None,
            unanswered: VecDeque::new(),
            read_whole: 0,
            ends: VecDeque::new(),
            marked: BytesMut::new(),
            answers: 0,
            given_up: None,
            closed: None,
        }
    }

    /// Whether it is a lane or a connection for one slow command; nothing while that cannot be told.
    pub fn is_lane(&self) -> Option<bool> {
        self.is_lane
    }

    /// The guard has written these bytes, and `under_way` are unread now: the requests that have become whole.
    pub fn wrote(&mut self, bytes: &[u8], under_way: usize) -> Result<Vec<Carried>, String> {
        self.rest.extend_from_slice(bytes);
        self.filled = under_way >= self.room;
        let mut carried = Vec::new();
        while let Some(command) = self
            .decoder
            .decode(&mut self.rest)
            .map_err(|fault| format!("the guard has written what is no request: {fault}"))?
        {
            match &command {
                // Both ask first whom they have reached.
                Command::Stat if !self.asked_who => self.asked_who = true,
                // Only lanes ask this too, before anything else.
                Command::Misc { function, .. } if function == "error" => _ = self.is_lane.get_or_insert(true),
                _ => _ = self.is_lane.get_or_insert(false),
            }
            let keys = keys_changed(&command);
            self.unanswered.push_back(Unanswered {
                keys: keys.clone(),
                stands_for: match &command {
                    Command::Mget { keys } => keys.len() as u64,
                    Command::Misc {
                        function, arguments, ..
                    } if function == "putlist" => arguments.len() as u64 / 2,
                    _ => 1,
                },
            });
            carried.push(Carried { command, keys });
        }
        Ok(carried)
    }

    /// Whether the guard may leave it as it is: at the end of a request, or on a primed lane one byte behind it, where
    /// that byte is the first one of every request. Only where the backend took no more bytes can it stand within one,
    /// and if the deadline passes then, it even ends there; the half-close that follows sets the backend's thread free.
    pub fn is_whole(&self) -> bool {
        let is_primed = self.primes && self.is_lane == Some(true) && is_first_byte(&self.rest);
        self.rest.is_empty() || is_primed || self.filled
    }

    /// The backend is about to write these bytes.
    pub fn answering(&mut self, bytes: &[u8], said: Said<'_>) {
        match said {
            Said::Answer(reply) => {
                let mut out = Outgoing::new();
                reply::encode(&mark(reply), &mut out);
                let marked = out.take();
                debug_assert_eq!(marked.len(), bytes.len());
                self.marked.extend_from_slice(&marked);
                self.ends.push_back(self.marked.len() as u64);
            }
            Said::Codes => {
                let before = self.marked.len() as u64;
                self.ends.extend((1..=bytes.len() as u64).map(|count| before + count));
                self.marked.extend_from_slice(bytes);
            }
            Said::Nonsense => self.marked.extend_from_slice(bytes),
        }
    }

    /// What of the backend's bytes is not read until now has been lost on its way.
    pub fn lost(&mut self, read: u64) {
        self.ends.clear();
        self.marked.truncate(read as usize);
    }

    /// What the guard must find instead of these bytes of the backend, now that it has given the connection up.
    pub fn marked(&self, from: u64, to: u64) -> Option<&[u8]> {
        self.marked.get(from as usize..to as usize)
    }

    /// So many bytes of the backend have been read until now. What is read of a connection that was given up answers
    /// nothing.
    pub fn read(&mut self, bytes: u64) {
        if self.given_up.is_some() {
            return;
        }
        while let Some(end) = self.ends.pop_front_if(|end| *end <= bytes) {
            self.read_whole = end;
            self.answers += self.unanswered.pop_front().map_or(0, |request| request.stands_for);
        }
        if let Some(request) = self.unanswered.front_mut()
            && request.stands_for > 1
            && bytes > self.read_whole
        {
            self.answers += std::mem::take(&mut request.stands_for);
        }
    }

    /// Whether a change of this key was written and is not answered.
    pub fn has_in_flight(&self, key: &Bytes) -> bool {
        self.unanswered.iter().any(|request| request.keys.contains(key))
    }
}

/// Whether this is what every request begins with, and no more: a primed lane sends it ahead.
pub fn is_first_byte(rest: &[u8]) -> bool {
    *rest == [MAGIC]
}

fn keys_changed(command: &Command) -> Vec<Bytes> {
    let mut keys: Vec<_> = match command {
        Command::Put { key, .. }
        | Command::PutKeep { key, .. }
        | Command::PutNr { key, .. }
        | Command::PutCat { key, .. }
        | Command::AddInt { key, .. }
        | Command::Out { key } => vec![base_of(key)],
        Command::Misc {
            function, arguments, ..
        } => match function.as_ref() {
            b"put" | b"putkeep" | b"out" => arguments.iter().take(1).map(base_of).collect(),
            b"putlist" => arguments.chunks(2).map(|pair| base_of(&pair[0])).collect(),
            b"outlist" => arguments.iter().map(base_of).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    keys.dedup();
    keys
}

/// The same answer in as many bytes, but with the mark in all that it says.
fn mark(reply: &Reply) -> Reply {
    let marks = |bytes: &Bytes| Bytes::from(vec![MARK; bytes.len()]);
    match reply {
        Reply::Code(_) => Reply::Code(MARKED_CODE),
        Reply::Value(value) => Reply::Value(marks(value)),
        Reply::Number(_) => Reply::Number(MARKED_NUMBER),
        Reply::Count(_) => Reply::Count(u64::from_be_bytes([MARK; 8])),
        Reply::Records(records) => {
            let marked = records.iter().map(|(key, value)| (key.clone(), marks(value)));
            Reply::Records(marked.collect())
        }
        Reply::Keys(keys) => Reply::Keys(keys.iter().map(marks).collect()),
        Reply::Strings { strings, .. } => Reply::Strings {
            code: MARKED_CODE,
            strings: strings.iter().map(marks).collect(),
        },
        other => other.clone(),
    }
}

/// Whether an answer has come from a connection that had been given up before it was read to its end.
pub fn is_marked(reply: &Reply) -> bool {
    let is = |bytes: &Bytes| bytes.last() == Some(&MARK);
    match reply {
        Reply::Code(code) => *code == MARKED_CODE,
        Reply::Value(value) => is(value),
        // Half of it may have been read before.
        Reply::Number(number) => *number as u16 == MARKED_NUMBER as u16,
        Reply::Count(count) => *count > u64::from(u32::MAX),
        Reply::Records(records) => records.iter().any(|(_, value)| is(value)),
        Reply::Keys(keys) => keys.iter().any(is),
        Reply::Strings { code, strings } => *code == MARKED_CODE || strings.iter().any(is),
        Reply::Double { .. } => false,
    }
}
