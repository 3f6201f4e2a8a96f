//! A command line that cannot be read, in one line.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use super::flags::CommandLine;
use crate::config::{UsageError, quoted};

/// Clap's several lines as one: where, what, and what is allowed.
pub(super) fn usage_error(error: &clap::Error, args: &[OsString]) -> UsageError {
    let command = CommandLine::command();
    let named = subcommand(&command, args);
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    let flag = argument
        .split_whitespace()
        .next()
        .unwrap_or("the command line")
        .to_owned();
    match error.kind() {
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            UsageError::new("ttguard", "no subcommand", subcommands(&command))
        }
        ErrorKind::InvalidSubcommand => {
            let word = context(ContextKind::InvalidSubcommand);
            UsageError::new(
                "ttguard",
                format_args!("unknown subcommand {}", quoted(&word)),
                subcommands(&command),
            )
        }
        ErrorKind::UnknownArgument if flag.starts_with('-') => {
            UsageError::new(flag, "unknown flag", allowed(&command, named))
        }
        ErrorKind::UnknownArgument => {
            UsageError::new(quoted(&argument), "belongs to no flag", allowed(&command, named))
        }
        ErrorKind::ArgumentConflict => UsageError::new(flag, "given more than once", "once"),
        ErrorKind::InvalidValue | ErrorKind::TooFewValues | ErrorKind::NoEquals => {
            UsageError::new(flag, "has no value", argument)
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(missing)) => missing.join(" "),
                _ => String::new(),
            };
            UsageError::new(
                "the command line",
                format_args!("without {missing}"),
                allowed(&command, named),
            )
        }
        ErrorKind::InvalidUtf8 => UsageError::new("the command line", "a word that is no text", "UTF-8"),
        _ => UsageError::new(flag, first_line(error), allowed(&command, named)),
    }
}

/// The subcommand that the command line names.
fn subcommand<'a>(command: &'a Command, args: &[OsString]) -> Option<&'a Command> {
    let word = args
        .iter()
        .skip(1)
        .find_map(|arg| arg.to_str().filter(|arg| !arg.starts_with('-')));
    word.and_then(|word| command.find_subcommand(word))
}

fn subcommands(command: &Command) -> String {
    let names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    format!("{}, --help, --version", names.join(", "))
}

/// What may stand in this place: the subcommand's flags, or a subcommand.
fn allowed(command: &Command, named: Option<&Command>) -> String {
    let Some(named) = named else {
        return subcommands(command);
    };
    let places = named
        .get_positionals()
        .map(|place| format!("<{}>", place.get_id().as_str().to_uppercase()));
    let flags = named.get_arguments().filter_map(|argument| argument.get_long());
    let mut words: Vec<_> = places.chain(flags.map(|flag| format!("--{flag}"))).collect();
    words.push("--help".to_owned());
    words.join(", ")
}

/// Clap's own words, for what has none of ours.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}
