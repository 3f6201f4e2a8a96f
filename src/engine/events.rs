//! What happens to the store, as the engine takes it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::{spawn_local, yield_now};

use super::Engine;
use super::apart::MANY;
use super::memory::Load;
use super::notice::Notice;
use crate::clock::now;
use crate::guard::Guard;
use crate::guard::stamp::{StampFormat, Unit};
use crate::logging::RateLimit;
use crate::metrics::{Alarm, ConnectOutcome, FenceOutcome, FenceReason, Intervention};
use crate::pairing::LaneId;
use crate::protocol::link::hello::Welcome;
use crate::store::capabilities::{Capabilities, Keys};
use crate::store::events::{ConnectFault, Events, OtherRun};
use crate::store::guards::fault::{LinkFault, OpenFault};
use crate::store::tyrant::greeting::Greeting;
use crate::store::tyrant::lane::{HalfReceived, LaneFault};

/// How long a line of one kind about lanes is not written again.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

fn note_denied_misc() {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(60));
    if let Some(suppressed) = LOG.admit(Instant::now()) {
        tracing::warn!(
            suppressed,
            "the backend's mask denies misc, and it answers as if all were well: so misc is denied here, and puts do not \
             share requests; rows of a table cannot be read back"
        );
    }
}

/// How long it is not said again that this machine's clock is off.
const OFFSET_LOG_INTERVAL: Duration = Duration::from_secs(60);

impl Events for Engine {
    fn up(&self, greeting: &Greeting, again: bool) -> Result<(), OtherRun> {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        let shared = &self.shared;
        let now = now();
        shared.greeted(greeting, now)?;
        shared.metrics.lane_reconnects.increment(again.into());
        self.capabilities.set(Some(greeting.kind.capabilities()));
        self.denies_misc.set(greeting.denies_misc);
        // The mask that may deny `mget` is an option of the server's start.
        if !self
            .run
            .replace(Some(greeting.run.clone()))
            .is_some_and(|run| run.is_same(&greeting.run))
        {
            self.mget_finds.set(false);
        }
        self.hold_until.set(shared.hold_until(now));
        shared.lanes.fetch_add(1, Ordering::Relaxed);
        shared.metrics.lane_connects.of(ConnectOutcome::Up).increment(1);
        if let Some(suppressed) = LOG.admit(now) {
            tracing::info!(kind = ?greeting.kind, suppressed, "a lane is up");
        }
        if greeting.denies_misc {
            note_denied_misc();
        }
        Ok(())
    }

    fn linked(&self, welcome: &Welcome, asked: Instant) -> Result<(), OpenFault> {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        let shared = &self.shared;
        match self.settings().says_given() {
            Some(given) if given != welcome.given => return Err(OpenFault::Source { given }),
            _ => shared.linked(welcome, asked)?,
        }
        self.stamp_of_guard.set(stamp_of(welcome));
        self.guard_gives.set(welcome.gives);
        self.capabilities.set(Some(Capabilities {
            keys: if welcome.knows_keys { Keys::Bytes } else { Keys::Numbers },
            knows_functions: welcome.knows_functions,
            ..Capabilities::UNKNOWN
        }));
        shared.lanes.fetch_add(1, Ordering::Relaxed);
        shared.metrics.lane_connects.of(ConnectOutcome::Up).increment(1);
        if let Some(suppressed) = LOG.admit(now()) {
            let release = String::from_utf8_lossy(&welcome.release);
            tracing::info!(epoch = welcome.epoch, %release, suppressed, "a link to the guard is up");
        }
        Ok(())
    }

    fn told_time(&self, at: Instant, time: Duration, offset: f64) {
        static LOG: RateLimit = RateLimit::new(OFFSET_LOG_INTERVAL);
        self.shared.giving.time.said(at, time);
        let is_off = offset.abs() > self.settings().max_offset.as_secs_f64();
        if is_off
            && self.guard_gives.get()
            && let Some(suppressed) = LOG.admit(now())
        {
            tracing::warn!(
                offset_seconds = offset,
                suppressed,
                "the clock of this machine is further from the guard's than stamp.max_offset: stamps go by the guard's"
            );
        }
    }

    fn saw(&self, stamp: u64) {
        self.shared.giving.learn(stamp);
    }

    fn heard(&self, guard: u64, epoch: u64, asked: Instant) -> bool {
        self.shared.heard(guard, epoch, asked)
    }

