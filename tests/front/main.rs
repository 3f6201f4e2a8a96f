//! What a user of ttguard sees, through the front door: the built binary, started on free ports,
//! between raw clients and backends that lie, stall and die. Beside it, the codecs held against recorded bytes.

mod bench;
mod busy_poll;
mod client;
mod concurrency;
mod conformance;
mod corpora;
mod durable;
mod frame;
mod guarded;
mod guarding;
mod harness;
mod hostile;
mod http;
mod inspected;
mod memcached;
mod moving;
mod official;
mod pairing;
mod pipelining;
mod priming;
mod protocols;
mod real;
mod recorded;
mod remembering;
mod replay;
mod resilience;
mod same;
mod scripted;
mod stamped;
mod stopped;
mod story;
mod transcripts;
mod upkeep;
