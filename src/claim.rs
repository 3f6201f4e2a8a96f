//! The claim of a store: only the guard that holds it writes there.
//!
//! A guard is exact only where it is the only one that writes to its store. So the store itself says who that is: a
//! [record](record::Record) names the holder, and an epoch, raised by `addint` with each claim, decides. The record carries
//! a number that every renewal raises; times are durations on one's own clock and are never compared between machines.
//!
//! - The holder may write for half of `claim_timeout` from the moment at which it *sent* the last renewal that was
//!   confirmed ([`Tenure`]). It looks right before each write to a lane.
//! - Whoever waits takes the next epoch when it has seen the record unchanged for all of `claim_timeout`
//!   ([`watch::Watch`]), or was told by the record that its holder has left.
//! - A holder that reads a greater epoch is deposed, and takes its turn with the others.
//!
//! The record carries a *mark* too: no stamp above it was let in by any holder. What it says of stamps is all that a guard
//! has to know of those before it. So a start is warm at once, where it would have to look up every key that may have been
//! written with a stamp ahead of the clock.
//!
//! Pure: no socket, no clock. The engine asks the store.

pub mod record;
mod tenure;
pub mod watch;

pub use self::tenure::Tenure;

/// The record that keeps the epoch. Clients cannot write keys that begin with `timestamp.`, so no key of theirs has a
/// tombstone of this name.
pub const EPOCH: &[u8] = b"timestamp.timestamp.ttguard.epoch";

/// The record that names the holder.
pub const HOLDER: &[u8] = b"timestamp.timestamp.ttguard.claim";

/// Whether a key is one of the two.
pub fn is_ours(key: &[u8]) -> bool {
    key == EPOCH || key == HOLDER
}
