//! Something that stands between guard and server, and ends connections by itself.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::support::client::PATIENCE;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::Scripted;
use crate::support::stamped::Clock;

const REQUEST_TIMEOUT: Duration = Duration::from_millis(300);
const SETTINGS: &str = "workers = 1\nlanes = 1\nbulk_lanes = 0\n[pairing]\nrequest_timeout = \"300ms\"\n\
                        fence_timeout = \"4s\"\nstart_hold = \"0s\"";

/// What was held back.
enum Held {
    Nothing,
    /// These bytes, and the connection to the server that they go to.
    Kept(Vec<u8>, TcpStream),
    Delivered,
}

/// Passes connections on, byte by byte. The first one that carries these bytes it resets towards the guard, and keeps
/// what it carried.
struct Relay {
    address: SocketAddr,
    held: Arc<(Mutex<Held>, Condvar)>,
}

impl Relay {
    fn before(server: SocketAddr, holds: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let held = Arc::new((Mutex::new(Held::Nothing), Condvar::new()));
        let (kept, holds) = (Arc::clone(&held), Arc::new(holds));
        // It ends with the process of the tests.
        thread::spawn(move || {
            while let Ok((guard, _)) = listener.accept() {
                let (kept, holds) = (Arc::clone(&kept), Arc::clone(&holds));
                thread::spawn(move || pass_on(guard, server, &holds, &kept));
            }
        });
        Self { address, held }
    }

    #[track_caller]
    fn wait_held(&self) {
        let (held, changed) = &*self.held;
        let held = held.lock().expect("nobody panicked");
        let (held, _) = changed
            .wait_timeout_while(held, PATIENCE, |held| matches!(held, Held::Nothing))
            .expect("nobody panicked");
        assert!(
            !matches!(*held, Held::Nothing),
            "waited in vain for what is to be held back"
        );
    }

    /// The server gets what was held back.
    fn deliver(&self) {
        let mut held = self.held.0.lock().expect("nobody panicked");
        let Held::Kept(bytes, mut server) = std::mem::replace(&mut *held, Held::Delivered) else {
            panic!("nothing is held back");
        };
        server.write_all(&bytes).expect("the server is there");
        server.shutdown(Shutdown::Write).expect("the server is there");
    }
}

fn pass_on(guard: TcpStream, server: SocketAddr, holds: &[u8], kept: &(Mutex<Held>, Condvar)) {
    let server = TcpStream::connect(server).expect("the server is there");
    let [(guard_writes, server_reads), (mut guard_reads, mut server_writes)] = [(); 2].map(|()| {
        (
            guard.try_clone().expect("a handle"),
            server.try_clone().expect("a handle"),
        )
    });
    drop(guard);
    let back = thread::spawn(move || copy(server_reads, guard_writes));
    let mut bytes = [0; 65536];
    while let Ok(count @ 1..) = guard_reads.read(&mut bytes) {
        let bytes = &bytes[..count];
        let is_it = bytes.windows(holds.len()).any(|window| window == holds);
        if is_it && matches!(*kept.0.lock().expect("nobody panicked"), Held::Nothing) {
            SockRef::from(&guard_reads)
                .set_linger(Some(Duration::ZERO))
                .expect("linger");
            // The other direction ends without a word to the guard.
            server.shutdown(Shutdown::Read).expect("the server is there");
            let _ = back.join().expect("no panic");
            drop(guard_reads);
            *kept.0.lock().expect("nobody panicked") = Held::Kept(bytes.to_vec(), server_writes);
            kept.1.notify_all();
            return;
        }
        if server_writes.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
    let _ = back.join().expect("no panic");
}

/// Passes on what the server says; hands the guard's side back, which ends with its last owner.
fn copy(mut from: TcpStream, mut to: TcpStream) -> TcpStream {
    let mut bytes = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    to
}

#[test]
fn a_reset_from_between_is_no_proof_that_the_server_is_done() {
    let clock = Clock::start();
    let scripted = Scripted::start();
    let (older, newer) = (clock.value(5), clock.value(6));
    let relay = Relay::before(scripted.address(), older.clone());
    let guarded = Guarded::before(relay.address, SETTINGS);
    assert_eq!(guarded.client().put("k", &clock.value(4)), 0);

    let (mut first, mut second) = (guarded.client(), guarded.client());
    first.send(&frame::store(frame::PUT, "k", &older));
    relay.wait_held();
    second.send(&frame::store(frame::PUT, "k", &newer));
    // The server may still get the older one.
    second.expect_quiet(REQUEST_TIMEOUT / 2);
    relay.deliver();
    scripted.wait("what was held back", |state| state.value("k") == Some(older.clone()));

    // The newer one is stored, by this try or a later one, once the key has been read back.
    let put = frame::store(frame::PUT, "k", &newer);
    let deadline = Instant::now() + PATIENCE;
    let mut answer = second.code();
    while !matches!(answer, Ok(0)) {
        assert!(matches!(answer, Ok(6) | Err(_)), "{answer:?} to the newest write");
        assert!(Instant::now() < deadline, "the key is held for ever");
        let mut client = guarded.client();
        answer = client.try_send(&put).and_then(|()| client.code());
    }
    assert_eq!(scripted.value("k"), Some(newer));
}
