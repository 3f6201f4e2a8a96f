//! Which servers are trusted, and who we are to them.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;

use super::expiry::Expiry;
use super::files::{AUTHORITIES, Mistake, authorities, certificates, hash, mistake, private_key, read};

const CERTIFICATES: &str = "a file of certificates in PEM, ttguard's own first";
const KEY: &str = "a file with the private key of backend_tls.cert in PEM, without a passphrase";
/// What a server's name has to be.
pub const SERVER_NAME: &str = "a host name or an address, as the server's certificate has it";

/// The authorities that a server's certificate may be of, the name that it must have, and the certificate that the server
/// is shown.
#[derive(Clone, Debug)]
pub struct Trust {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
    expiry: Expiry,
    /// The hash of what the files said.
    files: u128,
}

/// Two are the same when their files say the same of the same server.
impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        (self.files, &self.server) == (other.files, &other.server)
    }
}

impl Trust {
    /// Reads the authorities and, where a certificate is to be shown, its chain and key.
    ///
    /// # Errors
    /// When one of them is not what it has to be.
    pub fn read(ca: &Path, own: Option<(&Path, &Path)>, server: &str) -> Result<Self, Mistake> {
        let ca_text = read("backend_tls.ca", ca, AUTHORITIES)?;
        let wrong = |problem: String| mistake("backend_tls.ca", ca, &problem, AUTHORITIES);
        let (roots, trusted) = authorities(&ca_text).map_err(wrong)?;
        let mut expiry = Expiry::of(&[], &trusted);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?
            .with_root_certificates(roots);
        let (mut cert_text, mut key_text) = (Vec::new(), Vec::new());
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                cert_text = read("backend_tls.cert", cert, CERTIFICATES)?;
                key_text = read("backend_tls.key", key, KEY)?;
                let wrong_cert = |problem: &str| mistake("backend_tls.cert", cert, problem, CERTIFICATES);
                let wrong_key = |problem: &str| mistake("backend_tls.key", key, problem, KEY);
                let chain = certificates(&cert_text).map_err(|problem| wrong_cert(&problem))?;
                expiry = Expiry::of(&chain, &trusted);
                let private = private_key(&key_text).map_err(|problem| wrong_key(&problem))?;
                builder
                    .with_client_auth_cert(chain, private)
                    .map_err(|error| match error {
                        rustls::Error::InconsistentKeys(_) => wrong_key("is not the key of backend_tls.cert"),
                        error => wrong_cert(&error.to_string()),
                    })?
            }
        };
        // A session that is resumed is not held against the authorities and the dates of today.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
            server: server_name(server)?,
            expiry,
            files: hash([ca_text, cert_text, key_text]),
        })
    }

    /// When the certificate that is shown ends, and the authorities that are trusted.
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    pub(super) fn server(&self) -> ServerName<'static> {
        self.server.clone()
    }
}

/// Whether a certificate can have this name.
pub fn is_server_name(name: &str) -> bool {
    ServerName::try_from(name).is_ok()
}

fn server_name(name: &str) -> Result<ServerName<'static>, Mistake> {
    ServerName::try_from(name.to_owned()).map_err(|_| Mistake {
        key: "backend_tls.server_name",
        problem: format!("{name:?} cannot be the name of a certificate"),
        allowed: SERVER_NAME,
    })
}

/// The trust of this moment, which new files replace: it holds for connections that are opened from then on.
#[derive(Debug, Default)]
pub struct Trusted(ArcSwapOption<Trust>);

impl Trusted {
    /// This one, or none where nobody is spoken to by TLS.
    pub fn new(trust: Option<Arc<Trust>>) -> Self {
        Self(ArcSwapOption::new(trust))
    }

    /// What holds now.
    pub fn get(&self) -> Option<Arc<Trust>> {
        self.0.load_full()
    }

    /// Holds from now on.
    pub fn set(&self, trust: Option<Arc<Trust>>) {
        self.0.store(trust);
    }
}
