//! What the admin pages tell of a proxy.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::admin::Readiness;
use crate::admin::api::{Backend, Counts, Facts, Ledger, Sessions, Status};
use crate::engine::lanes_wanted;
use crate::engine::shared::Shared;
use crate::front::gate::Gate;
use crate::recent::{clients, edges, history, lanes, refusals};

/// A proxy as its admin pages know it.
pub struct Known(pub Arc<Gate>);

/// Whether clients should be sent here.
pub fn readiness(shared: &Shared) -> Readiness {
    let hindrance = if shared.has_predecessor() {
        None
    } else {
        shared.claim.borrow().hindrance()
    };
    match &shared.settings().backend {
        _ if shared.is_stopping() => Readiness::NotReady("stopping".to_owned()),
        _ if shared.settings().is_edge() && !shared.has_lanes() => {
            Readiness::NotReady("no guard serves that it is linked to".to_owned())
        }
        backend if backend.is_server() && !shared.has_lanes() => Readiness::NotReady("no lane is up".to_owned()),
        _ => hindrance
            .or_else(|| shared.overdue_predecessor())
            .map_or(Readiness::Ready, Readiness::NotReady),
    }
}

impl Facts for Known {
    fn status(&self) -> Status {
        let shared = &self.0.shared;
        let (ledger, settings) = (shared.guard.ledger(), shared.settings());
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            now: (shared.clock)().as_secs_f64(),
            started: shared.started.as_secs_f64(),
            readiness: readiness(shared).into(),
            listeners: self
                .0
                .listening
                .borrow()
                .iter()
                .map(|one| one.address.to_string())
                .collect(),
            sessions: Sessions {
                open: shared.sessions.load(Ordering::Relaxed),
                max: shared.sessions_max(&settings),
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
            buffered_bytes: shared.memory.held() as u64,
            buffered_max_bytes: settings.limits.buffer_memory as u64,
            counts: Counts::of(&shared.metrics),
            keys: settings.key_form_in_words().into(),
            settings: settings.in_force(),
        }
    }

    fn refusals(&self) -> Vec<refusals::Shown> {
        self.0.shared.recent.refusals(self.0.shared.settings().admin_keys)
    }

    fn clients(&self) -> Vec<clients::Shown> {
        self.0.shared.recent.clients()
    }

    fn edges(&self) -> Vec<edges::Shown> {
        self.0.shared.recent.edges.all()
    }

    fn backends(&self) -> Vec<Backend> {
        let shared = &self.0.shared;
        if shared.settings().is_edge() {
            return guards(shared);
        }
        let (lanes_up, lanes_wanted) = (shared.lanes.load(Ordering::Relaxed), lanes_wanted(&shared.settings()));
        vec![Backend {
            url: shared.settings().backend.to_string(),
            state: match lanes_up {
                _ if lanes_up >= lanes_wanted => "up",
                0 => "down",
                _ => "degraded",
            }
            .into(),
            lanes_up,
            lanes_wanted,
            in_flight: shared.in_flight.load(Ordering::Relaxed),
            lanes: shared.recent.lanes.all(),
        }]
    }

    fn recent(&self) -> history::Shown {
        self.0.shared.recent.history.lock().recent()
    }

    fn hour(&self) -> history::Shown {
        self.0.shared.recent.history.lock().hour()
    }
}

/// The guards of an edge, with the links to each; those that are down are with the first.
fn guards(shared: &Shared) -> Vec<Backend> {
    let (settings, mut lanes) = (shared.settings(), shared.recent.lanes.all());
    let wanted = lanes_wanted(&settings);
    let is_served = lanes.iter().any(|lane| lane.guard.is_some());
    let mut guards = Vec::new();
    for url in settings.edge_of.iter().map(ToString::to_string) {
        let is_first = guards.is_empty();
        let is_its = |lane: &lanes::Shown| lane.guard.as_ref().map_or(is_first, |guard| *guard == url);
        let (its, others): (Vec<_>, Vec<_>) = lanes.into_iter().partition(is_its);
        lanes = others;
        let up = its.iter().filter(|lane| lane.guard.is_some()).count();
        guards.push(Backend {
            state: match up {
                0 if is_served => "standby",
                0 => "down",
                _ if up >= wanted => "up",
                _ => "degraded",
            }
            .into(),
            lanes_up: up,
            lanes_wanted: if up == 0 && is_served { 0 } else { wanted },
            in_flight: its.iter().map(|lane| lane.requests as i64).sum(),
            lanes: its,
            url,
        });
    }
    guards
}
