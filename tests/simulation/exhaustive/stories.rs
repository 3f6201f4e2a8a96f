//! Short stories of one or two clients, whose actors are killed at each step.

use bytes::Bytes;
use ttguard::command::Command;
use ttguard::guard::rules::{LedgerMode, Tie};

use super::requests::{FIRST, SECOND};
use super::small::{Kind, put, value};

/// What one client asks, one after the other or all at once.
#[derive(Clone)]
pub struct Part {
    /// Of the guard, and so which lane.
    pub worker: usize,
    /// Milliseconds after the beginning.
    pub begins: u64,
    pub pipelined: bool,
    pub asks: Vec<Command>,
}

/// Some clients at once.
pub struct Story {
    pub name: &'static str,
    pub kind: Kind,
    pub parts: Vec<Part>,
}

/// Older than what is there at the start.
const OLDER: u64 = FIRST - 1000;

/// Newer than [`SECOND`].
const THIRD: u64 = SECOND + 500;

fn get(key: &'static str) -> Command {
    Command::Get { key: Bytes::from(key) }
}

fn out() -> Command {
    Command::Out { key: Bytes::from("k") }
}

fn part(worker: usize, begins: u64, asks: Vec<Command>) -> Part {
    Part {
        worker,
        begins,
        pipelined: false,
        asks,
    }
}

fn pipelined(asks: Vec<Command>) -> Part {
    Part {
        pipelined: true,
        ..part(0, 0, asks)
    }
}

fn list() -> Command {
    let pairs = [("k", value(OLDER, "stale")), ("n", value(SECOND, "new"))];
    Command::Misc {
        function: Bytes::from("putlist"),
        options: 0,
        arguments: pairs
            .into_iter()
            .flat_map(|(key, value)| [Bytes::from(key), value])
            .collect(),
    }
}

fn silent(stamp: u64) -> Command {
    Command::PutNr {
        key: Bytes::from("k"),
        value: value(stamp, "silent"),
    }
}

/// Every story, for one way to keep stamps.
pub fn all(ledger: LedgerMode) -> Vec<Story> {
    let kind = Kind::new(ledger, true);
    let story = |name, parts| Story { name, kind, parts };
    let second = || put("k", SECOND, "second");
    let third = || put("k", THIRD, "third");
    let mut all = vec![
        story("put", vec![part(0, 0, vec![second(), get("k")])]),
        story(
            "newer-at-once",
            vec![part(0, 0, vec![second()]), part(1, 0, vec![third(), get("k")])],
        ),
        story(
            "newer-after",
            vec![part(0, 0, vec![second()]), part(1, 3, vec![third()])],
        ),
        story(
            "older-after",
            vec![part(0, 0, vec![third()]), part(1, 3, vec![second(), get("k")])],
        ),
        story(
            "out-then-older",
            vec![
                part(0, 0, vec![out()]),
                part(1, 3, vec![put("k", OLDER, "older"), get("k")]),
            ],
        ),
        story(
            "out-at-once",
            vec![part(0, 0, vec![out(), get("k")]), part(1, 0, vec![second()])],
        ),
        story("putnr-then-get", vec![pipelined(vec![silent(SECOND), get("k")])]),
        story(
            "pipelined",
            vec![pipelined(vec![second(), get("k"), third()]), part(1, 2, vec![get("k")])],
        ),
        story(
            "putlist",
            vec![part(0, 0, vec![list(), get("n")]), part(1, 4, vec![second()])],
        ),
    ];
    for tie in [Tie::First, Tie::Greater] {
        let kind = Kind { tie, ..kind };
        let lesser = part(0, 0, vec![put("k", SECOND, "a")]);
        let greater = part(1, 1, vec![put("k", SECOND, "b"), get("k")]);
        let name = if tie == Tie::First { "tie-first" } else { "tie-greater" };
        let parts = vec![lesser, greater];
        all.push(Story { name, kind, parts });
    }
    let kind = Kind {
        verify_reads: true,
        ..kind
    };
    let parts = vec![
        part(0, 0, vec![get("k"), get("n")]),
        part(1, 0, vec![second(), get("k")]),
    ];
    all.push(Story {
        name: "verified",
        kind,
        parts,
    });
    all
}
