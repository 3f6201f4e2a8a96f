//! A command line that cannot be read, in one line.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory};

use super::flags::CommandLine;
use crate::admin::access;
use crate::config::{UsageError, flags, nearest, quoted, variable};

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
            let meant = meant(&word, "", command.get_subcommands().map(Command::get_name));
            UsageError::new(
                "ttguard",
                format_args!("unknown subcommand {}{meant}", quoted(&word)),
                subcommands(&command),
            )
        }
        ErrorKind::UnknownArgument if flag.starts_with('-') => {
            let flags = named
                .into_iter()
                .flat_map(Command::get_arguments)
                .filter_map(Arg::get_long);
            let meant = meant(flag.trim_start_matches('-'), "--", flags);
            UsageError::new(flag, format_args!("unknown flag{meant}"), allowed(&command, named))
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

/// What was most likely meant by a word.
fn meant<'a>(word: &str, dashes: &str, among: impl Iterator<Item = &'a str>) -> String {
    nearest(word, among).map_or(String::new(), |meant| format!(", did you mean {dashes}{meant}?"))
}

/// The mistake that one of these variables is nearly one of ours. Others begin like ours too: a cluster sets some for each
/// service, by its name.
pub(super) fn misspelt(names: impl IntoIterator<Item = String>) -> Option<UsageError> {
    let ours = flags()
        .into_iter()
        .map(|(flag, _)| flag.name)
        .chain(["config"])
        .map(variable);
    let ours: Vec<String> = ours.chain([access::VARIABLE.to_owned()]).collect();
    let mut mistakes = names
        .into_iter()
        .filter(|name| name.starts_with("TTGUARD_"))
        .filter_map(|name| {
            let meant = nearest(&name, ours.iter().map(String::as_str))?.to_owned();
            (!ours.contains(&name)).then_some((name, meant))
        });
    let (name, meant) = mistakes.next()?;
    let problem = format_args!("is no variable of ttguard, did you mean {meant}?");
    Some(UsageError::new(
        &name,
        problem,
        format_args!("{meant}, or no such variable"),
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_told_and_others_are_left_alone() {
        let said = |name: &str| misspelt([name.to_owned()]).map(|mistake| mistake.to_string());
        let line = said("TTGUARD_LANE").expect("a mistake");
        assert!(
            line.starts_with("TTGUARD_LANE: is no variable of ttguard, did you mean TTGUARD_LANES?"),
            "{line}"
        );
        for name in [
            "TTGUARD_LANES",
            "TTGUARD_ADMIN_TOKEN",
            "TTGUARD_CONFIG",
            "TTGUARD_PORT",
            "TTGUARD_SERVICE_HOST",
            "TTGUARD_PORT_1978_TCP_ADDR",
            "LANES",
        ] {
            assert_eq!(said(name), None, "{name}");
        }
    }
}
