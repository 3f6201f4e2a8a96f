//! Which answer belongs to which question. Pure: no socket, no clock.

pub mod order;
pub mod owed;

/// One backend connection, from its start to its end. A lane that comes back is another lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub u64);
