//! What ttguard asks of whatever is behind it, a server or a store of its own: on which connections, how much at once,
//! and what comes of it when the backend is not there or not itself.

mod alarms;
mod copies;
mod file;
mod handing_over;
mod names;
mod priming;
mod resilience;
mod sharing;
mod tls;
