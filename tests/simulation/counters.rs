//! What guards count that only observe, held against what the backend has seen.

use crate::history::History;
use crate::world::World;

/// What guards have counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Writes that observe mode let through, and enforce mode would have refused as stale or for a tie.
    pub stale: u64,
    /// The same for stamps too far ahead.
    pub future: u64,
    /// Requests that were sent again.
    pub repeated: u64,
}

impl History {
    /// Whether guards that only observed have counted what was let through.
    pub fn check_counters(&self, world: &World, counters: &Counters) {
        let Counters {
            stale,
            future,
            repeated,
        } = *counters;
        if !self.observes {
            if stale + future > 0 {
                world.violated("I13", || format!("a guard that enforces has counted {counters:?}"));
            }
            return;
        }
        if stale < self.let_through.0 || future < self.let_through.1 {
            world.violated("I13", || {
                format!(
                    "{:?} writes were let through for certain, {counters:?}",
                    self.let_through
                )
            });
        }
        // What `putkeep` did not store may have been stale or not.
        let most = self.let_through.0 + self.kept;
        if self.is_exact && repeated == 0 && stale > most {
            world.violated("I13", || {
                format!("at most {most} writes were let through, {counters:?}")
            });
        }
        let suspects = self.suspects() as u64;
        if stale > suspects + repeated {
            world.violated("I13", || format!("{suspects} writes can have been stale, {counters:?}"));
        }
    }
}
