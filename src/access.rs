//! Who may connect to a listener ([`networks`]), which keys its clients may name ([`keys`]), and which commands they may
//! give: Tyrant's own mask, by its names and groups.
//!
//! One table for all protocols: a request of memcached's or of HTTP is the command that it stands for. Which these are,
//! and the groups, are those of `ttserver -mask` (1.1.41).

pub mod keys;
pub mod networks;

use std::fmt;

use crate::command::function::{Function, until_nul};
use crate::command::{Command, Verb};
use crate::protocol::tyrant::opcode::{Opcode, TABLE};
use crate::protocol::{Protocol, Protocols};

/// What a mask can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Everything.
    All,
    /// A group of commands.
    Group(Group),
    /// One command.
    Command(Verb),
    /// Every command of a protocol.
    Protocol(Protocol),
    /// `copy` with a path that begins with `@`: the server runs what is behind it as a program.
    CopyCommand,
}

/// What commands are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// `allread`
    Read,
    /// `allwrite`
    Write,
    /// `allmanage`
    Manage,
}

/// The group of a command; `ext` and `repl` are in none, as with the server.
fn group(verb: Verb) -> Option<Group> {
    match verb {
        Verb::Get
        | Verb::Mget
        | Verb::Vsiz
        | Verb::IterInit
        | Verb::IterNext
        | Verb::FwmKeys
        | Verb::Rnum
        | Verb::Size
        | Verb::Stat => Some(Group::Read),
        Verb::Put
        | Verb::PutKeep
        | Verb::PutCat
        | Verb::PutShl
        | Verb::PutNr
        | Verb::Out
        | Verb::AddInt
        | Verb::AddDouble
        | Verb::Vanish
        | Verb::Misc => Some(Group::Write),
        Verb::Sync | Verb::Optimize | Verb::Copy | Verb::Restore | Verb::SetMst => Some(Group::Manage),
        Verb::Ext | Verb::Repl => None,
    }
}

/// What a command is denied with, for it does the same in another form, or more of it.
fn denied_with(verb: Verb) -> Option<Verb> {
    match verb {
        Verb::Mget => Some(Verb::Get),
        Verb::PutNr => Some(Verb::Put),
        Verb::Vanish => Some(Verb::Out),
        _ => None,
    }
}

/// The names that are no command's.
const GROUPS: [(&str, Subject); 7] = [
    ("all", Subject::All),
    ("allorg", Subject::Protocol(Protocol::Binary)),
    ("allmc", Subject::Protocol(Protocol::Memcached)),
    ("allhttp", Subject::Protocol(Protocol::Http)),
    ("allread", Subject::Group(Group::Read)),
    ("allwrite", Subject::Group(Group::Write)),
    ("allmanage", Subject::Group(Group::Manage)),
];

/// Ours alone: the server's mask has no word for it.
const COPY_COMMAND: &str = "copy_command";

impl Subject {
    /// What is called `name`.
    pub fn named(name: &str) -> Option<Self> {
        if name == COPY_COMMAND {
            return Some(Self::CopyCommand);
        }
        let group = GROUPS.iter().find(|(group, _)| *group == name);
        let command = || TABLE.iter().find(|row| row.name == name);
        group
            .map(|(_, subject)| *subject)
            .or_else(|| command().map(|row| Self::Command(row.verb)))
    }

    /// Every name, with commas between.
    pub fn names() -> String {
        let groups = GROUPS.iter().map(|(name, _)| *name);
        let commands = TABLE.iter().map(|row| row.name);
        let names: Vec<_> = groups.chain(commands).chain([COPY_COMMAND]).collect();
        names.join(", ")
    }

    /// How closely it names this command; nothing where it does not.
    fn closeness(self, verb: Verb) -> Option<u8> {
        match self {
            Self::All => Some(0),
            Self::Group(named) => (group(verb) == Some(named)).then_some(1),
            Self::Command(named) => (verb == named).then_some(3),
            Self::Protocol(_) | Self::CopyCommand => None,
        }
    }

    /// The same of what is denied, where a command goes with others that do what it does.
    fn closeness_of_denial(self, verb: Verb) -> Option<u8> {
        let with = || Some(Self::Command(denied_with(verb)?) == self);
        self.closeness(verb).or_else(|| with()?.then_some(2))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = GROUPS.iter().find(|(_, subject)| subject == self);
        match (group, self) {
            (Some((name, _)), _) => f.write_str(name),
            (None, Self::Command(verb)) => f.write_str(Opcode::of(*verb).name),
            (None, Self::CopyCommand) => f.write_str(COPY_COMMAND),
            (None, _) => Ok(()),
        }
    }
}

/// Which commands are denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// A bit for each verb.
    verbs: u32,
    protocols: Protocols,
    /// Whether a `copy` may have the server run a program.
    runs_programs: bool,
}

