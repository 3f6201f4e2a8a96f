//! Reaching the server, and how long to wait before the next try.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Address;
use crate::transport::{self, Reader, Writer};

/// The first pause after a failed try.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How the server is reached.
#[derive(Clone, Debug)]
pub enum Route {
    /// At an address of this or another machine.
    Address(Address),
    /// Within this process: for simulations.
    Within(Arc<dyn Dial>),
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(one), Self::Address(other)) => one == other,
            (Self::Within(one), Self::Within(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// A connection that is being opened.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<(Reader, Writer)>>>>;

/// Opens connections to a server within this process.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Opens one.
    fn dial(&self) -> Dialling;
}

/// Opens a connection.
pub async fn connect(route: &Route) -> io::Result<(Reader, Writer)> {
    match route {
        Route::Address(Address::Tcp(host_port)) => transport::connect_tcp(host_port).await,
        Route::Address(Address::Unix(path)) => transport::connect_unix(path).await,
        Route::Within(server) => server.dial().await,
    }
}

/// Pauses that double from try to try, each drawn between half and all of its length so that many lanes do not
/// come back in step.
#[derive(Debug)]
pub struct Backoff {
    pause: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// Starts with the shortest pause.
    pub fn new(random: fastrand::Rng) -> Self {
        Self {
            pause: PAUSE_MIN,
            random,
        }
    }

    /// The pause before the next try.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.pause.mul_f64(0.5 + self.random.f64() / 2.0);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        pause
    }

    /// A try has succeeded.
    pub fn reset(&mut self) {
        self.pause = PAUSE_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_their_bound_and_begin_again() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        let pauses: Vec<_> = (0..12).map(|_| backoff.next_pause()).collect();
        assert!(pauses[0] >= PAUSE_MIN / 2 && pauses[0] <= PAUSE_MIN);
        assert!(pauses[11] >= PAUSE_MAX / 2 && pauses[11] <= PAUSE_MAX);
        backoff.reset();
        assert!(backoff.next_pause() <= PAUSE_MIN);
    }
}
