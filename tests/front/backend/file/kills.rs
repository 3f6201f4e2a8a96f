//! `kill -9` at any moment, again and again: what was acknowledged is there, and nothing that was never sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::client::Client;
use crate::support::frame;
use crate::support::guarded::Guarded;
use crate::support::stamped;

const WRITERS: usize = 4;

/// Requests that a writer has under way.
const WINDOW: usize = 8;

const KEYS: usize = 20;

/// What a record can hold: nothing where it was deleted.
type Value = Option<Vec<u8>>;

/// What is known of one writer's records.
#[derive(Default)]
struct Writer {
    /// What each must hold.
    acknowledged: BTreeMap<String, Value>,
    /// What each may hold instead: sent, and not answered.
    possible: Vec<(String, Value)>,
    sum: (i32, i32),
    stamp: i64,
}

impl Writer {
    /// A value that no other has, with a stamp above all before.
    fn value(&mut self) -> Vec<u8> {
        self.stamp = (self.stamp + 1).max(stamped::now());
        format!("{:013} {}", self.stamp, "x".repeat(self.stamp as usize % 300)).into_bytes()
    }

    /// One change, as a frame, and what it leaves.
    fn change(&mut self, name: usize, number: usize) -> (Vec<u8>, Vec<(String, Value)>) {
        let key = format!("{name}:{}", number % KEYS);
        match number % 7 {
            3 => (frame::keyed(frame::OUT, &key), vec![(key, None)]),
            5 => {
                let other = format!("{name}:list {}", number % KEYS);
                let (value, second) = (self.value(), self.value());
                let arguments: [&[u8]; 4] = [key.as_bytes(), &value, other.as_bytes(), &second];
                let frame = frame::misc("putlist", &arguments);
                (frame, vec![(key, Some(value)), (other, Some(second))])
            }
            _ => {
                let value = self.value();
                (frame::store(frame::PUT, &key, &value), vec![(key, Some(value))])
            }
        }
    }

    /// Writes until the connection ends; counts what is acknowledged.
    fn write(&mut self, name: usize, address: SocketAddr, answers: &AtomicUsize) {
        let mut client = Client::connect(address);
        for number in (0..).step_by(WINDOW) {
            let mut changes = Vec::new();
            let mut frames = Vec::new();
            for number in number..number + WINDOW {
                let (frame, left) = self.change(name, number);
                frames.extend(frame);
                changes.push((number % 7, left));
            }
            frames.extend(frame::addint(&format!("{name}:sum"), 1));
            self.sum.1 += 1;
            self.possible = changes.iter().flat_map(|(_, left)| left.clone()).collect();
            if client.try_send(&frames).is_err() {
                return;
            }
            for (kind, left) in changes {
                let Ok(code) = client.code() else { return };
                if kind == 5 && client.strings().is_err() {
                    return;
                }
                // A delete of nothing is answered with 1.
                assert!(code == 0 || (kind == 3 && code == 1), "code {code} for {left:?}");
                self.possible.drain(..left.len());
                self.acknowledged.extend(left);
                answers.fetch_add(1, Ordering::Relaxed);
            }
            if client.try_recv(5).is_err() {
                return;
            }
            self.sum.0 = self.sum.1;
        }
    }

    /// Holds what is there against what must and may be; from now on what is there must be.
    fn check(&mut self, name: usize, client: &mut Client) {
        let mut possible: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (key, value) in self.possible.drain(..) {
            self.acknowledged.entry(key.clone()).or_insert(None);
            possible.entry(key).or_default().push(value);
        }
        for (key, value) in &mut self.acknowledged {
            let found = client.get(key);
            let may_be = found == *value || possible.get(key).is_some_and(|values| values.contains(&found));
            assert!(
                may_be,
                "{key} holds {found:?}, should hold {value:?} or one of {possible:?}"
            );
            *value = found;
        }
        let sum = client.get(&format!("{name}:sum"));
        let sum = sum.map_or(0, |value| i32::from_ne_bytes(value.try_into().expect("four bytes")));
        assert!((self.sum.0..=self.sum.1).contains(&sum), "{sum} of {:?}", self.sum);
        self.sum = (sum, sum);
    }
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_kill_9() {
    let kills = std::env::var("TTGUARD_KILLS").map_or(3, |kills| kills.parse().expect("TTGUARD_KILLS"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let mut writers: Vec<Writer> = (0..WRITERS).map(|_| Writer::default()).collect();
    let mut acknowledged = 0;
    for _ in 0..kills {
        let mut guarded = Guarded::file(&path, "workers = 2");
        let mut client = guarded.client();
        for (name, writer) in writers.iter_mut().enumerate() {
            writer.check(name, &mut client);
        }
        assert_eq!(client.rnum(), client.fwmkeys("").len() as u64);
        let (address, answers) = (guarded.address(), AtomicUsize::new(0));
        let enough = fastrand::usize(1..600);
        thread::scope(|scope| {
            for (name, writer) in writers.iter_mut().enumerate() {
                let answers = &answers;
                scope.spawn(move || writer.write(name, address, answers));
            }
            while answers.load(Ordering::Relaxed) < enough {
                thread::yield_now();
            }
            guarded.kill();
        });
        acknowledged += answers.into_inner();
    }
    let guarded = Guarded::file(&path, "");
    let mut client = guarded.client();
    for (name, writer) in writers.iter_mut().enumerate() {
        writer.check(name, &mut client);
    }
    println!("{kills} kills, {acknowledged} acknowledged changes");
}
