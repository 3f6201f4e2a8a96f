//! Whether an answer leaves the guard in time: counted from when the question had come there, not from when it was read.

use ttguard::transport::memory::Side;

use super::{Network, index};
use crate::world::World;

impl Network {
    /// When so many bytes of this side had reached the other.
    fn came(&self, id: u64, side: Side, bytes: u64) -> Option<u64> {
        let lines = self.lines.borrow();
        let arrivals = &lines.get(&id)?.ways[index(side)].arrivals;
        let first = arrivals.partition_point(|(count, _)| *count < bytes);
        arrivals.get(first).map(|(_, at)| *at)
    }

    /// When this side had written so many bytes.
    fn wrote(&self, id: u64, side: Side, bytes: u64) -> Option<u64> {
        let lines = self.lines.borrow();
        let writes = &lines.get(&id)?.ways[index(side)].writes;
        let first = writes.partition_point(|(count, _)| *count < bytes);
        writes.get(first).map(|(_, at)| *at)
    }

    /// When the answer whose last byte is this had left the guard.
    pub fn answered_at(&self, id: u64, answer_end: u64) -> Option<u64> {
        self.wrote(id, Side::Acceptor, answer_end)
    }

    /// An answer has been heard whose last byte is the `answer_end`th of this connection; that of its question was the
    /// `question_end`th, and it could not be answered before `clear_from`. It may take `patience`, in milliseconds.
    pub fn check_in_time(
        &self,
        world: &World,
        id: u64,
        (question_end, answer_end): (u64, u64),
        clear_from: u64,
        patience: u64,
    ) {
        let (plan, pairing) = (&world.plan, &world.plan.settings.pairing);
        // Sessions that move many bytes pause, and a client that does not read has its answers when it does.
        if plan.settings.limits.heavy_rate > 0 || plan.network.client_room < 4096 {
            return;
        }
        let came = self.came(id, Side::Dialler, question_end);
        let (Some(came), Some(answered)) = (came, self.answered_at(id, answer_end)) else {
            return;
        };
        // A stall that is shorter than this is not seen.
        let unseen = (pairing.request_timeout.as_millis() as u64 / 8).max(10) + 2;
        let took = answered.saturating_sub(came.max(clear_from));
        if took > patience + unseen {
            world.violated("late", || {
                format!("#{id}: an answer left {took} ms after its question had come, {patience} ms are allowed")
            });
        }
    }
}
