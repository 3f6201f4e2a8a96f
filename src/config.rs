//! The settings: from what is written in flags, variables and a file to what the program is built from.
//!
//! `schema` has a row for each setting. Three `layers` are read by it, each on its own: flags, environment, file. What is
//! written in a higher one wins, then everything is validated once (`validate`), so that a message can name the place that
//! the operator has to mend.
//!
//! To add a setting: a field with its default in `settings` (or where its value is used), a row in `schema`, and its
//! explanation in `config/ttguard.toml`.

mod address;
mod admission;
mod backend_tls;
mod bench;
mod console;
mod draft;
mod edge;
mod error;
mod field;
mod file;
mod functions;
mod guards;
mod help;
mod kind;
mod layers;
mod listeners;
mod listening;
mod maintenance;
mod measure;
mod nearest;
mod print;
mod reload;
mod row;
mod schema;
mod settings;
mod stamp;
mod transfer;
mod validate;
mod value;
mod words;

pub use address::{Address, AddressError, BackendUrl};
pub(crate) use bench::BenchWritten;
pub use bench::{BenchSettings, Comparison, Distribution, End, Load, Mix, VALUE_MIN};
pub use console::{AdminSettings, InspectSettings, TopSettings};
pub use error::UsageError;
pub(crate) use error::quoted;
pub(crate) use file::SourceFile;
pub(crate) use help::flags;
pub(crate) use layers::Layer;
pub use listeners::{ListenerSettings, TlsSettings};
pub use maintenance::{Becomes, GcSettings, RestampSettings, VerifySettings};
pub(crate) use nearest::nearest;
pub use reload::NeedsRestart;
pub(crate) use row::Takes;
pub use settings::{BackendTls, LimitSettings, LogSettings, PairingSettings, Settings, StoreSettings};
pub use transfer::{TransferFile, TransferSettings};
pub(crate) use value::{Place, Value, variable};
pub use words::{Edges, LogFormat, LogLevel, Pipelining, SharedPuts, StaleReply, StampSource, Sync};

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
        layers: impl IntoIterator<Item = Layer>,
    ) -> Result<Self, UsageError> {
        let mut whole = file.map_or_else(|| Ok(Layer::default()), Layer::of_file)?;
        for layer in layers {
            whole.cover(layer);
        }
        validate::settings(&whole, file)
    }
}

#[cfg(test)]
mod tests;
