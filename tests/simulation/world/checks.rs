//! What is looked at now and then, and when all faults are over.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use ttguard::front::instance::Census;
use ttguard::transport::READ_ROOM;

use super::World;
use crate::accounts::Scrape;
use crate::client;

impl World {
    /// Looks now and then whether bounds are kept.
    pub(super) async fn inspect(self: Rc<Self>) {
        loop {
            sleep(Duration::from_millis(29)).await;
            if self.below(8) == 0 {
                self.server.take_snapshot();
            }
            let Some(census) = self.guard.borrow().as_ref().map(|process| process.instance.census()) else {
                continue;
            };
            self.check_memory(&census);
            let settings = &self.plan.settings;
            if census.lanes > settings.workers * settings.links() {
                self.violated("I10", || format!("{census:?}"));
            }
            self.network.check_connections(&self);
        }
    }

    /// What the guard holds, against what the settings allow.
    fn check_memory(&self, census: &Census) {
        let (settings, limits) = (&self.plan.settings, &self.plan.settings.limits);
        let (session, lane) = (&census.fullest_session, &census.fullest_lane);
        let ledger_memory = self.plan.ledger_entries.map_or(settings.ledger_memory, |_| u64::MAX);
        for (what, held, most) in [
            ("keys", census.ledger_entries as u64, census.ledger_entries_max as u64),
            (
                "bytes of the ledger",
                census.ledger_bytes,
                census.ledger_bytes_max.min(ledger_memory),
            ),
            (
                "bytes that are held for clients",
                census.buffered as u64,
                limits.buffer_memory as u64,
            ),
            (
                "bytes behind the answer that a client reads",
                session.backlog as u64,
                // Of the update log as much is held as was read at once.
                limits
                    .session_backlog
                    .max(if self.plan.clients.follows_log() { READ_ROOM } else { 0 }) as u64,
            ),
            (
                "unanswered requests of a session",
                session.owed as u64,
                limits.pipeline as u64,
            ),
            (
                "requests of a session on lanes",
                session.in_flight as u64,
                limits.pipeline as u64,
            ),
            // The question that ends a spell of priming may go beyond it.
            (
                "requests on a lane",
                lane.requests as u64,
                limits.lane_queue as u64 + u64::from(settings.primed_lanes > 0),
            ),
            // One request more may go beyond it.
            (
                "bytes before a lane",
                lane.bytes as u64,
                2 * limits.request.frame_max as u64,
            ),
        ] {
            if held > most {
                self.violated("I9", || format!("{held} {what}, {most} are allowed"));
            }
        }
    }

    /// After all faults: everything is back to where it was, and every promise holds.
    pub(super) async fn quiet(self: &Rc<Self>) {
        sleep(Duration::from_secs(12)).await;
        let Some(quiet) = self.check_base_line("after quiet") else {
            return;
        };
        let before = (self.accounts.borrow().clone(), quiet);
        if let Err(how) = timeout(Duration::from_secs(20), client::probe(self)).await {
            self.violated("I12", || format!("a probe waits for ever: {how}"));
        }
        sleep(Duration::from_secs(2)).await;
        if let Some(scrape) = self.check_base_line("after the probes") {
            self.accounts.borrow().check_calm(self, &before, &scrape);
        }
        self.history.borrow_mut().check_end(self, &self.server.records.borrow());
        self.drain_guard().await;
        self.accounts.borrow().check_end(self, &self.history.borrow());
    }

    /// Nothing is left over; returns what is counted.
    fn check_base_line(&self, when: &str) -> Option<Scrape> {
        let guard = self.guard.borrow();
        let process = guard.as_ref()?;
        let census = process.instance.census();
        let lanes = self.plan.settings.workers * self.plan.settings.links();
        let is_clean = census.sessions == 0
            && census.lanes == lanes
            && census.in_flight == 0
            && census.pending == 0
            && census.buffered == 0;
        if !is_clean {
            self.violated("I12", || format!("{when}: {census:?}, {lanes} lanes are configured"));
        }
        let scrape = Scrape::of(&process.instance.scrape());
        self.accounts.borrow().check_quiet(self, &scrape);
        self.network.check_connections(self);
        Some(scrape)
    }
}
