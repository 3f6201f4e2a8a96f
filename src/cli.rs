//! The command line: what was asked for, with settings that are whole and valid.

mod bench;
mod console;
mod flags;
mod maintenance;
mod mistake;
mod settings;
mod shell;
mod transfer;
mod ttserver;

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;

use crate::admin::access::{self, Access};
use crate::config::{
    AdminSettings, Becomes, BenchSettings, GcSettings, InspectSettings, Layer, NeedsRestart, Place, RestampSettings,
    Settings, SourceFile, TopSettings, TransferSettings, UsageError, VerifySettings, quoted, variable,
};
use crate::files;
use console::AdminFlags;
use flags::{Action, CheckFlags, CommandLine, ServeFlags};

/// Bytes of a settings file, at most: some hundred times the one that explains every key.
const FILE_MAX: u64 = 4 << 20;

/// What the process was asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    /// Serve clients.
    Serve(Box<Settings>),
    /// Print the settings in effect, an annotated TOML file that has been validated.
    Check(String),
    /// Send load to a server and measure it.
    Bench(Box<BenchSettings>),
    /// Store the records of a file in a server.
    Import(TransferSettings),
    /// Write the records of a server into a file.
    Export(TransferSettings),
    /// Look through the stamps in a server.
    Verify(VerifySettings),
    /// Remove the tombstones of old deletes.
    Gc(GcSettings),
    /// Give stamps, or take them off.
    Restamp(RestampSettings),
    /// Ask a running ttguard for one key.
    Inspect(InspectSettings),
    /// Show the figures of a running ttguard in a terminal.
    Top(TopSettings),
    /// Show what the guard does.
    Demo,
    /// Print this help or version.
    Print {
        /// The text, with its line ends.
        text: String,
    },
}

/// Reads the command line, of which the first word is the program's name. `env` looks up a variable.
///
/// Only the variables that have a flag are asked for: a cluster may well set others that begin like ours.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Invocation, UsageError> {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(mistake) = ttserver::mistaken(&args) {
        return Err(mistake);
    }
    let action = match CommandLine::try_parse_from(&args) {
        Ok(line) => line.action,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let text = error.render().to_string();
            return Ok(Invocation::Print { text });
        }
        Err(error) => return Err(mistake::usage_error(&error, &args)),
    };
    match action {
        Action::Serve(flags) => serve(*flags, env),
        Action::Check(flags) => check(flags, env),
        Action::Bench(flags) => Ok(Invocation::Bench(Box::new(flags.written().settings()?))),
        Action::Import(flags) => flags.settings().map(Invocation::Import),
        Action::Export(flags) => flags.settings().map(Invocation::Export),
        Action::Verify(mut flags) => {
            let (config, layer) = flags.stamps.take();
            let settings = layered(config, &env, layer)?;
            flags.settings(settings.rules).map(Invocation::Verify)
        }
        Action::Gc(mut flags) => {
            let (config, layer) = flags.stamps.take();
            let settings = layered(config, &env, layer)?;
            flags.settings(settings.rules).map(Invocation::Gc)
        }
        Action::Stamp(flags) => flags.settings(Becomes::Stamped).map(Invocation::Restamp),
        Action::Unstamp(flags) => flags.settings(Becomes::Unstamped).map(Invocation::Restamp),
        Action::Inspect(flags) => {
            let admin = running(&flags.admin, &env)?;
            Ok(Invocation::Inspect(flags.settings(admin)))
        }
        Action::Top(flags) => {
            let admin = running(&flags.admin, &env)?;
            Ok(Invocation::Top(flags.settings(admin)))
        }
        Action::Demo => Ok(Invocation::Demo),
        Action::Completions { shell } => shell::completions(shell.as_deref()).map(|text| Invocation::Print { text }),
        Action::Man { topic } => shell::man(topic.as_deref()).map(|text| Invocation::Print { text }),
    }
}

/// The mistake that a variable among these is nearly one that is read.
///
/// # Errors
/// Where there is such a one: what it says would be ignored.
pub fn check_variables(names: impl IntoIterator<Item = String>) -> Result<(), UsageError> {
    mistake::misspelt(names).map_or(Ok(()), Err)
}

/// Looks a variable up in the environment of the process. Bytes that are no text become replacement characters,
/// so that they are refused where they matter and never overlooked.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn serve(flags: ServeFlags, env: impl Fn(&str) -> Option<String>) -> Result<Invocation, UsageError> {
    let settings = layered(flags.config, &env, flags.settings.layer)?;
    Ok(Invocation::Serve(Box::new(settings)))
}

/// The settings by file, environment and flags.
fn layered(
    config: Option<String>,
    env: &impl Fn(&str) -> Option<String>,
    flags: Layer,
) -> Result<Settings, UsageError> {
    let file = file(config, env)?;
    Settings::from_layers(file.as_ref(), [Layer::of_environment(env), flags])
}

/// The admin listener of a ttguard with these settings.
fn running(flags: &AdminFlags, env: &impl Fn(&str) -> Option<String>) -> Result<AdminSettings, UsageError> {
    let settings = layered(flags.config.clone(), env, flags.layer())?;
    AdminFlags::listener(settings, env(access::VARIABLE))
}

/// The settings that `serve` would have with this file in this environment, and whether a process that runs by another
/// file could be told to read this one.
fn check(flags: CheckFlags, env: impl Fn(&str) -> Option<String>) -> Result<Invocation, UsageError> {
    let file =
        file(flags.config, &env)?.ok_or_else(|| UsageError::new("--config", "no file named", "--config FILE"))?;
    let settings = Settings::from_layers(Some(&file), [Layer::of_environment(&env)])?;
    if let Some(running) = flags.running {
        let running = read(running, Place::Flag("running"))?;
        let before = Settings::from_layers(Some(&running), [Layer::of_environment(&env)])?;
        before
            .reloadable(&settings)
            .map_err(|refused| UsageError::new(&file.name, refused.problem(), NeedsRestart::ALLOWED))?;
    }
    for listener in &settings.listeners {
        listener.identity()?;
    }
    for url in settings.upstreams() {
        settings.trust_of(url)?;
    }
    // As when it serves, but for what only a look-up or the token's file can tell.
    if let (Some(Ok(address)), None) = (
        settings.admin.as_ref().map(|admin| admin.parse()),
        &settings.admin_token_file,
    ) {
        Access::new(&settings, env(access::VARIABLE).as_deref())?.may_listen(address)?;
    }
    Ok(Invocation::Check(settings.to_toml()))
}

/// The settings file, where one is named.
fn file(flag: Option<String>, env: &impl Fn(&str) -> Option<String>) -> Result<Option<SourceFile>, UsageError> {
    let flag = flag.map(|name| (name, Place::Flag("config")));
    let named = flag.or_else(|| env(&variable("config")).map(|name| (name, Place::Variable("config"))));
    named.map(|(name, place)| read(name, place)).transpose()
}

fn read(name: String, place: Place) -> Result<SourceFile, UsageError> {
    let text = files::read_text(Path::new(&name), FILE_MAX).map_err(|problem| {
        let place = match place {
            Place::Variable(flag) => variable(flag),
            Place::Flag(flag) => format!("--{flag}"),
            Place::File(_) => name.clone(),
        };
        let problem = format!("cannot read {}: {problem}", quoted(&name));
        UsageError::new(place, problem, "a readable file of UTF-8 text")
    })?;
    Ok(SourceFile { name, text })
}

#[cfg(test)]
mod tests;
