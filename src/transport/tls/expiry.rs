//! When certificates end.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;

/// Ends of certificates, as times since the epoch; nothing where there is none, or none that can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// The first end of those that are shown: from then on the other side takes none of them.
    pub shown: Option<Duration>,
    /// The last end of the authorities that are trusted: from then on nobody is. Not the first: one that is replaced stays
    /// among them for a while.
    pub trusted: Option<Duration>,
}

impl Expiry {
    pub(super) fn of(shown: &[CertificateDer<'_>], trusted: &[CertificateDer<'_>]) -> Self {
        Self {
            shown: shown.iter().filter_map(end).min(),
            trusted: trusted.iter().filter_map(end).max(),
        }
    }

    /// What comes first of both.
    pub fn earlier(self, other: Self) -> Self {
        let earlier = |one: Option<Duration>, other: Option<Duration>| one.into_iter().chain(other).min();
        Self {
            shown: earlier(self.shown, other.shown),
            trusted: earlier(self.trusted, other.trusted),
        }
    }
}

/// Whoever uses the certificate has checked it; here nothing but its end is looked for.
fn end(certificate: &CertificateDer<'_>) -> Option<Duration> {
    let read = CertificateInner::<Raw>::from_der(certificate).ok()?;
    Some(read.tbs_certificate().validity().not_after.to_unix_duration())
}
