//! Requests that share one question: gets and puts that come together.

mod puts;
mod reads;

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::scripted::{Act, Rule, Scripted};

/// One lane for everybody, without questions of its own, and time for [`MUCH`].
const ONE_LANE: &str = "workers = 1\nlanes = 1\nbulk_lanes = 0\nprimed_lanes = 0\npairing.request_timeout = \"30s\"\n";

/// Twice as much is more than the connection to the backend takes while nobody reads there (Linux: 4 and 32 MiB), so
/// that what is asked behind it waits and leaves together.
const MUCH: usize = 24 << 20;

/// Has clients ask at once, each one of these frames, while the backend reads nothing. They come in this order.
fn ask_together(scripted: &Scripted, guarded: &Guarded, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Client> {
    let gate = scripted.gate();
    scripted.insert("held", b"ten bytes.");
    scripted.rule(Rule::once(Act::HoldAnswer(gate), |request| {
        request.opcode == frame::VSIZ
    }));
    let mut holds = guarded.client();
    holds.send(&frame::keyed(frame::VSIZ, "held"));
    scripted.wait_reached(gate);
    let large = "x".repeat(MUCH);
    let mut fills = [guarded.client(), guarded.client()];
    for client in &mut fills {
        client.send(&frame::keyed(frame::VSIZ, &large));
    }
    guarded.expect_metric("ttguard_in_flight", &[], 3.0);
    let mut clients = Vec::new();
    for frame in frames {
        let mut client = guarded.client();
        client.send(&frame);
        clients.push(client);
        guarded.expect_metric("ttguard_in_flight", &[], 3.0 + clients.len() as f64);
    }
    scripted.open(gate);
    assert_eq!(holds.recv(5), [0, 0, 0, 0, 10], "the size of a value");
    for client in &mut fills {
        assert_eq!(client.recv(1), [1], "there is no such record");
    }
    clients
}
