//! A real server that stops for a while (SIGSTOP): what it had buffered is carried out later, and answers come late.
//! A few cycles where `TTSERVER` is set; `TTGUARD_ZOMBIES` and `TTGUARD_TAGGED` say how many more are wanted.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::client::{Client, PATIENCE};
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::insist::put_until_stored;
use crate::support::process::{signal, stop};
use crate::support::real::Real;
use crate::support::stamped::Clock;

const REQUEST_TIMEOUT: Duration = Duration::from_millis(60);
const SETTINGS: &str =
    "workers = 1\nlanes = 1\n[pairing]\nrequest_timeout = \"60ms\"\nfence_timeout = \"10s\"\nstart_hold = \"0s\"";

fn wanted(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |count| count.parse().expect("a number"))
}

#[test]
fn a_write_that_a_stopped_server_had_buffered_never_lands_on_a_newer_one() {
    let Some(real) = Real::start(
        "*",
        "a_write_that_a_stopped_server_had_buffered_never_lands_on_a_newer_one",
    ) else {
        return;
    };
    let guarded = Guarded::before(real.address(), SETTINGS);
    let clock = Clock::start();
    put_until_stored(guarded.address(), "k", &clock.value(-1));
    let cycles = i64::try_from(wanted("TTGUARD_ZOMBIES", 10)).expect("a count");
    for cycle in 0..cycles {
        let (older, newer) = (clock.value(cycle * 2), clock.value(cycle * 2 + 1));
        let (mut first, mut second) = (guarded.client(), guarded.client());
        stop(real.pid());
        first.send(&frame::store(frame::PUT, "k", &older));
        // The server has it in its buffers, and the lane is given up.
        first.expect_reset(PATIENCE);
        second.send(&frame::store(frame::PUT, "k", &newer));
        second.expect_quiet(REQUEST_TIMEOUT / 4);
        signal(real.pid(), libc::SIGCONT);
        if second.code().is_err() {
            put_until_stored(guarded.address(), "k", &newer);
        }
        let stored = real.client().get("k");
        assert_eq!(
            stored.as_deref(),
            Some(&newer[..]),
            "cycle {cycle} ended with an older value"
        );
    }
    let stored = real.client().get("k");
    assert_eq!(stored, Some(clock.value(cycles * 2 - 1)));
}

/// Asks for keys whose values name them, in pipelines, until `asked` says that it is enough.
fn ask_and_compare(address: SocketAddr, seed: u64, asked: &AtomicU64, enough: u64) -> u64 {
    const DEPTH: u64 = 16;
    let mut resets = 0;
    let mut next = seed;
    while asked.load(Ordering::Relaxed) < enough {
        let mut client = Client::connect(address);
        loop {
            let keys: Vec<_> = (0..DEPTH)
                .map(|index| format!("tag-{}", (next + index * 7919) % KEYS))
                .collect();
            next = next.wrapping_add(104_729);
            match exchange(&mut client, &keys) {
                Ok(()) => {
                    if asked.fetch_add(DEPTH, Ordering::Relaxed) >= enough {
                        return resets;
                    }
                }
                Err(_) => {
                    resets += 1;
                    break;
                }
            }
        }
    }
    resets
}

const KEYS: u64 = 1000;

fn exchange(client: &mut Client, keys: &[String]) -> io::Result<()> {
    let frames: Vec<_> = keys.iter().flat_map(|key| frame::keyed(frame::GET, key)).collect();
    client.try_send(&frames)?;
    for key in keys {
        let value = client.read_value()?;
        let expected = format!("value of {key}");
        assert_eq!(
            value.as_deref(),
            Some(expected.as_bytes()),
            "the answer to another question"
        );
    }
    Ok(())
}

#[test]
fn no_answer_of_a_server_that_stops_again_and_again_reaches_another_question() {
    let test = "no_answer_of_a_server_that_stops_again_and_again_reaches_another_question";
    let Some(real) = Real::start("*", test) else {
        return;
    };
    let guarded = Guarded::before(real.address(), SETTINGS);
    let mut filling = real.client();
    for tag in 0..KEYS {
        assert_eq!(
            filling.put(&format!("tag-{tag}"), format!("value of tag-{tag}").as_bytes()),
            0
        );
    }
    let enough = wanted("TTGUARD_TAGGED", 20_000);
    let (asked, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let resets = thread::scope(|scope| {
        let stopping = scope.spawn(|| {
            let mut pause = Duration::from_millis(5);
            while !done.load(Ordering::Relaxed) {
                stop(real.pid());
                // Longer than a deadline, so that lanes are given up with answers on their way.
                thread::park_timeout(REQUEST_TIMEOUT + pause);
                signal(real.pid(), libc::SIGCONT);
                thread::park_timeout(pause * 4);
                pause = if pause > Duration::from_millis(40) {
                    Duration::from_millis(5)
                } else {
                    pause * 2
                };
            }
        });
        let asking: Vec<_> = (0..16)
            .map(|seed| {
                let asked = &asked;
                let address = guarded.address();
                scope.spawn(move || ask_and_compare(address, seed * 31, asked, enough))
            })
            .collect();
        let resets: u64 = asking
            .into_iter()
            .map(|client| client.join().expect("no wrong answer"))
            .sum();
        done.store(true, Ordering::Relaxed);
        stopping.thread().unpark();
        resets
    });
    let asked = asked.into_inner();
    println!("{asked} tagged requests, {resets} sessions reset, none with the answer to another question");
    guarded.expect_metric("ttguard_lanes_fenced_total", &[("reason", "deadline")], 1.0);
}
