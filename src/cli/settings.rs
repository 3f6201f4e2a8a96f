//! The flags that stand for settings, by the rows of these.

use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::config::{Layer, Takes, flags};

/// Which of them a subcommand has.
pub(super) trait Choice {
    /// Whether it has the flag of this name.
    fn has(flag: &str) -> bool;
}

/// Every one.
pub(super) struct All;

impl Choice for All {
    fn has(_: &str) -> bool {
        true
    }
}

/// Those that say how stamps are read.
pub(super) struct OfStamps;

impl Choice for OfStamps {
    fn has(flag: &str) -> bool {
        matches!(flag, "stamp-digits" | "stamp-unit" | "stamp-source" | "ledger")
    }
}

/// What was written in these flags. Every value is taken as text: files, variables and flags are then read, and refused,
/// by the same code.
pub(super) struct SettingFlags<C> {
    pub(super) layer: Layer,
    choice: PhantomData<C>,
}

impl<C: Choice> Args for SettingFlags<C> {
    fn augment_args(command: Command) -> Command {
        let flags = flags().into_iter().filter(|(flag, _)| C::has(flag.name));
        command.args(flags.map(|(flag, help)| {
            let action = match flag.takes {
                Takes::Repeats => ArgAction::Append,
                Takes::One | Takes::Commas | Takes::Switch => ArgAction::Set,
            };
            let arg = Arg::new(flag.name)
                .long(flag.name)
                .value_name(flag.value)
                .action(action)
                .help(help);
            match flag.takes {
                Takes::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                _ => arg,
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Choice> FromArgMatches for SettingFlags<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let texts = |name| {
            // To ask for a flag that the subcommand does not have would be a mistake of ours.
            let texts = C::has(name).then(|| matches.get_many::<String>(name)).flatten();
            texts.into_iter().flatten().cloned().collect()
        };
        Ok(Self {
            layer: Layer::of_flags(texts),
            choice: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
