//! TLS towards the backend, or the guards of an edge: which server is trusted, and what it is shown.

use std::sync::Arc;

use super::address::BackendUrl;
use super::error::UsageError;
use super::field::Fields;
use super::settings::Settings;
use crate::transport::tls::{Mistake, Trust};

/// Refuses what does not go together, at the key that the operator wrote.
pub(super) fn check(fields: &Fields<'_>, settings: &Settings) -> Result<(), UsageError> {
    let tls = &settings.backend_tls;
    let refuse = |key, problem: &str, allowed| Err(fields.refuse(key, problem, allowed));
    let (at, whose, example) = if settings.is_edge() {
        ("edge_of", "guards that are", "edge_of = [\"tyrants://HOST:PORT\"]")
    } else {
        ("backend", "a backend that is", "backend = \"tyrants://HOST:PORT\"")
    };
    if !settings.upstreams().iter().any(BackendUrl::is_encrypted) {
        let said = [
            ("backend_tls.ca", tls.ca.is_some()),
            ("backend_tls.cert", tls.cert.is_some()),
            ("backend_tls.key", tls.key.is_some()),
            ("backend_tls.server_name", tls.server_name.is_some()),
        ];
        let said = said.into_iter().find(|(_, is_said)| *is_said);
        return said.map_or(Ok(()), |(key, _)| {
            let problem = format!("{key} is for {whose} spoken to by TLS");
            Err(fields.refuse(key, problem, format_args!("with {example}")))
        });
    }
    if tls.ca.is_none() {
        let problem = format!("{at} is spoken to by TLS, and no authority is trusted");
        return refuse(at, &problem, "backend_tls.ca with it");
    }
    match (&tls.cert, &tls.key) {
        (Some(_), None) => refuse(
            "backend_tls.cert",
            "backend_tls.cert has no key",
            "backend_tls.key with it",
        ),
        (None, Some(_)) => refuse(
            "backend_tls.key",
            "backend_tls.key has no certificate",
            "backend_tls.cert with it",
        ),
        _ => Ok(()),
    }
}

impl Settings {
    /// Reads the files by which the backend is spoken to, or the first guard of an edge; nothing where that is not by TLS.
    ///
    /// # Errors
    /// When one of them is not what it has to be.
    pub fn trust(&self) -> Result<Option<Arc<Trust>>, UsageError> {
        self.trust_of(&self.backend)
    }

    /// Reads the files by which the server at this URL is spoken to; nothing where that is not by TLS. Each has a trust of
    /// its own: where no `server_name` is said, its certificate must name the host of its URL.
    ///
    /// # Errors
    /// When one of them is not what it has to be.
    pub fn trust_of(&self, url: &BackendUrl) -> Result<Option<Arc<Trust>>, UsageError> {
        let (BackendUrl::Tyrants(_), Some(ca)) = (url, &self.backend_tls.ca) else {
            return Ok(None);
        };
        let tls = &self.backend_tls;
        let own = tls.cert.as_deref().zip(tls.key.as_deref());
        let name = tls.server_name.as_deref().or(url.host()).unwrap_or_default();
        let trust = Trust::read(ca, own, name).map(Arc::new);
        let trust = trust.map_err(|Mistake { key, problem, allowed }| UsageError::new(key, problem, allowed))?;
        Ok(Some(trust))
    }
}
