//! The client side: listeners, sessions, and the dispatch between guard and backend.
//!
//! A worker has its sessions and its lanes on one thread. A session reads and decodes requests; `dispatch` sends those of
//! one exchange, `steps` those of several, `slow` those that need a connection of their own. A `passenger` travels with
//! each request and knows what its outcome calls for. `judging` asks the guard, and `waiting` is how a request comes back to
//! it. `fairness` has sessions that move many bytes let the others go first, `heartbeat` sees when all of them had to
//! wait, `apart` is where long work goes, `memory` bounds what all of them hold, and `descriptors` how many there are.

mod accept;
pub(crate) mod admission;
pub mod control;
mod descriptors;
mod facts;
pub(crate) mod fairness;
pub(crate) mod heartbeat;
pub mod instance;
pub(crate) mod listener;
pub mod server;
mod serving;
pub(crate) mod session;
mod worker;
