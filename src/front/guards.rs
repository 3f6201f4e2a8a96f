//! The guards that an edge is told of, at its start.

use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::time::timeout;

use super::start_error::StartError;
use crate::client::route::Route;
use crate::config::{Address, BackendUrl, Settings, UsageError};
use crate::engine::{At, Names, Probed, Resolve, Way, probe};
use crate::transport::tls::{Expiry, Trusted};

/// Where they are; none for a guard.
pub fn of(settings: &Settings, resolver: &Arc<dyn Resolve>) -> Result<Arc<[At]>, UsageError> {
    let names = Arc::new(Names::new(Arc::clone(resolver)));
    let at = |url: &BackendUrl| {
        Ok(At {
            url: url.to_string(),
            way: way_to(url, settings)?,
            names: Some(Arc::clone(&names)),
        })
    };
    settings.edge_of.iter().map(at).collect()
}

fn way_to(url: &BackendUrl, settings: &Settings) -> Result<Way, UsageError> {
    if let BackendUrl::Tyrant(Address::Unix(path)) = url {
        return Ok(Way::Route(Route::Unix(path.clone())));
    }
    let trusted = match url.is_encrypted() {
        true => Some(Arc::new(Trusted::new(settings.trust_of(url)?))),
        false => None,
    };
    let host_port = url.host_port().unwrap_or_default();
    Ok(match host_port.parse() {
        Ok(address) => Way::Route(Route::to(address, trusted.as_ref())),
        Err(_) => Way::Name(host_port.to_owned(), trusted),
    })
}

/// Asks once who is there. An edge in front of a server that is no guard would judge nothing, and nobody behind it either.
///
/// # Errors
/// When something answers at one of the URLs that is no guard for this process. That nobody answers is no error: a guard may
/// start behind its edges.
pub fn are_there(guards: &[At], settings: &Settings) -> Result<(), StartError> {
    let (patience, given) = (settings.pairing.connect_timeout, settings.says_given());
    if guards.is_empty() {
        return Ok(());
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        for at in guards {
            if let Ok(Probed::None(fault)) = timeout(patience, probe(at, given)).await {
                let url = at.url.clone();
                return Err(StartError::NoGuard { url, fault });
            }
        }
        Ok::<_, StartError>(())
    })
}

/// Reads the files of TLS again; whether any of them says something new. New files hold for links that are opened from then
/// on.
///
/// # Errors
/// When one of them is not what it has to be. Then all stays as it was.
pub fn renew(guards: &[At], settings: &Settings) -> Result<bool, UsageError> {
    let spoken_to = guards.iter().zip(&settings.edge_of);
    let spoken_to: Vec<_> = spoken_to.filter_map(|(at, url)| Some((at.trusted()?, url))).collect();
    let trust = |(_, url): &(_, &BackendUrl)| settings.trust_of(url);
    let trusts = spoken_to.iter().map(trust).collect::<Result<Vec<_>, UsageError>>()?;
    let mut are_new = false;
    for ((trusted, _), trust) in spoken_to.into_iter().zip(trusts) {
        are_new |= trusted.get() != trust;
        trusted.set(trust);
    }
    Ok(are_new)
}

/// When the certificate that is shown to them ends, and the authorities that are trusted.
pub fn expiry(guards: &[At]) -> Option<Expiry> {
    let each = guards.iter().filter_map(|at| Some(at.trusted()?.get()?.expiry()));
    each.reduce(Expiry::earlier)
}
