//! Who may connect to a listener and what its clients may do:
//! commands, keys, a namespace of their own, networks and TLS.

mod commands;
mod keys;
mod namespace;
mod networks;
mod tls;

use crate::support::client::PATIENCE;
use crate::support::guarded::Guarded;

const DENIED: u8 = 5;

fn denied(guarded: &Guarded, command: &str) -> f64 {
    guarded.scrape("ttguard_denied_total", &[("command", command)])
}

/// A denied read gets no answer, for every answer would say something of the store.
#[track_caller]
fn expect_no_answer(guarded: &Guarded, listener: usize, command: &str, request: &[u8]) {
    let before = denied(guarded, command);
    let mut client = guarded.client_of(listener);
    client.send(request);
    client.expect_reset(PATIENCE);
    assert_eq!(denied(guarded, command), before + 1.0, "{command}");
}
