//! The settings of `ttguard inspect` and `ttguard top`.

use bytes::Bytes;

/// The admin listener of a running ttguard.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Its `HOST:PORT`.
    pub address: String,
    /// What it may ask for.
    pub token: Option<String>,
}

impl std::fmt::Debug for AdminSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminSettings")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Asking a running ttguard for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectSettings {
    /// Whom to ask.
    pub admin: AdminSettings,
    /// The key.
    pub key: Bytes,
    /// Whether what is known is written as JSON.
    pub json: bool,
}

/// Watching a running ttguard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopSettings {
    /// Whom to ask.
    pub admin: AdminSettings,
    /// Whether the figures are printed once, as plain text.
    pub once: bool,
}
