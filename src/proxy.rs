//! The client side: listeners, sessions, and the dispatch between guard and backend.
//!
//! A worker has its sessions and its lanes on one thread. A session reads and decodes requests; `dispatch` sends those of
//! one exchange, `steps` those of several, `slow` those that need a connection of their own. A `passenger` travels with
//! each request and knows what its outcome calls for. `judging` asks the guard, and `waiting` is how a request comes back to
//! it. `fairness` has sessions that move many bytes let the others go first.

mod account;
mod admission;
mod alarm;
mod arrival;
mod busy_poll;
pub mod control;
mod crew;
mod dispatch;
mod facts;
mod fairness;
mod inquiry;
mod judging;
mod listener;
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
mod verdicts;
mod waiting;
mod whereabouts;
mod worker;

pub mod instance;
pub mod server;
