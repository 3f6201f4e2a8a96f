//! The life of the process: drain, reload, hand-over, and the files that it is given;
//! what systemd, scripts and operators are told, and who may see it.

mod admin;
mod busy_poll;
mod drain;
mod handover;
mod logs;
mod observing;
mod paths;
mod reload;
mod systemd;

use std::net::{SocketAddr, TcpListener};

/// An address that is free now. Nothing keeps it free, but that other tests take theirs at 127.0.0.1.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.2:0").expect("a free port");
    listener.local_addr().expect("its address")
}
