//! What puts many keys in doubt at once: a lane that died, or a change of all of them.

use std::time::Duration;

use super::ledger::KeyHash;
use super::moment::moment;
use super::verdict::Waiter;
use super::{Guard, PENDING_SHARDS};
use crate::pairing::LaneId;

impl<W: Waiter> Guard<W> {
    /// A lane that died with writes in flight has ended (the backend is done with all that it had buffered), or its
    /// fence has timed out. Its keys are read back before they are judged again.
    pub fn fenced(&self, lane: LaneId, ended: bool) {
        (0..Self::PARTS).for_each(|part| self.fenced_in(part, lane, ended));
    }

    /// Parts of the keys with something under way, for [`Self::fenced_in`].
    pub const PARTS: usize = PENDING_SHARDS;

    /// As [`Self::fenced`], for the keys of one part alone: where very many have something under way, others can have
    /// their turn in between.
    pub fn fenced_in(&self, part: usize, lane: LaneId, ended: bool) {
        let hash_of = |(key, _): &(KeyHash, _)| self.pending.hash_usize(key) as u64;
        let mut shard = self.pending.shards()[part].write();
        let all: Vec<_> = shard.drain().collect();
        for (key, mut slot) in all {
            let pending = self.brought_up_to_date(slot.get_mut());
            if pending.fencing() == Some(lane) {
                pending.finish_fence(ended);
                self.ledger.put(key, pending.known);
            }
            if !pending.is_idle() {
                let kept = (key, slot);
                shard.insert(hash_of(&kept), kept, hash_of);
            }
        }
    }

    /// Something changed many keys at once (`vanish`, `restore`, a backend that came back as another): nothing that
    /// is remembered holds any more. Takes as long as there are parts, not keys.
    pub fn distrust_everything(&self, now: Duration) {
        let horizon = Self::horizon_at_start(&self.rules.load(), now).max(self.ledger.horizon());
        self.distrust_pending(horizon);
        self.ledger.clear(horizon);
        // What came under way meanwhile took what it knows from the ledger of before.
        self.distrust_pending(horizon);
    }

    /// Begins in front of a backend where no guard has let in a stamp above `mark`, whatever this one knew before. To be
    /// called only while nothing is judged.
    pub fn begin_at(&self, mark: u64, now: Duration) {
        self.distrust_everything(now);
        self.ledger.begin_at(mark);
    }

    fn distrust_pending(&self, horizon: u64) {
        moment();
        self.upheavals.add(horizon);
        moment();
        // Whoever was at work on a key, and did not see it, is done before this returns: what they remember is forgotten
        // with all else.
        for part in self.pending.shards() {
            drop(part.write());
        }
        moment();
    }
}
