//! The kinds of values: what each allows, how it is read, and how it is printed.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::address::{AddressError, BackendUrl, host_port};
use super::error::{UsageError, quoted};
use super::field::Field;
use super::measure::{read_duration, read_size, write_duration, write_size};
use super::settings::reply_limits;
use super::value::{Place, Raw};
use super::words::{Names, meaning, word, words};
use crate::protocol::tyrant::limits::Limits;
use crate::transport::tls::{SERVER_NAME, is_server_name};

/// What can be written for a value of type `T`.
pub(super) trait Kind<T> {
    /// The value that was written.
    ///
    /// # Errors
    /// When it is not what is allowed.
    fn read(&self, field: &Field<'_>) -> Result<T, UsageError>;

    /// The value as it stands in a file.
    fn write(&self, value: &T) -> String;
}

/// A whole number in this range.
pub(super) struct Whole(pub(super) RangeInclusive<u64>);

impl<T: TryFrom<u64> + Display> Kind<T> for Whole {
    fn read(&self, field: &Field<'_>) -> Result<T, UsageError> {
        let number = whole(&field.value.raw).filter(|number| self.0.contains(number));
        let (min, max) = (self.0.start(), self.0.end());
        let allowed = format_args!("a whole number from {min} to {max}");
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| field.refuse_value(allowed))
    }

    fn write(&self, value: &T) -> String {
        value.to_string()
    }
}

/// A number of bytes in this range.
pub(super) struct Size(pub(super) RangeInclusive<u64>);

impl<T: TryFrom<u64> + Copy> Kind<T> for Size
where
    u64: TryFrom<T>,
{
    fn read(&self, field: &Field<'_>) -> Result<T, UsageError> {
        let size = match &field.value.raw {
            Raw::Text(text) => read_size(text),
            raw => whole(raw),
        };
        let (min, max) = (write_size(*self.0.start()), write_size(*self.0.end()));
        let allowed = format_args!("a size such as \"64MiB\", from {min} to {max}");
        let size = size.filter(|size| self.0.contains(size));
        let size = size.and_then(|size| T::try_from(size).ok());
        size.ok_or_else(|| field.refuse_value(allowed))
    }

    fn write(&self, value: &T) -> String {
        string(&write_size(u64::try_from(*value).unwrap_or(u64::MAX)))
    }
}

/// How large a reply may be, in bytes: all its limits follow from that.
pub(super) struct ReplySize(pub(super) RangeInclusive<u64>);

impl Kind<Limits> for ReplySize {
    fn read(&self, field: &Field<'_>) -> Result<Limits, UsageError> {
        Size(self.0.clone()).read(field).map(reply_limits)
    }

    fn write(&self, value: &Limits) -> String {
        Size(self.0.clone()).write(&value.frame_max)
    }
}

/// A length of time in this range.
pub(super) struct Time(pub(super) RangeInclusive<Duration>);

impl Kind<Duration> for Time {
    fn read(&self, field: &Field<'_>) -> Result<Duration, UsageError> {
        let duration = field.text().and_then(read_duration);
        let (min, max) = (write_duration(*self.0.start()), write_duration(*self.0.end()));
        let allowed = format_args!("a duration such as \"500ms\" or \"2s\", from {min} to {max}");
        let duration = duration.filter(|duration| self.0.contains(duration));
        duration.ok_or_else(|| field.refuse_value(allowed))
    }

    fn write(&self, value: &Duration) -> String {
        string(&write_duration(*value))
    }
}

/// One of a few words.
pub(super) struct Word<T: 'static>(pub(super) &'static Names<T>);

impl<T: Copy + PartialEq> Kind<T> for Word<T> {
    fn read(&self, field: &Field<'_>) -> Result<T, UsageError> {
        let meant = field.text().and_then(|word| meaning(self.0, word));
        meant.ok_or_else(|| field.refuse_value(words(self.0)))
    }

    fn write(&self, value: &T) -> String {
        string(word(self.0, value))
    }
}

/// Yes or no.
pub(super) struct Truth;

impl Kind<bool> for Truth {
    fn read(&self, field: &Field<'_>) -> Result<bool, UsageError> {
        match field.value.raw {
            Raw::Truth(truth) => Ok(truth),
            // A flag or a variable has no other way to say it.
            Raw::Text(ref text) if !matches!(field.value.place, Place::File(_)) && text == "true" => Ok(true),
            Raw::Text(ref text) if !matches!(field.value.place, Place::File(_)) && text == "false" => Ok(false),
            _ => Err(field.refuse_value("true, false")),
        }
    }

