//! What can be asked of a running proxy: other settings, and an end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::admin;
use crate::admin::access::Access;
use crate::config::{ListenerSettings, NeedsRestart, Settings, UsageError};
pub use crate::engine::claiming::standing::Standing;
use crate::engine::direct_route;
use crate::engine::shared::{Phase, Shared};
use crate::engine::whereabouts::wanted::Reason;
use crate::front::facts;
use crate::front::gate::Gate;
use crate::front::guards;
use crate::front::listener::Listening;
use crate::front::serving;
use crate::front::start_error::StartError;
use crate::logging;
use crate::metrics::{self, Certificate};
use crate::transport::tls::Expiry;

/// Reads the settings again, as they were read at the start.
pub type ReadSettings = Box<dyn Fn() -> Result<Settings, UsageError> + Send + Sync>;

/// Tells whoever watches the process what happens to its settings.
type TellReload = Box<dyn Fn(Reload) + Send + Sync>;

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// What is written now is not valid, or the token of admin cannot be read.
    #[error("{0}; nothing was changed")]
    Mistake(#[from] UsageError),
    /// It is valid, and differs in what cannot change.
    #[error("{0}; nothing was changed")]
    NeedsRestart(#[from] NeedsRestart),
    /// A new address cannot be listened on.
    #[error("{0}; nothing was changed")]
    Bind(#[from] StartError),
    /// Nobody said where the settings come from.
    #[error("this process was not started from settings that can be read again; nothing was changed")]
    NoSource,
    /// The one before is still at work.
    #[error("the lanes still move to the backend of the reload before; nothing was changed, try again")]
    Moving,
    /// It is too late.
    #[error("ttguard is stopping; nothing was changed")]
    Stopping,
}

/// The handle of a running proxy.
pub struct Control {
    pub(super) shared: Arc<Shared>,
    gate: Arc<Gate>,
    access: Mutex<Arc<Access>>,
    token: Option<String>,
    /// Descriptors that were in use when the process started.
    open: u64,
    source: Mutex<Option<ReadSettings>>,
    on_reload: Mutex<Option<TellReload>>,
}

/// What happens to the settings, told to whoever watches the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// They are about to be read.
    Begun,
    /// They are in effect, or nothing has changed.
    Done,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Control {
    pub(super) fn new(gate: Arc<Gate>, access: Access, token: Option<String>, open: u64) -> Self {
        Self {
            shared: Arc::clone(&gate.shared),
            gate,
            access: Mutex::new(Arc::new(access)),
            token,
            open,
            source: Mutex::new(None),
            on_reload: Mutex::new(None),
        }
    }

    /// Says where [`Control::reload`] finds the settings.
    pub fn read_settings_by(&self, source: ReadSettings) {
        *self.source.lock() = Some(source);
    }

    /// Calls `told` at the beginning and at the end of each reload.
    pub fn tell_reloads(&self, told: impl Fn(Reload) + Send + Sync + 'static) {
        *self.on_reload.lock() = Some(Box::new(told));
    }

    /// Serves who connects there, and nobody else.
    pub(super) fn serve(&self, listening: Vec<Arc<Listening>>) {
        self.gate.listening.send_replace(listening);
        self.note_expiry();
    }

    /// What the operator decided, as of now.
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.shared.settings()
    }

    /// Takes up the files of TLS that have changed, each that is right: what is wrong stays as it was, and is said.
    pub(super) fn renew_certificates(&self) {
        // A reload reads them too.
        let _alone = self.source.lock();
        if self.shared.is_stopping() {
            return;
        }
        let listeners = self.renew_listeners();
        let backend = self.settings().trust().map(|trust| {
            let is_new = self.shared.trusted.get() != trust;
            self.shared.trusted.set(trust);
            is_new
        });
        let guards = guards::renew(&self.shared.guards, &self.settings());
        let [backend, guards] = [backend, guards].map(|renewed| renewed.map_err(|mistake| mistake.to_string()));
        let reloads = &self.shared.metrics.certificate_reloads;
        for renewed in listeners.into_iter().chain([backend, guards]) {
            match renewed {
                Ok(false) => {}
                Ok(true) => {
                    reloads.of(metrics::Reload::Applied).increment(1);
                    tracing::info!("files of TLS had changed, and hold for connections that are opened from now on");
                }
                Err(error) => {
                    reloads.of(metrics::Reload::Refused).increment(1);
                    tracing::error!(
                        error,
                        "a file of TLS has changed and is not right: what it said before holds"
                    );
                }
            }
        }
        self.note_expiry();
    }

    /// For each listener whether it has new files, or why it has not.
    fn renew_listeners(&self) -> Vec<Result<bool, String>> {
        let mut outcomes = Vec::new();
        let renew = |one: &Arc<Listening>| {
            let identity = one.settings.identity().map_err(|mistake| mistake.to_string())?;
            if identity == one.identity {
                return Ok(None);
            }
            let renewed = one.with_settings(&one.settings, identity);
            renewed.map(Arc::new).map(Some).map_err(|error| error.to_string())
        };
        let mut listening = self.gate.listening();
        for one in &mut listening {
            outcomes.push(renew(one).map(|renewed| renewed.map(|renewed| *one = renewed).is_some()));
        }
        if outcomes.contains(&Ok(true)) {
            self.gate.listening.send_if_modified(|current| {
                // Nowhere is listened any more where the proxy drains meanwhile.
                let is_serving = !current.is_empty();
                if is_serving {
                    *current = listening;
                }
                is_serving
            });
        }
        outcomes
    }

    /// Tells when the certificates that are in use end.
    fn note_expiry(&self) {
        let metrics = &self.shared.metrics;
        let listening = self.gate.listening();
        let each = listening.iter().filter_map(|one| Some(one.identity.as_ref()?.expiry()));
        let listeners = each.reduce(Expiry::earlier).unwrap_or_default();
        let backend = self.shared.trusted.get().map(|trust| trust.expiry());
        let backend = guards::expiry(&self.shared.guards).or(backend).unwrap_or_default();
        metrics.expires(Certificate::Listener, listeners.shown);
        metrics.expires(Certificate::ListenerCa, listeners.trusted);
        metrics.expires(Certificate::Backend, backend.shown);
        metrics.expires(Certificate::BackendCa, backend.trusted);
    }

    /// Begins the orderly end: `/readyz` fails from now on, listeners close after `drain_delay`.
    pub fn drain(&self) {
        self.shared
            .phase
            .send_if_modified(|phase| std::mem::replace(phase, (*phase).max(Phase::Leaving)) == Phase::Serving);
    }

    /// The process that wrote to the backend before has ended. `in_order` says that the backend was done with all of
    /// its writes by then; otherwise guarded writes are held for `start_hold` more.
    pub fn predecessor_gone(&self, in_order: bool) {
        self.shared.predecessor_gone(in_order);
    }

    /// The process before has not ended in time: this one is not ready, and says why, until it has.
    pub fn predecessor_overdue(&self, why: String) {
        self.shared.predecessor_overdue(why);
    }

    /// Whether a request would reach the backend now.
    pub fn is_connected(&self) -> bool {
        !self.shared.settings().backend.is_server() || self.shared.lanes.load(Ordering::Relaxed) > 0
    }

    /// Waits until it is known how things stand with the store's claim, or nothing is to be found out soon: for so long at
    /// most.
    pub fn claim_within(&self, patience: Duration) -> Standing {
        let deadline = Instant::now() + patience;
        loop {
            let standing = self.claim();
            if standing.is_settled() || Instant::now() >= deadline {
                return standing;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// How things stand with the store's claim.
    pub fn claim(&self) -> Standing {
        self.shared.claim.borrow().clone()
    }

    /// Whether every worker has shown a sign of life since this was asked last.
    pub fn is_alive(&self) -> bool {
        self.shared.pulse.all_beat()
    }

    /// Reads the settings again and works by them from now on: all of them, or, where anything is wrong, none. Says
    /// which keys have changed.
    ///
    /// Sessions and the ledger stay. See [`Guard::change_rules`](crate::guard::Guard::change_rules) for what other rules
    /// mean for what the ledger knows.
    pub fn reload(&self) -> Result<Vec<&'static str>, ReloadError> {
        let told = |what| {
            if let Some(told) = &*self.on_reload.lock() {
                told(what);
            }
        };
        told(Reload::Begun);
        let outcome = self.try_reload();
        self.shared.metrics.reloaded(match &outcome {
            Ok(_) => metrics::Reload::Applied,
            Err(_) => metrics::Reload::Refused,
        });
        match &outcome {
            Ok(keys) if keys.is_empty() => tracing::info!("settings were read again: nothing has changed"),
            Ok(keys) => tracing::info!(changed = keys.join(", "), "settings were read again"),
            Err(error) => tracing::error!(%error, "settings were not reloaded"),
        }
        told(Reload::Done);
        outcome
    }

    fn try_reload(&self) -> Result<Vec<&'static str>, ReloadError> {
        // One reload after the other.
        let source = self.source.lock();
        let _alone = self.shared.replanning.lock();
        let read = source.as_ref().ok_or(ReloadError::NoSource)?;
        if self.shared.is_stopping() {
            return Err(ReloadError::Stopping);
        }
        let new = read()?;
        let before = self.gate.listening();
        let mut keys = self.shared.settings().reloadable(&new)?;
        if keys.contains(&"backend") && self.shared.is_moving() {
            return Err(ReloadError::Moving);
        }
        // Whatever can fail comes first.
        let access = Access::new(&new, self.token.as_deref())?;
        let trust = new.trust()?;
        let listening = open(&before, &new)?;
        let has_new_guards = guards::renew(&self.shared.guards, &new)?;
        self.shared.make_room_for(&new, self.open)?;
        self.shared.memory.change_limits(&new.limits);
        if has_new_files(&before, &listening) {
            keys.push("the files of tls");
        }
        let has_new_trust = has_new_guards || self.shared.trusted.get() != trust;
        if has_new_trust && !keys.iter().any(|key| key.starts_with("backend")) {
            keys.push("the files of backend_tls");
        }
        *self.access.lock() = Arc::new(access);
        logging::set_level(new.log.level.name());
        self.shared.guard.change_rules(new.rules.clone());
        let new = Arc::new(new);
        self.shared.trusted.set(trust);
        self.serve(listening);
        if keys.contains(&"backend") {
            let route = direct_route(&new.backend, &self.shared.trusted);
            self.shared.replan(new, Some(route));
        } else {
            self.shared.replan(new, None);
            self.shared.look_ups.ask(Reason::Told);
        }
        Ok(keys)
    }

    /// What the admin pages are made of.
    pub(super) fn admin_state(self: &Arc<Self>) -> admin::State {
        let (mirror, ready, reload) = (Arc::clone(&self.shared), Arc::clone(&self.shared), Arc::clone(self));
        let (access, asked) = (Arc::clone(self), Arc::clone(&self.shared));
        admin::State {
            metrics: Arc::clone(&self.shared.metrics),
            refresh: Box::new(move |_| mirror.refresh_gauges()),
            readiness: Box::new(move || facts::readiness(&ready)),
            facts: Box::new(facts::Known(Arc::clone(&self.gate))),
            inquire: Box::new(move |key| {
                let shared = Arc::clone(&asked);
                Box::pin(async move { shared.inquiries.ask(key).await })
            }),
            reload: Box::new(move || reload.reload().map_err(|error| error.to_string())),
            access: Box::new(move || Arc::clone(&access.access.lock())),
        }
    }
}

/// Whether a listener has other files of TLS under the same names.
fn has_new_files(before: &[Arc<Listening>], listening: &[Arc<Listening>]) -> bool {
    let renewed = |now: &Arc<Listening>| {
        let same = before.iter().find(|one| one.address == now.address);
        same.is_some_and(|one| one.settings.tls == now.settings.tls && one.identity != now.identity)
    };
    listening.iter().any(renewed)
}

/// The sockets of the new settings: those of before where the address stays, as they are or with other settings.
fn open(before: &[Arc<Listening>], new: &Settings) -> Result<Vec<Arc<Listening>>, StartError> {
    // Two listeners may both ask for port 0, so each is taken once.
    let mut left: Vec<&Arc<Listening>> = before.iter().collect();
    let open = |one: &ListenerSettings| {
        let identity = one.identity().map_err(StartError::Tls)?;
        let same = left
            .iter()
            .position(|listening| listening.settings.address == one.address);
        match same.map(|index| left.remove(index)) {
            Some(listening) if *listening.settings == *one && listening.identity == identity => {
                Ok(Arc::clone(listening))
            }
            Some(listening) => Ok(Arc::new(listening.with_settings(one, identity)?)),
            None => serving::bind(one, identity, new.takeover),
        }
    };
    new.listeners.iter().map(open).collect()
}
