//! The first questions on every new connection: is there a Tyrant, which one, what does it keep, and does it mean what it
//! says?

use std::fmt;
use std::io;

use bytes::Bytes;

use crate::client::Connection;
use crate::client::fault::Trouble;
use crate::client::route::Route;
use crate::command::{Command, Reply};
use crate::protocol::link::FUNCTION;
use crate::protocol::link::hello::Behalf;
use crate::protocol::tyrant::limits::Limits;
use crate::store::capabilities::{Capabilities, Keys, Lists, SharedPuts};
use crate::transport::{Peer, Reader, Writer};

/// Most bytes that `stat` may answer; the real one sends under 2 KiB.
const STAT_MAX: u32 = 64 * 1024;

/// Bounds of both answers.
const LIMITS: Limits = Limits {
    argument_max: STAT_MAX,
    frame_max: STAT_MAX as usize + 5,
    ..Limits::REPLY
};

/// The option of `misc` that keeps it out of the update log.
const WITHOUT_LOG: u32 = 1;

/// One run of one server process. A server that was started again is another instance, with another memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pid: u64,
    /// Seconds since the epoch, on the server's own clock.
    started: f64,
}

impl Instance {
    /// Whether both are the same run. `ru_real` is printed to the microsecond, so a little slack is enough.
    pub fn is_same_run(&self, other: &Self) -> bool {
        self.pid == other.pid && (self.started - other.started).abs() < 0.01
    }

    /// Whether this run began after the other. Where the server's clock was set back between the two it may not seem so.
    pub fn is_later_than(&self, other: &Self) -> bool {
        !self.is_same_run(other) && self.started > other.started
    }
}

/// What tells the run of a server that one connection has reached from the run that another one has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// What the server says itself.
    pub instance: Option<Instance>,
    /// The process that listens at a Unix socket, where the system tells its number.
    pub process: Option<i32>,
}

impl Run {
    /// Whether both are known to be the same run.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.instance, &other.instance) {
            (Some(one), Some(other)) => one.is_same_run(other),
            _ => false,
        }
    }

    /// Whether both are known to be different ones. Of a server whose `stat` says nothing, its process is all there is
    /// to tell it by, and of one at another machine there is not even that.
    pub fn is_other(&self, other: &Self) -> bool {
        match (&self.instance, &other.instance) {
            (Some(one), Some(other)) => !one.is_same_run(other),
            (None, None) => self.process.is_some() && other.process.is_some() && self.process != other.process,
            _ => true,
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.instance, self.process) {
            (Some(Instance { pid, started }), _) => write!(f, "process {pid} since {started:.6}"),
            (None, Some(process)) => write!(f, "process {process}"),
            (None, None) => f.write_str("a server that does not say which it is"),
        }
    }
}

/// What kind of database a server keeps, as far as a guard cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A hash in a file.
    Hash,
    /// A hash or a tree in memory. Where it may not grow beyond `capnum` or `capsiz`, `put` drops the oldest records, but
    /// `misc putlist` does not (`tcadbmisc` of Tokyo Cabinet 1.4.48); `stat` does not say whether it may.
    Memory,
    /// A B+ tree: `misc putlist` adds duplicates instead of replacing.
    BPlusTree,
    /// Records of columns.
    Table,
    /// Keys that are numbers.
    FixedLength,
    /// A skeleton, or nothing that this release knows: only the plain commands mean what they always mean.
    Foreign,
}

impl DatabaseKind {
    /// What a guard may ask of it.
    pub fn capabilities(self) -> Capabilities {
        match self {
            Self::Hash => Capabilities::PLAIN,
            Self::Memory => Capabilities {
                shared_puts: SharedPuts::SameIfUnbounded,
                ..Capabilities::PLAIN
            },
            Self::BPlusTree => Capabilities {
                lists: Lists::Add,
                shared_puts: SharedPuts::Other,
                ..Capabilities::PLAIN
            },
            Self::Table => Capabilities {
                holds_records: false,
                lists: Lists::Unknown,
                shared_puts: SharedPuts::Other,
                has_columns: true,
                ..Capabilities::PLAIN
            },
            Self::FixedLength => Capabilities {
                keys: Keys::Numbers,
                holds_records: false,
                lists: Lists::Unknown,
                shared_puts: SharedPuts::Other,
                ..Capabilities::PLAIN
            },
            Self::Foreign => Capabilities::UNKNOWN,
        }
    }
}

