//! `ttguard demo`: what goes wrong without the guard and what happens with it, told live.
//!
//! Nothing is staged but the slow server: the proxy, its embedded store, the clients and the metrics are the real ones,
//! on ports of the loopback interface that the system chooses.

mod answers;
mod background;
mod client;
mod front;
mod packets;
mod slow_server;

use std::io::{self, ErrorKind, Write};

use crate::front::server::StartError;
use client::Fault;

/// Why the demo could not be told to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The proxy could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A client of the story was let down where the story does not say so.
    #[error("a client of the demo: {0}")]
    Client(#[from] Fault),
    /// A part of the stage could not be set up.
    #[error("the demo's own server: {0}")]
    Stage(io::Error),
    /// The story cannot be written to where it is told.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// Something else happened than the story says.
    #[error("the story did not come out as told: {0}")]
    Surprise(String),
}

/// Tells both stories, each without the guard and then with it.
///
/// # Errors
/// When they cannot be told, or when they do not come out as told. A reader who has seen enough is no error.
pub fn run(out: &mut impl Write) -> Result<(), Error> {
    match packets::tell(out).and_then(|()| answers::tell(out)) {
        Err(Error::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Fails where something else was seen than the story says.
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, told: &T) -> Result<(), Error> {
    if seen == told {
        return Ok(());
    }
    Err(Error::Surprise(format!("{what}: {seen:?} instead of {told:?}")))
}