impl Default for Access {
    /// Denied are the commands that hand the whole store over or replace it: `repl`, `setmst`, `restore`; and `copy`,
    /// which writes wherever the server may.
    fn default() -> Self {
        Self {
            verbs: Self::WITH_COPIES.verbs | bit(Verb::Copy),
            ..Self::WITH_COPIES
        }
    }
}

impl Access {
    /// With every command allowed.
    pub const OPEN: Self = Self {
        verbs: 0,
        protocols: Protocols::NONE,
        runs_programs: true,
    };

    /// As by default, where copies have a folder of their own.
    pub const WITH_COPIES: Self = Self {
        verbs: bit(Verb::Repl) | bit(Verb::SetMst) | bit(Verb::Restore),
        protocols: Protocols::NONE,
        runs_programs: false,
    };

    /// With these allowed and those denied on top. Where several name a command, the closest name counts: the command's
    /// own goes before that of one which it is denied with, that before its group's, that before `all`. No
    /// subject may be in both lists. That a `copy` runs a program only its own name allows.
    ///
    /// The names of protocols stand apart: a command that came by a denied protocol is denied whatever else is said of
    /// it, `repl` excepted, as with the server.
    pub fn with(mut self, allow: &[Subject], deny: &[Subject]) -> Self {
        for Opcode { verb, .. } in TABLE {
            let allowed = allow.iter().filter_map(|subject| subject.closeness(verb)).max();
            let denied = deny
                .iter()
                .filter_map(|subject| subject.closeness_of_denial(verb))
                .max();
            match (allowed, denied) {
                (allowed, denied) if denied > allowed => self.verbs |= bit(verb),
                (Some(_), _) => self.verbs &= !bit(verb),
                _ => {}
            }
        }
        let names_copy =
            |subject: &Subject| *subject == Subject::CopyCommand || subject.closeness(Verb::Copy).is_some();
        if allow.contains(&Subject::CopyCommand) {
            self.runs_programs = true;
        } else if deny.iter().any(names_copy) {
            self.runs_programs = false;
        }
        for protocol in [Protocol::Binary, Protocol::Memcached, Protocol::Http] {
            let subject = Subject::Protocol(protocol);
            if deny.contains(&subject) {
                self.protocols.add(protocol);
            } else if allow.contains(&subject) || allow.contains(&Subject::All) {
                self.protocols.remove(protocol);
            }
        }
        self
    }

    /// The command that denies this one, which came by `protocol`: itself, or the one that its function of `misc`
    /// stands for.
    pub fn denies(self, protocol: Protocol, command: &Command) -> Option<Verb> {
        let verb = command.verb();
        let (like, shows) = match command {
            Command::Misc {
                function, arguments, ..
            } => (Function::like(function, arguments), shown_by(function)),
            Command::Copy { path } if until_nul(path).starts_with(b"@") => {
                let is_allowed = self.runs_programs && !self.protocols.serve(protocol);
                return (!is_allowed).then_some(verb);
            }
            _ => (None, None),
        };
        let mut asked = [Some(verb), like, shows].into_iter().flatten();
        asked.find(|verb| !self.allows(protocol, *verb))
    }

    /// Whether a command that came by this protocol may be given.
    pub fn allows(self, protocol: Protocol, verb: Verb) -> bool {
        self.verbs & bit(verb) == 0 && (verb == Verb::Repl || !self.protocols.serve(protocol))
    }

    /// What has to be allowed and denied beside `base` to have this.
    pub fn beside(self, base: Self) -> (Vec<Subject>, Vec<Subject>) {
        let (mut allow, mut deny) = (base.denied_beyond(self), self.denied_beyond(base));
        match (self.runs_programs, base.with(&allow, &deny).runs_programs) {
            (true, false) => allow.push(Subject::CopyCommand),
            (false, true) => deny.push(Subject::CopyCommand),
            _ => {}
        }
        // What would be denied with another command, and is not.
        allow.extend(base.with(&allow, &deny).denied_beyond(self));
        (allow, deny)
    }

    /// What is denied here and not there.
    fn denied_beyond(self, other: Self) -> Vec<Subject> {
        let verbs = TABLE.iter().map(|row| row.verb);
        let verbs = verbs.filter(|verb| self.verbs & !other.verbs & bit(*verb) != 0);
        let protocols = [Protocol::Binary, Protocol::Memcached, Protocol::Http].into_iter();
        let protocols = protocols.filter(|one| self.protocols.serve(*one) && !other.protocols.serve(*one));
        protocols
            .map(Subject::Protocol)
            .chain(verbs.map(Subject::Command))
            .collect()
    }
}

/// The command whose denial covers what a function of `misc` shows beside what it does: values.
fn shown_by(function: &[u8]) -> Option<Verb> {
    matches!(Function::named(function), Function::IterNext | Function::IterNextAll).then_some(Verb::Get)
}

const fn bit(verb: Verb) -> u32 {
    1 << verb as u32
}

#[cfg(test)]
mod tests;
