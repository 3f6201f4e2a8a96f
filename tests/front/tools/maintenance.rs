//! `ttguard verify` and `ttguard gc`: what is wrong in a store is found, and what is old is removed.

mod gc;
mod verify;

use std::net::SocketAddr;
use std::process::Command;

use crate::support::guarded::BINARY;
use crate::support::stamped::Clock;

/// A day of milliseconds.
const DAY: i64 = 86_400_000;

/// Exit code, standard output and standard error.
fn run(verb: &str, server: SocketAddr, more: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY)
        .arg(verb)
        .arg(server.to_string())
        .args(more)
        .output()
        .expect("run ttguard");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// One of everything, as a server can come to hold it without a guard.
fn litter(mut put: impl FnMut(&str, &[u8]), clock: Clock) {
    put("fine", &clock.value(0));
    put("future", &clock.value(DAY));
    put("bare", b"no stamp");
    put("newer", &clock.value(-10_000));
    put("timestamp.newer", clock.digits(-5_000).as_bytes());
    put("older", &clock.value(-10_000));
    put("timestamp.older", clock.digits(-20_000).as_bytes());
    put("equal", &clock.value(-10_000));
    put("timestamp.equal", clock.digits(-10_000).as_bytes());
    put("timestamp.no stamp", b"soon");
    put("timestamp.ahead", clock.digits(DAY).as_bytes());
    put("timestamp.gone", clock.digits(-8 * DAY).as_bytes());
    put("timestamp.gone lately", clock.digits(-DAY).as_bytes());
}
