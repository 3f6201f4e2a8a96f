//! What the admin pages tell of a proxy.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::Shared;
use crate::admin::api::{Backend, Counts, Facts, Ledger, Sessions, Status};
use crate::admin::{Readiness, State};
use crate::config::BackendUrl;
use crate::journal::{clients, history, refusals};

/// A proxy as its admin pages know it.
struct Known {
    shared: Arc<Shared>,
    listeners: Vec<String>,
}

/// What the admin pages of a proxy that listens on these addresses are made of.
pub fn admin_state(shared: &Arc<Shared>, listeners: Vec<String>) -> State {
    let (mirror, ready) = (Arc::clone(shared), Arc::clone(shared));
    State {
        metrics: Arc::clone(&shared.metrics),
        refresh: Box::new(move |_| mirror.refresh_gauges()),
        readiness: Box::new(move || readiness(&ready)),
        facts: Box::new(Known {
            shared: Arc::clone(shared),
            listeners,
        }),
    }
}

fn readiness(shared: &Shared) -> Readiness {
    match shared.settings.backend {
        _ if shared.is_stopping() => Readiness::NotReady("stopping".to_owned()),
        BackendUrl::Tyrant(_) if shared.lanes.load(Ordering::Relaxed) == 0 => {
            Readiness::NotReady("no lane is up".to_owned())
        }
        _ => Readiness::Ready,
    }
}

impl Facts for Known {
    fn status(&self) -> Status {
        let shared = &self.shared;
        let (settings, ledger) = (&shared.settings, shared.guard.ledger());
        Status {
            version: env!("CARGO_PKG_VERSION"),
            now: (shared.clock)().as_secs_f64(),
            started: shared.started.as_secs_f64(),
            readiness: readiness(shared).into(),
            listeners: self.listeners.clone(),
            sessions: Sessions {
                open: shared.sessions.load(Ordering::Relaxed),
                max: settings.limits.sessions,
            },
            ledger: Ledger {
                entries: ledger.len(),
                entries_max: ledger.entries_max(),
                bytes: ledger.bytes(),
                bytes_max: ledger.bytes_max(),
                evicted: ledger.evicted(),
                horizon_age_seconds: shared.horizon_age(),
                pending_keys: shared.guard.pending(),
            },
            buffered_bytes: shared.buffered.load(Ordering::Relaxed) as u64,
            buffered_max_bytes: settings.limits.buffer_memory as u64,
            counts: Counts::of(&shared.metrics),
            keys: settings.key_form_in_words(),
            settings: settings.in_force(),
        }
    }

    fn refusals(&self) -> Vec<refusals::Shown> {
        self.shared.journal.refusals(self.shared.settings.admin_keys)
    }

    fn clients(&self) -> Vec<clients::Shown> {
        self.shared.journal.clients()
    }

    fn backends(&self) -> Vec<Backend> {
        let shared = &self.shared;
        let (lanes_up, lanes_wanted) = (shared.lanes.load(Ordering::Relaxed), shared.lanes_wanted());
        vec![Backend {
            url: shared.settings.backend.to_string(),
            state: match lanes_up {
                _ if lanes_up >= lanes_wanted => "up",
                0 => "down",
                _ => "degraded",
            },
            lanes_up,
            lanes_wanted,
            in_flight: shared.in_flight.load(Ordering::Relaxed),
            lanes: shared.journal.lanes.all(),
        }]
    }

    fn recent(&self) -> history::Shown {
        self.shared.journal.history.lock().recent()
    }

    fn hour(&self) -> history::Shown {
        self.shared.journal.history.lock().hour()
    }
}
