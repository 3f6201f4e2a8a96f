//! While a request waits, those behind it are looked at: what keys the guard will have to look up for them.
//!
//! They stay where they are. Their turn comes in their order, and by then their keys are known.

use bytes::BytesMut;

use super::Task;
use crate::config::Pipelining;
use crate::engine::pipeline::Looked;
use crate::engine::state::Cause;
use crate::front::session::READ_AHEAD;
use crate::protocol::request::{Decoder, Incoming};

/// While the same request waits, so many bytes more are worth a look: those that come one by one are then looked up
/// together. What is fewer is looked at when the next one has to wait.
const WORTH: usize = 4096;

/// How far a session has looked ahead.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LookedAhead {
    /// The number of the last request behind which this was done.
    behind: Option<u64>,
    /// Bytes of the connection, from its start, whose requests have been looked at.
    until: u64,
    /// There was something to look up lately.
    pays: bool,
}

impl Task {
    /// Has the keys looked up that the requests behind the one that waits will need.
    pub(super) fn look_ahead(&mut self) {
        let waits_for_guard = self.pipeline.waits_for() == Some(Cause::Key);
        let behind = self.pipeline.number_of_head();
        // With as many under way as may be, the next ones wait too: where keys had to be looked up, theirs may have to.
        let waits_for_room = self.ahead.pays && self.pipeline.is_free() && self.is_full();
        if !(waits_for_guard || waits_for_room) || self.session.pipelining() == Pipelining::Forbid {
            return;
        }
        let taken_up = self.arrivals.before(self.input.len());
        let from = self.ahead.until.saturating_sub(taken_up) as usize;
        let least = if self.ahead.behind == behind { WORTH } else { 1 };
        let Some(rest) = self.input.get(from..).filter(|rest| rest.len() >= least) else {
            return;
        };
        let rest = &rest[..rest.len().min(READ_AHEAD)];
        let (passed, finds) = self.look_through(rest);
        self.ahead.behind = behind;
        self.ahead.until = taken_up + (from + passed) as u64;
        if passed > 0 {
            self.ahead.pays = finds;
        }
    }

    /// Looks through requests that have come, as long as more keys may be looked up. Returns how many bytes of them it is
    /// done with, and whether any key of those had to be.
    fn look_through(&self, requests: &[u8]) -> (usize, bool) {
        let (engine, listener) = (&self.session.channel.engine, &self.session.channel.listener);
        let limits = &engine.settings().limits;
        let mut decoder = Decoder::new(limits.request, listener.protocols, listener.dialect);
        let mut rest = BytesMut::from(requests);
        let (mut passed, mut finds) = (0, false);
        for _ in 0..limits.pipeline {
            // What cannot be read is found out when its turn comes.
            let Ok(Some(Incoming::Request(request))) = decoder.decode(&mut rest) else {
                break;
            };
            match self.pipeline.look_up(request) {
                Looked::Up => finds = true,
                Looked::Past => {}
                Looked::Enough => break,
            }
            passed = requests.len() - rest.len();
        }
        (passed, finds)
    }
}
