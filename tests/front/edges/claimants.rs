//! Two guards that both say that they hold the claim: an edge asks one of them, and tells of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ttguard::protocol::link::Kind;
use ttguard::protocol::link::hello::{Pong, Standing, Welcome};
use ttguard::protocol::link::receiving::{Bounds, Received, Receiving};
use ttguard::protocol::link::sending::Sending;
use ttguard::protocol::outgoing::Outgoing;

use crate::support::frame;
use crate::support::guarded::Guarded;

/// A guard that says what it is told to: that it serves, with this epoch. It takes so many links, and ends all others.
struct Pretender {
    address: SocketAddr,
}

impl Pretender {
    fn start(instance: u64, epoch: u64, links: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            let mut left = links;
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                // The edge asks once who is there, before anything else.
                if let Some(asked) = asks(stream)
                    && left > 0
                {
                    left -= 1;
                    thread::spawn(move || pretend(asked, instance, epoch));
                }
            }
        });
        Self { address }
    }

    fn url(&self) -> String {
        format!("\"tyrant://{}\"", self.address)
    }
}

/// An edge that has a link, and says who it is.
fn asks(mut stream: TcpStream) -> Option<TcpStream> {
    let mut question = vec![0; frame::misc("ttguard_link", &[]).len()];
    stream.read_exact(&mut question).ok()?;
    stream.write_all(&[0; 5]).ok()?;
    let mut head = [0];
    (stream.peek(&mut head).ok()? > 0).then_some(stream)
}

fn pretend(mut stream: TcpStream, instance: u64, epoch: u64) -> Option<()> {
    let bounds = Bounds {
        body_max: 1 << 20,
        pieces_max: 8,
    };
    let (mut receiving, mut input) = (Receiving::new(bounds), BytesMut::new());
    let standing = Standing::Serves;
    loop {
        while let Some(received) = receiving.next(&mut input).expect("no fault of the edge's") {
            let mut sending = Sending::<()>::default();
            match received {
                Received::Whole { kind: Kind::Hello, .. } => {
                    let welcome = Welcome {
                        instance,
                        standing,
                        epoch,
                        digits: 13,
                        unit: 1_000_000,
                        given: false,
                        gives: false,
                        newest: 0,
                        knows_keys: true,
                        knows_functions: true,
                        asks_max: 100,
                        request_max: 1 << 20,
                        clock: Duration::ZERO,
                        release: Bytes::from_static(b"test"),
                    };
                    sending.add(Kind::Welcome, 0, (), |out| welcome.put(out));
                }
                Received::Whole {
                    kind: Kind::Ping, id, ..
                } => {
                    let pong = Pong {
                        clock: Duration::ZERO,
                        standing,
                        epoch,
                    };
                    sending.add(Kind::Pong, id, (), |out| pong.put(out));
                }
                _ => {}
            }
            let write = |out: &mut Outgoing| {
                let bytes = out.take();
                stream.write_all(&bytes)?;
                Ok(bytes.len())
            };
            sending.write(write).ok()?;
        }
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).ok()? {
            0 => return None,
            count => input.extend_from_slice(&bytes[..count]),
        }
    }
}

/// An edge with two links, of which the first of these takes one alone.
fn between(first: &Pretender, second: &Pretender) -> Guarded {
    Guarded::start(&format!(
        "edge_of = [{}, {}]\nworkers = 1\nlanes = 2\n[pairing]\nconnect_timeout = \"200ms\"\n",
        first.url(),
        second.url()
    ))
}

const SEEN: (&str, [(&str, &str); 1]) = ("ttguard_alarms_total", [("alarm", "two_claimants")]);

#[test]
fn a_former_holder_that_goes_on_serving_is_told_of_and_left() {
    let (former, holder) = (Pretender::start(1, 5, 1), Pretender::start(2, 6, usize::MAX));
    let edge = between(&former, &holder);
    edge.expect_metric(SEEN.0, &SEEN.1, 1.0);
    edge.expect_log("two guards say that they hold the claim, with epochs 6 and 5");
    // Both links are the holder's in the end.
    edge.expect_gauge("ttguard_lanes", 2.0);
    let deadline = std::time::Instant::now() + crate::support::client::PATIENCE;
    let url = format!("tyrant://{}", holder.address);
    loop {
        let (_, body) = edge.page("/api/backends");
        let backends: serde_json::Value = serde_json::from_str(&body).expect("backends");
        let lanes = backends
            .as_array()
            .expect("a list")
            .iter()
            .flat_map(|one| one["lanes"].as_array());
        let guards: Vec<_> = lanes.flatten().map(|lane| lane["guard"].clone()).collect();
        if guards == [url.clone(), url.clone()] {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the links are those of {guards:?}"
        );
        thread::yield_now();
    }
}

#[test]
fn a_guard_with_an_older_claim_beside_the_holder_is_told_of_and_not_asked() {
    let (holder, former) = (Pretender::start(1, 6, 1), Pretender::start(2, 5, usize::MAX));
    let edge = between(&holder, &former);
    edge.expect_metric(SEEN.0, &SEEN.1, 1.0);
    edge.expect_log("two guards say that they hold the claim, with epochs 6 and 5");
    edge.expect_gauge("ttguard_lanes", 1.0);
}

#[test]
fn guards_without_claims_are_no_claimants() {
    let (one, other) = (Pretender::start(1, 0, 1), Pretender::start(2, 0, usize::MAX));
    let edge = between(&one, &other);
    edge.expect_metric("ttguard_lane_connects_total", &[("outcome", "other_run")], 3.0);
    assert_eq!(edge.scrape(SEEN.0, &SEEN.1), 0.0);
}
