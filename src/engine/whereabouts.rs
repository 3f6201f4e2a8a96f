//! Which address the backend's name stands for.
//!
//! The name is looked up once, and all connections of all workers go to the one address that was found: looked up for
//! each connection, a name that moves would lead some to one server and some to another. It is looked up again when
//! that address has been out of reach for `fail_fast_after`, and when the settings are read again. Where it then leads
//! elsewhere, all connections move as one: every lane is fenced before the first request goes to the other address.

pub mod wanted;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::time::{Instant, sleep, sleep_until};

use self::wanted::Reason;
use crate::client::route::Route;
use crate::engine::shared::{Phase, Shared};
use crate::logging::RateLimit;
use crate::metrics::{ConnectOutcome, NameOutcome};
use crate::store::tyrant::names::{self, NameFault, Names};
use crate::transport::tls::fault_of;

/// The shortest time from one look-up that nobody has asked for to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the same complaint is not repeated.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Begins to find the backend, on a thread of its own, until the proxy ends.
///
/// # Errors
/// When there can be no thread.
pub fn attend(shared: &Arc<Shared>, names: Names) -> std::io::Result<()> {
    let shared = Arc::downgrade(shared);
    let thread = thread::Builder::new().name("whereabouts".to_owned());
    thread.spawn(move || {
        let mut builder = Builder::new_current_thread();
        match builder.enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(look_after(&shared, &names)),
            Err(error) => tracing::error!(%error, "the backend's name cannot be looked up"),
        }
    })?;
    Ok(())
}

async fn look_after(shared: &Weak<Shared>, names: &Names) {
    let mut next = Instant::now();
    while let Some(shared) = shared.upgrade() {
        let mut phase = shared.phase.subscribe();
        let reason = tokio::select! {
            biased;
            // Whoever drains has all the connections that it needs, or will have none.
            _ = phase.wait_for(|phase| *phase == Phase::Draining) => return,
            reason = next_reason(&shared, next) => reason,
        };
        look(&shared, names, reason).await;
        next = Instant::now() + PAUSE;
    }
}

/// Waits until there is a reason to look. What an operator wants waits for nothing.
async fn next_reason(shared: &Shared, not_before: Instant) -> Reason {
    loop {
        let is_unknown = name_of(shared).is_some_and(|(_, address)| address.is_none());
        let wanted = shared.look_ups.take().max(is_unknown.then_some(Reason::Unknown));
        match wanted {
            Some(Reason::Told) => return Reason::Told,
            Some(reason) if not_before <= Instant::now() => return reason,
            Some(reason) => {
                tokio::select! {
                    () = shared.look_ups.asked.notified() => {}
                    () = sleep_until(not_before) => {}
                }
                shared.look_ups.ask(reason);
            }
            None => shared.look_ups.asked.notified().await,
        }
    }
}

/// The backend's name, where it has one, and the address that it is taken for.
fn name_of(shared: &Shared) -> Option<(String, Option<SocketAddr>)> {
    let plan = Arc::clone(&shared.plan.borrow());
    let name = plan.settings.backend.host_port()?;
    match (&plan.route, plan.route.address()) {
        (Route::Nowhere, _) => Some((name.to_owned(), None)),
        (_, Some(address)) if name.parse::<SocketAddr>().is_err() => Some((name.to_owned(), Some(address))),
        _ => None,
    }
}

/// Looks the name up, and moves all connections where it leads elsewhere.
async fn look(shared: &Arc<Shared>, names: &Names, reason: Reason) {
    let Some((name, current)) = name_of(shared) else {
        return;
    };
    let found = names.look_up(&name).await;
    let resolutions = &shared.metrics.name_resolutions;
    let mut addresses = match found {
        Ok(addresses) => addresses,
        Err(fault) => {
            resolutions.of(outcome(&fault)).increment(1);
            return complain(&name, &fault);
        }
    };
    resolutions.of(NameOutcome::Found).increment(1);
    if let Some(current) = current
        && let Some(place) = addresses.iter().position(|address| *address == current)
    {
        if reason == Reason::Told || shared.has_lanes() {
            tracing::info!(name, address = %current, "the backend's name still leads to the same address");
            return;
        }
        addresses[..=place].rotate_right(1);
    }
    let Some(address) = first_that_greets(shared, &name, addresses).await else {
        return;
    };
    if Some(address) == current {
        return;
    }
    while shared.is_moving() {
        sleep(Duration::from_millis(10)).await;
    }
    if shared.move_to(&name, address) {
        match current {
            None => tracing::info!(name, %address, "the backend's name leads to this address"),
            Some(former) => {
                shared.metrics.backend_moves.increment(1);
                tracing::warn!(name, %address, %former, "the backend's name leads elsewhere: all connections move there");
            }
        }
    }
}

/// The first of these addresses where a Tyrant server answers; where none does that is said.
async fn first_that_greets(shared: &Shared, name: &str, addresses: Vec<SocketAddr>) -> Option<SocketAddr> {
    let settings = shared.settings();
    let count = addresses.len();
    let routes = addresses.iter().map(|address| shared.route_to(*address, &settings));
    match names::first_that_greets(routes.collect(), settings.pairing.connect_timeout).await {
        Ok(route) => route.address(),
        Err(error) => {
            if fault_of(&error).is_some() {
                shared.metrics.lane_connects.of(ConnectOutcome::Tls).increment(1);
            }
            let fault = format!("no Tyrant server answers at any of its {count} addresses, the last of them: {error}");
            complain(name, &fault);
            None
        }
    }
}

fn outcome(fault: &NameFault) -> NameOutcome {
    match fault {
        NameFault::Unknown(_) | NameFault::Empty => NameOutcome::Unknown,
        NameFault::Timeout | NameFault::Busy => NameOutcome::Timeout,
    }
}

fn complain(name: &str, fault: &dyn std::fmt::Display) {
    static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
    if let Some(suppressed) = LOG.admit(std::time::Instant::now()) {
        tracing::warn!(name, suppressed, "the backend's name leads nowhere: {fault}");
    }
}
