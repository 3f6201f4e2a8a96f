//! The kinds of values that say who may connect to a listener, and what its clients may do.

use bytes::Bytes;

use super::error::UsageError;
use super::field::Field;
use super::kind::{Kind, list, string};
use super::words::{PROTOCOLS, meaning, words};
use crate::access::Subject;
use crate::access::networks::Networks;
use crate::protocol::{Protocol, Protocols};
use crate::transport::tls::{Name, Names};

/// The most bytes of a prefix: every key that is asked for carries them to the backend.
const PREFIX_MAX: usize = 255;

/// Protocols, at least one, each once.
pub(super) struct ProtocolNames;

impl Kind<Protocols> for ProtocolNames {
    fn read(&self, field: &Field<'_>) -> Result<Protocols, UsageError> {
        let allowed = format!("a list of at least one of {}, each once", words(PROTOCOLS));
        let named = field.each(&allowed, |field| {
            let protocol = field.text().and_then(|word| meaning::<Protocol>(PROTOCOLS, word));
            let protocol = protocol.ok_or_else(|| field.refuse_value(&allowed))?;
            Ok((field, protocol))
        })?;
        if named.is_empty() {
            return Err(field.refuse_value(&allowed));
        }
        let mut protocols = Protocols::NONE;
        for (field, protocol) in named {
            if !protocols.add(protocol) {
                let problem = format_args!("{} names {} twice", field.name(), field.value.raw);
                return Err(field.refuse(problem, &allowed));
            }
        }
        Ok(protocols)
    }

    fn write(&self, value: &Protocols) -> String {
        let served = PROTOCOLS.iter().filter(|(_, protocol)| value.serve(*protocol));
        list(served.map(|(name, _)| name))
    }
}

/// Commands and groups of them.
pub(super) struct Subjects;

impl Kind<Vec<Subject>> for Subjects {
    fn read(&self, field: &Field<'_>) -> Result<Vec<Subject>, UsageError> {
        let allowed = format!("a list of {}", Subject::names());
        field.each(&allowed, |field| {
            let subject = field.text().and_then(Subject::named);
            subject.ok_or_else(|| field.refuse_value(&allowed))
        })
    }

    fn write(&self, value: &Vec<Subject>) -> String {
        list(value)
    }
}

/// What keys begin with.
pub(super) struct Prefixes;

impl Kind<Vec<Bytes>> for Prefixes {
    fn read(&self, field: &Field<'_>) -> Result<Vec<Bytes>, UsageError> {
        let allowed = "a list of texts that keys begin with";
        field.each(allowed, |field| {
            let prefix = field.text().ok_or_else(|| field.refuse_value(allowed))?;
            Ok(Bytes::copy_from_slice(prefix.as_bytes()))
        })
    }

    fn write(&self, value: &Vec<Bytes>) -> String {
        list(value.iter().map(|prefix| String::from_utf8_lossy(prefix)))
    }
}

/// What is put before every key.
pub(super) struct Prefix;

impl Kind<Bytes> for Prefix {
    fn read(&self, field: &Field<'_>) -> Result<Bytes, UsageError> {
        let allowed = format_args!("a text of at most {PREFIX_MAX} bytes, or nothing between the quotes for none");
        let text = field.text().filter(|text| text.len() <= PREFIX_MAX);
        let prefix = text.map(|text| Bytes::copy_from_slice(text.as_bytes()));
        prefix.ok_or_else(|| field.refuse_value(allowed))
    }

    fn write(&self, value: &Bytes) -> String {
        string(&String::from_utf8_lossy(value))
    }
}

/// Networks; everywhere where none is named.
pub(super) struct NetworkList;

impl Kind<Networks> for NetworkList {
    fn read(&self, field: &Field<'_>) -> Result<Networks, UsageError> {
        let allowed = format!("a list of {}", Networks::ALLOWED);
        let networks = field.each(&allowed, |field| {
            let network = field.text().and_then(|text| Networks::read(text).ok());
            network.ok_or_else(|| field.refuse_value(&allowed))
        })?;
        Ok(Networks::of(networks))
    }

    fn write(&self, value: &Networks) -> String {
        list(value.iter())
    }
}

/// Names of certificates.
pub(super) struct CertificateNames;

impl Kind<Names> for CertificateNames {
    fn read(&self, field: &Field<'_>) -> Result<Names, UsageError> {
        let allowed = format!("a list of {}", Names::ALLOWED);
        let names = field.each(&allowed, |field| {
            let name = field.text().and_then(|text| Name::read(text).ok());
            name.ok_or_else(|| field.refuse_value(&allowed))
        })?;
        Names::of(names).ok_or_else(|| field.refuse(format_args!("{} has \"*\" beside others", field.name()), allowed))
    }

    fn write(&self, value: &Names) -> String {
        list(value.iter())
    }
}
