//! A deterministic simulation of the whole: the real sessions, guard, ledger, pairing and lanes, with clients, a
//! network, a backend and clocks that a seed drives. The same seed is the same run, to the byte.
//!
//! Everything runs on one runtime with paused time, in which streams are in memory: no step of the real code is left
//! out but the sockets themselves, and a second of its time takes about a millisecond.

mod accounts;
mod claims;
mod client;
mod clock;
mod conversation;
mod draw;
mod edges;
mod exhaustive;
mod faults;
mod history;
mod network;
mod panics;
mod plan;
mod question;
mod records;
mod regressions;
mod seeds;
mod server;
mod stamping;
mod tap;
mod trace;
mod witness;
mod world;
