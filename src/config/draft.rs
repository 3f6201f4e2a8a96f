//! A listener as it is written: the rows of its keys, which stand at the top of a file, and what they mean together.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::address::Address;
use super::admission::{CertificateNames, NetworkList, Prefix, Prefixes, ProtocolNames, Subjects};
use super::error::{UsageError, quoted};
use super::field::Fields;
use super::kind::{FILE, Hosts, Kind, Word};
use super::listeners::{ListenerSettings, TlsSettings};
use super::row::{self, Change, Flag, Row, Setting, Takes, row};
use super::words::{DIALECTS, EDGES, Edges};
use crate::access::keys::KeyAccess;
use crate::access::networks::Networks;
use crate::access::{Access, Subject};
use crate::protocol::Protocols;
use crate::protocol::tyrant::dialect::Dialect;
use crate::transport::tls::Names;

/// Every key that a `[[listener]]` has beside its address. At the top of a file the same keys hold for all listeners that
/// do not say otherwise.
#[rustfmt::skip]
pub(super) const ROWS: &[Row<Draft>] = &[
    row!("dialect", dialect, Word(DIALECTS), Live,
        Flag::new("dialect", "DIALECT", "The form of the binary protocol that clients speak, tyrant or pytyrant")),
    row!("protocols", protocols, ProtocolNames, Live,
        Flag::new("protocols", "NAMES", "The protocols to serve, of binary, memcached and http, comma separated")
            .default("all").takes(Takes::Commas)),
    row!("allow", allow, Subjects, Live,
        Flag::new("allow", "NAMES", "Commands that clients may give beside those that are not denied, by Tyrant's \
            names, comma separated").default("").takes(Takes::Commas)),
    row!("deny", deny, Subjects, Live,
        Flag::new("deny", "NAMES", "Commands that clients may not give, as of ttserver -mask, beside repl, setmst, \
            restore and copy; comma separated").default("").takes(Takes::Commas)),
    row!("allow_keys", keys.allow, Prefixes, Live,
        Flag::new("allow-keys", "PREFIXES", "What the keys begin with that clients may name, and no others, comma \
            separated").default("any").takes(Takes::Commas)),
    row!("deny_keys", keys.deny, Prefixes, Live,
        Flag::new("deny-keys", "PREFIXES", "What the keys begin with that clients may not name, comma separated")
            .default("none").takes(Takes::Commas)),
    row!("prefix", keys.prefix, Prefix, Live,
        Flag::new("prefix", "TEXT", "What is put before every key that clients name, and taken off again, so that they \
            see no others").default("none")),
    row!("networks", networks, NetworkList, Live,
        Flag::new("networks", "CIDRS", "Networks that clients may connect from, such as 10.0.0.0/8, comma separated")
            .default("all").takes(Takes::Commas)),
    row!("edges", edges, Word(EDGES), Live),
    row!("http_hosts", http_hosts, Hosts, Live),
];

/// The keys of its table `tls`.
pub(super) const TLS_ROWS: &[Row<Draft>] = &[
    row!("tls.cert", cert, FILE, Live),
    row!("tls.key", key, FILE, Live),
    row!("tls.client_ca", client_ca, FILE, Live),
    row!("tls.allow_san", allow_san, CertificateNames, Live),
];

/// What is written of a listener beside its address.
pub(super) struct Draft {
    dialect: Dialect,
    protocols: Protocols,
    /// What is allowed and denied beside what is inherited.
    allow: Vec<Subject>,
    deny: Vec<Subject>,
    keys: KeyAccess,
    networks: Networks,
    edges: Edges,
    http_hosts: Arc<[String]>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    allow_san: Names,
}

impl Draft {
    /// What has to be written so that `listener` is served as it is, where clients may do what is `inherited`.
    pub(super) fn of(listener: &ListenerSettings, inherited: Access) -> Self {
        let (allow, deny) = listener.access.beside(inherited);
        let tls = listener.tls.as_ref();
        Self {
            dialect: listener.dialect,
            protocols: listener.protocols,
            allow,
            deny,
            keys: listener.keys.clone(),
            networks: listener.networks.clone(),
            edges: listener.edges,
            http_hosts: Arc::clone(&listener.http_hosts),
            cert: tls.map(|tls| tls.cert.clone()),
            key: tls.map(|tls| tls.key.clone()),
            client_ca: tls.and_then(|tls| tls.client_ca.clone()),
            allow_san: tls.map(|tls| tls.allow_san.clone()).unwrap_or_default(),
        }
    }