    fn link_failed(&self, url: &str, fault: &OpenFault) {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        self.shared.metrics.lane_connects.of(link_connect(fault)).increment(1);
        if let Some(suppressed) = LOG.admit(now()) {
            tracing::warn!(url, %fault, suppressed, "no link to this guard");
        }
    }

    fn unlinked(&self, guard: u64, link: LaneId, fault: &LinkFault, has_place: bool) {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        self.shared.unlinked(guard);
        self.shared.lane_gone(has_place);
        if let Some(rule) = link_rule(fault) {
            self.shared.metrics.interventions.of(rule).increment(1);
        }
        match fault {
            LinkFault::NotOwed(_) => {
                self.shared.raise(
                    Alarm::UnaskedAnswer,
                    "the guard sent an answer to what it was not asked",
                );
            }
            LinkFault::Mismatch => {
                self.shared
                    .raise(Alarm::UnaskedKey, "the guard named a key that it was not asked for");
            }
            _ => {}
        }
        if let Some(reason) = link_end(fault) {
            self.shared.metrics.lanes_fenced.of(reason).increment(1);
            if let Some(suppressed) = LOG.admit(now()) {
                tracing::warn!(link = link.0, %fault, suppressed, "a link is out of service");
            }
        }
    }

    fn proved(&self) {
        self.shared.proved(now());
    }

    fn connect_failed(&self, fault: ConnectFault, error: &io::Error) {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        self.shared.metrics.lane_connects.of(connect(fault)).increment(1);
        if let Some(suppressed) = LOG.admit(Instant::now()) {
            tracing::warn!(?fault, %error, suppressed, "the backend cannot be reached");
        }
        self.shared.lane_missed(now());
    }

    fn down(&self, lane: LaneId, fault: &LaneFault, has_place: bool) {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        self.shared.lane_gone(has_place);
        if let Some(rule) = rule(fault) {
            self.shared.metrics.interventions.of(rule).increment(1);
        }
        if let Some((alarm, what)) = alarm(fault) {
            self.shared.raise(alarm, what);
        }
        if let Some(reason) = fence_reason(fault) {
            self.shared.metrics.lanes_fenced.of(reason).increment(has_place.into());
            if let Some(suppressed) = LOG.admit(now()) {
                tracing::warn!(lane = lane.0, %fault, suppressed, "a lane is out of service");
            }
        }
    }

    fn fenced(&self, lane: LaneId, ended: bool) {
        let outcome = if ended {
            FenceOutcome::Ended
        } else {
            FenceOutcome::Timeout
        };
        self.shared.metrics.fences.of(outcome).increment(1);
        if !ended {
            self.unfenced.set(true);
            static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
            if let Some(suppressed) = LOG.admit(now()) {
                tracing::warn!(
                    lane = lane.0,
                    suppressed,
                    "the backend did not end a lane in time: what it carried may still be carried out"
                );
            }
        }
        let shared = Arc::clone(&self.shared);
        if shared.guard.pending() <= MANY {
            return shared.guard.fenced(lane, ended);
        }
        spawn_local(async move {
            for part in 0..Guard::<Notice>::PARTS {
                shared.guard.fenced_in(part, lane, ended);
                yield_now().await;
            }
        });
    }

    fn handed_over(&self) {
        self.hand_overs.set(self.hand_overs.get() + 1);
        self.shared.metrics.lane_hand_overs.increment(1);
        self.shared.lane_handed_over();
    }

    async fn parted(&self) {
        self.shared.parted().await;
    }

    fn half_received(&self, before: HalfReceived, now: HalfReceived) {
        let load = |half: HalfReceived| Load {
            held: half.bytes,
            loose: half.bytes - half.roomed,
        };
        self.holds(load(before), load(now));
    }

    fn batch_done(&self) {
        self.busy_poll.worked();
        self.flush_touched();
        if self.wanting.take() {
            self.changed.notify_waiters();
        }
    }

    fn changed(&self) {
        self.wanting.set(false);
        self.changed.notify_waiters();
    }
}

fn connect(fault: ConnectFault) -> ConnectOutcome {
    match fault {
        ConnectFault::Refused => ConnectOutcome::Refused,
        ConnectFault::Timeout => ConnectOutcome::Timeout,
        ConnectFault::NotTyrant => ConnectOutcome::NotTyrant,
        ConnectFault::Tls => ConnectOutcome::Tls,
        ConnectFault::OtherRun => ConnectOutcome::OtherRun,
    }
}

