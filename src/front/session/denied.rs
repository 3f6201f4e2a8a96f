//! Commands that the listener's settings deny.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{End, Item, Next, Session, Waiting};
use crate::backend::tyrant::greeting::DatabaseKind;
use crate::command::function::Function;
use crate::command::{Answer, Command, Kind, Verb};
use crate::config::ListenerSettings;
use crate::engine::Engine;
use crate::engine::apart::MANY;
use crate::guard::verdict::Refusal;
use crate::logging::RateLimit;
use crate::metrics::Outcome;
use crate::protocol::Protocol;
use crate::protocol::answer::Form;
use crate::protocol::tyrant::dialect::Dialect;
use crate::protocol::tyrant::opcode::Opcode;

/// How long a hint is not repeated.
const HINT_INTERVAL: Duration = Duration::from_secs(60);

impl Session {
    /// The command for which a request is denied here; nothing where it may be asked.
    pub fn denies(&self, item: &Item) -> Option<Verb> {
        let access = self.listener.access;
        let protocol = item.form.protocol();
        match &item.command {
            _ if item.barred => Some(item.command.verb()),
            // It is sent under another command's number, and in what unit its timestamp is nobody knows.
            Command::Restore { .. } if self.listener.dialect == Dialect::PyTyrant => Some(Verb::Restore),
            Command::Copy { .. } | Command::Restore { .. } if self.engine.settings().has_no_place_for_copies() => {
                Some(item.command.verb())
            }
            // It would be answered as if it were done.
            Command::Misc { .. } if self.engine.denies_misc() => Some(Verb::Misc),
            Command::Ext { function, .. }
                if let (true, Some(meaning)) = (
                    access.allows(protocol, Verb::Ext),
                    self.engine.settings().rules.ext_meaning(function),
                ) =>
            {
                let verb = meaning.verb();
                (!access.allows(protocol, verb)).then_some(verb)
            }
            // A script can touch any record.
            Command::Ext { .. } if !self.listener.keys.is_open() => Some(Verb::Ext),
            // memcached's `get` names several keys, and is `get` to the server's mask.
            Command::Mget { .. } if protocol == Protocol::Memcached => {
                (!access.allows(protocol, Verb::Get)).then_some(Verb::Get)
            }
            command => access.denies(protocol, command),
        }
    }

    /// Whether some keys are denied here, and what the backend keeps does not let one tell which keys a command is about:
    /// the keys of a fixed-length database are their digits, and in a skeleton a function of `misc` can mean anything.
    pub fn cannot_tell_keys(&self, command: &Command) -> bool {
        !self.listener.keys.is_open()
            && match self.engine.kind() {
                DatabaseKind::FixedLength => true,
                DatabaseKind::Foreign => matches!(command, Command::Misc { .. }),
                DatabaseKind::Hash | DatabaseKind::Memory | DatabaseKind::BPlusTree | DatabaseKind::Table => false,
            }
    }

    /// Answers a denied command, and counts it. In the binary protocol a read is not answered, for a client takes any
    /// code for "no record": the session ends instead.
    pub fn deny(self: &Rc<Self>, item: Item, by: Verb) -> Next {
        let is_unanswered = item.form.is_binary() && tells_of_records(&item.command);
        if is_unanswered && self.aloft() > 0 {
            // What was asked before is answered first.
            return Next::Wait(item, Waiting::Settled);
        }
        note(by, item.barred, self.listener.dialect);
        match denial(&self.engine, &item.command, item.form) {
            Ok(answer) => self.conclude(item.concluding(), Outcome::Refused, answer, self.turn()),
            Err(end) => self.fail(item.concluding(), end),
        }
        Next::Done
    }
}

/// Counts a denied command; what it is answered, or why it is not.
fn denial(engine: &Engine, command: &Command, form: Form) -> Result<Answer, End> {
    let verb = command.verb();
    engine.shared.metrics.denied.of(verb).increment(1);
    if form.is_binary() && tells_of_records(command) {
        return Err(End::RefusedCommand);
    }
    Ok(engine.refusal_answer(verb, Refusal::Denied))
}

/// As [`Session::deny`], for a command that was found to concern keys which are denied here when it had been taken up.
pub fn denial_for_keys(
    engine: &Engine,
    listener: &ListenerSettings,
    command: &Command,
    form: Form,
) -> Result<Answer, End> {
    note(command.verb(), true, listener.dialect);
    denial(engine, command, form)
}

/// Whether a command names so many keys that another thread looks at them, where some keys are denied.
pub fn is_long_list(command: &Command) -> bool {
    match command {
        Command::Mget { keys } => keys.len() > MANY,
        Command::Misc {
            function, arguments, ..
        } => {
            let is_list = matches!(Function::named(function), Function::PutList | Function::OutList);
            arguments.len() > MANY && (is_list || Function::lists(function))
        }
        _ => false,
    }
}

/// Whether a code alone could be taken for what is stored.
fn tells_of_records(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => Function::named(function).tells_of_records(),
        other => matches!(Opcode::of(other.verb()).kind, Kind::Read | Kind::Iterate | Kind::Stream),
    }
}

fn note(by: Verb, barred: bool, dialect: Dialect) {
    static LOG: RateLimit = RateLimit::new(HINT_INTERVAL);
    static RESTORE: RateLimit = RateLimit::new(HINT_INTERVAL);
    static COPY: RateLimit = RateLimit::new(HINT_INTERVAL);
    if by == Verb::Restore && dialect == Dialect::PyTyrant {
        if let Some(suppressed) = RESTORE.admit(Instant::now()) {
            tracing::warn!(
                suppressed,
                "a restore of PyTyrant was refused: the client sends it under the number of copy; restore with tcrmgr"
            );
        }
    } else if by == Verb::Copy && !barred {
        if let Some(suppressed) = COPY.admit(Instant::now()) {
            tracing::warn!(
                suppressed,
                "a copy was denied: for a store in a file store.copy_dir has to name a folder; in front of a server allow \
                 has to name copy, and copy_command where its path begins with @"
            );
        }
    } else if let Some(suppressed) = LOG.admit(Instant::now()) {
        let command = Opcode::of(by).name;
        tracing::warn!(
            command,
            suppressed,
            "{}",
            if barred {
                "a command was denied for the keys that it concerns: allow_keys, deny_keys and prefix say which"
            } else {
                "a command was denied: allow and deny say which are"
            }
        );
    }
}

/// Says what a `vanish` with bytes behind it was meant to be.
pub fn note_copy_of_pytyrant() {
    static LOG: RateLimit = RateLimit::new(HINT_INTERVAL);
    if let Some(suppressed) = LOG.admit(Instant::now()) {
        tracing::warn!(
            suppressed,
            "a vanish with bytes behind it was refused, nothing was deleted: this is how PyTyrant 1.1.17 sends a copy; \
             set dialect = \"pytyrant\" for the listener of such clients"
        );
    }
}
