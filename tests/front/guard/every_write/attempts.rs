//! Every opcode and every function of `misc`, each with a late packet, and what is to become of it.

use ttguard::command::Verb;
use ttguard::command::function::{Function, NAMES};
use ttguard::protocol::tyrant::opcode::TABLE;

use crate::support::frame;
use crate::support::stamped::Clock;

/// What must be seen of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The guard refuses it as stale: the record is what it was.
    Refused,
    /// The guard refuses it for its key: the record is what it was.
    DeniedKey,
    /// It may change the record, and is counted under this verdict.
    Policy(&'static str),
    /// The listener's mask denies it: the record is what it was.
    Denied,
    /// It changes no record, ever.
    Harmless,
}

/// The kind of record in front of which all this is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Values,
    Columns,
    Numbers,
}

pub struct Attempt {
    pub name: String,
    pub request: Vec<u8>,
    pub fate: Fate,
}

/// A record and what would replace it.
pub struct Packet {
    pub kind: Kind,
    pub key: String,
    pub new: Vec<u8>,
    pub old: Vec<u8>,
}

impl Packet {
    pub fn of(kind: Kind, number: usize, clock: Clock) -> Self {
        let value = |offset| match kind {
            Kind::Columns => format!("a\0x\0ts\0{}", clock.text(offset)).into_bytes(),
            _ => clock.value(offset),
        };
        let key = match kind {
            Kind::Numbers => format!("{}", 100 + number),
            _ => format!("key {number}"),
        };
        Self {
            kind,
            key,
            new: value(0),
            old: value(-60_000),
        }
    }

    /// Behind the key: the value, or the columns one by one.
    fn strings(&self) -> Vec<&[u8]> {
        match self.kind {
            Kind::Columns => self.old.split(|byte| *byte == 0).collect(),
            _ => vec![&self.old],
        }
    }
}

/// Every command, tried at one record.
fn command(verb: Verb, packet: &Packet) -> (Vec<u8>, Fate) {
    let (key, old) = (packet.key.as_str(), packet.old.as_slice());
    match verb {
        Verb::Put => (frame::store(frame::PUT, key, old), Fate::Refused),
        Verb::PutKeep => (frame::store(frame::PUTKEEP, key, old), Fate::Refused),
        Verb::PutNr => (frame::store(frame::PUTNR, key, old), Fate::Refused),
        // Columns are merged into a row, and carry a stamp like any others.
        Verb::PutCat if packet.kind == Kind::Columns => (frame::store(frame::PUTCAT, key, old), Fate::Refused),
        Verb::PutCat => (frame::store(frame::PUTCAT, key, old), Fate::Policy("unordered")),
        Verb::PutShl => (frame::putshl(key, old, 8), Fate::Policy("unordered")),
        Verb::AddInt => (frame::addint(key, 1), Fate::Policy("unordered")),
        Verb::AddDouble => (frame::adddouble(key, 1), Fate::Policy("unordered")),
        Verb::Ext => (frame::ext("nosuch", key, old), Fate::Policy("unordered")),
        Verb::Out => (frame::keyed(frame::OUT, key), Fate::Policy("deleted")),
        Verb::Vanish => (frame::bare(frame::VANISH), Fate::Policy("unguarded")),
        Verb::Restore => (frame::restore("/nowhere", 1), Fate::Denied),
        Verb::SetMst => (frame::setmst("nowhere", 1), Fate::Denied),
        Verb::Repl => (frame::repl(), Fate::Denied),
        Verb::Get => (frame::keyed(frame::GET, key), Fate::Harmless),
        Verb::Mget => (frame::mget(&[key]), Fate::Harmless),
        Verb::Vsiz => (frame::keyed(frame::VSIZ, key), Fate::Harmless),
        Verb::IterInit => (frame::bare(frame::ITERINIT), Fate::Harmless),
        Verb::IterNext => (frame::bare(frame::ITERNEXT), Fate::Harmless),
        Verb::FwmKeys => (frame::fwmkeys("", -1), Fate::Harmless),
        Verb::Sync => (frame::bare(frame::SYNC), Fate::Harmless),
        Verb::Optimize => (frame::keyed(frame::OPTIMIZE, ""), Fate::Harmless),
        Verb::Copy => (frame::copy("/nowhere/at/all"), Fate::Denied),
        Verb::Rnum => (frame::bare(frame::RNUM), Fate::Harmless),
        Verb::Size => (frame::bare(frame::SIZE), Fate::Harmless),
        Verb::Stat => (frame::bare(frame::STAT), Fate::Harmless),
        // Its functions are tried one by one.
        Verb::Misc => (frame::misc("error", &[]), Fate::Harmless),
    }
}

