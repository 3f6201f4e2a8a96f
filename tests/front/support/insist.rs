//! Asks again on new connections until it is done.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;

/// Asks on new connections until one is answered: each attempt ends by itself.
#[track_caller]
pub fn when_served<T>(address: SocketAddr, mut ask: impl FnMut(&mut Client) -> io::Result<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask(&mut Client::connect(address)) {
            Ok(answer) => return answer,
            Err(fault) => assert!(Instant::now() < deadline, "never served again: {fault}"),
        }
    }
}

/// Puts until it is acknowledged; a session that is reset is followed by another.
#[track_caller]
pub fn put_until_stored(address: SocketAddr, key: &str, value: &[u8]) {
    let code = when_served(address, |client| {
        client.try_send(&frame::store(frame::PUT, key, value))?;
        client.code()
    });
    assert_eq!(code, 0, "the newest write of {key}");
}
