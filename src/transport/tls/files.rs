//! The files of TLS, which anybody may have written.

use std::hash::Hash;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::files;

/// Bytes of each file, at most: more than all authorities that a system knows have.
const FILE_MAX: u64 = 4 << 20;

/// What a file of authorities has to be.
pub(super) const AUTHORITIES: &str = "a file of authorities' certificates in PEM";

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

/// What a file holds.
pub(super) fn read(key: &'static str, path: &Path, allowed: &'static str) -> Result<Vec<u8>, Mistake> {
    files::read(path, FILE_MAX).map_err(|problem| mistake(key, path, &format!("cannot be read: {problem}"), allowed))
}

/// A hash of what files said, so that a key is kept nowhere but with rustls.
pub(super) fn hash(texts: [Vec<u8>; 3]) -> u128 {
    let mut hasher = SipHasher13::new();
    texts.hash(&mut hasher);
    hasher.finish128().as_u128()
}

/// At least one certificate.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| format!("is no PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    Ok(certificates)
}

/// At least one authority, and the certificates of all of them.
pub(super) fn authorities(text: &[u8]) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let (mut roots, all) = (RootCertStore::empty(), certificates(text)?);
    for certificate in &all {
        roots.add(certificate.clone()).map_err(|error| error.to_string())?;
    }
    Ok((roots, all))
}

/// A private key.
pub(super) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| format!("holds no private key: {error}"))
}

/// What is wrong with the file at this path, which a setting names.
pub(super) fn mistake(key: &'static str, path: &Path, problem: &str, allowed: &'static str) -> Mistake {
    Mistake {
        key,
        problem: format!("{:?} {problem}", path.display().to_string()),
        allowed,
    }
}
