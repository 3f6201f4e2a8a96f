//! The flags of `inspect` and `top`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use bytes::Bytes;
use clap::Args;

use crate::config::{AdminSettings, InspectSettings, Layer, Settings, TopSettings, UsageError};

/// Which running ttguard is asked.
#[derive(Args)]
pub(super) struct AdminFlags {
    /// Settings file (TOML) of the running ttguard [variable: TTGUARD_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,
    /// HOST:PORT of its admin listener; the token that it may ask for is in TTGUARD_ADMIN_TOKEN [default: 127.0.0.1:9178]
    /// [variable: TTGUARD_ADMIN]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
}

impl AdminFlags {
    /// The layer of these flags.
    pub(super) fn layer(&self) -> Layer {
        let admin = self.admin.as_slice();
        Layer::of_flags(|name| if name == "admin" { admin.to_vec() } else { Vec::new() })
    }

    /// The listener that these settings name.
    pub(super) fn listener(settings: Settings, token: Option<String>) -> Result<AdminSettings, UsageError> {
        let address = settings.admin.ok_or_else(|| {
            UsageError::new(
                "--admin",
                "admin is off",
                "HOST:PORT of a running ttguard's admin listener",
            )
        })?;
        let token = token.filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
        Ok(AdminSettings { address, token })
    }
}

#[derive(Args)]
pub(super) struct InspectFlags {
    /// The key
    #[arg(value_name = "KEY")]
    key: OsString,
    #[command(flatten)]
    pub(super) admin: AdminFlags,
    /// Write what is known as JSON
    #[arg(long)]
    json: bool,
}

impl InspectFlags {
    /// What was written, as settings.
    pub(super) fn settings(self, admin: AdminSettings) -> InspectSettings {
        InspectSettings {
            admin,
            key: Bytes::from(self.key.into_vec()),
            json: self.json,
        }
    }
}

#[derive(Args)]
pub(super) struct TopFlags {
    #[command(flatten)]
    pub(super) admin: AdminFlags,
    /// Print the figures once, as plain text, and end
    #[arg(long)]
    once: bool,
}

impl TopFlags {
    /// What was written, as settings.
    pub(super) fn settings(self, admin: AdminSettings) -> TopSettings {
        TopSettings { admin, once: self.once }
    }
}
