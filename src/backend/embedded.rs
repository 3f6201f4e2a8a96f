//! The store behind the backend URL `memory:`: it answers as `ttserver *` 1.1.41 does, without a server.
//!
//! It has no script extension, no update log, no file and no replication. Where the server's success
//! would rest on one of these, the command fails, because a success that is none is worse:
//!
//! - `ext` fails, as on a server without a script. `repl` cannot be answered and fails.
//! - `copy` and `restore` always fail: no backup is made, no log is read, and no `@command` is run.
//! - `optimize` with `capnum` or `capsiz` fails: the server would begin to drop records that it acknowledged.
//! - `setmst` succeeds and shows in `stat`, with a delay that only grows, as for a master that is out of reach.
//!
//! Keys over 1,048,575 bytes are kept whole; the server cuts them there.
//!
//! Single keys take well under a microsecond. `fwmkeys` takes as long as its answer is long, `misc regex` walks every
//! record: they hold no lock for long, but the calling thread waits.

mod change;
mod counters;
mod misc;
mod number;
mod pattern;
#[cfg(test)]
mod replay;
mod shard;
mod stat;
mod store;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::command::function::until_nul;
use crate::command::{Command, Reply};
use counters::{Counters, Miss};
use stat::{Master, Status};
use store::{Cursor, Store};

const FAILED: Reply = Reply::Code(1);

