//! One value as it was written, and where.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::error::quoted;

/// A value as it was written. Of any type: what is allowed is decided, and said, where the key is known.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Text(String),
    Integer(i128),
    Truth(bool),
    List(Vec<Given>),
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
pub(crate) struct Given {
    pub(super) raw: Raw,
    pub(super) place: Place,
}

impl Given {
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
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Raw>::deserialize(from)?;
        Ok(Self {
            place: Place::File(spanned.span().start),
            raw: spanned.into_inner(),
        })
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue)
    }
}

/// Takes every value TOML has.
struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Raw, E> {
        Ok(Raw::Truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Integer(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Raw, E> {
        Ok(Raw::Integer(number))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Other("a huge number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Other("a number with a fraction"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Raw::Other("a table or a date"))
    }
}
