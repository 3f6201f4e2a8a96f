//! The requests that are cut, each with its only right answers.

use bytes::Bytes;
use ttguard::command::{Command, Reply, Verb};

use super::small::{EPOCH, put, value};

/// The stamp that every key begins with.
pub const FIRST: u64 = EPOCH - 5000;

/// The stamp of what is written.
pub const SECOND: u64 = EPOCH - 2000;

/// What is there at the start: `k` and `o`. Every other key is absent.
pub const PRESENT: [&str; 2] = ["k", "o"];

/// Some requests that are sent in one go, and what they are answered.
pub struct Request {
    pub name: &'static str,
    pub commands: Vec<Command>,
    pub answers: Vec<Reply>,
}

impl Request {
    /// Whether the guard is asked at all: what it knows beforehand makes no difference to a read.
    pub fn is_judged(&self) -> bool {
        let reads = [
            "get",
            "get-miss",
            "mget",
            "vsiz",
            "rnum",
            "fwmkeys",
            "iterate",
            "misc-get",
            "misc-get-miss",
        ];
        !reads.contains(&self.name)
    }
}

/// What `k` holds at the start.
pub fn first_value() -> Bytes {
    value(FIRST, "first")
}

fn key(name: &'static str) -> Bytes {
    Bytes::from(name)
}

fn strings(code: u8, strings: &[Bytes]) -> Reply {
    Reply::Strings {
        code,
        strings: strings.to_vec(),
    }
}

fn misc(name: &'static str, function: &'static str, arguments: Vec<Bytes>, answer: Reply) -> Request {
    let command = Command::Misc {
        function: key(function),
        options: 0,
        arguments,
    };
    one(name, command, answer)
}

fn one(name: &'static str, command: Command, answer: Reply) -> Request {
    let is_silent = command.verb() == Verb::PutNr;
    Request {
        name,
        commands: vec![command],
        answers: if is_silent { Vec::new() } else { vec![answer] },
    }
}

/// Every request.
pub fn all() -> Vec<Request> {
    let (first, second) = (first_value(), value(SECOND, "second"));
    let mut all = writes(&second);
    all.extend(reads(&first));
    all.extend([
        misc("misc-put", "put", vec![key("k"), second.clone()], strings(0, &[])),
        misc(
            "misc-get",
            "get",
            vec![key("k")],
            strings(0, std::slice::from_ref(&first)),
        ),
        misc("misc-get-miss", "get", vec![key("n")], strings(1, &[])),
        misc(
            "putlist",
            "putlist",
            vec![key("k"), second.clone(), key("n"), second],
            strings(0, &[]),
        ),
        misc("outlist", "outlist", vec![key("k")], strings(0, &[])),
        misc("misc-out", "out", vec![key("k")], strings(0, &[])),
    ]);
    all
}

fn writes(second: &Bytes) -> Vec<Request> {
    let keep = |name: &'static str| Command::PutKeep {
        key: key(name),
        value: second.clone(),
    };
    let silent = Command::PutNr {
        key: key("k"),
        value: second.clone(),
    };
    let append = Command::PutCat {
        key: key("k"),
        value: key("more"),
    };
    let add = Command::AddInt {
        key: key("n"),
        number: 5,
    };
    vec![
        one("put", put("k", SECOND, "second"), Reply::OK),
        one("putkeep", keep("n"), Reply::OK),
        one("putkeep-kept", keep("k"), Reply::Code(1)),
        one("putnr", silent, Reply::OK),
        one("out", Command::Out { key: key("k") }, Reply::OK),
        one("out-nothing", Command::Out { key: key("n") }, Reply::Code(1)),
        one("putcat", append, Reply::OK),
        one("addint", add, Reply::Number(5)),
    ]
}

fn reads(first: &Bytes) -> Vec<Request> {
    let keys = vec![key("k"), key("n")];
    let list = Command::FwmKeys {
        prefix: Bytes::new(),
        max: -1,
    };
    let iterate = Request {
        name: "iterate",
        commands: vec![Command::IterInit, Command::IterNext],
        answers: vec![Reply::OK, Reply::Value(key("k"))],
    };
    vec![
        one("get", Command::Get { key: key("k") }, Reply::Value(first.clone())),
        one("get-miss", Command::Get { key: key("n") }, Reply::Code(1)),
        one(
            "mget",
            Command::Mget { keys },
            Reply::Records(vec![(key("k"), first.clone())]),
        ),
        one(
            "vsiz",
            Command::Vsiz { key: key("k") },
            Reply::Number(first.len() as i32),
        ),
        one("rnum", Command::Rnum, Reply::Count(2)),
        one("fwmkeys", list, Reply::Keys(vec![key("k"), key("o")])),
        iterate,
    ]
}
