//! One value as it was written, and where: before anything is known of its key.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::DeValue;

use super::error::quoted;

/// A value as it was written. Of any type: what is allowed is decided, and said, where the key is known.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Text(String),
    Integer(i128),
    Truth(bool),
    List(Vec<Value>),
    /// Something that no key takes, by its name.
    Other(&'static str),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// Where a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the file, so many bytes from its start.
    File(usize),
    /// In the environment variable of the flag with this name.
    Variable(&'static str),
    /// In the flag with this name.
    Flag(&'static str),
}

impl Place {
    /// The layer, by precedence: what is written in a greater one wins.
    pub(super) fn layer(self) -> u8 {
        match self {
            Self::File(_) => 0,
            Self::Variable(_) => 1,
            Self::Flag(_) => 2,
        }
    }
}

/// The environment variable of a flag, which is named without its dashes in front.
pub(crate) fn variable(flag: &str) -> String {
    format!("TTGUARD_{}", flag.replace('-', "_").to_ascii_uppercase())
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(super) raw: Raw,
    pub(super) place: Place,
}

/// What is written in one table, by key.
pub(super) type Values = BTreeMap<&'static str, Value>;

impl Value {
    /// A flag's or a variable's text.
    pub(crate) fn text(text: impl Into<String>, place: Place) -> Self {
        Self {
            raw: Raw::Text(text.into()),
            place,
        }
    }

    /// Several texts of one flag or variable.
    pub(crate) fn list(texts: impl IntoIterator<Item = String>, place: Place) -> Self {
        Self {
            raw: Raw::List(texts.into_iter().map(|text| Self::text(text, place)).collect()),
            place,
        }
    }

    /// A list in one text, its elements with commas between.
    pub(super) fn split(text: &str, place: Place) -> Self {
        Self::list(text.split(',').map(|part| part.trim().to_owned()), place)
    }

    /// The text, where it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.raw {
            Raw::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, where it is a list.
    pub(super) fn as_list(&self) -> Option<&[Self]> {
        match &self.raw {
            Raw::List(list) => Some(list),
            _ => None,
        }
    }
}

impl From<&Spanned<DeValue<'_>>> for Value {
    fn from(value: &Spanned<DeValue<'_>>) -> Self {
        let raw = match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.clone().into_owned()),
            DeValue::Integer(number) => {
                i128::from_str_radix(number.as_str(), number.radix()).map_or(Raw::Other("a huge number"), Raw::Integer)
            }
            DeValue::Float(_) => Raw::Other("a number with a fraction"),
            DeValue::Boolean(truth) => Raw::Truth(*truth),
            DeValue::Array(list) => Raw::List(list.iter().map(Self::from).collect()),
            DeValue::Datetime(_) | DeValue::Table(_) => Raw::Other("a table or a date"),
        };
        Self {
            raw,
            place: Place::File(value.span().start),
        }
    }
}
