//! What is wrong between two sides that would speak by TLS, in words for an operator.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::CertificateError;

/// Names of a certificate that are told, at most: it can have thousands, and whoever made it chose them.
const NAMES_TOLD: usize = 4;

/// Why two sides do not speak by TLS.
#[derive(Debug)]
pub enum Fault {
    /// What one of them thinks of the other.
    Tls(rustls::Error),
    /// The other side went, or the connection broke, before they had agreed.
    Ended(io::Error),
}

impl Fault {
    /// What has ended a handshake, where it was not TLS that refused.
    pub(in crate::transport) fn in_handshake(error: io::Error) -> io::Error {
        match fault_of(&error) {
            Some(_) => error,
            None => Self::Ended(error).into(),
        }
    }
}

/// The fault of TLS that an error is; nothing for one of the system.
pub fn fault_of(error: &io::Error) -> Option<&Fault> {
    error.get_ref()?.downcast_ref()
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        let kind = match &fault {
            Fault::Tls(_) => io::ErrorKind::InvalidData,
            Fault::Ended(error) => error.kind(),
        };
        Self::new(kind, fault)
    }
}

impl Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(rustls::Error::InvalidCertificate(error)) => certificate(error, f),
            Self::Tls(rustls::Error::NoCertificatesPresented) => f.write_str("it has shown no certificate"),
            Self::Tls(rustls::Error::AlertReceived(alert)) => {
                write!(f, "it refuses this side by an alert of TLS: {alert:?}")
            }
            Self::Tls(rustls::Error::InvalidMessage(_)) => f.write_str("it does not speak TLS"),
            Self::Tls(error) => write!(f, "{error}"),
            Self::Ended(error) => write!(f, "it ended the handshake of TLS, if it speaks that: {error}"),
        }
    }
}

/// The first names of a certificate, as they can be told, and whether it has others.
pub(super) fn names_told<'a>(mut names: impl Iterator<Item = &'a str>) -> (Vec<String>, bool) {
    let told = names.by_ref().take(NAMES_TOLD);
    let told = told.map(|name| name.escape_debug().to_string()).collect();
    (told, names.next().is_some())
}

fn certificate(error: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            f.write_str("its certificate has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            f.write_str("its certificate is not valid yet")
        }
        CertificateError::UnknownIssuer => f.write_str("its certificate is of an authority that is not trusted here"),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let (names, has_others) = names_told(presented.iter().map(String::as_str));
            let (name, names) = (expected.to_str(), names.join(", "));
            write!(f, "its certificate is not for {name}, but for {names}")?;
            f.write_str(if has_others { " and others" } else { "" })
        }
        CertificateError::NotValidForName => f.write_str("its certificate is for another name"),
        CertificateError::Other(why) => write!(f, "its certificate is refused: {why}"),
        error => write!(f, "its certificate is not valid: {error}"),
    }
}
