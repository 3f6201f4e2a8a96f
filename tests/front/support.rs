//! What the tests are made of: the program under test, clients of it, and backends that lie, stall and die.
//! What they say must be worth believing: `harness` tests them without a proxy.

pub mod authority;
pub mod client;
pub mod encrypted;
pub mod frame;
pub mod guarded;
mod harness;
pub mod http;
pub mod insist;
pub mod load;
pub mod memcached;
pub mod process;
pub mod ready;
pub mod real;
pub mod relay;
pub mod replay;
pub mod scripted;
pub mod stamped;
pub mod stunnel;
pub mod transcripts;
