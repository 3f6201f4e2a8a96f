//! The names that a client's certificate has to carry one of.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use webpki::EndEntityCert;

use super::fault::names_told;
use crate::protocol::link::printable::Printable;

/// The alternative names (SAN) of which a client's certificate has to carry one; none where no certificate is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<Name>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// Whatever the certificate says.
    Any,
    /// This DNS name.
    Dns(String),
    /// A DNS name with one label in front of these.
    Under(String),
    /// This URI, to the letter.
    Uri(String),
}

/// A text that is no such name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoName;

impl Names {
    /// What can be written for one.
    pub const ALLOWED: &str = "names such as \"app.example\", \"*.example\" or \"spiffe://example/app\", or \"*\" \
                               alone for any";

    /// These names; nothing where one of them is any name, and not alone.
    pub fn of(names: Vec<Name>) -> Option<Self> {
        let is_mixed = names.len() > 1 && names.contains(&Name::Any);
        (!is_mixed).then_some(Self(names))
    }

    /// Whether no name is among them.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Each as it was written.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.iter()
    }

    /// Whether a certificate carries one of them. One whose own name stands for many (`*.example`) has not said which it
    /// is, so that this is none.
    fn admit(&self, certificate: &EndEntityCert<'_>) -> bool {
        self.0.iter().any(|name| match name {
            Name::Any => true,
            Name::Dns(name) => certificate.valid_dns_names().any(|own| own.eq_ignore_ascii_case(name)),
            Name::Under(suffix) => certificate.valid_dns_names().any(|own| is_under(own, suffix)),
            Name::Uri(uri) => certificate.valid_uri_names().any(|own| own == uri),
        })
    }
}

impl Names {
    /// The first name of a sound certificate by which it is let in: the one of these that it carries, or any of its own
    /// where any is let in. Nothing where that is none which can be shown.
    pub(super) fn found_in(&self, certificate: &CertificateDer<'_>) -> Option<Printable> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        let domains = || certificate.valid_dns_names();
        let addresses = || certificate.valid_uri_names();
        self.0.iter().find_map(|name| match name {
            Name::Any => domains().chain(addresses()).find_map(Printable::new),
            Name::Dns(name) => domains()
                .find(|own| own.eq_ignore_ascii_case(name))
                .and_then(Printable::new),
            Name::Under(suffix) => domains().find(|own| is_under(own, suffix)).and_then(Printable::new),
            Name::Uri(uri) => addresses().find(|own| own == uri).and_then(Printable::new),
        })
    }
}

fn is_under(own: &str, suffix: &str) -> bool {
    let parts = own.split_once('.');
    parts.is_some_and(|(label, rest)| !label.is_empty() && label != "*" && rest.eq_ignore_ascii_case(suffix))
}

impl Name {
    /// Reads one.
    ///
    /// # Errors
    /// When the text is none.
    pub fn read(text: &str) -> Result<Self, NoName> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let is_uri = !scheme.is_empty() && !rest.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            return if is_uri {
                Ok(Self::Uri(text.to_owned()))
            } else {
                Err(NoName)
            };
        }
        let (name, is_suffix) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        match ServerName::try_from(name) {
            Ok(ServerName::DnsName(_)) if is_suffix => Ok(Self::Under(name.to_owned())),
            Ok(ServerName::DnsName(_)) => Ok(Self::Dns(name.to_owned())),
            _ => Err(NoName),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Dns(name) | Self::Uri(name) => f.write_str(name),
            Self::Under(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

/// A certificate that is sound, and carries none of the names.
#[derive(Debug, thiserror::Error)]
#[error("tls.allow_san has none of its names ({0})")]
struct NotAllowed(String);

impl NotAllowed {
    fn of(certificate: &EndEntityCert<'_>) -> Self {
        let names = certificate.valid_dns_names().chain(certificate.valid_uri_names());
        let (mut told, has_others) = names_told(names);
        if has_others {
            told.push("and others".to_owned());
        }
        Self(if told.is_empty() {
            "it has no DNS name and no URI".to_owned()
        } else {
            told.join(", ")
        })
    }
}

/// Asks first whether a certificate is sound, and then whether it carries one of the names.
#[derive(Debug)]
pub(super) struct Named {
    sound: Arc<dyn ClientCertVerifier>,
    names: Names,
}

impl Named {
    pub(super) fn new(sound: Arc<dyn ClientCertVerifier>, names: Names) -> Arc<Self> {
        Arc::new(Self { sound, names })
    }
}

impl ClientCertVerifier for Named {
    fn offer_client_auth(&self) -> bool {
        self.sound.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.sound.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.sound.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.sound.verify_client_cert(end_entity, intermediates, now)?;
        let certificate = EndEntityCert::try_from(end_entity)
            .map_err(|error| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error)))))?;
        if self.names.admit(&certificate) {
            return Ok(verified);
        }
        let why = OtherError(Arc::new(NotAllowed::of(&certificate)));
        Err(Error::InvalidCertificate(CertificateError::Other(why)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.sound.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.sound.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.sound.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same_or_refused() {
        for text in [
            "*",
            "app.example",
            "*.example",
            "spiffe://example/ns/app",
            "App_1.example",
        ] {
            assert_eq!(Name::read(text).map(|name| name.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "*.",
            "*.*",
            "a.*",
            "*a.example",
            "10.0.0.1",
            "::1",
            "://",
            "spiffe://",
            "a b",
            "spiffe://a b",
        ] {
            assert_eq!(Name::read(text), Err(NoName), "{text:?}");
        }
        assert_eq!(Names::of(vec![Name::Any, Name::Dns("a".to_owned())]), None);
    }

    #[test]
    fn a_suffix_stands_for_one_label_in_front_of_it() {
        assert!(is_under("app.example", "example") && is_under("APP.Example", "example"));
        for own in [
            "example",
            ".example",
            "*.example",
            "a.app.example",
            "app.example.org",
            "appexample",
        ] {
            assert!(!is_under(own, "example"), "{own}");
        }
    }
}
