//! What a user of ttguard sees, through the front door: the built binary, started on free ports,
//! between raw clients and backends that lie, stall and die.

mod client;
mod concurrency;
mod frame;
mod guarded;
mod guarding;
mod harness;
mod hostile;
mod official;
mod pairing;
mod pipelining;
mod real;
mod recorded;
mod remembering;
mod replay;
mod resilience;
mod scripted;
mod stamped;
