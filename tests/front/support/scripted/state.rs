//! What the scripted backend has seen, and what it was told to do.

use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::request::Request;
use super::rule::{Act, End, Gate, Rule};
use super::store::Store;

/// What is known of one connection.
#[derive(Default)]
pub struct Record {
    pub requests: Vec<Request>,
    /// It ended in the middle of a request.
    pub partial: bool,
    /// It sent something that is no request.
    pub bad: bool,
    /// The other side has closed or reset it.
    pub peer_gone: bool,
    /// It is closed.
    pub ended: bool,
    /// Bytes received that are not yet a whole request.
    pub unread: usize,
    pub end_wanted: Option<End>,
    pub stream: Option<TcpStream>,
}

#[derive(Default)]
pub struct GateState {
    pub reached: usize,
    pub open: bool,
}

pub struct State {
    pub connections: Vec<Record>,
    pub store: Store,
    pub rules: Vec<Rule>,
    pub gates: Vec<GateState>,
    pub listening: bool,
}

impl State {
    /// Every request so far, connection after connection.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.connections.iter().flat_map(|record| &record.requests)
    }

    /// How often a write of this key arrived.
    pub fn writes(&self, key: &str) -> usize {
        self.requests().filter(|request| request.writes(key)).count()
    }

    pub fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.store.records.get(key.as_bytes()).cloned()
    }
}

/// What the threads share. One lock and one condition: everything that a test waits for changes here.
pub struct Shared {
    pub state: Mutex<State>,
    pub changed: Condvar,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn record<T>(&self, number: usize, change: impl FnOnce(&mut Record) -> T) -> T {
        let result = change(&mut self.lock().connections[number]);
        self.changed.notify_all();
        result
    }

    /// Records a request and says which rule applies to it.
    pub fn arrived(&self, number: usize, request: &Request, unread: usize) -> Option<Act> {
        let mut state = self.lock();
        let record = &mut state.connections[number];
        record.unread = unread;
        let index = record.requests.len();
        record.requests.push(request.clone());
        let rule = state.rules.iter_mut().find(|rule| rule.applies(number, index, request));
        let act = rule.map(|rule| {
            rule.left -= 1;
            rule.act
        });
        drop(state);
        self.changed.notify_all();
        act
    }

    pub fn apply(&self, request: &Request) -> Vec<u8> {
        let answer = self.lock().store.apply(request);
        self.changed.notify_all();
        answer
    }

    /// Waits until the gate opens; false when the server dies before that.
    pub fn stand_before(&self, gate: Gate, number: usize) -> bool {
        let mut state = self.lock();
        state.gates[gate.0].reached += 1;
        self.changed.notify_all();
        while !state.gates[gate.0].open && state.connections[number].end_wanted.is_none() {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        state.connections[number].end_wanted.is_none()
    }
}
