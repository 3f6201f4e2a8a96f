//! One key on its way from written to validated.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::address::AddressError;
use super::error::{UsageError, quoted};
use super::given::{Given, Place, Raw, variable};
use super::measure::{read_duration, read_size, write_duration, write_size};
use super::names::{Names, meaning, words};
use super::written::SourceFile;

/// A key, what was written for it, and the file it may have been written in.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) key: &'static str,
    pub(super) given: Option<&'a Given>,
    pub(super) file: Option<&'a SourceFile>,
}

impl<'a> Item<'a> {
    /// A whole number.
    pub(super) fn integer(&self, range: RangeInclusive<u64>, default: u64) -> Result<u64, UsageError> {
        let allowed = || format!("a whole number from {} to {}", range.start(), range.end());
        self.read(default, allowed, |raw| {
            whole(raw).filter(|number| range.contains(number))
        })
    }

    /// A whole number of things in memory.
    pub(super) fn count(&self, range: RangeInclusive<u64>, default: usize) -> Result<usize, UsageError> {
        self.integer(range, default as u64).map(fitting)
    }

    /// A number of bytes.
    pub(super) fn size(&self, range: RangeInclusive<u64>, default: u64) -> Result<u64, UsageError> {
        let (min, max) = (write_size(*range.start()), write_size(*range.end()));
        let allowed = || format!("a size such as \"64MiB\", from {min} to {max}");
        let read = |raw: &Raw| match raw {
            Raw::Text(text) => read_size(text),
            raw => whole(raw),
        };
        self.read(default, allowed, |raw| read(raw).filter(|size| range.contains(size)))
    }

    /// A number of bytes in memory.
    pub(super) fn bytes(&self, range: RangeInclusive<u64>, default: usize) -> Result<usize, UsageError> {
        self.size(range, default as u64).map(fitting)
    }

    /// A length of time.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>, default: Duration) -> Result<Duration, UsageError> {
        let (min, max) = (write_duration(*range.start()), write_duration(*range.end()));
        let allowed = || format!("a duration such as \"500ms\" or \"2s\", from {min} to {max}");
        self.read(default, allowed, |raw| {
            read_duration(text(raw)?).filter(|duration| range.contains(duration))
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, names: &Names<T>, default: T) -> Result<T, UsageError> {
        self.read(default, || words(names), |raw| meaning(names, text(raw)?))
    }

    /// Yes or no.
    pub(super) fn truth(&self, default: bool) -> Result<bool, UsageError> {
        self.read(
            default,
            || "true, false",
            |raw| match raw {
                Raw::Truth(truth) => Some(*truth),
                _ => None,
            },
        )
    }

    /// The absolute path of a file; nothing where it is empty.
    pub(super) fn file(&self) -> Result<Option<PathBuf>, UsageError> {
        self.absolute("the absolute path of a file, or nothing between the quotes for none")
    }

    /// The absolute path of a folder; nothing where it is empty.
    pub(super) fn folder(&self) -> Result<Option<PathBuf>, UsageError> {
        self.absolute("the absolute path of a folder, or nothing between the quotes for none")
    }

    fn absolute(&self, allowed: &'static str) -> Result<Option<PathBuf>, UsageError> {
        self.read(
            None,
            || allowed,
            |raw| match text(raw)? {
                "" => Some(None),
                path => (path.starts_with('/') && !path.chars().any(char::is_control)).then(|| Some(path.into())),
            },
        )
    }

    /// What `read` makes of a text.
    pub(super) fn parsed<T>(
        &self,
        default: T,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, UsageError> {
        self.read(default, || allowed, |raw| read(text(raw)?))
    }

    /// An address of some kind.
    pub(super) fn address<T>(&self, allowed: &str, default: T) -> Result<T, UsageError>
    where
        T: FromStr<Err = AddressError>,
    {
        self.given
            .map_or(Ok(default), |given| self.read_address(given, allowed))
    }

    /// The address that was written.
    pub(super) fn read_address<T>(&self, given: &Given, allowed: &str) -> Result<T, UsageError>
    where
        T: FromStr<Err = AddressError>,
    {
        let text = text(&given.raw).ok_or_else(|| self.refuse_value(given, allowed))?;
        text.parse()
            .map_err(|error: AddressError| self.refuse(format_args!("{} {}", self.key, error.problem), error.allowed))
    }

    /// The value, where it was written in any layer.
    fn read<T, A: Display>(
        &self,
        default: T,
        allowed: impl FnOnce() -> A,
        read: impl FnOnce(&Raw) -> Option<T>,
    ) -> Result<T, UsageError> {
        match self.given {
            None => Ok(default),
            Some(given) => read(&given.raw).ok_or_else(|| self.refuse_value(given, allowed())),
        }
    }

    /// The mistake that the value is not among what is allowed.
    pub(super) fn refuse_value(&self, given: &Given, allowed: impl Display) -> UsageError {
        self.refuse(format_args!("{} is {}", self.key, given.raw), allowed)
    }

    /// A mistake in this key.
    pub(super) fn refuse(&self, problem: impl Display, allowed: impl Display) -> UsageError {
        UsageError::new(self.place(), problem, allowed)
    }

    /// Where the key was written, in the operator's words.
    pub(super) fn place(&self) -> String {
        match (self.given.map(|given| given.place), self.file) {
            (Some(Place::Flag(name)), _) => format!("--{name}"),
            (Some(Place::Variable(name)), _) => variable(name),
            (Some(Place::File(offset)), Some(file)) => file.place(offset),
            _ => "default".to_owned(),
        }
    }

    /// The same key with another value, such as an element of its list.
    pub(super) fn with(&self, given: &'a Given) -> Self {
        Self {
            given: Some(given),
            ..*self
        }
    }
}

/// The text of a value that is one.
pub(super) fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) => Some(text),
        _ => None,
    }
}

/// A whole number, from a file or from the text of a flag or a variable.
fn whole(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Integer(number) => u64::try_from(*number).ok(),
        Raw::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// A number that every machine of 64 bits can count to.
fn fitting(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A script function's name is an argument of a request, of less than 1024 bytes.
pub(super) fn function_name(name: &str) -> Result<(), String> {
    if (1..1024).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!("{} is no function's name", quoted(name)))
}
