//! What a shell and a manual are told about the command line.

use std::str::FromStr;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::flags::CommandLine;
use crate::config::{UsageError, quoted};
use crate::manual::{self, PAGES, Page};

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

/// A page of the manual, the page of a command for man, or, where nothing is named, what there is of both.
pub(super) fn man(named: Option<&str>) -> Result<String, UsageError> {
    let mut whole = CommandLine::command();
    whole.build();
    let Some(name) = named else {
        let (topics, commands) = (manual::contents(), commands(&whole));
        return Ok(format!(
            "ttguard man TOPIC prints a page of the manual:\n\n{topics}\n\
             ttguard man COMMAND prints the page of a command, for man (ttguard man serve | man -l -):\n\n  {commands}\n"
        ));
    };
    if let Some(page) = Page::on(name) {
        return Ok(page.plain());
    }
    let command = if name == whole.get_name() {
        Some(&whole)
    } else {
        whole.get_subcommands().find(|command| command.get_name() == name)
    };
    let page = command.ok_or_else(|| {
        let topics: Vec<_> = PAGES.iter().map(|page| page.topic).collect();
        let allowed = format!("{}; {}", topics.join(", "), commands(&whole));
        UsageError::new(
            "man",
            format_args!("{} is no topic and no command", quoted(name)),
            allowed,
        )
    })?;
    let mut text = Vec::new();
    clap_mangen::Man::new(page.clone())
        .render(&mut text)
        .map_err(|error| UsageError::new("man", error, "a page that can be written"))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What has a page for man, with commas between.
fn commands(whole: &Command) -> String {
    let names = std::iter::once(whole)
        .chain(whole.get_subcommands())
        .map(Command::get_name);
    names.collect::<Vec<_>>().join(", ")
}
