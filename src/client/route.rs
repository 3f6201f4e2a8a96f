//! The way to a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use crate::transport::tls::Trusted;
use crate::transport::{self, Reader, Writer};

/// How a server is reached: never by a name, which could lead to one server now and to another later. Whoever has a name
/// looks it up: once, as [`Place::of`](super::place::Place::of) does, or again and again.
#[derive(Clone, Debug)]
pub enum Route {
    /// Not at all: its name leads to no address.
    Nowhere,
    /// At an address and port.
    Tcp(SocketAddr),
    /// At an address and port, by TLS.
    Tls(SocketAddr, Arc<Trusted>),
    /// By the Unix socket at this path.
    Unix(PathBuf),
    /// Within this process: for simulations.
    Within(Arc<dyn Dial>),
}

impl Route {
    /// To this address, by TLS where there is something to trust.
    pub fn to(address: SocketAddr, trusted: Option<&Arc<Trusted>>) -> Self {
        match trusted {
            None => Self::Tcp(address),
            Some(trusted) => Self::Tls(address, Arc::clone(trusted)),
        }
    }

    /// The address that it leads to, where it is one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Tls(address, _) => Some(*address),
            Self::Nowhere | Self::Unix(_) | Self::Within(_) => None,
        }
    }
}

/// Whether both lead to the same server. Renewed certificates lead to none other.
impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nowhere, Self::Nowhere) => true,
            (Self::Tcp(one), Self::Tcp(other)) => one == other,
            (Self::Tls(one, _), Self::Tls(other, _)) => one == other,
            (Self::Unix(one), Self::Unix(other)) => one == other,
            (Self::Within(one), Self::Within(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// A connection that is being opened.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<(Reader, Writer)>>>>;

/// Opens connections to a server within this process.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Opens one.
    fn dial(&self) -> Dialling;
}

/// Opens a connection. That has no end in time but the system's own.
///
/// # Errors
/// What the system says, or that there is no way.
pub async fn connect(route: &Route) -> io::Result<(Reader, Writer)> {
    match route {
        Route::Nowhere => Err(io::Error::new(io::ErrorKind::NotConnected, "its name leads nowhere")),
        Route::Tcp(address) => transport::connect_tcp(*address).await,
        Route::Tls(address, trusted) => match trusted.get() {
            Some(trust) => transport::connect_tls(*address, &trust).await,
            None => Err(io::Error::other("no authority is trusted for it")),
        },
        Route::Unix(path) => transport::connect_unix(path).await,
        Route::Within(server) => server.dial().await,
    }
}
