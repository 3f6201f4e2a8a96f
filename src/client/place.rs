//! Where a server is, found out once.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::route::Route;
use crate::config::Address;

/// Addresses of one name that are tried, at most.
pub const ADDRESSES_MAX: usize = 16;

/// The one place that all connections of a run go to. A name is looked up once: it may lead to one server now and to
/// another in a moment, and what is found in the one would be held against the other.
#[derive(Clone, Debug)]
pub struct Place {
    address: Address,
    route: Route,
}

impl Place {
    /// Where `address` leads now: of a name's addresses, the first that takes connections. What is an address already is
    /// not tried. This blocks.
    ///
    /// # Errors
    /// When the name cannot be looked up, or nobody takes connections at any of its first 16 addresses, for `patience`
    /// each.
    pub fn of(address: &Address, patience: Duration) -> io::Result<Self> {
        let route = match address {
            Address::Tcp(host_port) => Route::Tcp(one_address(host_port, patience)?),
            Address::Unix(path) => Route::Unix(path.clone()),
        };
        let address = address.clone();
        Ok(Self { address, route })
    }

    /// The way there.
    pub fn route(&self) -> &Route {
        &self.route
    }
}

/// As it was written.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

fn one_address(host_port: &str, patience: Duration) -> io::Result<SocketAddr> {
    if let Ok(address) = host_port.parse() {
        return Ok(address);
    }
    let mut fault = io::ErrorKind::AddrNotAvailable.into();
    for address in host_port.to_socket_addrs()?.take(ADDRESSES_MAX) {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(_) => return Ok(address),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::client::route;

    #[tokio::test]
    async fn a_name_is_looked_up_once_for_all_connections() {
        let first = TcpListener::bind("localhost:0").unwrap();
        let (address, port) = (first.local_addr().unwrap(), first.local_addr().unwrap().port());
        let named = Address::Tcp(format!("localhost:{port}"));
        let place = Place::of(&named, Duration::from_secs(60)).unwrap();
        assert_eq!(place.to_string(), named.to_string());
        assert!(route::connect(place.route()).await.is_ok());
        drop(first);
        // Where the name has several addresses, another server takes connections at the others.
        let others: Vec<_> = ["127.0.0.1", "::1"]
            .into_iter()
            .filter(|host| address.ip().to_string() != **host)
            .filter_map(|host| TcpListener::bind((host, port)).ok())
            .collect();
        assert!(route::connect(place.route()).await.is_err(), "{others:?}");
    }
}
