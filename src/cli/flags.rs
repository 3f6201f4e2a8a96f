//! The subcommands and their flags.

use clap::{Args, Parser, Subcommand};

use super::bench::BenchFlags;
use super::console::{InspectFlags, TopFlags};
use super::maintenance::{GcFlags, RestampFlags, VerifyFlags};
use super::settings::{All, SettingFlags};
use super::transfer::{ExportFlags, TransferFlags};

/// A proxy for the Tokyo Tyrant protocol that refuses stale writes and pairs every answer with its question.
#[derive(Parser)]
#[command(name = "ttguard", version, propagate_version = true)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) action: Action,
}

#[derive(Subcommand)]
pub(super) enum Action {
    /// Serve clients. A flag goes before its variable TTGUARD_..., that before the file, that before the default
    Serve(Box<ServeFlags>),
    /// Validate a settings file and print the settings in effect; exit code 2 where there is a mistake
    Check(CheckFlags),
    /// Send load to any Tyrant server, measure it, and check every answer; exit code 1 where one was wrong
    Bench(Box<BenchFlags>),
    /// Store the records of a file of lines (key, tab, value) in any Tyrant server, through ttguard or not
    Import(TransferFlags),
    /// Write every record of any Tyrant server as a line (key, tab, value)
    Export(ExportFlags),
    /// Look through the stamps in any Tyrant server, through ttguard or not; exit code 1 where something is wrong
    Verify(VerifyFlags),
    /// Remove the tombstones of old deletes, through the ttguard that guards them
    Gc(GcFlags),
    /// Give a stamp to every value that has none, through the ttguard that gives stamps; older than any write's
    Stamp(RestampFlags),
    /// Take off the stamps that ttguard gave, through one that observes, so that clients may give them, or nobody
    Unstamp(RestampFlags),
    /// Ask a running ttguard for one key: stamps, ledger, what is under way, and what a write stamped now would get
    Inspect(InspectFlags),
    /// Watch a running ttguard in a terminal: the figures of its dashboard
    Top(TopFlags),
    /// Show what the guard does, with a store and clients of its own
    Demo,
    /// Print what a shell needs to complete ttguard's words: bash, elvish, fish, powershell or zsh
    Completions {
        #[arg(value_name = "SHELL")]
        shell: Option<String>,
    },
    /// Print a page of the manual, or that of a command for man; without a name, a list of them
    Man {
        #[arg(value_name = "TOPIC")]
        topic: Option<String>,
    },
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct ServeFlags {
    /// Settings file (TOML) [variable: TTGUARD_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,
    #[command(flatten)]
    pub(super) settings: SettingFlags<All>,
}

#[derive(Args)]
pub(super) struct CheckFlags {
    /// Settings file (TOML) [variable: TTGUARD_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,
    /// The file that a running ttguard was started with: say what a reload would say
    #[arg(long, value_name = "FILE")]
    pub(super) running: Option<String>,
}
