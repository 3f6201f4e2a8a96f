//! The flags of `import` and `export`.

use clap::Args;

use crate::config::{TransferSettings, UsageError};

#[derive(Args)]
pub(super) struct TransferFlags {
    /// The server: tyrant://HOST:PORT, tyrant:/path/to.sock, HOST:PORT or unix:/path
    #[arg(value_name = "URL")]
    url: String,
    /// The file of lines; - for standard input or output
    #[arg(value_name = "FILE")]
    file: String,
    /// Lines have \t, \n, \r, \0 and \\ for these bytes and the backslash, so that every record fits. Without it they are
    /// those of tcrmgr, and records with such bytes are refused
    #[arg(long)]
    escape: bool,
}

impl TransferFlags {
    /// What was written, as settings.
    pub(super) fn settings(self) -> Result<TransferSettings, UsageError> {
        TransferSettings::read(&self.url, &self.file, self.escape, false)
    }
}

#[derive(Args)]
pub(super) struct ExportFlags {
    #[command(flatten)]
    transfer: TransferFlags,
    /// Write values as they are stored, with the stamps that ttguard gives where clients give none
    #[arg(long)]
    stored: bool,
}

impl ExportFlags {
    /// What was written, as settings.
    pub(super) fn settings(self) -> Result<TransferSettings, UsageError> {
        let Self { transfer, stored } = self;
        TransferSettings::read(&transfer.url, &transfer.file, transfer.escape, stored)
    }
}
