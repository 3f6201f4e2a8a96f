//! The binary protocol of Tokyo Tyrant 1.1.41.
//!
//! [`opcode::TABLE`] has every command. A [request] says by itself how long it is; a [reply](mod@reply) only
//! together with the shape that its command is owed. A [dialect] says where a client differs.

pub mod dialect;
pub mod limits;
pub mod opcode;
pub mod reply;
pub mod request;
mod scan;
pub mod sizes;
mod skip;
