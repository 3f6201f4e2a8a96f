//! What a user of ttguard sees, through the front door: the built binary, started on free ports,
//! between raw clients and backends that lie, stall and die. Beside it, the codecs held against recorded bytes.

mod access;
mod backend;
mod edges;
mod guard;
mod life;
mod limits;
mod manual;
mod pairing;
mod protocols;
mod shipped;
mod stamping;
mod support;
mod tools;
