//! Requests put on their way to the store, and counted.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Engine;
use super::completion::Completion;
use super::shared::Shared;
use crate::client::route::Route;
use crate::command::{Command, Verb};
use crate::protocol::link::PIECE;
use crate::protocol::outgoing::Outgoing;
use crate::store::guards::Asking;
use crate::store::{self, Opened, Opening};

/// The store of one worker.
pub type Store = store::Store<Completion>;

/// Where a request can be put right now.
pub type Via = store::Via<Completion>;

/// The store as one worker knows it, where a server is reached by this route.
pub fn store_of(shared: &Shared, opened: &Opened, route: Route) -> Store {
    opened.store(&Opening {
        settings: &shared.settings(),
        route,
        guards: &shared.guards,
        name: &shared.name,
        ids: &shared.lane_ids,
        tenure: &shared.tenure,
        clock: &shared.clock,
        take_prime: &|| shared.take_prime(),
    })
}

impl Engine {
    /// Puts a request on its way: see [`store::Via::submit`].
    pub fn send(&self, via: &Via, command: &Command, deadline: Instant, completion: Completion) {
        self.count_bytes(completion.verb, || via.submit(command, deadline, completion));
    }

    /// Puts a change on its way that has its key to itself: see [`store::Via::submit_alone`].
    pub fn send_alone(&self, via: &Via, command: &Command, deadline: Instant, completion: Completion) {
        self.count_bytes(completion.verb, || via.submit_alone(command, deadline, completion));
    }

    /// Puts a read on its way that may share its question with others: see [`store::Via::submit_read`].
    pub fn send_read(
        &self,
        via: &Via,
        command: &Command,
        deadline: Instant,
        mut completion: Completion,
        may_join: bool,
    ) {
        if via.shares_reads(command) {
            completion.verb = Verb::Mget;
        }
        self.count_bytes(completion.verb, || {
            via.submit_read(command, deadline, completion, may_join)
        });
    }

    /// Puts a stamped write on its way that may share its request with others: see [`store::Via::submit_write`].
    pub fn send_write(&self, via: &Via, command: &Command, deadline: Instant, completion: Completion) {
        self.count_bytes(completion.verb, || via.submit_write(command, deadline, completion));
    }

    /// Asks a guard a whole request, which may leave in pieces: whether it does. See [`store::Via::ask`].
    pub fn ask(&self, via: &Via, asking: Asking, command: &Command, deadline: Instant, completion: Completion) -> bool {
        let mut in_pieces = false;
        self.count_bytes(completion.verb, || {
            let bytes = via.ask(asking, command, deadline, completion);
            in_pieces = bytes > PIECE;
            bytes
        });
        in_pieces
    }

    /// The same where its bytes have been put together already: see [`store::Via::ask_bytes`].
    pub fn ask_bytes(&self, via: &Via, asking: Asking, bytes: Outgoing, deadline: Instant, completion: Completion) {
        self.count_bytes(completion.verb, || via.ask_bytes(asking, bytes, deadline, completion));
    }

    fn count_bytes(&self, verb: Verb, submit: impl FnOnce() -> usize) {
        let shared = &self.shared;
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let bytes = submit();
        if bytes > 0 {
            shared.metrics.backend_request_bytes.of(verb).increment(bytes as u64);
        }
    }
}