/// What a new connection has learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Greeting {
    /// Which run of which server, as far as that can be told.
    pub run: Run,
    /// What it keeps.
    pub kind: DatabaseKind,
    /// Whether its mask denies `misc`. It then answers that all is well, and does nothing (1.1.41, `do_misc`).
    pub denies_misc: bool,
}

impl Greeting {
    /// Reads the lines of `stat`: name, tab, value.
    pub fn parse(stat: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stat);
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('\t'));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        let number = |name: &str| field(name).and_then(|value| value.parse::<f64>().ok());
        let instance = || {
            Some(Instance {
                pid: field("pid")?.parse().ok()?,
                started: number("time")? - number("ru_real")?,
            })
        };
        let kind = match field("type").as_deref() {
            Some("B+ tree") => DatabaseKind::BPlusTree,
            Some("table") => DatabaseKind::Table,
            Some("fixed-length") => DatabaseKind::FixedLength,
            Some("hash") => DatabaseKind::Hash,
            Some("on-memory hash" | "on-memory tree") => DatabaseKind::Memory,
            _ => DatabaseKind::Foreign,
        };
        Self {
            run: Run {
                instance: instance(),
                process: None,
            },
            kind,
            denies_misc: false,
        }
    }
}

/// A connection that has greeted its server.
pub type Opened = (Reader, Writer, Greeting);

/// Opens a connection, and asks on it who answers.
///
/// # Errors
/// `InvalidData` when what answers is no Tyrant; otherwise what prevented the connection or broke it.
pub async fn open(route: &Route) -> io::Result<Opened> {
    let greet = async |connection: &mut Connection| {
        let mut greeting = who_answers(connection).await?;
        // In a skeleton a function of any name can mean anything.
        greeting.denies_misc = greeting.kind != DatabaseKind::Foreign && denies_misc(connection).await?;
        Ok(greeting)
    };
    open_with(route, greet).await
}

/// As [`open`], but asks only what tells one run from another; a guard is told first for which client of an edge's it is.
///
/// # Errors
/// As those of [`open`].
pub async fn open_aside(route: &Route, behalf: Option<&Behalf>) -> io::Result<(Reader, Writer, Run)> {
    let greet = async |connection: &mut Connection| {
        if let Some(behalf) = behalf {
            ask_for(behalf, connection).await?;
        }
        who_answers(connection).await
    };
    let (reader, writer, greeting) = open_with(route, greet).await?;
    Ok((reader, writer, greeting.run))
}

/// Tells a guard for which client of an edge's the connection is.
async fn ask_for(behalf: &Behalf, connection: &mut Connection) -> Result<(), Trouble> {
    let question = Command::Misc {
        function: Bytes::from_static(FUNCTION),
        options: 0,
        arguments: vec![behalf.to_bytes()],
    };
    match connection.ask(&question, None).await? {
        Reply::Strings { code: 0, strings } if strings.is_empty() => Ok(()),
        Reply::Strings { strings, .. } => {
            let why = strings.first().map(|why| String::from_utf8_lossy(why).into_owned());
            Err(Trouble::Unfit(why.unwrap_or_else(|| "it is no guard".to_owned())))
        }
        _ => Err(Trouble::Unfit("it is no guard".to_owned())),
    }
}

