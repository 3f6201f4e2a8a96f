//! Why the proxy does not start.

use std::io;

use crate::config::UsageError;
use crate::engine::{OpenError, OpenFault};

/// Why the proxy could not start, or listen where a reload says.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(
        "{setting}: cannot listen on {address}: {error}; allowed: an address of this machine that no other process uses"
    )]
    Bind {
        /// Which setting names it.
        setting: &'static str,
        /// The address.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// The store's file cannot be used.
    #[error("backend: {0}")]
    Store(#[from] OpenError),
    /// The process was started with a listening socket that no setting names.
    #[error("LISTEN_FDS: a socket was handed over for {address}; allowed: the addresses of listen and [[listener]]")]
    Unnamed {
        /// Where the socket listens.
        address: String,
    },
    /// The admin listener must not be there for all to see.
    #[error(transparent)]
    Admin(#[from] UsageError),
    /// A file of TLS is not what it has to be.
    #[error("{0}")]
    Tls(UsageError),
    /// What answers at the URL of a guard is none for this process.
    #[error("edge_of: {url}: {fault}; allowed: a ttguard that serves a store and takes links from here")]
    NoGuard {
        /// The URL.
        url: String,
        /// What was found there.
        fault: OpenFault,
    },
    /// The system refuses something else.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}
