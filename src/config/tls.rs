//! Whether a listener's clients speak by TLS.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::UsageError;
use super::listeners::ListenerSettings;
use super::print::path;
use super::validate::Validator;
use super::written::TlsWritten;
use crate::transport::tls::Identity;

/// The files of a listener whose clients speak by TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The listener's certificate, and those that lead from it to an authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities that must have signed the certificate that a client has to show; nothing where it shows none.
    pub client_ca: Option<PathBuf>,
}

/// The keys of one table: their names in messages are those of the top or of a listener.
pub(super) type Keys = [&'static str; 3];

pub(super) const TOP: Keys = ["tls.cert", "tls.key", "tls.client_ca"];
pub(super) const OF_LISTENER: Keys = ["listener.tls.cert", "listener.tls.key", "listener.tls.client_ca"];

/// What is printed for each key.
pub(super) fn values(tls: Option<&TlsSettings>) -> [(&'static str, String); 3] {
    let values = [
        tls.map(|tls| &tls.cert),
        tls.map(|tls| &tls.key),
        tls.and_then(|tls| tls.client_ca.as_ref()),
    ];
    let [cert, key, client_ca] = values.map(path);
    [(TOP[0], cert), (TOP[1], key), (TOP[2], client_ca)]
}

impl ListenerSettings {
    /// Reads the files of a listener whose clients speak by TLS.
    ///
    /// # Errors
    /// When one of them is not what it has to be.
    pub fn identity(&self) -> Result<Option<Arc<Identity>>, UsageError> {
        let read = |tls: &TlsSettings| Identity::read(&tls.cert, &tls.key, tls.client_ca.as_deref()).map(Arc::new);
        let identity = self.tls.as_ref().map(read).transpose();
        identity.map_err(|mistake| UsageError::new(mistake.key, mistake.problem, mistake.allowed))
    }
}

impl<'a> Validator<'a> {
    /// What is written for a listener, where `top` holds for what is not. A certificate that is none turns TLS off.
    pub(super) fn tls(
        &self,
        written: &'a TlsWritten,
        keys: Keys,
        top: Option<&TlsSettings>,
    ) -> Result<Option<TlsSettings>, UsageError> {
        let given = [&written.cert, &written.key, &written.client_ca];
        let items = [0, 1, 2].map(|index| self.item(keys[index], given[index]));
        let inherited = [
            top.map(|tls| tls.cert.clone()),
            top.map(|tls| tls.key.clone()),
            top.and_then(|tls| tls.client_ca.clone()),
        ];
        let mut files = inherited;
        for (file, item) in files.iter_mut().zip(&items) {
            if item.given.is_some() {
                *file = item.file()?;
            }
        }
        let said = [0, 1, 2].map(|index| items[index].given.is_some() && files[index].is_some());
        match (files, said[1], said[2]) {
            ([Some(cert), Some(key), client_ca], ..) => Ok(Some(TlsSettings { cert, key, client_ca })),
            ([Some(_), None, _], ..) => {
                let problem = format_args!("{} has no key", keys[0]);
                Err(items[0].refuse(problem, format_args!("{} with it", keys[1])))
            }
            ([None, ..], true, _) => {
                let problem = format_args!("{} has no certificate", keys[1]);
                Err(items[1].refuse(problem, format_args!("{} with it", keys[0])))
            }
            ([None, ..], _, true) => {
                let problem = format_args!("{} needs TLS", keys[2]);
                Err(items[2].refuse(problem, format_args!("{} and {} with it", keys[0], keys[1])))
            }
            ([None, ..], false, false) => Ok(None),
        }
    }
}
