//! The text protocol of memcached, as Tokyo Tyrant 1.1.41 speaks it on its port.
//!
//! A [request] is a line, and for what stores a value a block of bytes behind it; a [reply](mod@reply) is lines too.
//! Flags, expiry times and `cas` numbers mean nothing to the server: they are read over, and told as 0 or not at all.

pub mod reply;
pub mod request;