    fn write(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// The absolute path of what it names; nothing where it is empty.
pub(super) struct AbsolutePath(&'static str);

pub(super) const FILE: AbsolutePath = AbsolutePath("file");
pub(super) const FOLDER: AbsolutePath = AbsolutePath("folder");

impl Kind<Option<PathBuf>> for AbsolutePath {
    fn read(&self, field: &Field<'_>) -> Result<Option<PathBuf>, UsageError> {
        let what = self.0;
        let allowed = format_args!("the absolute path of a {what}, or nothing between the quotes for none");
        absolute(field).ok_or_else(|| field.refuse_value(allowed))
    }

    fn write(&self, value: &Option<PathBuf>) -> String {
        string(
            &value
                .as_ref()
                .map_or_else(String::new, |path| path.display().to_string()),
        )
    }
}

/// The store behind the guard.
pub(super) struct Backend;

impl Kind<BackendUrl> for Backend {
    fn read(&self, field: &Field<'_>) -> Result<BackendUrl, UsageError> {
        address(field, BackendUrl::ALLOWED)
    }

    fn write(&self, value: &BackendUrl) -> String {
        string(&value.to_string())
    }
}

/// `HOST:PORT`; nothing where it is empty.
pub(super) struct HostPort;

impl Kind<Option<String>> for HostPort {
    fn read(&self, field: &Field<'_>) -> Result<Option<String>, UsageError> {
        let allowed = "HOST:PORT, or nothing between the quotes to turn it off";
        match field.text() {
            None => Err(field.refuse_value(allowed)),
            Some("") => Ok(None),
            Some(text) => match host_port(text) {
                Ok(_) => Ok(Some(text.to_owned())),
                Err(reason) => Err(field.refuse(format_args!("{} {} {reason}", field.name(), quoted(text)), allowed)),
            },
        }
    }

    fn write(&self, value: &Option<String>) -> String {
        string(value.as_deref().unwrap_or_default())
    }
}

/// The name of a table's column; nothing where it is empty.
pub(super) struct Column;

impl Kind<Option<String>> for Column {
    fn read(&self, field: &Field<'_>) -> Result<Option<String>, UsageError> {
        let allowed = "a column's name of at most 1023 bytes without control characters, or nothing between the quotes";
        match field.text() {
            Some("") => Ok(None),
            Some(name) if is_argument(name) => Ok(Some(name.to_owned())),
            _ => Err(field.refuse_value(allowed)),
        }
    }

    fn write(&self, value: &Option<String>) -> String {
        string(value.as_deref().unwrap_or_default())
    }
}

/// What the certificate of a server has to name; nothing where it is empty.
pub(super) struct ServerName;

impl Kind<Option<String>> for ServerName {
    fn read(&self, field: &Field<'_>) -> Result<Option<String>, UsageError> {
        match field.text() {
            Some("") => Ok(None),
            Some(name) if is_server_name(name) => Ok(Some(name.to_owned())),
            _ => Err(field.refuse_value(format_args!("{SERVER_NAME}, or nothing between the quotes"))),
        }
    }

    fn write(&self, value: &Option<String>) -> String {
        string(value.as_deref().unwrap_or_default())
    }
}

/// Names of hosts, without ports.
pub(super) struct Hosts;

impl<T: FromIterator<String> + AsRef<[String]>> Kind<T> for Hosts {
    fn read(&self, field: &Field<'_>) -> Result<T, UsageError> {
        let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let names = field.each("a list of host names, without ports", |field| match field.text() {
            Some(name) if (1..=253).contains(&name.len()) && name.bytes().all(is_of_names) => Ok(name.to_owned()),
            _ => Err(field.refuse_value("a host name, without a port")),
        })?;
        Ok(names.into_iter().collect())
    }

    fn write(&self, value: &T) -> String {
        list(value.as_ref())
    }
}

/// The address that was written; `allowed` is said where it is no text.
pub(super) fn address<T: FromStr<Err = AddressError>>(field: &Field<'_>, allowed: &str) -> Result<T, UsageError> {
    let text = field.text().ok_or_else(|| field.refuse_value(allowed))?;
    text.parse()
        .map_err(|error: AddressError| field.refuse(format_args!("{} {}", field.name(), error.problem), error.allowed))
}

/// Whether it can be the name of a script function or of a column: an argument of a request, of less than 1024 bytes.
pub(super) fn is_argument(name: &str) -> bool {
    (1..1024).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// A whole number, from a file or from the text of a flag or a variable.
fn whole(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Integer(number) => u64::try_from(*number).ok(),
        Raw::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// An absolute path, nothing where it is empty; or nothing at all where it is neither.
fn absolute(field: &Field<'_>) -> Option<Option<PathBuf>> {
    match field.text()? {
        "" => Some(None),
        path => (path.starts_with('/') && !path.chars().any(char::is_control)).then(|| Some(path.into())),
    }
}

/// A list of strings.
pub(super) fn list(texts: impl IntoIterator<Item = impl Display>) -> String {
    let texts: Vec<_> = texts.into_iter().map(|text| string(&text.to_string())).collect();
    format!("[{}]", texts.join(", "))
}

/// A string or a quoted key, on one line whatever is in it.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
