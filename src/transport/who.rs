//! Who asks: the other end of a connection, and what is known of it beside its address.

use std::fmt;
use std::sync::Arc;

use super::peer::{Host, Peer};
use crate::protocol::link::printable::Printable;

/// Who asks. A client of an edge's is the one that has connected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// From where it has connected.
    pub peer: Peer,
    /// What is known beside that, of those of whom there is anything.
    known: Option<Arc<Known>>,
}

/// What is known of a client beside its address.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    certificate: Option<Printable>,
    edge: Option<Edge>,
}

/// An edge, as its guard knows it: the same for all links of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What it calls itself.
    pub name: Option<Printable>,
    /// From where it is linked.
    pub host: Host,
    /// The name in its certificate by which it was let in.
    pub certificate: Option<Printable>,
}

/// Whose requests count as those of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// From where it has connected, whatever the port.
    pub host: Host,
    known: Option<Arc<Known>>,
}

impl Who {
    /// A client of our own, with the name in its certificate where it has shown one.
    pub fn here(peer: Peer, certificate: Option<Printable>) -> Self {
        let known = Known {
            certificate,
            edge: None,
        };
        let is_any = known.certificate.is_some();
        Self {
            peer,
            known: is_any.then(|| Arc::new(known)),
        }
    }

    /// A client of an edge's, as that has told of it.
    pub fn through(edge: Edge, peer: Peer, certificate: Option<Printable>) -> Self {
        let edge = Some(edge);
        Self {
            peer,
            known: Some(Arc::new(Known { certificate, edge })),
        }
    }

    /// The name in its certificate by which it was let in, where it has shown one.
    pub fn certificate(&self) -> Option<&Printable> {
        self.known.as_ref()?.certificate.as_ref()
    }

    /// The edge that it comes through.
    pub fn edge(&self) -> Option<&Edge> {
        self.known.as_ref()?.edge.as_ref()
    }

    /// Whose requests its requests count as.
    pub fn account(&self) -> Account {
        Account {
            host: self.peer.host(),
            known: self.known.clone(),
        }
    }
}

impl Account {
    /// The name in its certificate by which it was let in, where it has shown one.
    pub fn certificate(&self) -> Option<&Printable> {
        self.known.as_ref()?.certificate.as_ref()
    }

    /// The edge that it comes through.
    pub fn edge(&self) -> Option<&Edge> {
        self.known.as_ref()?.edge.as_ref()
    }
}

/// Where it has connected from alone, where nothing else is known. All that may be known:
/// `10.0.0.1:5 (app.example) through process 7 on app-1 at 10.0.0.9 (edge.example)`.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.peer)?;
        if let Some(certificate) = self.certificate() {
            write!(f, " ({certificate})")?;
        }
        match self.edge() {
            Some(edge) => write!(f, " through {edge}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} at {}", self.host)?,
            None => write!(f, "an edge at {}", self.host)?,
        }
        match &self.certificate {
            Some(certificate) => write!(f, " ({certificate})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Tcp(address.parse().expect("an address"))
    }

    fn edge(host: &str) -> Edge {
        Edge {
            name: Printable::new("process 7 on app-1"),
            host: peer(host).host(),
            certificate: Printable::new("edge.example"),
        }
    }

    #[test]
    fn all_that_is_known_is_said() {
        let app = Printable::new("app.example");
        let bare = Who::here(peer("10.0.0.1:5"), None);
        assert_eq!(bare.to_string(), "10.0.0.1:5");
        let named = Who::here(peer("10.0.0.1:5"), app.clone());
        assert_eq!(named.to_string(), "10.0.0.1:5 (app.example)");
        let through = Who::through(edge("10.0.0.9:1"), peer("127.0.0.1:5"), app);
        assert_eq!(
            through.to_string(),
            "127.0.0.1:5 (app.example) through process 7 on app-1 at 10.0.0.9 (edge.example)"
        );
        let nameless = Edge {
            name: None,
            certificate: None,
            ..edge("10.0.0.9:1")
        };
        assert_eq!(nameless.to_string(), "an edge at 10.0.0.9");
    }

    #[test]
    fn connections_of_one_client_by_one_edge_have_one_account() {
        let through = |host, client| Who::through(edge(host), peer(client), None).account();
        assert_eq!(
            through("10.0.0.9:1", "127.0.0.1:5"),
            through("10.0.0.9:2", "127.0.0.1:6")
        );
        assert_ne!(
            through("10.0.0.9:1", "127.0.0.1:5"),
            through("10.0.0.8:1", "127.0.0.1:5")
        );
        assert_ne!(
            through("10.0.0.9:1", "127.0.0.1:5"),
            Who::here(peer("127.0.0.1:5"), None).account()
        );
        let named = |name| Who::here(peer("10.0.0.1:5"), Printable::new(name)).account();
        assert_ne!(named("a.example"), named("b.example"));
    }
}
