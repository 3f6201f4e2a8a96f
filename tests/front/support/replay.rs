//! Recorded exchanges with a real server, repeated against whatever stands at an address.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::support::client::{Client, Ending, PATIENCE};
use crate::support::frame;
use crate::support::transcripts::{Compare, Exchange, Step};

/// Plays an exchange and compares every answer as the recording says.
pub fn play(address: SocketAddr, exchange: &Exchange) {
    let mut client = Client::connect(address);
    // Members of one set come in any order: they are compared when all have been seen.
    let (mut members, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    for step in &exchange.steps {
        let what = format!("{} / {} / {}", exchange.db, exchange.scenario, step.doing);
        if step.reconnect {
            client = Client::connect(address);
        }
        // Shown when the client then waits in vain.
        println!("{what}");
        client.send(&step.send);
        match step.compare {
            None => assert_eq!(client.recv(step.recv.len()), step.recv, "{what}"),
            Some(Compare::Set) => assert_eq!(strings(&client.recv(step.recv.len())), strings(&step.recv), "{what}"),
            Some(Compare::SetMember) => {
                members.insert(client.read_value().expect("a member"));
                wanted.insert(Some(step.recv[5..].to_vec()));
            }
            Some(Compare::Volatile) => volatile(&mut client, step, &what),
        }
        if step.closed {
            let ending = client.ending(PATIENCE);
            assert!(matches!(ending, Ending::Finished | Ending::Reset), "{what}: {ending:?}");
        }
    }
    assert_eq!(members, wanted, "{}: members of a set", exchange.scenario);
}

/// The code, and the strings of a list, in order.
fn strings(answer: &[u8]) -> (u8, BTreeSet<Vec<u8>>) {
    let size = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
    let mut rest = &answer[5..];
    let mut found = BTreeSet::new();
    for _ in 0..size(&answer[1..]) {
        let (string, after) = rest[4..].split_at(size(rest));
        found.insert(string.to_vec());
        rest = after;
    }
    assert!(rest.is_empty(), "more bytes than the count says");
    (answer[0], found)
}

/// Numbers and times differ; the shape and the names hold.
fn volatile(client: &mut Client, step: &Step, what: &str) {
    if step.send.starts_with(b"stats") {
        let answer = client.recv_until(b"END\r\n");
        return assert_eq!(words(&answer, 1), words(&step.recv, 1), "{what}");
    }
    if step.send.starts_with(b"OPTIONS") {
        let answer = client.recv_until(b"\r\n\r\n");
        return assert_eq!(words(&answer, 0), words(&step.recv, 0), "{what}");
    }
    match step.send[1] {
        frame::SIZE => assert_eq!(client.recv(9)[0], step.recv[0], "{what}"),
        frame::STAT => {
            let answer = client.read_value().expect("a status").expect("code 0");
            assert_eq!(names(&answer), names(&step.recv[5..]), "{what}");
        }
        opcode => panic!("{what}: no shape for {opcode:#x}"),
    }
}

/// This word of each line.
fn words(text: &[u8], at: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let word = |line: &str| line.split(' ').nth(at).map(str::to_owned);
    text.lines().filter_map(word).collect()
}

fn names(status: &[u8]) -> Vec<String> {
    let status = String::from_utf8_lossy(status);
    status
        .lines()
        .filter_map(|line| line.split('\t').next().map(str::to_owned))
        .collect()
}
