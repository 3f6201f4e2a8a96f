//! The binary protocol of Tokyo Tyrant 1.1.41.

pub mod limits;
pub mod opcode;
pub mod reply;
pub mod request;
pub mod sizes;
