//! A Tyrant server behind pipelined lanes, with connections of their own for what is slow.

pub mod aside;
pub mod connect;
pub mod fence;
pub mod greeting;
pub mod lane;
pub mod link;
