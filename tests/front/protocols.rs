//! What is said, and how it is answered: the binary protocol in two dialects, memcached and HTTP.
//! Held against recordings, against a real server, and against what no server should believe.

mod answers;
mod conformance;
mod corpora;
mod dialect;
mod hostile;
mod http;
mod memcached;
mod misc;
mod mixed;
mod official;
pub mod recorded;
pub mod same;
mod statistics;
