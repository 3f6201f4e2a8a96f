//! One address where clients connect, and what differs from one to the next.

use std::path::PathBuf;
use std::sync::Arc;

use super::address::Address;
use super::error::UsageError;
use super::words::Edges;
use crate::access::Access;
use crate::access::keys::KeyAccess;
use crate::access::networks::Networks;
use crate::protocol::Protocols;
use crate::protocol::tyrant::dialect::Dialect;
use crate::transport::tls::{Identity, Names};

/// One address where clients connect, and how they are served there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Where it listens.
    pub address: Address,
    /// Which form of the binary protocol its clients speak.
    pub dialect: Dialect,
    /// The protocols that are served; at least one.
    pub protocols: Protocols,
    /// Which commands clients may give.
    pub access: Access,
    /// Which keys clients may name.
    pub keys: KeyAccess,
    /// From where clients may connect.
    pub networks: Networks,
    /// Which edges may speak for their clients here.
    pub edges: Edges,
    /// Names by which requests of HTTP may ask, beside `localhost` and addresses: where it listens on this machine alone,
    /// or where there are any.
    pub http_hosts: Arc<[String]>,
    /// The files of TLS, where clients speak by it; never at a Unix socket.
    pub tls: Option<TlsSettings>,
}

impl ListenerSettings {
    /// A listener with the default of everything but its address.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            dialect: Dialect::default(),
            protocols: Protocols::ALL,
            access: Access::default(),
            keys: KeyAccess::default(),
            networks: Networks::default(),
            edges: Edges::default(),
            http_hosts: Arc::default(),
            tls: None,
        }
    }

    /// Names by which requests of HTTP may ask, beside `localhost` and addresses; nothing where any will do: other machines
    /// know this one by names that are not known here.
    pub fn hosts(&self) -> Option<&Arc<[String]>> {
        (self.address.is_loopback() || !self.http_hosts.is_empty()).then_some(&self.http_hosts)
    }

    /// Whether nothing but the address differs.
    pub(super) fn serves_as(&self, other: &Self) -> bool {
        let moved = Self {
            address: other.address.clone(),
            ..self.clone()
        };
        moved == *other
    }

    /// Reads the files of a listener whose clients speak by TLS.
    ///
    /// # Errors
    /// When one of them is not what it has to be.
    pub fn identity(&self) -> Result<Option<Arc<Identity>>, UsageError> {
        let read = |tls: &TlsSettings| {
            Identity::read(&tls.cert, &tls.key, tls.client_ca.as_deref(), &tls.allow_san).map(Arc::new)
        };
        let identity = self.tls.as_ref().map(read).transpose();
        identity.map_err(|mistake| UsageError::new(mistake.key, mistake.problem, mistake.allowed))
    }
}

/// The files of a listener whose clients speak by TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The listener's certificate, and those that lead from it to an authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities that must have signed the certificate that a client has to show; nothing where it shows none.
    pub client_ca: Option<PathBuf>,
    /// The names of which that certificate has to carry one; some where it is asked for.
    pub allow_san: Names,
}
