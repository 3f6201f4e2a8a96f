//! PB, PC and PA by three clients that stamp nothing, on three edges: whatever way the network holds them up, what was sent
//! last stays, and each client reads the bytes that it wrote.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::GIVEN;
use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::{Guarded, on_file};
use crate::support::real::Real;

const ROUNDS: usize = 60;

/// Which of two sends by two edges came first is known only as far as each knows its guard's clock: by half a round trip.
const APART: Duration = Duration::from_millis(25);

/// A network between an edge and its guard that lets nothing pass to the guard while it is closed.
struct Network {
    address: SocketAddr,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Network {
    fn to(guard: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let gate = Arc::<(Mutex<bool>, Condvar)>::default();
        let shared = Arc::clone(&gate);
        thread::spawn(move || {
            for edge in listener.incoming() {
                let Ok(edge) = edge else { return };
                let guard = TcpStream::connect(guard).expect("the guard");
                for stream in [&edge, &guard] {
                    stream.set_nodelay(true).expect("nodelay");
                }
                let (mut answers, mut back) = (
                    guard.try_clone().expect("a handle"),
                    edge.try_clone().expect("a handle"),
                );
                thread::spawn(move || std::io::copy(&mut answers, &mut back));
                let gate = Arc::clone(&shared);
                thread::spawn(move || pass_on(edge, guard, &gate));
            }
        });
        Self { address, gate }
    }

    fn set(&self, closed: bool) {
        *self.gate.0.lock().expect("the gate") = closed;
        self.gate.1.notify_all();
    }

    fn close(&self) {
        self.set(true);
    }

    fn open(&self) {
        self.set(false);
    }
}

/// Passes on what comes, but for the time in which the way is closed.
fn pass_on(mut from: TcpStream, mut to: TcpStream, (closed, changed): &(Mutex<bool>, Condvar)) {
    let mut bytes = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let closed = closed.lock().expect("the gate");
        drop(changed.wait_while(closed, |closed| *closed).expect("the gate"));
        if to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

/// One client with its edge, and the network that its edge asks by.
struct Node {
    network: Network,
    edge: Guarded,
    client: Client,
    /// Bytes of what it was asked to put.
    asked: usize,
}

impl Node {
    fn of(guard: &Guarded) -> Self {
        let network = Network::to(guard.address());
        let edge = Guarded::start(&format!(
            "edge_of = [\"tyrant://{}\"]\nworkers = 1\npairing.request_timeout = \"30s\"\n\
             pairing.connect_timeout = \"30s\"\n",
            network.address
        ));
        let client = edge.client();
        let mut node = Self {
            network,
            edge,
            client,
            asked: 0,
        };
        // The link is up, and it is known who gives stamps.
        node.send("start", "start");
        assert_eq!(node.client.code().expect("an answer"), 0);
        node
    }

    /// Sends a put, and waits until the edge has taken it.
    fn send(&mut self, key: &str, value: &str) {
        let request = frame::store(frame::PUT, key, value.as_bytes());
        self.client.send(&request);
        self.asked += request.len();
        let labels = [("protocol", "binary"), ("command", "put")];
        self.edge
            .expect_metric("ttguard_request_bytes_total", &labels, self.asked as f64);
    }
}

fn tell(guard: &Guarded) {
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::of(guard)).collect();
    let (mut random, mut reader) = (fastrand::Rng::with_seed(18), guard.client());
    for round in 0..ROUNDS {
        let key = format!("packet-{round}");
        let mut arrivals = [0, 1, 2];
        random.shuffle(&mut arrivals);
        nodes.iter().for_each(|node| node.network.close());
        // Sent in this order, one behind the other: each edge has had its packet for a while before the next is sent.
        for (sent, node) in nodes.iter_mut().enumerate() {
            node.send(&key, &format!("packet {sent} of {round}"));
            let had = Instant::now();
            while had.elapsed() < APART {
                thread::yield_now();
            }
        }
        let mut codes = [9; 3];
        let mut newest = None;
        for at in arrivals {
            nodes[at].network.open();
            codes[at] = nodes[at].client.code().expect("an answer");
            let due = if newest > Some(at) { 2 } else { 0 };
            assert_eq!(codes[at], due, "{arrivals:?}: {codes:?}");
            newest = newest.max(Some(at));
        }
        let last = format!("packet 2 of {round}");
        assert_eq!(reader.text(&key), Some(last.clone()), "{arrivals:?}");
        for node in &mut nodes {
            assert_eq!(node.client.text(&key), Some(last.clone()), "{arrivals:?}");
        }
    }
}

#[test]
fn what_was_sent_last_stays_in_memory() {
    tell(&Guarded::memory(GIVEN));
}

#[test]
fn what_was_sent_last_stays_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    tell(&Guarded::start(&on_file(&folder.path().join("store"), GIVEN)));
}

#[test]
fn what_was_sent_last_stays_in_a_real_server() {
    if let Some(real) = Real::start("*", "what_was_sent_last_stays_in_a_real_server") {
        tell(&Guarded::before(real.address(), GIVEN));
    }
}