async fn open_with(
    route: &Route,
    greet: impl AsyncFnOnce(&mut Connection) -> Result<Greeting, Trouble>,
) -> io::Result<Opened> {
    let opening = async {
        let mut connection = Connection::connect(route, LIMITS, None).await?;
        let greeting = greet(&mut connection).await?;
        let (reader, writer) = connection.into_halves();
        Ok((reader, writer, greeting))
    };
    opening.await.map_err(|trouble| match trouble {
        Trouble::Connect(error) | Trouble::Broken(error) => error,
        Trouble::Ended => io::ErrorKind::UnexpectedEof.into(),
        Trouble::TimedOut => io::ErrorKind::TimedOut.into(),
        Trouble::Unfit(why) => io::Error::new(io::ErrorKind::InvalidData, why),
        Trouble::Unreadable(_) | Trouble::Unasked(_) => io::ErrorKind::InvalidData.into(),
    })
}

async fn who_answers(connection: &mut Connection) -> Result<Greeting, Trouble> {
    let Reply::Value(stat) = connection.ask(&Command::Stat, None).await? else {
        return Err(Trouble::Unfit("stat was not answered with lines".to_owned()));
    };
    let mut greeting = Greeting::parse(&stat);
    if let Peer::Unix(_, process) = connection.writer().peer() {
        greeting.run.process = process;
    }
    Ok(greeting)
}

/// A database that has this function says something, and one that has not, that it failed (`tcadbmisc`).
async fn denies_misc(connection: &mut Connection) -> Result<bool, Trouble> {
    let last_error = Command::Misc {
        function: Bytes::from_static(b"error"),
        options: WITHOUT_LOG,
        arguments: Vec::new(),
    };
    let said = connection.ask(&last_error, None).await?;
    Ok(matches!(said, Reply::Strings { code: 0, strings } if strings.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_process_and_its_start() {
        let stat = |pid: u32, time: f64, real: f64| {
            Greeting::parse(
                format!("version\t1.1.41\ntime\t{time:.6}\npid\t{pid}\ntype\ton-memory hash\nru_real\t{real:.6}\n")
                    .as_bytes(),
            )
        };
        let first = stat(7, 1_795_192_657.406_354, 3.25);
        let later = stat(7, 1_795_192_757.406_355, 103.250_001);
        let again = stat(7, 1_795_192_757.406_355, 0.5);
        let same = |a: &Greeting, b: &Greeting| {
            assert_ne!(a.run.is_same(&b.run), a.run.is_other(&b.run));
            a.run.is_same(&b.run)
        };
        assert!(same(&first, &later));
        assert!(!same(&first, &again));
        assert!(!same(&first, &stat(8, 1_795_192_757.406_355, 103.250_001)));
        let is_later = |a: &Greeting, b: &Greeting| match (&a.run.instance, &b.run.instance) {
            (Some(a), Some(b)) => a.is_later_than(b),
            _ => false,
        };
        assert!(is_later(&again, &first));
        assert!(!is_later(&first, &again) && !is_later(&later, &first) && !is_later(&first, &later));
        assert_eq!(first.kind, DatabaseKind::Memory);
    }

    #[test]
    fn what_stat_does_not_say_stays_unknown() {
        let silent = Greeting::parse(b"cnt_put\t0\n\xff\n").run;
        assert_eq!(silent, Run::default());
        assert!(!silent.is_same(&silent) && !silent.is_other(&silent));
        let by_process = |process| Run {
            process: Some(process),
            ..Run::default()
        };
        assert!(by_process(1).is_other(&by_process(2)) && !by_process(1).is_other(&by_process(1)));
        assert!(!by_process(1).is_other(&silent));
        let telling = Greeting::parse(b"time\t5\npid\t7\nru_real\t1\n").run;
        assert!(telling.is_other(&silent) && silent.is_other(&telling));
        assert_eq!(telling.to_string(), "process 7 since 4.000000");
        assert_eq!(Greeting::parse(b"type\tB+ tree\n").kind, DatabaseKind::BPlusTree);
        assert_eq!(Greeting::parse(b"type\ttable\n").kind, DatabaseKind::Table);
        assert_eq!(Greeting::parse(b"type\tskeleton\n").kind, DatabaseKind::Foreign);
    }
}
