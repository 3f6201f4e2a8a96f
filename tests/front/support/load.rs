//! Busy clients of every protocol that may be sent away: each asks, and asks again on a new connection when it is reset.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::http;
use crate::support::memcached;
use crate::support::stamped;

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

/// How a client speaks.
#[derive(Clone, Copy)]
pub enum Tongue {
    Binary,
    /// As PyTyrant sends it: head, key and value one after the other.
    Segments,
    Memcached,
    Http,
}

impl Tongue {
    pub const ALL: [Self; 4] = [Self::Binary, Self::Segments, Self::Memcached, Self::Http];

    /// Sends a write.
    pub fn ask_put(self, client: &mut Client, key: &str, value: &str) -> io::Result<()> {
        let binary = frame::store(frame::PUT, key, value.as_bytes());
        match self {
            Self::Binary => client.try_send(&binary),
            Self::Segments => {
                let (head, rest) = binary.split_at(binary.len() - key.len() - value.len());
                let (key, value) = rest.split_at(key.len());
                [head, key, value]
                    .into_iter()
                    .try_for_each(|part| client.try_send(part))
            }
            Self::Memcached => client.try_send(memcached::store("set", key, value).as_bytes()),
            Self::Http => client.try_send(http::request("PUT", &format!("/{key}"), &[], value).as_bytes()),
        }
    }

    /// What a write is answered, as the code of the binary protocol: 0 where it is stored, 2 where it is stale.
    pub fn told(self, client: &mut Client) -> io::Result<u8> {
        match self {
            Self::Binary | Self::Segments => client.code(),
            Self::Memcached => match &client.try_recv_until(b"\r\n")?[..] {
                b"STORED\r\n" => Ok(0),
                b"NOT_STORED\r\n" => Ok(2),
                other => panic!("{:?}", String::from_utf8_lossy(other)),
            },
            Self::Http => match http::try_answer(client)? {
                (201, _) => Ok(0),
                (409, body) if body == "Conflict: stale\n" => Ok(2),
                other => panic!("{other:?}"),
            },
        }
    }

    /// What is stored.
    fn get(self, client: &mut Client, key: &str) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Binary | Self::Segments => client.try_get(key),
            Self::Memcached => {
                client.try_send(format!("get {key}\r\n").as_bytes())?;
                let answer = client.try_recv_until(b"END\r\n")?;
                let lines: Vec<_> = answer.split(|byte| *byte == b'\n').collect();
                Ok((lines.len() > 2).then(|| lines[1].trim_ascii_end().to_vec()))
            }
            Self::Http => {
                client.try_send(http::request("GET", &format!("/{key}"), &[], "").as_bytes())?;
                let (status, body) = http::try_answer(client)?;
                Ok((status == 200).then(|| body.into_bytes()))
            }
        }
    }
}

/// Runs `during` while the clients are at work, each on a key of its own, and all protocols in turn. Every request must be answered, on the first
/// connection or the second, and rightly: a newer write with 0, an older one with 2, and a read with the newest value.
pub fn under_load(address: SocketAddr, during: impl FnOnce(&Seen)) -> Seen {
    let seen = Seen::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                scope.spawn({
                    let seen = &seen;
                    let tongue = Tongue::ALL[index % Tongue::ALL.len()];
                    move || work(address, tongue, &format!("key-{index}"), seen)
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

fn work(address: SocketAddr, tongue: Tongue, key: &str, seen: &Seen) {
    let mut client = Client::connect(address);
    let mut stamp = stamped::now() - 1_000_000;
    while !seen.stop.load(Ordering::Relaxed) {
        stamp += 2;
        let (newer, older) = (format!("{stamp:013}:{key}"), format!("{:013}:{key}", stamp - 1));
        let put = |client: &mut Client, value: &str| {
            tongue.ask_put(client, key, value)?;
            tongue.told(client)
        };
        let code = insist(address, &mut client, seen, |client| put(client, &newer));
        assert_eq!(code, 0, "{key}: a newer write");
        let code = insist(address, &mut client, seen, |client| put(client, &older));
        assert_eq!(code, 2, "{key}: a stale write was let in");
        let value = insist(address, &mut client, seen, |client| tongue.get(client, key));
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
