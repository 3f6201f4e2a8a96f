//! What a shell and a manual are told about the command line.

use std::str::FromStr;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::flags::CommandLine;
use crate::config::{UsageError, quoted};

/// The script that makes a shell complete ttguard's words.
pub(super) fn completions(shell: Option<&str>) -> Result<String, UsageError> {
    let allowed = "bash, elvish, fish, powershell, zsh";
    let named = shell.ok_or_else(|| UsageError::new("completions", "no shell named", allowed))?;
    let shell = Shell::from_str(named)
        .map_err(|_| UsageError::new("completions", format_args!("{} is no shell", quoted(named)), allowed))?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "ttguard", &mut script);
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// The manual page of ttguard, or of one of its commands, as man reads it.
pub(super) fn man(named: Option<&str>) -> Result<String, UsageError> {
    let mut whole = CommandLine::command();
    whole.build();
    let page = match named {
        None => whole,
        Some(name) => {
            let found = whole
                .get_subcommands()
                .find(|command| command.get_name() == name)
                .cloned();
            found.ok_or_else(|| {
                let names: Vec<_> = whole.get_subcommands().map(Command::get_name).collect();
                UsageError::new("man", format_args!("{} is no command", quoted(name)), names.join(", "))
            })?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| UsageError::new("man", error, "a page that can be written"))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
