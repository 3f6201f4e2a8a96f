//! What befalls the backend, the guard and its clock, at the time that the plan says.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use super::World;
use crate::faults::Fault;
use crate::plan::Blow;
use crate::records::Records;

impl World {
    pub(super) fn set_clock(&self, offset: i64, fault: Fault) {
        let jump = self.clock.set(self.steps(), offset);
        if jump != 0 {
            self.strike(fault);
        }
        self.trace(&[14, jump as u64], || format!("the guard's clock is set by {jump} ms"));
    }

    pub(super) async fn jump_clock(self: Rc<Self>) {
        for (at, by) in self.plan.clock.jumps.clone() {
            sleep(Duration::from_millis(at.saturating_sub(self.now()))).await;
            let fault = if by > 0 {
                Fault::GuardClockAhead
            } else {
                Fault::GuardClockBack
            };
            self.set_clock(self.clock.offset() + by, fault);
        }
    }

    async fn blow(&self, blow: Blow) {
        self.trace(&[8], || format!("blow: {blow:?}"));
        match blow {
            Blow::RestartKept { down } => self.restart(down, None, Fault::RestartKept).await,
            Blow::RestartEmpty { down } => {
                self.restart(down, Some(Records::of(self.plan.database)), Fault::RestartEmpty)
                    .await;
            }
            Blow::RestartOlder { down } => {
                let older = self.server.older();
                self.restart(down, Some(older), Fault::RestartOlder).await;
            }
            Blow::Refuse { during } => self.server.refusing_until.set(self.now() + during),
            Blow::Pause { during } => {
                self.strike(Fault::Paused);
                self.server.paused_until.set(self.now() + during);
            }
            Blow::KillGuard { down } => {
                self.strike(Fault::GuardKilled);
                self.end_guard().await;
                sleep(Duration::from_millis(down)).await;
                self.start_guard();
            }
            Blow::StallAndKillGuard { during } => {
                self.strike(Fault::GuardKilledStalled);
                self.network.stall_lanes(self.now() + during);
                sleep(Duration::from_millis(self.below(during / 4 + 2))).await;
                self.end_guard().await;
                self.start_guard();
            }
            Blow::StallGuard { during } => {
                self.strike(Fault::GuardStalled);
                self.stall_guard(during).await;
            }
            Blow::DrainGuard => {
                self.strike(Fault::GuardDrained);
                self.drain_guard().await;
                self.start_guard();
            }
        }
    }

    async fn restart(&self, down: u64, records: Option<Records>, fault: Fault) {
        self.strike(fault);
        self.server.stop();
        sleep(Duration::from_millis(down + 1)).await;
        self.server.start(self, records);
    }

    pub(super) async fn strike_blows(self: Rc<Self>) {
        for (at, blow) in self.plan.blows.clone() {
            sleep(Duration::from_millis(at.saturating_sub(self.now()))).await;
            self.blow(blow).await;
        }
    }
}
