//! Which answer belongs to which question. Pure: no socket, no clock.
//!
//! Answers carry no number, so order is all there is: towards the backend the lane's [queue of owed
//! replies](owed::Owed), towards the client the session's [order of answers](order::Order).

pub mod order;
pub mod owed;

/// One backend connection, from its start to its end. A lane that comes back is another lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub u64);
