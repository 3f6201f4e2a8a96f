//! Who a listener is to its clients, and whose certificates it asks them for.

use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::files;

/// Bytes of each file, at most: more than all authorities that a system knows have.
const FILE_MAX: u64 = 4 << 20;

/// A listener's certificate and key, and the authorities whose certificates its clients must show.
#[derive(Clone, Debug)]
pub struct Identity {
    config: Arc<ServerConfig>,
    /// A hash of what the files said, so that the key is kept nowhere but with rustls.
    files: u128,
}

/// Two are the same when their files say the same.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

/// What is wrong with one of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting that names the file.
    pub key: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub allowed: &'static str,
}

const CERTIFICATES: &str = "a file of certificates in PEM, the listener's own first";
const KEY: &str = "a file with the private key of tls.cert in PEM, without a passphrase";
const AUTHORITIES: &str = "a file of authorities' certificates in PEM";

impl Identity {
    /// Reads the certificate chain, its key and, where clients have to show a certificate, who may have signed that.
    pub fn read(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, Mistake> {
        let read = |name, path: &Path, allowed| {
            files::read(path, FILE_MAX)
                .map_err(|problem| mistake(name, path, &format!("cannot be read: {problem}"), allowed))
        };
        let cert_text = read("tls.cert", cert, CERTIFICATES)?;
        let key_text = read("tls.key", key, KEY)?;
        let chain = certificates(&cert_text).map_err(|problem| mistake("tls.cert", cert, &problem, CERTIFICATES))?;
        let private = PrivateKeyDer::from_pem_slice(&key_text)
            .map_err(|error| mistake("tls.key", key, &format!("holds no private key: {error}"), KEY))?;

        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| mistake("tls.cert", cert, &error.to_string(), CERTIFICATES))?;
        let mut ca_text = Vec::new();
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                ca_text = read("tls.client_ca", path, AUTHORITIES)?;
                let wrong = |problem: String| mistake("tls.client_ca", path, &problem, AUTHORITIES);
                let mut roots = RootCertStore::empty();
                for certificate in certificates(&ca_text).map_err(wrong)? {
                    roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(error.to_string()))?)
            }
        };
        let config = builder.with_single_cert(chain, private).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => mistake("tls.key", key, "is not the key of tls.cert", KEY),
            error => mistake("tls.cert", cert, &error.to_string(), CERTIFICATES),
        })?;
        let mut files = SipHasher13::new();
        [cert_text, key_text, ca_text].hash(&mut files);
        Ok(Self {
            config: Arc::new(config),
            files: files.finish128().as_u128(),
        })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

/// At least one certificate.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| format!("is no PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    Ok(certificates)
}

fn mistake(key: &'static str, path: &Path, problem: &str, allowed: &'static str) -> Mistake {
    Mistake {
        key,
        problem: format!("{:?} {problem}", path.display().to_string()),
        allowed,
    }
}
