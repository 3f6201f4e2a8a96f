//! A backend whose name, or whose address, leads to another server: all of ttguard's connections go to one run of one
//! server, or none do.

mod moving;

use crate::support::client::PATIENCE;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::insist::put_until_stored;
use crate::support::relay::Relay;
use crate::support::scripted::{End, Scripted};
use crate::support::stamped::Clock;

/// One worker with one lane, and one for large values.
const SETTINGS: &str = "workers = 1\nlanes = 1\nbulk_lanes = 1\n[pairing]\nrequest_timeout = \"500ms\"\n";

/// A value of 300 kB, which goes over a lane of its own.
fn large(clock: Clock, offset_ms: i64) -> Vec<u8> {
    let mut value = clock.value(offset_ms);
    value.resize(300_000, b'x');
    value
}

/// On which connection this key was written last.
fn connection_of(scripted: &Scripted, key: &str) -> usize {
    let last = scripted.see(|state| {
        let mut records = state.connections.iter().enumerate();
        records
            .rfind(|(_, record)| record.requests.iter().any(|request| request.writes(key)))
            .map(|(number, _)| number)
    });
    last.expect("it was written")
}

#[test]
fn two_servers_behind_one_address_are_never_both_the_backend() {
    let (one, other) = (Scripted::start(), Scripted::start());
    let relay = Relay::to(one.address());
    let guarded = Guarded::before(relay.address(), SETTINGS);
    let clock = Clock::start();
    put_until_stored(guarded.address(), "large", &large(clock, 0));
    put_until_stored(guarded.address(), "k", &clock.value(0));
    relay.lead_to(other.address());
    // The lane for large values comes anew, and reaches the other server.
    one.end_connection(connection_of(&one, "large"), End::Fin);
    other.wait("a connection", |state| !state.connections.is_empty());
    let mut client = guarded.client();
    let put = client.try_send(&frame::store(frame::PUT, "k", &large(clock, 1)));
    if put.and_then(|()| client.code()).is_ok_and(|code| code == 0) {
        let stored = guarded.client().get("k");
        assert!(stored == Some(large(clock, 1)), "an acknowledged write is not there");
    }
    guarded.expect_metric("ttguard_alarms_total", &[("alarm", "two_servers")], 1.0);
    guarded.expect_log("reached another run of the server");
    // A slow command goes to no other server either.
    let mut slow = guarded.client();
    slow.send(&frame::ext("anything", "k", b"v"));
    slow.expect_reset(PATIENCE);
    let strays = other.see(|state| {
        let asked =
            |request: &&crate::support::scripted::Request| request.opcode != frame::STAT && request.function != "error";
        state.requests().filter(asked).count()
    });
    assert_eq!(strays, 0, "nothing but greetings may reach the other server");
    relay.lead_to(one.address());
    put_until_stored(guarded.address(), "k", &large(clock, 2));
    assert_eq!(guarded.client().get("k"), Some(large(clock, 2)));
    assert_eq!(one.value("k"), Some(large(clock, 2)));
}

#[test]
fn a_server_that_was_started_again_is_one_server_though_lanes_of_its_former_run_seem_up() {
    let scripted = Scripted::start();
    let relay = Relay::to(scripted.address());
    let guarded = Guarded::before(relay.address(), SETTINGS);
    let clock = Clock::start();
    put_until_stored(guarded.address(), "large", &large(clock, 0));
    put_until_stored(guarded.address(), "k", &clock.value(0));
    // As when its machine loses power: nobody says that the connection of the small lane is gone.
    let (small, bulk) = (connection_of(&scripted, "k"), connection_of(&scripted, "large"));
    relay.hold(small);
    scripted.end_connection(bulk, End::Fin);
    scripted.stop(End::Fin);
    scripted.return_again();
    put_until_stored(guarded.address(), "k", &large(clock, 1));
    put_until_stored(guarded.address(), "k", &clock.value(2));
    assert_eq!(guarded.client().get("k"), Some(clock.value(2)));
    assert_eq!(
        guarded.scrape("ttguard_alarms_total", &[]),
        0.0,
        "a restart is no alarm"
    );
}
