//! What must hold in the world, whatever happens.

use bytes::Bytes;

use super::world::{Feat, Held, Sent, TOLERANCE, Want, World};
use ttguard::guard::ledger::Known;
use ttguard::guard::rules::{Mode, Tie};
use ttguard::guard::verdict::{Refusal, Ticket};

/// The backend carries out a change. Here shows whether it was let through in order.
pub(super) fn carry_out(held: &mut Held, sent: &Sent, feat: Feat, moment: u64, latest: u64) {
    if feat == Feat::Failed {
        return;
    }
    let (known, before) = (held.known(latest), held.stamp(latest));
    // What was ahead when it was stored bound nobody; it may have begun to bind meanwhile.
    let is_judged = !sent.would_refuse && !sent.excused && !held.haunted && !held.ahead;
    let halfway = feat == Feat::FailedHalfway;
    let mut is_ahead = held.ahead;
    match &sent.want {
        Want::Stamped { .. } if halfway => return,
        Want::Stamped { stamp, value } => {
            let is_newer = *stamp > before || known == Known::Stamp(*stamp);
            assert!(!is_judged || is_newer, "{stamp} overwrites {known:?}");
            held.value = Some((Some(*stamp), value.clone()));
            is_ahead = *stamp > sent.latest;
        }
        Want::Unstamped => {
            if let Some(keeps) = sent.record {
                held.record = Some(keeps);
            }
            if !halfway {
                held.value = Some((None, "unstamped".into()));
                is_ahead = false;
            }
            assert!(!is_judged || held.stamp(latest) >= before, "{before} is forgotten");
        }
        Want::Delete | Want::DeleteAt { .. } => {
            let tombstone = sent.record.expect("a delete has a tombstone");
            assert!(
                !is_judged || tombstone >= before,
                "a tombstone of {tombstone} hides {before}"
            );
            assert!(tombstone <= latest, "a tombstone of {tombstone} is ahead of its time");
            held.record = Some(tombstone);
            if !halfway {
                held.value = None;
                is_ahead = false;
            }
        }
        Want::Unordered { .. } => {
            held.value = sent.leaves.map(|stamp| (Some(stamp), format!("{stamp:013}x").into()));
            is_ahead = sent.leaves.is_some_and(|stamp| stamp > sent.latest);
        }
        Want::Made { .. } => panic!("it has its stamp before it is sent"),
        Want::Tidy => held.record = None,
    }
    held.ahead = is_ahead;
    if held.stamp(latest) < before {
        let may_lower = !is_judged || matches!(sent.want, Want::Unordered { .. } | Want::Tidy);
        assert!(
            may_lower,
            "{:?} lowers the stamp from {before} to {}",
            sent.want,
            held.stamp(latest)
        );
        held.acknowledged = 0;
        held.lowered = moment;
    }
}

impl World {
    /// A change is about to join its lane's queue.
    pub(super) fn check_departure(&self, key: usize, lane: usize, want: &Want, alone: bool, ticket: &Ticket) {
        let mut queue = self.lanes[lane].queue.iter();
        if alone {
            assert!(
                queue.all(|errand| errand.changes() != Some(key)),
                "key {key} is not alone"
            );
        } else {
            assert!(
                !queue.any(|errand| errand.is_alone_with(key)),
                "key {key} was to be alone"
            );
        }
        for (index, other) in self.lanes.iter().enumerate() {
            let busy = other.queue.iter().any(|errand| errand.changes() == Some(key));
            assert!(index == lane || !busy, "key {key} is in flight on two lanes");
        }
        let is_unfenced = self.dead.iter().any(|dead| dead.lost.contains(&key));
        assert!(!is_unfenced, "key {key} is written before its lane's fence");
        if let Some(refusal) = ticket.would_refuse() {
            assert_eq!(self.setup.mode, Mode::Observe);
            self.check_reason(key, want, refusal);
        }
        if let Want::Stamped { stamp, .. } = want
            && self.setup.mode == Mode::Enforce
        {
            assert!(self.setup.opaque || *stamp <= self.now + TOLERANCE);
        }
    }

    pub(super) fn check_refusal(&self, key: usize, want: &Want, refusal: Refusal) {
        assert_eq!(self.setup.mode, Mode::Enforce, "observe refuses nothing");
        self.check_reason(key, want, refusal);
    }

    /// A refusal rests on what is really stored.
    fn check_reason(&self, key: usize, want: &Want, refusal: Refusal) {
        let held = &self.held[key];
        let none = Bytes::new();
        let (stamp, value) = match want {
            Want::Stamped { stamp, value } => (stamp, value),
            Want::DeleteAt { stamp } => (stamp, &none),
            _ => panic!("{want:?} is refused: {refusal:?}"),
        };
        match refusal {
            Refusal::Future => assert!(!self.setup.opaque && *stamp > self.now + TOLERANCE),
            _ if self.upheaval || held.haunted => {}
            Refusal::Stale { newer } => {
                let stored = held.stamp(self.latest());
                let is_gone = stored > newer || held.known(self.latest()) == Known::Record(newer);
                assert!(*stamp < newer || is_gone, "{stamp} is refused for {newer}");
                assert!(*stamp <= newer, "{stamp} is refused for {newer}");
                assert!(
                    newer <= stored,
                    "{stamp} is refused for {newer}, but {stored} is stored"
                );
            }
            Refusal::Tie => {
                assert_ne!(self.setup.tie, Tie::Last);
                assert_eq!(held.known(self.latest()), Known::Stamp(*stamp));
                let stored = held.value.as_ref().map(|(_, bytes)| bytes);
                assert!(stored.is_some_and(|stored| stored != value));
                assert!(self.setup.tie == Tie::First || stored.is_some_and(|stored| stored > value));
            }
            Refusal::Unstamped | Refusal::Denied => panic!("{want:?} is refused: {refusal:?}"),
        }
    }

    /// To be called after every step.
    pub(super) fn check(&self) {
        let ledger = self.guard.ledger();
        assert!(ledger.len() <= ledger.entries_max());
        for (index, held) in self.held.iter().enumerate() {
            let known = held.known(self.latest());
            let stamp = known.bound();
            if !held.haunted {
                assert!(
                    stamp >= held.acknowledged,
                    "key {index} holds {stamp}, {} was acknowledged",
                    held.acknowledged
                );
            }
            let hash = self.hash(index);
            let is_pending = self.guard.glance(hash).under_way.is_some();
            if is_pending || self.upheaval || held.haunted || held.ahead {
                continue;
            }
            let horizon = ledger.horizon();
            match ledger.get(hash) {
                Known::Absent => assert!(stamp <= horizon, "key {index}: {stamp} above the horizon {horizon}"),
                remembered @ (Known::Stamp(_) | Known::Record(_)) => {
                    assert_eq!(remembered, known, "key {index}: known is not what is stored");
                }
                Known::Unknown { bound } => {
                    assert!(
                        stamp <= bound.max(horizon),
                        "key {index}: {stamp} above its bound {bound}"
                    );
                }
            }
        }
    }

    /// Everything has ended.
    pub(super) fn check_at_rest(&self) {
        assert_eq!(self.guard.pending(), 0, "a record outlives what was under way");
        assert!(self.clients.is_empty());
        self.check();
    }
}
