//! From the name of a server to one address where it answers.
//!
//! A name may lead to many addresses, to another one tomorrow, or to none for a while, and whoever answers for it is not
//! trusted: a look-up has a bound of time and of number, and never runs on the thread of a worker.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::greeting;
use crate::client::place::ADDRESSES_MAX;
use crate::client::route::Route;
use crate::config::Address;

/// Look-ups that may be under way. Where so many have not ended, no further one begins.
const LOOK_UPS_MAX: usize = 2;

/// How long a look-up may take. glibc gives up after 10 s by itself, for each server of names.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one address is tried alone before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Turns names into addresses.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of `host:port`, the best first. It may block for as long as it likes: it is called on a thread of
    /// its own.
    ///
    /// # Errors
    /// When the name has no address, or that cannot be found out.
    fn resolve(&self, host_port: &str) -> io::Result<Vec<SocketAddr>>;
}

/// As the system does it: `/etc/hosts`, the name service, and whatever else `nsswitch.conf` names.
#[derive(Debug)]
pub struct System;

impl Resolve for System {
    fn resolve(&self, host_port: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(host_port.to_socket_addrs()?.collect())
    }
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum NameFault {
    /// The system says so.
    #[error("{0}")]
    Unknown(#[from] io::Error),
    /// It is known, and has no address.
    #[error("it has no address")]
    Empty,
    /// No answer in time.
    #[error("the look-up was not answered within {LOOK_UP_TIMEOUT:?}")]
    Timeout,
    /// The look-ups before it have not ended either.
    #[error("{LOOK_UPS_MAX} look-ups before it have not ended")]
    Busy,
}

/// Looks names up, one at a time.
#[derive(Debug)]
pub struct Names {
    resolver: Arc<dyn Resolve>,
    under_way: Arc<Semaphore>,
}

impl Names {
    /// By this resolver.
    pub fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self {
            resolver,
            under_way: Arc::new(Semaphore::new(LOOK_UPS_MAX)),
        }
    }

    /// The addresses of `host:port`, at most [`ADDRESSES_MAX`], each once, in the resolver's order.
    ///
    /// # Errors
    /// When there are none, or none were named in time.
    pub async fn look_up(&self, host_port: &str) -> Result<Vec<SocketAddr>, NameFault> {
        let slot = Arc::clone(&self.under_way).try_acquire_owned();
        let slot = slot.map_err(|_| NameFault::Busy)?;
        let (resolver, name) = (Arc::clone(&self.resolver), host_port.to_owned());
        let (tell, told) = oneshot::channel();
        // Nobody waits for the thread's end: it may never come.
        std::thread::Builder::new().name("names".to_owned()).spawn(move || {
            let _slot = slot;
            let _ = tell.send(resolver.resolve(&name));
        })?;
        let answer = timeout(LOOK_UP_TIMEOUT, told).await.map_err(|_| NameFault::Timeout)?;
        let answer = answer.map_err(|_| io::Error::other("the resolver has failed"))??;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in answer {
            if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(NameFault::Empty);
        }
        Ok(addresses)
    }
}

/// The first of these ways by which a Tyrant server answers within `patience`. An address that is silent holds up the next
/// one for a moment only. To be called within a local runtime.
///
/// # Errors
/// When none does: what was wrong with the one that failed last.
pub async fn first_that_greets(routes: Vec<Route>, patience: Duration) -> io::Result<Route> {
    let mut left = routes.into_iter();
    let mut tries = JoinSet::new();
    let mut fault = io::ErrorKind::AddrNotAvailable.into();
    loop {
        match left.next() {
            Some(route) => drop(tries.spawn_local(timeout(patience, greet_by(route)))),
            None if tries.is_empty() => return Err(fault),
            None => {}
        }
        tokio::select! {
            biased;
            Some(Ok(tried)) = tries.join_next() => match tried {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => fault = error,
                Err(_) => fault = io::ErrorKind::TimedOut.into(),
            },
            () = sleep(STAGGER), if left.len() > 0 => {}
        }
    }
}

async fn greet_by(route: Route) -> io::Result<Route> {
    greeting::open(&route).await?;
    Ok(route)
}

/// The way to an address that needs no look-up; nothing for a name.
pub fn direct(address: &Address) -> Option<Route> {
    match address {
        Address::Tcp(host_port) => host_port.parse().ok().map(Route::Tcp),
        Address::Unix(path) => Some(Route::Unix(path.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as it is told.
    struct Scripted<F>(F);

    impl<F> fmt::Debug for Scripted<F> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Scripted")
        }
    }

    impl<F: Fn() -> io::Result<Vec<SocketAddr>> + Send + Sync> Resolve for Scripted<F> {
        fn resolve(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
            self.0()
        }
    }

    fn names(answer: impl Fn() -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Names {
        Names::new(Arc::new(Scripted(answer)))
    }

    #[tokio::test]
    async fn hundreds_of_addresses_are_cut_and_none_is_a_fault() {
        let many = names(|| {
            let address = |number: u16| SocketAddr::from(([127, 0, 0, 1], 1000 + number / 2));
            Ok((0..500).map(address).collect())
        });
        let found = many.look_up("h:1").await.expect("addresses");
        let ports: Vec<_> = found.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, (1000..1016).collect::<Vec<_>>());
        let mixed = names(|| Ok(vec!["[::1]:7".parse().expect("it"), "127.0.0.1:7".parse().expect("it")]));
        assert_eq!(mixed.look_up("h:7").await.expect("addresses").len(), 2);
        let empty = names(|| Ok(Vec::new()));
        assert!(matches!(empty.look_up("h:1").await, Err(NameFault::Empty)));
        let unknown = names(|| Err(io::Error::other("no such name")));
        let fault = unknown.look_up("h:1").await.expect_err("it is unknown");
        assert_eq!(fault.to_string(), "no such name");
        let broken = names(|| panic!("a resolver that panics"));
        assert!(matches!(broken.look_up("h:1").await, Err(NameFault::Unknown(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_never_ends_holds_nobody_and_is_not_begun_for_ever() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = parking_lot::Mutex::new(held);
        let names = names(move || {
            let _ = held.lock().recv();
            Err(io::ErrorKind::TimedOut.into())
        });
        for _ in 0..LOOK_UPS_MAX {
            assert!(matches!(names.look_up("h:1").await, Err(NameFault::Timeout)));
        }
        assert!(matches!(names.look_up("h:1").await, Err(NameFault::Busy)));
        drop(release);
        let slots = names.under_way.acquire_many(LOOK_UPS_MAX as u32).await;
        assert!(slots.is_ok(), "threads that end give their places back");
    }

    #[test]
    fn an_address_needs_no_look_up() {
        let direct = |text: &str| direct(&text.parse().expect(text));
        assert_eq!(
            direct("127.0.0.1:7"),
            Some(Route::Tcp(SocketAddr::from(([127, 0, 0, 1], 7))))
        );
        assert_eq!(direct("[::1]:7"), Some(Route::Tcp("[::1]:7".parse().expect("it"))));
        assert_eq!(direct("unix:/s"), Some(Route::Unix("/s".into())));
        assert_eq!(direct("localhost:7"), None);
    }
}
