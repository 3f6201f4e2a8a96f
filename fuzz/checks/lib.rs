//! What must hold of any bytes: one function for each fuzz target. A fuzzer calls it with what it makes up, and the
//! ordinary tests with what is kept in the corpora.
//!
//! Each panics when something does not hold.

pub mod config;
mod fed;
pub mod guard;
pub mod http;
pub mod incoming;
pub mod ledger;
pub mod link;
pub mod memcached;
pub mod owed;
mod pieces;
pub mod reply;
pub mod request;
pub mod session;
mod small;
pub mod stamp;

/// Checks one input.
pub type Check = fn(&[u8]);

/// Every target, by the name that its entry in `fuzz_targets` and its corpus have.
pub const TARGETS: [(&str, Check); 12] = [
    ("config", config::check),
    ("guard", guard::check),
    ("http", http::check),
    ("incoming", incoming::check),
    ("ledger", ledger::check),
    ("link", link::check),
    ("memcached", memcached::check),
    ("owed", owed::check),
    ("reply", reply::check),
    ("request", request::check),
    ("session", session::check),
    ("stamp", stamp::check),
];