    /// What is written in one table, over what is `inherited` where it says nothing.
    pub(super) fn read(fields: &Fields<'_>, inherited: &ListenerSettings) -> Result<Self, UsageError> {
        let mut draft = Self::of(inherited, inherited.access);
        row::read(ROWS.iter().chain(TLS_ROWS), fields, &mut draft)?;
        draft.check_access(fields)?;
        draft.check_keys(fields)?;
        Ok(draft)
    }

    /// The listener at this address, where clients may do what is `inherited` and what is said beside it.
    pub(super) fn listener(
        self,
        address: Address,
        inherited: Access,
        fields: &Fields<'_>,
    ) -> Result<ListenerSettings, UsageError> {
        Ok(ListenerSettings {
            address,
            dialect: self.dialect,
            protocols: self.protocols,
            access: inherited.with(&self.allow, &self.deny),
            tls: self.tls(fields)?,
            keys: self.keys,
            networks: self.networks,
            edges: self.edges,
            http_hosts: self.http_hosts,
        })
    }

    fn check_access(&self, fields: &Fields<'_>) -> Result<(), UsageError> {
        let both = self.allow.iter().find(|subject| self.deny.contains(subject));
        both.map_or(Ok(()), |both| {
            let problem = format!("{} and {} both name {both}", fields.name("allow"), fields.name("deny"));
            Err(fields.refuse("deny", problem, "each name in one of them"))
        })
    }

    fn check_keys(&self, fields: &Fields<'_>) -> Result<(), UsageError> {
        if self.keys.reaches_records() {
            let name = fields.name("prefix");
            let problem = format!("{name} could name the records timestamp.KEY, which are ttguard's own");
            return Err(fields.refuse("prefix", problem, "a prefix that does not begin as they do"));
        }
        let both = self.keys.allow.iter().find(|prefix| self.keys.deny.contains(prefix));
        both.map_or(Ok(()), |both| {
            let (allow, deny) = (fields.name("allow_keys"), fields.name("deny_keys"));
            let problem = format!("{allow} and {deny} both name {}", lossy(both));
            let key = fields.get("deny_keys").map_or("allow_keys", |_| "deny_keys");
            Err(fields.refuse(key, problem, "each prefix in one of them"))
        })
    }

    /// Where a certificate is said to be none, TLS is off, whatever is inherited of it.
    fn tls(&self, fields: &Fields<'_>) -> Result<Option<TlsSettings>, UsageError> {
        let [cert, key, client_ca] = ["tls.cert", "tls.key", "tls.client_ca"].map(|key| fields.name(key));
        let said = |key, file: &Option<PathBuf>| file.is_some() && fields.get(key).is_some();
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Ok(Some(TlsSettings {
                cert: cert.clone(),
                key: key.clone(),
                client_ca: self.client_ca.clone(),
                allow_san: self.names(fields)?,
            })),
            (Some(_), None) => {
                let problem = format_args!("{cert} has no key");
                Err(fields.refuse("tls.cert", problem, format_args!("{key} with it")))
            }
            (None, _) if said("tls.key", &self.key) => {
                let problem = format_args!("{key} has no certificate");
                Err(fields.refuse("tls.key", problem, format_args!("{cert} with it")))
            }
            (None, _) if said("tls.client_ca", &self.client_ca) => {
                let problem = format_args!("{client_ca} needs TLS");
                Err(fields.refuse("tls.client_ca", problem, format_args!("{cert} and {key} with it")))
            }
            (None, _) => Ok(None),
        }
    }

    /// Which certificates of clients are let in. That any is has to be said: an authority signs for many.
    fn names(&self, fields: &Fields<'_>) -> Result<Names, UsageError> {
        let [client_ca, allow_san] = ["tls.client_ca", "tls.allow_san"].map(|key| fields.name(key));
        match (&self.client_ca, self.allow_san.are_none()) {
            (Some(_), true) => {
                let key = fields.get("tls.client_ca").map_or("tls.allow_san", |_| "tls.client_ca");
                let problem = format_args!("{client_ca} would let in whoever has any certificate of it");
                let allowed = format_args!("{allow_san} with it: {}", Names::ALLOWED);
                Err(fields.refuse(key, problem, allowed))
            }
            (None, false) if fields.get("tls.allow_san").is_some() => {
                let problem = format_args!("{allow_san} is about certificates that no client is asked for");
                Err(fields.refuse("tls.allow_san", problem, format_args!("{client_ca} with it")))
            }
            // Inherited, where this listener asks for no certificate.
            (None, _) => Ok(Names::default()),
            (Some(_), false) => Ok(self.allow_san.clone()),
        }
    }
}

/// What keys begin with, in quotes.
pub(super) fn lossy(prefix: &Bytes) -> String {
    quoted(&String::from_utf8_lossy(prefix))
}
