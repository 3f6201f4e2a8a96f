//! Busy clients that may be sent away: each asks, and asks again on a new connection when it is reset.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, PATIENCE};
use crate::frame;
use crate::stamped;

/// How many clients are busy.
pub const CLIENTS: usize = 64;

/// What they have seen.
#[derive(Default)]
pub struct Seen {
    /// Requests that were answered.
    pub answered: AtomicU64,
    /// Connections that were reset, each with one request that was repeated.
    pub resets: AtomicU64,
    stop: AtomicBool,
}

/// Runs `during` while the clients are at work, each on a key of its own. Every request must be answered, on the first
/// connection or the second, and rightly: a newer write with 0, an older one with 2, and a read with the newest value.
pub fn under_load(address: SocketAddr, during: impl FnOnce(&Seen)) -> Seen {
    let seen = Seen::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                scope.spawn({
                    let seen = &seen;
                    move || work(address, &format!("key-{index}"), seen)
                })
            })
            .collect();
        during(&seen);
        seen.stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .for_each(|client| client.join().expect("a client that was served"));
    });
    seen
}

impl Seen {
    /// Waits until so many more requests were answered.
    pub fn wait_for(&self, more: u64) {
        let (deadline, wanted) = (Instant::now() + PATIENCE, self.answered.load(Ordering::Relaxed) + more);
        while self.answered.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < deadline, "nothing is answered any more");
            thread::park_timeout(Duration::from_millis(1));
        }
    }
}

fn work(address: SocketAddr, key: &str, seen: &Seen) {
    let mut client = Client::connect(address);
    let mut stamp = stamped::now() - 1_000_000;
    while !seen.stop.load(Ordering::Relaxed) {
        stamp += 2;
        let (newer, older) = (format!("{stamp:013}:{key}"), format!("{:013}:{key}", stamp - 1));
        let put = |client: &mut Client, value: &str| {
            client.try_send(&frame::store(frame::PUT, key, value.as_bytes()))?;
            client.code()
        };
        let code = insist(address, &mut client, seen, |client| put(client, &newer));
        assert_eq!(code, 0, "{key}: a newer write");
        let code = insist(address, &mut client, seen, |client| put(client, &older));
        assert_eq!(code, 2, "{key}: a stale write was let in");
        let value = insist(address, &mut client, seen, |client| client.try_get(key));
        assert_eq!(value.as_deref(), Some(newer.as_bytes()), "{key}: an acknowledged write");
    }
}

/// Asks, and asks once more on a new connection when this one is reset. Whoever is reset has been told; a connection
/// that is refused, or a second reset, is a failure.
fn insist<T>(
    address: SocketAddr,
    client: &mut Client,
    seen: &Seen,
    mut ask: impl FnMut(&mut Client) -> io::Result<T>,
) -> T {
    for _ in 0..3 {
        match ask(client) {
            Ok(answer) => {
                seen.answered.fetch_add(1, Ordering::Relaxed);
                return answer;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("no answer in time"),
            Err(_) => {
                seen.resets.fetch_add(1, Ordering::Relaxed);
                // Somebody listens at any time: a connection that is refused is a failure.
                *client = Client::connect(address);
            }
        }
    }
    panic!("reset again and again")
}