/// Every function of `misc`, tried at one record in every way that the server takes.
fn calls(name: &str, packet: &Packet) -> Vec<(String, Vec<Vec<u8>>, Fate)> {
    let key = packet.key.as_bytes();
    let stored = [&[key][..], &packet.strings()].concat();
    let call = |arguments: &[&[u8]], fate| {
        let arguments = arguments.iter().map(|argument| argument.to_vec()).collect();
        (name.to_owned(), arguments, fate)
    };
    match Function::named(name.as_bytes()) {
        Function::Put | Function::PutKeep => {
            let hidden = (format!("{name}\0more"), call(&stored, Fate::Refused).1, Fate::Refused);
            let more = [&stored[..], &[b"more"]].concat();
            vec![call(&stored, Fate::Refused), hidden, call(&more, Fate::Refused)]
        }
        Function::PutList => vec![
            call(&[key, &packet.old], Fate::Refused),
            call(&[key, &packet.old, b"odd"], Fate::Refused),
        ],
        Function::Unordered if name == "putcat" && packet.kind == Kind::Columns => {
            vec![call(&stored, Fate::Refused)]
        }
        // A table has no duplicates; there they fail.
        Function::Unordered if packet.kind == Kind::Columns => vec![call(&stored, Fate::Refused)],
        Function::Unordered => vec![call(&stored, Fate::Policy("unordered"))],
        Function::Out | Function::OutList => vec![call(&[key], Fate::Policy("deleted"))],
        Function::Vanish => vec![call(&[], Fate::Policy("unguarded"))],
        Function::Search => {
            let deletes = |word: &[u8]| call(&[word], Fate::Policy("unguarded"));
            vec![
                call(&[], Fate::Harmless),
                call(&[b"get\0out", b"OUT"], Fate::Harmless),
                deletes(b"out"),
                deletes(b"remove"),
                deletes(b"out\0more"),
            ]
        }
        Function::Read | Function::Scan | Function::IterInit => vec![call(&[key], Fate::Harmless)],
        Function::IterNext | Function::Control | Function::CountAll => vec![call(&[], Fate::Harmless)],
        // What they change is the record that keeps a stamp.
        Function::IterNextAll => vec![call(&[], Fate::Harmless), call(&[b"keys"], Fate::Harmless)],
        Function::Forget => [b"0".as_slice(), b"600000"]
            .map(|age| call(&[age, key], Fate::Harmless))
            .to_vec(),
        // Where clients give the stamps they do nothing.
        Function::Stamp | Function::Unstamp | Function::Stored => vec![call(&[key], Fate::Harmless)],
        Function::Mend | Function::Link => vec![call(&[key], Fate::Harmless)],
        Function::Unknown => vec![call(&stored, Fate::Policy("unguarded"))],
    }
}

pub fn attempts(packet: &Packet) -> Vec<Attempt> {
    let commands = TABLE.iter().map(|row| {
        let (request, fate) = command(row.verb, packet);
        (row.name.to_owned(), request, fate)
    });
    let names = NAMES.iter().map(|(name, _)| *name).chain(["nosuch"]);
    let functions = names
        .flat_map(|name| calls(name, packet))
        .map(|(name, arguments, fate)| {
            let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
            (
                format!("misc {name:?} {}", arguments.len()),
                frame::misc(&name, &arguments),
                fate,
            )
        });
    let scripts = [
        ("put_ts", Fate::Refused),
        ("put_ts\0more", Fate::Refused),
        ("keep_ts", Fate::Refused),
        ("out_ts", Fate::Policy("deleted")),
    ];
    let scripts = scripts.map(|(name, fate)| {
        let request = frame::ext(name, &packet.key, &packet.old);
        (format!("ext {name:?}"), request, fate)
    });
    // Other spellings of a key, which a fixed-length database takes for the same record, or for any.
    let spelled = |key: String, fate| {
        (
            format!("put {key:?}"),
            frame::store(frame::PUT, &key, &packet.old),
            fate,
        )
    };
    let keys = if packet.kind == Kind::Numbers {
        vec![
            spelled(format!("00{}", packet.key), Fate::Refused),
            spelled(format!(" {}x", packet.key), Fate::Refused),
            spelled("max".to_owned(), Fate::DeniedKey),
            spelled("next".to_owned(), Fate::DeniedKey),
        ]
    } else {
        let hidden = format!("timestamp.{}", packet.key);
        vec![spelled(hidden, Fate::DeniedKey)]
    };
    let all = commands.chain(functions).chain(scripts).chain(keys);
    all.map(|(name, request, fate)| Attempt { name, request, fate })
        .collect()
}
