//! Who a listener is to its clients, and whose certificates it asks them for.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};

use super::expiry::Expiry;
use super::files::{AUTHORITIES, Mistake, authorities, certificates, hash, mistake, private_key, read};
use super::names::{Named, Names};

/// A listener's certificate and key, and the authorities whose certificates its clients must show.
#[derive(Clone, Debug)]
pub struct Identity {
    config: Arc<ServerConfig>,
    expiry: Expiry,
    names: Arc<Names>,
    /// The hash of what the files said.
    files: u128,
}

/// Two are the same when their files say the same.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

const CERTIFICATES: &str = "a file of certificates in PEM, the listener's own first";
const KEY: &str = "a file with the private key of tls.cert in PEM, without a passphrase";

impl Identity {
    /// Reads the certificate chain, its key and, where clients have to show a certificate, who may have signed that; it has
    /// to carry one of `names`.
    pub fn read(cert: &Path, key: &Path, client_ca: Option<&Path>, names: &Names) -> Result<Self, Mistake> {
        let cert_text = read("tls.cert", cert, CERTIFICATES)?;
        let key_text = read("tls.key", key, KEY)?;
        let chain = certificates(&cert_text).map_err(|problem| mistake("tls.cert", cert, &problem, CERTIFICATES))?;
        let private = private_key(&key_text).map_err(|problem| mistake("tls.key", key, &problem, KEY))?;

        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| mistake("tls.cert", cert, &error.to_string(), CERTIFICATES))?;
        let (mut ca_text, mut trusted) = (Vec::new(), Vec::new());
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                ca_text = read("tls.client_ca", path, AUTHORITIES)?;
                let wrong = |problem: String| mistake("tls.client_ca", path, &problem, AUTHORITIES);
                let roots;
                (roots, trusted) = authorities(&ca_text).map_err(wrong)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.build().map_err(|error| wrong(error.to_string()))?;
                builder.with_client_cert_verifier(Named::new(verifier, names.clone()))
            }
        };
        let expiry = Expiry::of(&chain, &trusted);
        let mut config = builder.with_single_cert(chain, private).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => mistake("tls.key", key, "is not the key of tls.cert", KEY),
            error => mistake("tls.cert", cert, &error.to_string(), CERTIFICATES),
        })?;
        if client_ca.is_some() {
            // A session that is resumed is not held against the authorities, the names and the dates of today.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self {
            config: Arc::new(config),
            expiry,
            names: Arc::new(names.clone()),
            files: hash([cert_text, key_text, ca_text]),
        })
    }

    /// When its certificates end, and the authorities of its clients.
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// The names of which a client's certificate has to carry one.
    pub(super) fn names(&self) -> Arc<Names> {
        Arc::clone(&self.names)
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}
