//! What the scripted backend keeps, and what it answers: enough of Tyrant for a proxy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::request::Request;
use crate::support::frame;

/// What it has to say of its log: it has no end, and nothing more in it.
pub const LOG: &[u8] = b"\xc9an entry of the log";

/// No two servers are the same process; one that is started again has the next number.
static NEXT_PID: AtomicU32 = AtomicU32::new(4_000);

pub struct Store {
    pub records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Where the shared iterator stands: keys above this one are still to come.
    iterator: Option<Vec<Vec<u8>>>,
    /// A number that a restart changes, as it changes that of a real process.
    pub pid: u32,
    pub started: SystemTime,
}

impl Store {
    pub fn new() -> Self {
        Self {
            records: BTreeMap::new(),
            iterator: None,
            pid: NEXT_PID.fetch_add(1000, Ordering::Relaxed),
            started: SystemTime::now(),
        }
    }

    /// Carries out a request and gives the bytes of its answer.
    pub fn apply(&mut self, request: &Request) -> Vec<u8> {
        let arguments = &request.arguments;
        match request.opcode {
            frame::PUT => self.put(&arguments[0], &arguments[1]),
            frame::PUTNR => {
                self.put(&arguments[0], &arguments[1]);
                Vec::new()
            }
            frame::PUTKEEP => self.put_keep(&arguments[0], &arguments[1]),
            frame::PUTCAT => self.put_cat(&arguments[0], &arguments[1]),
            frame::ADDINT => self.add(&arguments[0], request.number),
            frame::OUT => code(self.records.remove(&arguments[0]).is_some()),
            frame::GET => value(self.records.get(&arguments[0])),
            frame::VSIZ => match self.records.get(&arguments[0]) {
                Some(found) => [&[0][..], &frame::size(found.len())].concat(),
                None => vec![1],
            },
            frame::MGET => self.mget(arguments),
            frame::FWMKEYS => self.fwmkeys(&arguments[0], request.number),
            frame::ITERINIT => {
                self.iterator = Some(self.records.keys().rev().cloned().collect());
                vec![0]
            }
            frame::ITERNEXT => value(self.next_key().as_ref()),
            frame::VANISH => {
                self.records.clear();
                vec![0]
            }
            frame::SYNC | frame::OPTIMIZE => vec![0],
            frame::RNUM | frame::SIZE => [&[0][..], &(self.records.len() as u64).to_be_bytes()].concat(),
            frame::STAT => value(Some(&self.stat().into_bytes())),
            frame::MISC => self.misc(request),
            frame::REPL => LOG.to_vec(),
            _ => vec![1],
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Vec<u8> {
        self.records.insert(key.to_vec(), value.to_vec());
        vec![0]
    }

    fn put_keep(&mut self, key: &[u8], value: &[u8]) -> Vec<u8> {
        if self.records.contains_key(key) {
            return vec![1];
        }
        self.put(key, value)
    }

    fn put_cat(&mut self, key: &[u8], value: &[u8]) -> Vec<u8> {
        self.records.entry(key.to_vec()).or_default().extend_from_slice(value);
        vec![0]
    }

    /// Numbers are kept as Tokyo Cabinet keeps them: four bytes, little end first.
    fn add(&mut self, key: &[u8], number: i32) -> Vec<u8> {
        let kept = match self.records.get(key).map(|kept| <[u8; 4]>::try_from(&kept[..])) {
            None => 0,
            Some(Ok(bytes)) => i32::from_le_bytes(bytes),
            Some(Err(_)) => return vec![1],
        };
        let sum = kept.wrapping_add(number);
        self.put(key, &sum.to_le_bytes());
        [&[0][..], &sum.to_be_bytes()].concat()
    }

    fn mget(&self, keys: &[Vec<u8>]) -> Vec<u8> {
        let found: Vec<_> = keys.iter().filter_map(|key| self.records.get_key_value(key)).collect();
        let mut answer = [&[0][..], &frame::size(found.len())].concat();
        for (key, value) in found {
            answer.extend_from_slice(&frame::size(key.len()));
            answer.extend_from_slice(&frame::size(value.len()));
            answer.extend_from_slice(key);
            answer.extend_from_slice(value);
        }
        answer
    }

    fn fwmkeys(&self, prefix: &[u8], max: i32) -> Vec<u8> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let keys = self.records.keys().filter(|key| key.starts_with(prefix)).take(max);
        strings(0, &keys.cloned().collect::<Vec<_>>())
    }

    /// The next key that is still there.
    fn next_key(&mut self) -> Option<Vec<u8>> {
        let left = self.iterator.as_mut()?;
        loop {
            let key = left.pop()?;
            if self.records.contains_key(&key) {
                return Some(key);
            }
        }
    }

    fn misc(&mut self, request: &Request) -> Vec<u8> {
        let arguments = &request.arguments;
        let failed = strings(1, &[]);
        let of_code = |answer: Vec<u8>| strings(answer[0], &[]);
        match (request.function.as_str(), arguments.len()) {
            ("iternext", 0) => match self.next_key().and_then(|key| self.records.get_key_value(&key)) {
                Some((key, value)) => strings(0, &[key.clone(), value.clone()]),
                None => failed,
            },
            ("put", 2) => of_code(self.put(&arguments[0], &arguments[1])),
            ("putkeep", 2) => of_code(self.put_keep(&arguments[0], &arguments[1])),
            ("putcat", 2) => of_code(self.put_cat(&arguments[0], &arguments[1])),
            ("putlist", _) => {
                for pair in arguments.chunks_exact(2) {
                    self.put(&pair[0], &pair[1]);
                }
                strings(0, &[])
            }
            ("out", 1) => strings(u8::from(self.records.remove(&arguments[0]).is_none()), &[]),
            ("outlist", _) => {
                for key in arguments {
                    self.records.remove(key);
                }
                strings(0, &[])
            }
            ("get", 1) => match self.records.get(&arguments[0]) {
                Some(value) => strings(0, std::slice::from_ref(value)),
                None => failed,
            },
            ("getlist", _) => {
                let found = arguments.iter().filter_map(|key| self.records.get_key_value(key));
                strings(
                    0,
                    &found
                        .flat_map(|(key, value)| [key.clone(), value.clone()])
                        .collect::<Vec<_>>(),
                )
            }
            ("vanish", 0) => {
                self.records.clear();
                strings(0, &[])
            }
            _ => failed,
        }
    }

    /// The lines that say which process this is, among those that a real server gives.
    fn stat(&self) -> String {
        let since_epoch = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH)
                .expect("a clock after 1970")
                .as_secs_f64()
        };
        // Of one reading of the clock, as a real server has them: the difference is its start, to the microsecond.
        let time = since_epoch(SystemTime::now());
        let real = time - since_epoch(self.started);
        format!(
            "version\t1.1.41\nlibver\t324\nprotver\t0.91\nos\tLinux\ntime\t{time:.6}\npid\t{}\nsid\t0\ntype\thash\n\
             path\tscripted\nrnum\t{}\nsize\t{}\nru_real\t{real:.6}\n",
            self.pid,
            self.records.len(),
            self.records.len()
        )
    }
}

fn code(done: bool) -> Vec<u8> {
    vec![u8::from(!done)]
}

fn value(found: Option<&Vec<u8>>) -> Vec<u8> {
    match found {
        Some(found) => [&[0][..], &frame::size(found.len()), found].concat(),
        None => vec![1],
    }
}

fn strings(code: u8, strings: &[Vec<u8>]) -> Vec<u8> {
    let mut answer = [&[code][..], &frame::size(strings.len())].concat();
    for string in strings {
        answer.extend_from_slice(&frame::size(string.len()));
        answer.extend_from_slice(string);
    }
    answer
}
