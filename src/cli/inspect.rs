//! The flags of `inspect`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use bytes::Bytes;
use clap::Args;

use crate::config::{Given, InspectSettings, Overrides, Place, Settings, UsageError};

/// The variable with the token that an admin listener may ask for.
pub(super) const TOKEN: &str = "TTGUARD_ADMIN_TOKEN";

#[derive(Args)]
pub(super) struct InspectFlags {
    /// The key
    #[arg(value_name = "KEY")]
    key: OsString,
    /// Settings file (TOML) of the running ttguard [variable: TTGUARD_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,
    /// HOST:PORT of its admin listener [default: 127.0.0.1:9178] [variable: TTGUARD_ADMIN]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Write what is known as JSON
    #[arg(long)]
    json: bool,
}

impl InspectFlags {
    /// The layer of these flags.
    pub(super) fn overrides(&self) -> Overrides {
        let admin = self.admin.clone();
        Overrides {
            admin: admin.map(|text| Given::text(text, Place::Flag("admin"))),
            ..Overrides::default()
        }
    }

    /// What was written, as settings.
    pub(super) fn settings(self, settings: Settings, token: Option<String>) -> Result<InspectSettings, UsageError> {
        let admin = settings.admin.ok_or_else(|| {
            UsageError::new(
                "--admin",
                "admin is off",
                "HOST:PORT of a running ttguard's admin listener",
            )
        })?;
        Ok(InspectSettings {
            key: Bytes::from(self.key.into_vec()),
            admin,
            token: token.filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic())),
            json: self.json,
        })
    }
}
