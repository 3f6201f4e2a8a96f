//! The kind of value that names the guards of an edge.

use super::address::{AddressError, BackendUrl};
use super::error::UsageError;
use super::field::Field;
use super::kind::{Kind, list};

/// The guards of an edge, none of them twice.
pub(super) struct Guards;

impl Guards {
    const ALLOWED: &str = "tyrant://HOST:PORT, tyrants://HOST:PORT or tyrant:/path/to.sock";

    fn url(field: &Field<'_>) -> Result<BackendUrl, UsageError> {
        let text = field.text().ok_or_else(|| field.refuse_value(Self::ALLOWED))?;
        let name = field.name();
        let url: BackendUrl = text
            .parse()
            .map_err(|error: AddressError| field.refuse(format_args!("{name} {}", error.problem), Self::ALLOWED))?;
        if url.is_server() {
            return Ok(url);
        }
        let problem = format_args!("{name} is {}, a store and no guard", field.value.raw);
        Err(field.refuse(problem, Self::ALLOWED))
    }
}

impl Kind<Vec<BackendUrl>> for Guards {
    fn read(&self, field: &Field<'_>) -> Result<Vec<BackendUrl>, UsageError> {
        let allowed = format_args!("a list of {}", Self::ALLOWED);
        let mut guards = Vec::new();
        for (field, url) in field.each(allowed, |field| Ok((field, Self::url(&field)?)))? {
            if guards.contains(&url) {
                let problem = format_args!("{} names {url} twice", field.name());
                return Err(field.refuse(problem, "each guard once"));
            }
            guards.push(url);
        }
        Ok(guards)
    }

    fn write(&self, value: &Vec<BackendUrl>) -> String {
        list(value)
    }
}
