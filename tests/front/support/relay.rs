//! What stands between: an address that leads to one server, and later to another.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Where it leads to, and which of its connections it keeps from hearing anything.
struct State {
    to: SocketAddr,
    held: Vec<bool>,
}

pub struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State {
            to: server,
            held: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &shared));
        Self { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections lead to this server; those that are up stay where they are.
    pub fn lead_to(&self, server: SocketAddr) {
        self.state.lock().expect("the state").to = server;
    }

    /// The client of this connection, in the order of accepting, hears nothing more, not even of its end.
    pub fn hold(&self, connection: usize) {
        self.state.lock().expect("the state").held[connection] = true;
    }
}

fn accept(listener: &TcpListener, state: &Arc<Mutex<State>>) {
    for client in listener.incoming() {
        let Ok(client) = client else { return };
        let mut locked = state.lock().expect("the state");
        let server = TcpStream::connect(locked.to);
        let Ok(server) = server else { continue };
        let number = locked.held.len();
        locked.held.push(false);
        drop(locked);
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let kept = (
            client.try_clone().expect("another handle"),
            server.try_clone().expect("another handle"),
        );
        let shared = Arc::clone(state);
        thread::spawn(move || pass_on(client, server, None));
        thread::spawn(move || pass_on(kept.1, kept.0, Some((shared, number))));
    }
}

/// Copies until the one side ends; then says so to the other, unless that is to hear nothing.
fn pass_on(mut from: TcpStream, mut to: TcpStream, held: Option<(Arc<Mutex<State>>, usize)>) {
    let mut bytes = [0; 65536];
    let is_held = || {
        held.as_ref()
            .is_some_and(|(state, number)| state.lock().expect("the state").held[*number])
    };
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !is_held() && to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
    if is_held() {
        // Its handles stay open for as long as the test runs.
        std::mem::forget((from, to));
        return;
    }
    let _ = to.shutdown(Shutdown::Write);
}
