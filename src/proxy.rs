//! The client side: listeners, sessions, and the dispatch between guard and backend.
//!
//! A worker has its sessions and its lanes on one thread. A session reads and decodes requests; `dispatch` sends those of
//! one exchange, `steps` those of several, `slow` those that need a connection of their own. A `passenger` travels with
//! each request and knows what its outcome calls for. `judging` asks the guard, and `waiting` is how a request comes back to
//! it. `fairness` has sessions that move many bytes let the others go first, `heartbeat` sees when all of them had to
//! wait, `apart` is where long work goes, `memory` bounds what all of them hold, and `descriptors` how many there are.

mod account;
mod admission;
mod alarm;
mod apart;
mod arrival;
mod busy_poll;
pub mod control;
mod crew;
mod descriptors;
mod dispatch;
mod facts;
mod fairness;
mod heartbeat;
mod inquiry;
mod judging;
mod large_keys;
mod listener;
mod look_up;
mod memory;
mod passenger;
pub(crate) mod records;
mod serving;
mod session;
mod shared;
mod sharing;
mod slow;
mod stamps;
mod steps;
mod store;
mod tally;
mod verdicts;
mod waiting;
mod whereabouts;
mod worker;

pub mod instance;
pub mod server;
