//! A Tyrant server of ours, which can be told to stall, cut, lie and die, and which records every
//! whole request that it was sent.

mod connection;
mod request;
mod rule;
mod state;
mod store;

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime};

use socket2::{Domain, Socket, Type};

pub use request::Request;
pub use rule::{Act, End, Gate, Rule};
pub use store::LOG;

use crate::support::client::PATIENCE;
use connection::Connection;
use state::{GateState, Record, Shared, State};
use store::Store;

pub struct Scripted {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: Mutex<Option<JoinHandle<()>>>,
    /// Keeps the port while nobody listens there: the server of another test could be reached by it.
    kept: Mutex<Option<Socket>>,
}

impl Scripted {
    pub fn start() -> Self {
        let state = State {
            connections: Vec::new(),
            store: Store::new(),
            rules: Vec::new(),
            gates: Vec::new(),
            listening: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let scripted = Self {
            shared,
            address,
            listener: Mutex::new(None),
            kept: Mutex::new(None),
        };
        scripted.listen(listener);
        scripted
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    // What it is told.

    pub fn gate(&self) -> Gate {
        let mut state = self.shared.lock();
        state.gates.push(GateState::default());
        Gate(state.gates.len() - 1)
    }

    pub fn open(&self, gate: Gate) {
        self.shared.lock().gates[gate.0].open = true;
        self.shared.changed.notify_all();
    }

    pub fn rule(&self, rule: Rule) {
        self.shared.lock().rules.push(rule);
    }

    /// Forgets every rule.
    pub fn clear_rules(&self) {
        self.shared.lock().rules.clear();
    }

    pub fn insert(&self, key: &str, value: &[u8]) {
        let mut state = self.shared.lock();
        state.store.records.insert(key.as_bytes().to_vec(), value.to_vec());
    }

    /// Refuses connections and ends all there are, as a killed server does. Records stay.
    pub fn stop(&self, end: End) {
        self.begin_stop(end);
        self.wait("all connections to end", |state| {
            state.connections.iter().all(|record| record.ended)
        });
    }

    fn begin_stop(&self, end: End) {
        self.shared.lock().listening = false;
        self.end_connections(end);
        // Wakes the listener's thread, which then closes the port.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.lock().expect("the listener").take() {
            listener.join().expect("the listener's thread");
            let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None).expect("a socket");
            socket.set_reuse_address(true).expect("the port may be taken again");
            // Somebody may have it already, to connect from.
            if socket.bind(&self.address.into()).is_ok() {
                self.kept.lock().expect("the port").replace(socket);
            }
        }
    }

    /// Ends every connection there is, whatever it waits for; new ones are welcome.
    pub fn end_connections(&self, end: End) {
        let mut state = self.shared.lock();
        for record in &mut state.connections {
            record.end_wanted = Some(end);
            if let Some(stream) = record.stream.take() {
                // The thread wakes from its read, sees what is wanted, and closes.
                let _ = stream.shutdown(Shutdown::Read);
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Ends this connection, in the order of accepting; the others stay.
    pub fn end_connection(&self, number: usize, end: End) {
        let mut state = self.shared.lock();
        let record = &mut state.connections[number];
        record.end_wanted = Some(end);
        if let Some(stream) = record.stream.take() {
            let _ = stream.shutdown(Shutdown::Read);
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Forgets every record, as an on-memory database does when its process ends.
    pub fn forget(&self) {
        self.shared.lock().store.records.clear();
    }

    /// Listens again where it did before, as another process.
    pub fn return_again(&self) {
        let mut state = self.shared.lock();
        state.store.pid += 1;
        state.store.started = SystemTime::now();
        drop(state);
        let kept = self.kept.lock().expect("the port").take();
        let listener = match kept {
            Some(socket) => {
                socket.listen(128).expect("the same port");
                socket.into()
            }
            None => TcpListener::bind(self.address).expect("the same port"),
        };
        self.listen(listener);
    }

    // What it has seen.

    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.shared.lock().value(key)
    }

    pub fn text(&self, key: &str) -> Option<String> {
        self.value(key).map(|value| String::from_utf8(value).expect("text"))
    }

    pub fn see<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.lock())
    }

    /// Waits until a request stands before the gate.
    #[track_caller]
    pub fn wait_reached(&self, gate: Gate) {
        self.wait("a request before the gate", |state| state.gates[gate.0].reached > 0);
    }

    /// Waits for a condition.
    #[track_caller]
    pub fn wait(&self, what: &str, mut until: impl FnMut(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        while !until(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}");
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Only whole requests may ever reach a backend.
    #[track_caller]
    pub fn expect_whole_requests(&self) {
        self.see(|state| {
            for (number, record) in state.connections.iter().enumerate() {
                assert!(!record.partial, "connection {number} ended in the middle of a request");
                assert!(!record.bad, "connection {number} sent what is no request");
            }
        });
    }

    fn listen(&self, listener: TcpListener) {
        self.shared.lock().listening = true;
        let shared = Arc::clone(&self.shared);
        let thread = thread::spawn(move || accept(&shared, &listener));
        *self.listener.lock().expect("the listener") = Some(thread);
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if !thread::panicking() && self.see(|state| state.listening) {
            self.begin_stop(End::Fin);
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        let _ = stream.set_nodelay(true);
        let kept = stream.try_clone().expect("another handle of the socket");
        let mut state = shared.lock();
        if !state.listening {
            break;
        }
        let number = state.connections.len();
        state.connections.push(Record {
            stream: Some(kept),
            ..Record::default()
        });
        drop(state);
        let connection = Connection::new(Arc::clone(shared), number, stream);
        thread::spawn(move || connection.run());
    }
}
