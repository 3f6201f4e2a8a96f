//! What a client is told of a command that is denied here.

use std::time::{Duration, Instant};

use super::Engine;
use super::apart::MANY;
use super::failure::Failure;
use crate::command::function::Function;
use crate::command::{Answer, Command, Kind, Verb};
use crate::config::ListenerSettings;
use crate::guard::verdict::Refusal;
use crate::logging::RateLimit;
use crate::protocol::answer::Form;
use crate::protocol::tyrant::dialect::Dialect;
use crate::protocol::tyrant::opcode::Opcode;

/// How long a hint is not repeated.
const HINT_INTERVAL: Duration = Duration::from_secs(60);

/// Counts a denied command; what it is answered, or why it is not.
pub fn denial(engine: &Engine, command: &Command, form: Form) -> Result<Answer, Failure> {
    let verb = command.verb();
    engine.shared.metrics.denied.of(verb).increment(1);
    if form.is_binary() && tells_of_records(command) {
        return Err(Failure::RefusedCommand);
    }
    Ok(engine.refusal_answer(verb, Refusal::Denied))
}

/// As [`denial`], for a command that was found to concern keys which are denied here when it had been taken up.
pub fn denial_for_keys(
    engine: &Engine,
    listener: &ListenerSettings,
    command: &Command,
    form: Form,
) -> Result<Answer, Failure> {
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
pub fn tells_of_records(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => Function::named(function).tells_of_records(),
        other => matches!(Opcode::of(other.verb()).kind, Kind::Read | Kind::Iterate | Kind::Stream),
    }
}

/// Counts and says once in a while what was denied.
pub fn note(by: Verb, barred: bool, dialect: Dialect) {
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
