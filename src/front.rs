//! The client side: listeners, sessions, and the workers that keep them.
//!
//! A `server` has its workers, each a thread that `serving` describes; a `worker` has its sessions and its lanes. A `session`
//! reads and decodes requests, has the engine carry them out, and writes what is answered. `accept` is who gets one, and
//! `admission` how many. `fairness` has sessions that move many bytes let the others go first, `heartbeat` sees when all of
//! them had to wait, and `descriptors` bounds how many there are. `link` serves an edge, which has the requests of many
//! clients on one connection, and `fencing` says which of its connections may go on. What sessions and links have in common
//! is in `seat`, `served` and `counted`. `certificates` looks after the files of TLS. `control` is what can be asked of all
//! of it while it runs.

mod accept;
pub(crate) mod admission;
mod behalf;
mod certificates;
mod context;
pub mod control;
mod counted;
mod descriptors;
mod facts;
pub(crate) mod fairness;
mod fencing;
mod gate;
mod guards;
pub(crate) mod heartbeat;
pub mod instance;
mod link;
pub(crate) mod listener;
mod seat;
mod served;
pub mod server;
mod serving;
pub(crate) mod session;
pub mod start_error;
mod worker;
