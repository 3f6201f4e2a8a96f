//! The flags of `verify`, `gc`, `stamp` and `unstamp`.

use clap::Args;

use super::settings::{OfStamps, SettingFlags};
use crate::config::{Becomes, GcSettings, Layer, RestampSettings, UsageError, VerifySettings};
use crate::guard::rules::Rules;

/// How the stamps of the server are read, as `serve` is told it.
#[derive(Args)]
pub(super) struct StampFlags {
    /// Settings file (TOML) of the ttguard in front of the server [variable: TTGUARD_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    #[command(flatten)]
    settings: SettingFlags<OfStamps>,
}

impl StampFlags {
    /// The settings file, where one is named, and the layer of these flags.
    pub(super) fn take(&mut self) -> (Option<String>, Layer) {
        (self.config.take(), std::mem::take(&mut self.settings.layer))
    }
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct VerifyFlags {
    /// The server: tyrant://HOST:PORT, tyrant:/path/to.sock, HOST:PORT or unix:/path; through ttguard its hidden records
    /// are seen too. Nobody else may use the server's iterator meanwhile
    #[arg(value_name = "URL")]
    server: String,
    #[command(flatten)]
    pub(super) stamps: StampFlags,
    /// Keys shown of each kind, 0 to 10000
    #[arg(long, value_name = "N", default_value = "10")]
    keys: String,
    /// Write what was found as JSON
    #[arg(long)]
    json: bool,
    /// Remove `timestamp.` records that are older than their value, or, with a ledger of records, write them anew. URL
    /// must be ttguard, which keeps others off the key meanwhile. No value is ever touched
    #[arg(long)]
    fix: bool,
}

impl VerifyFlags {
    /// What was written, as settings, with stamps read by these rules.
    pub(super) fn settings(self, rules: Rules) -> Result<VerifySettings, UsageError> {
        VerifySettings::read(&self.server, rules, &self.keys, self.json, self.fix)
    }
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct GcFlags {
    /// The ttguard that guards the records: HOST:PORT, unix:/path, tyrant://HOST:PORT or tyrant:/path/to.sock
    #[arg(value_name = "URL")]
    server: String,
    #[command(flatten)]
    pub(super) stamps: StampFlags,
    /// Remove tombstones that are older than this, such as 7d: a write of a deleted key that is later than this is stored
    #[arg(long, value_name = "DUR")]
    older_than: String,
    /// Remove so many in a second at most [default: no limit]
    #[arg(long, value_name = "N")]
    rate: Option<String>,
    /// Remove nothing, and count what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl GcFlags {
    /// What was written, as settings, with stamps read by these rules.
    pub(super) fn settings(self, rules: Rules) -> Result<GcSettings, UsageError> {
        GcSettings::read(
            &self.server,
            rules,
            &self.older_than,
            self.rate.as_deref(),
            self.dry_run,
        )
    }
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct RestampFlags {
    /// The ttguard that gives the stamps: HOST:PORT, unix:/path, tyrant://HOST:PORT or tyrant:/path/to.sock. Nobody else may
    /// use its iterator meanwhile
    #[arg(value_name = "URL")]
    server: String,
    /// Look at so many records in a second at most [default: no limit]
    #[arg(long, value_name = "N")]
    rate: Option<String>,
}

impl RestampFlags {
    /// What was written, as settings.
    pub(super) fn settings(self, becomes: Becomes) -> Result<RestampSettings, UsageError> {
        RestampSettings::read(&self.server, becomes, self.rate.as_deref())
    }
}
