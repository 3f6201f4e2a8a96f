//! A key with what was written for it, and what is said where that is a mistake.

use std::fmt::Display;

use super::error::UsageError;
use super::file::SourceFile;
use super::value::{Place, Value, Values, variable};

/// A key with what was written for it in the highest layer that names it.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// What the key is called in messages is this, and then the key.
    table: &'static str,
    key: &'static str,
    pub(super) value: &'a Value,
    file: Option<&'a SourceFile>,
}

impl<'a> Field<'a> {
    /// A flag that is no key of a file, such as those of `bench`.
    pub(super) fn of_flag(name: &'static str, value: &'a Value) -> Self {
        Self {
            table: "",
            key: name,
            value,
            file: None,
        }
    }

    /// What the key is called in messages.
    pub(super) fn name(&self) -> String {
        format!("{}{}", self.table, self.key)
    }

    /// The text that was written, where it is one.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.value.as_text()
    }

    /// Reads each element of a list, which is not what is `allowed` where it is no list.
    pub(super) fn each<T>(
        &self,
        allowed: impl Display,
        read: impl Fn(Self) -> Result<T, UsageError>,
    ) -> Result<Vec<T>, UsageError> {
        let list = self.value.as_list().ok_or_else(|| self.refuse_value(allowed))?;
        list.iter().map(|value| read(Self { value, ..*self })).collect()
    }

    /// The mistake that the value is not among what is allowed.
    pub(super) fn refuse_value(&self, allowed: impl Display) -> UsageError {
        self.refuse(format_args!("{} is {}", self.name(), self.value.raw), allowed)
    }

    /// A mistake in this key.
    pub(super) fn refuse(&self, problem: impl Display, allowed: impl Display) -> UsageError {
        UsageError::new(self.place(), problem, allowed)
    }

    /// Where the value was written, in the operator's words.
    pub(super) fn place(&self) -> String {
        match (self.value.place, self.file) {
            (Place::Flag(name), _) => format!("--{name}"),
            (Place::Variable(name), _) => variable(name),
            (Place::File(offset), Some(file)) => file.place(offset),
            (Place::File(_), None) => DEFAULT.to_owned(),
        }
    }
}

/// The place of what nobody has written.
const DEFAULT: &str = "default";

/// All that was written in one table: the whole of a file but its `[[listener]]`, with the layers over it, or one of these.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    /// What its keys have in front of them in messages.
    pub(super) table: &'static str,
    pub(super) values: &'a Values,
    pub(super) file: Option<&'a SourceFile>,
}

impl<'a> Fields<'a> {
    /// The key with what was written for it, where anything was.
    pub(super) fn get(&self, key: &'static str) -> Option<Field<'a>> {
        self.values.get(key).map(|value| self.field(key, value))
    }

    /// The key with this value.
    pub(super) fn field(&self, key: &'static str, value: &'a Value) -> Field<'a> {
        Field {
            table: self.table,
            key,
            value,
            file: self.file,
        }
    }

    /// What the key is called in messages.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.table)
    }

    /// A mistake in this key, whether it was written or not.
    pub(super) fn refuse(&self, key: &'static str, problem: impl Display, allowed: impl Display) -> UsageError {
        let place = self.get(key).map_or_else(|| DEFAULT.to_owned(), |field| field.place());
        UsageError::new(place, problem, allowed)
    }
}
