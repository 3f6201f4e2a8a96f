//! What was found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::guard::spread::Lies;
use crate::transfer::shown;

/// What can be found of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A value's stamp lies further ahead of the clock than `future_tolerance`: it binds nobody before that.
    Future,
    /// A value has no stamp: nothing protects it from a late write.
    Unstamped,
    /// A `timestamp.` record lies further ahead than `future_tolerance`.
    RecordFuture,
    /// A `timestamp.` record does not begin with a stamp of this format.
    RecordUnreadable,
    /// A `timestamp.` record is newer than its value: a write after the value's is gone, or went around the guard.
    RecordNewer,
    /// A `timestamp.` record is older than its value, and was to be equal to it: a write went around the guard.
    RecordOlder,
    /// A `timestamp.` record is older than its value, which carries its own stamp: what a delete left before the key was
    /// written again. Nothing is wrong with it.
    Leftover,
    /// A `timestamp.` record without a value: what a delete left. Nothing is wrong with it.
    Tombstone,
}

impl Kind {
    /// All of them, in the order of their telling.
    pub const ALL: [Self; 8] = [
        Self::Future,
        Self::Unstamped,
        Self::RecordFuture,
        Self::RecordUnreadable,
        Self::RecordNewer,
        Self::RecordOlder,
        Self::Leftover,
        Self::Tombstone,
    ];

    /// Whether it is a defect, rather than what is left in the ordinary course of things.
    pub fn is_defect(self) -> bool {
        !matches!(self, Self::Leftover | Self::Tombstone)
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Future => "stamps in the future",
            Self::Unstamped => "values without a stamp",
            Self::RecordFuture => "timestamp. records in the future",
            Self::RecordUnreadable => "timestamp. records that are no stamp",
            Self::RecordNewer => "timestamp. records newer than the value",
            Self::RecordOlder => "timestamp. records older than the value",
            Self::Leftover => "timestamp. records left from before the value",
            Self::Tombstone => "tombstones",
        }
    }
}

/// Where stamps lie, in words.
const LIES: [(Lies, &str); 7] = [
    (Lies::Minute, "within a minute of the clock"),
    (Lies::Hour, "within an hour"),
    (Lies::Day, "within a day"),
    (Lies::Year, "within a year"),
    (Lies::Older, "older than a year"),
    (Lies::Future, "in the future"),
    (Lies::Timeless, "that are no times"),
];

/// What was found of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// How many.
    pub count: u64,
    /// How many of them are mended.
    pub fixed: u64,
    /// The keys of the first ones. Bytes that are no text are written as `\xNN`.
    pub keys: Vec<String>,
}

/// What was found in a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Records that the walk has seen, `timestamp.` records included; without those of a server's claim, which say
    /// nothing of any key.
    pub records: u64,
    /// Records that the server counted before the walk and after it, those of its claim included.
    pub counted: [u64; 2],
    /// Whether the walk can have seen all: it has seen as many as there were.
    pub complete: bool,
    /// Whether the server is a ttguard, which shows what it hides.
    pub through_guard: bool,
    /// Where the stamps of the values lie: how many at each place.
    pub stamps: BTreeMap<Lies, u64>,
    /// What was found, by kind.
    pub found: BTreeMap<Kind, Findings>,
}

impl Report {
    /// Notes a finding; shows its key, where fewer than `keys_max` are shown.
    pub fn add(&mut self, kind: Kind, key: &[u8], fixed: bool, keys_max: usize) {
        let findings = self.found.entry(kind).or_default();
        findings.count += 1;
        findings.fixed += u64::from(fixed);
        if findings.keys.len() < keys_max {
            findings.keys.push(match std::str::from_utf8(key) {
                Ok(text) => text.to_owned(),
                Err(_) => key.escape_ascii().to_string(),
            });
        }
    }

    fn tell_stamps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<_> = LIES
            .iter()
            .filter_map(|(lies, words)| Some(format!("{} {words}", self.stamps.get(lies)?)))
            .collect();
        let stamped: u64 = LIES.iter().filter_map(|(lies, _)| self.stamps.get(lies)).sum();
        match places.is_empty() {
            true => writeln!(f, "{stamped:>10}  values with a stamp"),
            false => writeln!(f, "{stamped:>10}  values with a stamp: {}", places.join(", ")),
        }
    }

    /// What to ask oneself, where many values would be refused; nothing otherwise.
    fn question(&self) -> Option<&'static str> {
        let future = self.stamps.get(&Lies::Future)?;
        (*future > 0).then_some(
            "do the values with stamps in the future carry a stamp? where they do not, a write of such a value is refused \
             (code 3): see stamp.digits, and begin with --mode observe",
        )
    }

    /// Whether there is no defect but those that are mended, and everything was seen.
    pub fn is_clean(&self) -> bool {
        let is_fine = |(kind, findings): (&Kind, &Findings)| !kind.is_defect() || findings.fixed == findings.count;
        self.complete && self.found.iter().all(is_fine)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>10}  records", self.records)?;
        self.tell_stamps(f)?;
        for kind in Kind::ALL {
            let Some(findings) = self.found.get(&kind) else {
                if kind.is_defect() {
                    writeln!(f, "{:>10}  {}", 0, kind.in_words())?;
                }
                continue;
            };
            write!(f, "{:>10}  {}", findings.count, kind.in_words())?;
            if findings.fixed > 0 {
                write!(f, ", {} fixed", findings.fixed)?;
            }
            let keys: Vec<_> = findings.keys.iter().map(|key| shown(key.as_bytes())).collect();
            let more = if findings.count > keys.len() as u64 {
                ", ..."
            } else {
                ""
            };
            match keys.is_empty() {
                true => writeln!(f)?,
                false => writeln!(f, ": {}{more}", keys.join(", "))?,
            }
        }
        if let Some(question) = self.question() {
            writeln!(f, "{question}")?;
        }
        if !self.complete {
            let [before, after] = self.counted;
            writeln!(
                f,
                "not complete: the server counted {before} records before and {after} afterwards; its records changed \
                 meanwhile, or somebody else used its iterator"
            )?;
        }
        Ok(())
    }
}
