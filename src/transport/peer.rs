//! Who is at the other end.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address and its port.
    Tcp(SocketAddr),
    /// A process of this machine, by its user and, where the system tells it, its number.
    Unix(u32, Option<i32>),
    /// It cannot be told.
    Unknown,
}

/// Whose connections count as those of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// Those of one address.
    Address(IpAddr),
    /// Those of one process of this machine.
    Process(u32, Option<i32>),
    /// Those that nothing is known of.
    Unknown,
}

impl Peer {
    /// Whose connection it is.
    pub fn host(self) -> Host {
        match self {
            Self::Tcp(address) => Host::Address(address.ip().to_canonical()),
            Self::Unix(user, process) => Host::Process(user, process),
            Self::Unknown => Host::Unknown,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            other => write!(f, "{}", other.host()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Process(user, Some(process)) => write!(f, "unix user {user} process {process}"),
            Self::Process(user, None) => write!(f, "unix user {user}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
