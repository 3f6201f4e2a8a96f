//! The clients that are refused most often, by the space-saving algorithm: as many counters as there is room for, and a
//! client without one takes over that of the client with the fewest.
//!
//! Whoever has more refusals than all together divided by the number of counters is among them, and no count is below
//! the truth.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Refused, edges};
use crate::command::Reason;
use crate::transport::{Account, Who};

/// Clients that are kept.
pub const KEPT: usize = 64;

/// One client's counter.
#[derive(Clone, Debug)]
struct Entry {
    account: Account,
    refusals: u64,
    inherited: u64,
    stale: u64,
    future: u64,
    last: Duration,
    latest_by: Duration,
    ahead_by: Duration,
}

/// The clients that are refused most often.
#[derive(Debug, Default)]
pub struct Clients {
    entries: Vec<Entry>,
}

/// A client as `/api/clients` tells it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Its address without the port; `unix` with user and process for one on this machine. That of an edge's is the one that
    /// it has there.
    pub client: String,
    /// The name in its certificate, where it has shown one. Whoever shows another is another client.
    #[serde(default)]
    pub certificate: Option<String>,
    /// The edge that it comes through. Whoever comes through another is another client.
    #[serde(default)]
    pub edge: Option<edges::Named>,
    /// Writes of it that were refused, or in observe mode would have been, since the start.
    pub refusals: u64,
    /// By how many `refusals` may be too high: those of a client that it has displaced.
    pub at_most_too_high: u64,
    /// Those that were stale, since it is kept here.
    pub stale: u64,
    /// Those with a stamp in the future, since it is kept here: its clock is ahead.
    pub future: u64,
    /// The oldest of its stale writes was so many seconds older than what was stored.
    pub latest_by_seconds: f64,
    /// The furthest of its stamps in the future was so many seconds ahead of our clock.
    pub ahead_by_seconds: f64,
    /// When it was refused last, in seconds since the epoch.
    pub last: f64,
}

impl Clients {
    /// Counts a refusal. Returns whether it is the first of its client with a stamp in the future, since that is kept here.
    pub fn add(&mut self, refused: Refused<'_>) -> bool {
        let entry = self.entry(refused.asker.who);
        let off_by = refused.off_by.unwrap_or_default();
        entry.refusals += 1;
        entry.last = refused.at;
        match refused.reason {
            Reason::Stale => {
                entry.stale += 1;
                entry.latest_by = entry.latest_by.max(off_by);
            }
            Reason::Future => {
                entry.future += 1;
                entry.ahead_by = entry.ahead_by.max(off_by);
            }
            Reason::Tie | Reason::Unstamped | Reason::Denied => {}
        }
        refused.reason == Reason::Future && entry.future == 1
    }

    fn entry(&mut self, who: &Who) -> &mut Entry {
        let account = who.account();
        let known = self.entries.iter().position(|entry| entry.account == account);
        let at = known.unwrap_or_else(|| {
            let displaced = if self.entries.len() < KEPT {
                None
            } else {
                let all = self.entries.iter().enumerate();
                all.min_by_key(|(_, entry)| entry.refusals).map(|(at, _)| at)
            };
            let inherited = displaced.map_or(0, |at| self.entries[at].refusals);
            let new = Entry {
                account,
                refusals: inherited,
                inherited,
                stale: 0,
                future: 0,
                last: Duration::ZERO,
                latest_by: Duration::ZERO,
                ahead_by: Duration::ZERO,
            };
            match displaced {
                Some(at) => {
                    self.entries[at] = new;
                    at
                }
                None => {
                    self.entries.push(new);
                    self.entries.len() - 1
                }
            }
        });
        &mut self.entries[at]
    }

    /// All of them, the most often refused first.
    pub fn most_first(&self) -> Vec<Shown> {
        let mut entries = self.entries.clone();
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.refusals, entry.last)));
        let shown = |entry: Entry| Shown {
            client: entry.account.host.to_string(),
            certificate: entry.account.certificate().map(ToString::to_string),
            edge: entry.account.edge().map(edges::Named::of),
            refusals: entry.refusals,
            at_most_too_high: entry.inherited,
            stale: entry.stale,
            future: entry.future,
            latest_by_seconds: entry.latest_by.as_secs_f64(),
            ahead_by_seconds: entry.ahead_by.as_secs_f64(),
            last: entry.last.as_secs_f64(),
        };
        entries.into_iter().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::super::refusals::example;
    use super::*;
    use crate::protocol::link::printable::Printable;
    use crate::transport::{Edge, Peer};

    fn peer(number: u32, port: u16) -> Peer {
        Peer::Tcp(SocketAddr::from((Ipv4Addr::from_bits(0x0A00_0000 + number), port)))
    }

    fn client(number: u32, port: u16) -> Who {
        Who::here(peer(number, port), None)
    }

    #[test]
    fn clients_of_one_address_are_told_apart_by_their_edges_and_certificates() {
        let edge = |number, port| Edge {
            name: Printable::new("process 1 on app"),
            host: peer(number, port).host(),
            certificate: None,
        };
        let sidecar = |edge| Who::through(edge, peer(1, 1), None);
        let mut clients = Clients::default();
        for _ in 0..3 {
            clients.add(example(b"k", &sidecar(edge(8, 1))));
        }
        // Another link of the same edge.
        clients.add(example(b"k", &sidecar(edge(8, 2))));
        clients.add(example(b"k", &sidecar(edge(9, 1))));
        clients.add(example(b"k", &client(1, 1)));
        clients.add(example(b"k", &Who::here(peer(1, 1), Printable::new("app.example"))));
        let shown = clients.most_first();
        assert!(shown.iter().all(|shown| shown.client == "10.0.0.1"));
        let from = |shown: &Shown| shown.edge.as_ref().map(|edge| edge.from.clone());
        assert_eq!((shown[0].stale, from(&shown[0]).as_deref()), (4, Some("10.0.0.8")));
        assert_eq!(shown.len(), 4);
        let once: Vec<_> = shown[1..]
            .iter()
            .map(|one| (one.stale, from(one), one.certificate.clone()))
            .collect();
        for (edge, certificate) in [(Some("10.0.0.9"), None), (None, None), (None, Some("app.example"))] {
            let wanted = (1, edge.map(str::to_owned), certificate.map(str::to_owned));
            assert!(once.contains(&wanted), "{wanted:?} in {once:?}");
        }
    }

    #[test]
    fn connections_of_one_host_count_together() {
        let mut clients = Clients::default();
        clients.add(example(b"k", &client(1, 1)));
        clients.add(example(b"k", &client(1, 2)));
        clients.add(example(b"k", &client(2, 1)));
        let shown = clients.most_first();
        assert_eq!((shown[0].client.as_str(), shown[0].stale), ("10.0.0.1", 2));
        assert_eq!((shown[1].client.as_str(), shown[1].at_most_too_high), ("10.0.0.2", 0));
        assert_eq!(shown[0].latest_by_seconds, 2.0);
    }

    #[test]
    fn whoever_is_refused_often_is_found_among_any_number_of_others() {
        let mut clients = Clients::default();
        for number in 0..10_000 {
            clients.add(example(b"k", &client(1000 + number, 1)));
            if number % 10 == 0 {
                clients.add(example(b"k", &client(1, 1)));
            }
        }
        let shown = clients.most_first();
        assert_eq!(shown.len(), KEPT);
        let often = shown
            .iter()
            .find(|shown| shown.client == "10.0.0.1")
            .expect("the client");
        assert!(
            often.refusals >= 1000 && often.refusals - often.at_most_too_high <= 1000,
            "{often:?}"
        );
    }
}