/// A store in this process's memory, to be shared by its threads. It ends with the process.
pub struct Embedded {
    records: Store,
    /// The one iterator that all clients share.
    iterator: Mutex<Cursor>,
    master: Mutex<Master>,
    counters: Counters,
    started: Duration,
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Embedded")
            .field("records", &self.len())
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// An empty store, which counts its age from now.
    pub fn new() -> Self {
        Self {
            records: Store::default(),
            iterator: Mutex::new(Cursor::END),
            master: Mutex::default(),
            counters: Counters::default(),
            started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// How many records there are.
    pub fn len(&self) -> u64 {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Carries out `command`, completely, before it returns. `now` is the time since the epoch, and only `stat` tells it.
    ///
    /// `putnr` answers [`Reply::OK`], which the caller keeps from the client. A failure is code 1, the
    /// only one that the server knows. Keys and values are copied, never kept as slices of the command.
    pub fn execute(&self, command: &Command, now: Duration) -> Reply {
        self.counters.count(command.verb());
        match command {
            Command::Put { key, value } | Command::PutNr { key, value } => {
                self.records.put(key, value);
                Reply::OK
            }
            Command::PutKeep { key, value } => self.stored(self.records.put_new(key, value)),
            Command::PutCat { key, value } => self.stored(self.append(key, value)),
            Command::PutShl { key, value, width } => {
                self.shift(key, value, *width);
                Reply::OK
            }
            Command::Out { key } => self.out(key),
            Command::Get { key } => self.get(key),
            Command::Mget { keys } => self.mget(keys),
            Command::Vsiz { key } => self.vsiz(key),
            Command::IterInit => {
                *self.iterator.lock() = Cursor::START;
                Reply::OK
            }
            Command::IterNext => self.iternext().map_or(FAILED, |(key, _)| Reply::Value(key)),
            Command::FwmKeys { prefix, max } => {
                Reply::Keys(self.records.keys(prefix, usize::try_from(*max).unwrap_or(usize::MAX)))
            }
            Command::AddInt { key, number } => self.add_integer(key, *number),
            Command::AddDouble {
                key,
                integral,
                fractional,
            } => self.add_double(key, number::unpack(*integral, *fractional)),
            Command::Optimize { parameters } if asks_for_bounds(parameters) => FAILED,
            Command::Sync | Command::Optimize { .. } => Reply::OK,
            Command::Vanish => {
                self.vanish();
                Reply::OK
            }
            Command::SetMst {
                host, port, timestamp, ..
            } => self.set_master(host, *port, *timestamp),
            Command::Rnum => Reply::Count(self.len()),
            Command::Size => Reply::Count(self.records.size()),
            Command::Stat => Reply::Value(self.stat(now).into()),
            Command::Misc {
                function, arguments, ..
            } => match misc::call(self, function, arguments) {
                Some(strings) => Reply::Strings { code: 0, strings },
                None => Reply::Strings {
                    code: 1,
                    strings: Vec::new(),
                },
            },
            Command::Ext { .. } | Command::Copy { .. } | Command::Restore { .. } | Command::Repl { .. } => FAILED,
        }
    }

    fn stored(&self, success: bool) -> Reply {
        if success {
            return Reply::OK;
        }
        self.counters.miss(Miss::Put);
        FAILED
    }

    fn out(&self, key: &[u8]) -> Reply {
        if self.records.remove(key) {
            return Reply::OK;
        }
        self.counters.miss(Miss::Out);
        FAILED
    }

    fn get(&self, key: &[u8]) -> Reply {
        self.records.get(key).map_or_else(
            || {
                self.counters.miss(Miss::Get);
                FAILED
            },
            Reply::Value,
        )
    }

    fn mget(&self, keys: &[Bytes]) -> Reply {
        let record = |key: &Bytes| Some((key.clone(), self.records.get(key)?));
        Reply::Records(keys.iter().filter_map(record).collect())
    }

    fn vsiz(&self, key: &[u8]) -> Reply {
        let size = self.records.value_size(key).and_then(|size| i32::try_from(size).ok());
        size.map_or(FAILED, Reply::Number)
    }

    fn iternext(&self) -> Option<(Bytes, Bytes)> {
        self.records.next(&mut self.iterator.lock())
    }

    /// Deletes every record; the iterator is at its end until it is started again.
    fn vanish(&self) {
        self.records.clear();
        *self.iterator.lock() = Cursor::END;
    }

    fn set_master(&self, host: &[u8], port: i32, timestamp: u64) -> Reply {
        let mut master = self.master.lock();
        master.host = String::from_utf8_lossy(until_nul(host)).into_owned();
        master.port = port;
        if timestamp > 0 {
            master.timestamp = timestamp;
        }
        Reply::OK
    }

    fn stat(&self, now: Duration) -> String {
        let master = self.master.lock().clone();
        stat::lines(&Status {
            now,
            uptime: now.saturating_sub(self.started),
            records: self.len(),
            size: self.records.size(),
            master,
            counters: &self.counters,
        })
    }
}

/// Whether the parameters of `optimize` (`name=value`, joined by `#`) bound the store by dropping records.
/// A bound of zero or below is none.
fn asks_for_bounds(parameters: &[u8]) -> bool {
    until_nul(parameters).split(|byte| *byte == b'#').any(|parameter| {
        let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
        let value = parameter.get(name.len() + 1..).unwrap_or_default();
        let bounds = name.eq_ignore_ascii_case(b"capnum") || name.eq_ignore_ascii_case(b"capsiz");
        bounds && value.iter().any(|byte| (b'1'..=b'9').contains(byte)) && !value.contains(&b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_795_000_000);

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn put(store: &Embedded, key: &'static str, value: &'static str) {
        let (key, value) = (bytes(key), bytes(value));
        assert_eq!(store.execute(&Command::Put { key, value }, NOW), Reply::OK);
    }

    /// The strings that `misc` answers; none on failure.
    fn misc(store: &Embedded, function: &'static str, arguments: &[&'static str]) -> Option<Vec<Bytes>> {
        let command = Command::Misc {
            function: bytes(function),
            options: 0,
            arguments: arguments.iter().copied().map(bytes).collect(),
        };
        match store.execute(&command, NOW) {
            Reply::Strings { code: 0, strings } => Some(strings),
            Reply::Strings { code: 1, strings } if strings.is_empty() => None,
            other => panic!("{other:?}"),
        }
    }

    fn iternext(store: &Embedded) -> Option<Bytes> {
        match store.execute(&Command::IterNext, NOW) {
            Reply::Value(key) => Some(key),
            reply => {
                assert_eq!(reply, FAILED);
                None
            }
        }
    }

    #[test]
    fn misc_minds_the_number_of_arguments_as_the_server_does() {
        let store = Embedded::new();
        for (function, arguments, success) in [
            ("put", &[][..], false),
            ("put", &["x"], false),
            ("putkeep", &["x"], false),
            ("putcat", &["x"], false),
            ("out", &[], false),
            ("get", &[], false),
            ("getpart", &[], false),
            ("regex", &[], false),
            ("putlist", &[], true),
            ("putlist", &["x"], true),
            ("outlist", &[], true),
            ("getlist", &[], true),
            ("", &[], false),
            ("PUT", &["a", "b"], false),
            ("put\0zz", &["q", "1", "extra"], true),
            ("sync", &["x"], true),
            ("optimize", &[], true),
            ("optimize", &["bnum=3"], true),
        ] {
            assert_eq!(
                misc(&store, function, arguments).is_some(),
                success,
                "{function} {arguments:?}"
            );
        }
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn parts_of_a_value_are_those_of_the_server() {
        let store = Embedded::new();
        put(&store, "p", "0123456789");
        put(&store, "e", "");
        for (arguments, part) in [
            (&["p"][..], Some("0123456789")),
            (&["p", "3"], Some("3456789")),
            (&["p", "3", "2"], Some("34")),
            (&["p", "-4", "2"], Some("01")),
            (&["p", "9", "5"], Some("9")),
            (&["p", "3", "0"], Some("")),
            (&["p", "x", "y"], Some("")),
            (&["p", " +2", "-1"], Some("23456789")),
            (&["p", "4294967298", "3"], Some("234")),
            (&["p", "1", "4294967297"], Some("1")),
            (&["p", "10"], None),
            (&["p", "2147483647"], None),
            (&["e"], None),
            (&["none"], None),
        ] {
            let answer = misc(&store, "getpart", arguments);
            assert_eq!(answer, part.map(|part| vec![bytes(part)]), "{arguments:?}");
        }
    }

    #[test]
    fn all_clients_share_one_iterator_and_regex_moves_it() {
        let store = Embedded::new();
        for key in ["a", "b", "c"] {
            put(&store, key, "");
        }
        assert_eq!(iternext(&store), None);
        store.execute(&Command::IterInit, NOW);
        assert!(iternext(&store).is_some());
        assert_eq!(misc(&store, "regex", &["("]), None);
        assert_eq!(misc(&store, "regex", &["b"]), Some(vec![bytes("b"), bytes("")]));
        assert_eq!(iternext(&store), None);
        assert_eq!(misc(&store, "regex", &[".", "1"]).unwrap().len(), 2);
        assert!(iternext(&store).is_some() && iternext(&store).is_some());
        assert_eq!(iternext(&store), None);

        assert!(misc(&store, "iterinit", &["missing"]).is_some());
        assert_eq!(misc(&store, "iternext", &[]), None);
        assert!(misc(&store, "iterinit", &["b"]).is_some());
        assert_eq!(misc(&store, "iternext", &[]).unwrap()[0], "b");

        store.execute(&Command::IterInit, NOW);
        store.execute(&Command::Vanish, NOW);
        put(&store, "late", "");
        assert_eq!(iternext(&store), None);
    }

    #[test]
    fn what_was_not_done_is_not_acknowledged() {
        let store = Embedded::new();
        put(&store, "k", "v");
        let optimize = |parameters| Command::Optimize {
            parameters: bytes(parameters),
        };
        let refused = [
            Command::Copy {
                path: bytes("@/bin/true"),
            },
            Command::Copy {
                path: bytes("copy.tch"),
            },
            Command::Restore {
                path: bytes("/"),
                timestamp: 0,
                options: 0,
            },
            Command::Repl {
                timestamp: 0,
                server_id: 1,
            },
            optimize("capnum=10"),
            optimize("bnum=5#CAPSIZ=1m"),
        ];
        for command in refused {
            assert_eq!(store.execute(&command, NOW), FAILED, "{command:?}");
        }
        for parameters in ["", "nonsense", "bnum=5#opts=zz", "capnum=0", "capnum=-5"] {
            assert_eq!(store.execute(&optimize(parameters), NOW), Reply::OK);
        }
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn stat_counts_commands_and_misses_and_names_the_master() {
        let store = Embedded::new();
        let lines = |store: &Embedded| match store.execute(&Command::Stat, NOW) {
            Reply::Value(lines) => String::from_utf8(lines.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        put(&store, "k", "v");
        let (key, value) = (bytes("k"), bytes("v"));
        store.execute(&Command::PutKeep { key, value }, NOW);
        store.execute(&Command::Get { key: bytes("none") }, NOW);
        store.execute(
            &Command::Mget {
                keys: vec![bytes("none")],
            },
            NOW,
        );
        store.execute(&Command::Out { key: bytes("none") }, NOW);
        misc(&store, "out", &["none"]);
        let text = lines(&store);
        for line in [
            "rnum\t1",
            "cnt_put\t1",
            "cnt_putkeep\t1",
            "cnt_mget\t1",
            "cnt_misc\t1",
            "cnt_stat\t1",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        assert!(
            text.ends_with("\ncnt_put_miss\t1\ncnt_out_miss\t1\ncnt_get_miss\t1\n"),
            "{text}"
        );

        let master = |host| Command::SetMst {
            host: bytes(host),
            port: 1978,
            timestamp: 5,
            options: 0,
        };
        assert_eq!(store.execute(&master("h\0x"), NOW), Reply::OK);
        assert!(lines(&store).contains("\nmhost\th\nmport\t1978\nrts\t5\ndelay\t"));
        assert_eq!(store.execute(&master(""), NOW), Reply::OK);
        assert!(!lines(&store).contains("mhost"));
    }

    #[test]
    fn an_answer_on_its_way_keeps_its_bytes() {
        let store = Embedded::new();
        put(&store, "k", "v1");
        let get = Command::Get { key: bytes("k") };
        let before = store.execute(&get, NOW);
        let (key, value) = (bytes("k"), bytes("+"));
        assert_eq!(store.execute(&Command::PutCat { key, value }, NOW), Reply::OK);
        assert_eq!(before, Reply::Value(bytes("v1")));
        assert_eq!(store.execute(&get, NOW), Reply::Value(bytes("v1+")));
    }
}
