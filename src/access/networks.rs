//! From where clients may connect.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::transport::Peer;

/// The networks that a listener's clients may connect from; everywhere where none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// Why a text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNetwork;

impl Networks {
    /// What a network is written as.
    pub const ALLOWED: &str =
        "networks such as \"10.0.0.0/8\", \"192.0.2.7\" or \"fd00::/8\", the bits behind the prefix 0";

    /// These networks; a list of none means everywhere.
    pub fn of(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Reads a network, or an address by itself. One whose host bits are set is refused: whoever wrote it meant a longer
    /// prefix or another network.
    ///
    /// # Errors
    /// When the text is none, or an IPv4 network in IPv6 clothes, which no client would be in.
    pub fn read(text: &str) -> Result<IpNet, NoNetwork> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| NoNetwork)?,
        };
        let is_mapped = matches!(network.addr(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
        if network.trunc() != network || is_mapped {
            return Err(NoNetwork);
        }
        Ok(network)
    }

    /// Whether every client may connect.
    pub fn are_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a client may connect. Those on a Unix socket may: its folder says who can reach it.
    pub fn admit(&self, peer: Peer) -> bool {
        match peer {
            _ if self.are_all() => true,
            Peer::Tcp(address) => {
                let address = address.ip().to_canonical();
                self.0.iter().any(|network| network.contains(&address))
            }
            Peer::Unix(..) => true,
            Peer::Unknown => false,
        }
    }

    /// Each network, as it is read.
    pub fn iter(&self) -> impl Iterator<Item = impl fmt::Display> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::of(texts.iter().map(|text| Networks::read(text).expect(text)).collect())
    }

    fn from(address: &str) -> Peer {
        Peer::Tcp(address.parse().expect(address))
    }

    #[test]
    fn a_client_is_in_a_network_whatever_its_address_is_written_as() {
        let some = networks(&["10.1.0.0/16", "192.0.2.7", "fd00::/8"]);
        for inside in ["10.1.255.3:9", "[::ffff:10.1.2.3]:9", "192.0.2.7:1", "[fd12::1]:5"] {
            assert!(some.admit(from(inside)), "{inside}");
        }
        for outside in [
            "10.2.0.1:9",
            "[::ffff:10.2.2.3]:9",
            "192.0.2.8:1",
            "[fe80::1]:5",
            "[::1]:5",
        ] {
            assert!(!some.admit(from(outside)), "{outside}");
        }
        assert!(some.admit(Peer::Unix(0, None)));
        assert!(!some.admit(Peer::Unknown));
        assert!(networks(&[]).admit(from("10.2.0.1:9")) && networks(&[]).admit(Peer::Unknown));
        assert!(networks(&["0.0.0.0/0"]).admit(from("8.8.8.8:1")));
        assert!(!networks(&["0.0.0.0/0"]).admit(from("[::1]:1")));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0/8",
            "h",
            "::ffff:10.0.0.0/104",
            "fd00::1/8",
            "10.0.0.0/08x",
        ] {
            assert_eq!(Networks::read(text), Err(NoNetwork), "{text}");
        }
    }
}