/// What a guard takes for a stamp; nothing where it is none that is known here.
fn stamp_of(welcome: &Welcome) -> Option<StampFormat> {
    let units = [
        Unit::Seconds,
        Unit::Milliseconds,
        Unit::Microseconds,
        Unit::Nanoseconds,
        Unit::Opaque,
    ];
    let unit = units
        .into_iter()
        .find(|unit| unit.nanoseconds().unwrap_or(0) == welcome.unit)?;
    StampFormat::new(welcome.digits, unit)
}

fn link_connect(fault: &OpenFault) -> ConnectOutcome {
    match fault {
        OpenFault::Connect(_) | OpenFault::Name(_) | OpenFault::Denied(_) => ConnectOutcome::Refused,
        OpenFault::Timeout => ConnectOutcome::Timeout,
        OpenFault::Tls(_) => ConnectOutcome::Tls,
        OpenFault::NoGuard | OpenFault::Frame(_) | OpenFault::Source { .. } => ConnectOutcome::NotTyrant,
        OpenFault::Waits => ConnectOutcome::Waits,
        OpenFault::OtherGuard => ConnectOutcome::OtherRun,
    }
}

/// Why a link is given up; nothing for one that ended in order.
fn link_end(fault: &LinkFault) -> Option<FenceReason> {
    match fault {
        LinkFault::Silent(_) | LinkFault::Unanswered => Some(FenceReason::Deadline),
        LinkFault::Frame(_) | LinkFault::Mismatch => Some(FenceReason::BadAnswer),
        LinkFault::NotOwed(_) => Some(FenceReason::Unasked),
        LinkFault::Eof => Some(FenceReason::Eof),
        LinkFault::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => Some(FenceReason::Reset),
        LinkFault::Io(_) => Some(FenceReason::Io),
        LinkFault::Left | LinkFault::Retired => None,
    }
}

/// What the pairing guard did by giving up this link; nothing where the guard ended it.
fn link_rule(fault: &LinkFault) -> Option<Intervention> {
    match fault {
        LinkFault::Unanswered => Some(Intervention::LateAnswer),
        LinkFault::Frame(_) => Some(Intervention::BadAnswer),
        LinkFault::Mismatch => Some(Intervention::Mismatch),
        LinkFault::NotOwed(_) => Some(Intervention::Unasked),
        LinkFault::Silent(_) | LinkFault::Eof | LinkFault::Io(_) | LinkFault::Left | LinkFault::Retired => None,
    }
}

/// Why a lane is fenced; nothing for one that ended because the proxy stops.
fn fence_reason(fault: &LaneFault) -> Option<FenceReason> {
    match fault {
        LaneFault::Deadline => Some(FenceReason::Deadline),
        LaneFault::BadAnswer(_) | LaneFault::Mismatch => Some(FenceReason::BadAnswer),
        LaneFault::Unasked(_) => Some(FenceReason::Unasked),
        LaneFault::Eof => Some(FenceReason::Eof),
        LaneFault::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Some(FenceReason::Reset),
        LaneFault::Io(_) => Some(FenceReason::Io),
        LaneFault::Unclaimed => Some(FenceReason::Unclaimed),
        LaneFault::Retired | LaneFault::HandedOver => None,
    }
}

/// What the pairing guard did by giving up this lane; nothing where the backend ended it.
fn rule(fault: &LaneFault) -> Option<Intervention> {
    match fault {
        LaneFault::Deadline => Some(Intervention::LateAnswer),
        LaneFault::BadAnswer(_) => Some(Intervention::BadAnswer),
        LaneFault::Mismatch => Some(Intervention::Mismatch),
        LaneFault::Unasked(_) => Some(Intervention::Unasked),
        LaneFault::Eof | LaneFault::Io(_) | LaneFault::Retired | LaneFault::HandedOver | LaneFault::Unclaimed => None,
    }
}

/// The alarm that this fault of a lane is; nothing for those that happen to anybody.
fn alarm(fault: &LaneFault) -> Option<(Alarm, &'static str)> {
    match fault {
        LaneFault::Mismatch => Some((Alarm::UnaskedKey, "the backend named a key that it was not asked for")),
        LaneFault::Unasked(_) => Some((Alarm::UnaskedAnswer, "the backend sent bytes that answer no question")),
        LaneFault::Deadline
        | LaneFault::BadAnswer(_)
        | LaneFault::Eof
        | LaneFault::Io(_)
        | LaneFault::Retired
        | LaneFault::HandedOver
        | LaneFault::Unclaimed => None,
    }
}
