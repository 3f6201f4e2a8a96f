//! The clients of an edge: who has connected there, and who of them is served.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::task::spawn_local;

use super::Link;
use super::carrying::carry;
use super::end::Fault;
use super::stream::Stream;
use crate::front::gate::Gate;
use crate::front::seat::Seat;
use crate::metrics::CloseReason;
use crate::protocol::link::hello::{From, Opened};
use crate::protocol::link::told::{Failed, Told};
use crate::transport::{Peer, Who};

/// An edge has no more clients than this, those that are not served included.
const CLIENTS: usize = 1 << 20;

/// The clients of an edge.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// By the numbers that the edge gives them; nothing for those that are not served.
    open: BTreeMap<u32, Option<Rc<Stream>>>,
    next: u64,
}

/// A client that asks.
pub(super) enum Asker {
    /// It is served.
    Served(Rc<Stream>),
    /// It may not connect, or finds no seat.
    Refused,
}

/// One client of an edge's, counted for as long as this lives.
struct Counted(Rc<Link>);

impl Counted {
    fn new(link: &Rc<Link>) -> Self {
        link.engine().shared.metrics.edge_clients.increment(1);
        link.carrying.set(link.carrying.get() + 1);
        Self(Rc::clone(link))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let metrics = &self.0.engine().shared.metrics;
        metrics.edge_clients.decrement(1);
        metrics.sessions_closed.of(CloseReason::Client).increment(1);
        self.0.carrying.set(self.0.carrying.get() - 1);
        self.0.carried.notify_one();
    }
}

impl Clients {
    /// A client has connected to the edge.
    pub(super) fn open(&mut self, link: &Rc<Link>, gate: &Gate, client: u32, opened: Opened) -> Result<(), Fault> {
        if self.open.contains_key(&client) {
            return Err(Fault::Opened(client));
        }
        if self.open.len() >= CLIENTS {
            return Err(Fault::Clients(CLIENTS));
        }
        let who = Who::through(link.edge(), peer_of(opened.from), opened.certificate);
        let stream = self.admit(link, gate, who);
        self.open.insert(client, stream);
        Ok(())
    }

    fn admit(&mut self, link: &Rc<Link>, gate: &Gate, who: Who) -> Option<Rc<Stream>> {
        let metrics = &link.engine().shared.metrics;
        metrics.sessions_opened.increment(1);
        let seat = match Seat::through_an_edge(gate, &link.listener, &who) {
            Ok(seat) => seat,
            Err(reason) => {
                metrics.sessions_closed.of(reason).increment(1);
                return None;
            }
        };
        self.next += 1;
        let stream = Stream::new(Rc::clone(link), self.next, who);
        let counted = Counted::new(link);
        let carried = Rc::clone(&stream);
        spawn_local(async move {
            carry(carried).await;
            drop((seat, counted));
        });
        Some(stream)
    }

    /// A client has gone.
    pub(super) fn close(&mut self, client: u32) -> Result<(), Fault> {
        let stream = self.open.remove(&client).ok_or(Fault::Stranger(client))?;
        stream.iter().for_each(|stream| stream.go());
        Ok(())
    }

    /// The client with this number.
    pub(super) fn asker(&self, client: u32) -> Result<Asker, Fault> {
        match self.open.get(&client) {
            Some(Some(stream)) => Ok(Asker::Served(Rc::clone(stream))),
            Some(None) => Ok(Asker::Refused),
            None => Err(Fault::Stranger(client)),
        }
    }

    /// Has those look again who wait until the edge takes what it was told, or for the link's end.
    pub(super) fn wake(&self) {
        let streams = self.open.values().flatten();
        streams.for_each(|stream| stream.channel.wake.notify_one());
    }

    /// All of them go.
    pub(super) fn go(&mut self) {
        let open = std::mem::take(&mut self.open);
        open.into_values().flatten().for_each(|stream| stream.go());
    }
}

impl Stream {
    fn go(&self) {
        self.is_gone.set(true);
        self.channel.wake.notify_one();
    }
}

impl Link {
    /// Whatever a stream still owes is given up.
    pub(super) fn forget(&self, stream: u64) {
        let inner = self.inner.borrow();
        let owed = inner.owed.iter().filter(|(_, owed)| owed.stream == Some(stream));
        let mut left: Vec<u64> = owed.map(|(id, _)| *id).collect();
        drop(inner);
        // In an order of its own the map would not be the same in two runs of a simulation.
        left.sort_unstable();
        let told = Told::Failed(Failed::LaneLost);
        for id in left {
            self.tell(id, Some(stream), None, |out| told.put(out));
        }
        self.wake.notify_one();
    }
}

/// From where a client has connected to its edge.
pub(in crate::front) fn peer_of(from: From) -> Peer {
    match from {
        From::Address(address) => Peer::Tcp(address),
        From::Process(user, process) => Peer::Unix(user, process.and_then(|process| i32::try_from(process).ok())),
        From::Unknown => Peer::Unknown,
    }
}
