//! Stamped values near the clock, and the story that all of this is about.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::client::Client;

/// Milliseconds since the epoch: the default unit of a stamp.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock before the year 292 million")
}

/// A moment from which offsets are counted, so that one test speaks of one clock.
#[derive(Clone, Copy)]
pub struct Clock(i64);

impl Clock {
    pub fn start() -> Self {
        Self(now())
    }

    pub fn digits(self, offset_ms: i64) -> String {
        format!("{:013}", self.0 + offset_ms)
    }

    /// A value stamped `offset_ms` from this moment; the text says the offset, for readable failures.
    pub fn value(self, offset_ms: i64) -> Vec<u8> {
        self.text(offset_ms).into_bytes()
    }

    pub fn text(self, offset_ms: i64) -> String {
        format!("{}:{offset_ms}", self.digits(offset_ms))
    }
}

/// PB, PC and PA of one key arrive in this order on three connections. Gives the three codes.
pub fn tell_story(address: SocketAddr, key: &str, clock: Clock) -> [u8; 3] {
    let (pa, pb, pc) = (-60_000, -59_000, 0);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(address)).collect();
    let mut codes = [0; 3];
    for ((client, code), offset) in clients.iter_mut().zip(&mut codes).zip([pb, pc, pa]) {
        *code = client.put(key, &clock.value(offset));
    }
    codes
}
