//! The settings: from what is written in flags, variables and a file to what the program is built from.
//!
//! Three layers are read, each on its own: flags, environment, file. What is written in a higher one wins, then
//! everything is validated once, so that a message can name the place that the operator has to mend.

mod address;
mod admission;
mod bench;
mod error;
mod given;
mod item;
mod listeners;
mod measure;
mod names;
mod operator;
mod print;
mod ranges;
mod reload;
mod rules;
mod settings;
mod stamp;
mod tls;
mod transfer;
mod upkeep;
mod validate;
mod written;

pub use address::{Address, AddressError, BackendUrl};
pub(crate) use bench::BenchWritten;
pub use bench::{BenchSettings, Comparison, Distribution, End, Load, Mix, VALUE_MIN};
pub use error::UsageError;
pub(crate) use error::quoted;
pub(crate) use given::{Given, Place, variable};
pub use listeners::ListenerSettings;
pub use operator::{AdminSettings, InspectSettings, TopSettings};
pub use reload::NeedsRestart;
pub use settings::{
    LimitSettings, LogFormat, LogLevel, LogSettings, PairingSettings, Pipelining, Settings, SharedPuts, StaleReply,
    StoreSettings, Sync,
};
pub use tls::TlsSettings;
pub use transfer::{TransferFile, TransferSettings};
pub use upkeep::{GcSettings, VerifySettings};
pub(crate) use written::{Overrides, SourceFile};

use validate::Validator;
use written::Written;

impl Settings {
    /// Reads the text of a settings file, which messages call by `name`.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, UsageError> {
        let file = SourceFile {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        Self::from_layers(Some(&file), [])
    }

    /// Reads a file and the layers over it, lower ones first.
    pub(crate) fn from_layers(
        file: Option<&SourceFile>,
        layers: impl IntoIterator<Item = Overrides>,
    ) -> Result<Self, UsageError> {
        let mut written = file.map_or_else(|| Ok(Written::default()), SourceFile::written)?;
        for layer in layers {
            written.overlay(layer);
        }
        Validator { file }.settings(&written)
    }
}

#[cfg(test)]
mod tests;
