//! The whole proxy: listeners, workers, admin, and an orderly end.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use socket2::Socket;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::admin;
use crate::clock::Clock;
use crate::config::{Address, BackendUrl, ListenerSettings, Settings, StoreSettings, UsageError};
use crate::engine::claiming::standing::Standing;
use crate::engine::claiming::{self, Identity};
use crate::engine::notice::Notice;
use crate::engine::records::HiddenCount;
use crate::engine::shared::{Phase, Shared};
use crate::engine::whereabouts;
use crate::engine::{At, Names, Opened, Resolve, SystemNames};
use crate::files;
use crate::front::certificates;
use crate::front::control::Control;
use crate::front::descriptors;
use crate::front::gate::Gate;
use crate::front::guards;
use crate::front::listener::{self, Listening};
use crate::front::serving;
pub use crate::front::start_error::StartError;
pub use crate::front::worker::Departure;
use crate::guard::Guard;
use crate::guard::ledger::{HashSeed, Ledger};
use crate::metrics::Metrics;
use crate::protocol::link::printable::Printable;
use crate::protocol::request::Fault;
use crate::recent::history;

/// How much longer than all that it waits for a worker may take to end.
const END_GRACE: Duration = Duration::from_secs(5);

/// What the process was started with, beside its settings.
#[derive(Debug, Default)]
pub struct Inheritance {
    /// Listening sockets that were opened by whoever started the process.
    pub sockets: Vec<OwnedFd>,
    /// The token that admin asks for, where the environment names it.
    pub admin_token: Option<String>,
    /// Whether an earlier process still writes to the same backend: guarded writes are held until
    /// [`Control::predecessor_gone`] is called.
    pub has_predecessor: bool,
    /// Who says which addresses the backend's name has; the system where nobody is named.
    pub resolver: Option<Arc<dyn Resolve>>,
}

/// How the proxy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was drained.
    InOrder(Departure),
    /// It was told to end at once.
    AtOnce,
}

/// What keeps the store's claim, and how it is told that the process ends.
type ClaimKeeper = (watch::Sender<Option<claiming::standing::Ending>>, JoinHandle<()>);

/// A proxy whose workers are up.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    control: Arc<Control>,
    workers: Vec<JoinHandle<io::Result<Departure>>>,
    ended: watch::Receiver<usize>,
    /// What keeps the store's claim, where there is one, and how it is told that the process ends.
    claim: Option<ClaimKeeper>,
    admin: Option<std::net::TcpListener>,
    sockets: Vec<Socket>,
    /// Where clients connect, with the ports that the system chose; nowhere before [`Server::listen`].
    pub listen: Vec<Address>,
    /// The store behind the guard.
    pub backend: BackendUrl,
    /// Where metrics and health are.
    pub admin_address: Option<std::net::SocketAddr>,
}

impl Server {
    /// Binds every address and starts the workers.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let mut server = Self::begin(settings, Inheritance::default())?;
        server.listen()?;
        Ok(server)
    }

    /// Starts the workers, which connect to the backend. No client can come before [`Server::listen`].
    pub fn begin(settings: Settings, inheritance: Inheritance) -> Result<Self, StartError> {
        let access = admin::access::Access::new(&settings, inheritance.admin_token.as_deref())?;
        let trust = settings.trust().map_err(StartError::Tls)?;
        let open = descriptors::open_now();
        let opened = Opened::open(&settings, &with_folder(&settings.store)?)?;
        let resolver = inheritance.resolver.unwrap_or_else(|| Arc::new(SystemNames));
        let guards = guards::of(&settings, &resolver).map_err(StartError::Tls)?;
        guards::are_there(&guards, &settings)?;
        let bind = |host_port: &String| serving::bind_admin(host_port, &access, settings.takeover);
        let admin = settings.admin.as_ref().map(bind).transpose()?;
        let admin_address = admin.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
        let backend = settings.backend.clone();
        let count = settings.workers;
        let shared = share(settings, guards, opened.is_empty(), inheritance.has_predecessor);
        shared.trusted.set(trust);
        shared.make_room_for(&shared.settings(), open)?;
        if shared.settings().backend.is_server() && !shared.settings().is_edge() {
            whereabouts::attend(&shared, Names::new(resolver))?;
        }
        let claim = shared.settings().claims().then(|| keep_claim(&shared)).transpose()?;
        let gate = Gate::new(Arc::clone(&shared));
        let (counter, ended) = watch::channel(0);
        let mut workers = Vec::new();
        for index in 0..count {
            let (gate, opened, counter) = (Arc::clone(&gate), opened.clone(), counter.clone());
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            workers.push(thread.spawn(move || {
                let outcome = serving::run_worker(index, gate, opened);
                counter.send_modify(|ended| *ended += 1);
                outcome
            })?);
        }
        let control = Arc::new(Control::new(gate, access, inheritance.admin_token, open));
        certificates::attend(&control)?;
        Ok(Self {
            shared,
            control,
            workers,
            ended,
            claim,
            admin,
            sockets: listener::inherited(inheritance.sockets),
            listen: Vec::new(),
            backend,
            admin_address,
        })
    }

    /// Lets clients connect.
    pub fn listen(&mut self) -> Result<(), StartError> {
        let settings = self.shared.settings();
        let mut sockets = std::mem::take(&mut self.sockets);
        let open = |one: &ListenerSettings| {
            let identity = one.identity().map_err(StartError::Tls)?;
            match Listening::inherit(one, identity.as_ref(), &mut sockets)? {
                Some(listening) => Ok(Arc::new(listening)),
                None => serving::bind(one, identity, settings.takeover),
            }
        };
        let listening = settings
            .listeners
            .iter()
            .map(open)
            .collect::<Result<Vec<_>, StartError>>()?;
        if let Some(socket) = sockets.first() {
            let address = socket.local_addr()?;
            let path = address.as_pathname().map(|path| format!("unix:{}", path.display()));
            let address = path.or_else(|| Some(address.as_socket()?.to_string()));
            let address = address.unwrap_or_else(|| "no address".to_owned());
            return Err(StartError::Unnamed { address });
        }
        self.listen = listening.iter().map(|one| one.address.clone()).collect();
        self.control.serve(listening);
        Ok(())
    }

    /// What can be asked of it while it runs.
    pub fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Serves until `stop` resolves, then lets every session finish what it has begun.
    pub fn run_until(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let control = self.control();
        self.run(async move {
            stop.await;
            control.drain();
            std::future::pending().await
        })
        .map(drop)
    }

    /// Serves until `control` is told to drain, and until all has ended; or until `at_once` resolves.
    pub fn run(self, at_once: impl Future<Output = ()>) -> io::Result<Ending> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (shared, control, mut ended) = (self.shared, self.control, self.ended);
        let count = self.workers.len();
        let all_ended = async move {
            let mut admin_ended = None;
            if let Some(listener) = self.admin {
                let mut ended = ended.clone();
                let until = async move {
                    let _ = ended.wait_for(|ended| *ended == count).await;
                };
                let state = Arc::new(control.admin_state());
                admin_ended = Some(admin::spawn(listener, state, sample(Arc::clone(&shared)), until)?);
            }
            let mut phase = shared.phase.subscribe();
            tokio::select! {
                _ = phase.wait_for(|phase| *phase >= Phase::Leaving) => {}
                () = claim_refused(&shared) => control.drain(),
            }
            sleep(shared.settings().drain_delay).await;
            tracing::info!("draining: listeners are closed, sessions finish what was asked");
            shared.phase.send_replace(Phase::Draining);
            // A port is closed when the last of its descriptors is, and this thread has one too.
            control.serve(Vec::new());
            let patience = end_patience(&shared.settings());
            let orderly = timeout(patience, ended.wait_for(|ended| *ended == count)).await.is_ok();
            if let Some(ended) = admin_ended.filter(|_| orderly) {
                let _ = timeout(admin::END_TIMEOUT, ended).await;
            }
            io::Result::Ok(orderly)
        };
        let orderly = runtime.block_on(async move {
            tokio::select! {
                orderly = all_ended => orderly.map(Some),
                () = at_once => Ok(None),
            }
        })?;
        let Some(orderly) = orderly else {
            return Ok(Ending::AtOnce);
        };
        let mut departure = Departure {
            drained: orderly,
            fenced: orderly,
        };
        for worker in self.workers.into_iter().filter(|_| orderly) {
            departure = departure.and(worker.join().map_err(|_| io::Error::other("a worker has panicked"))??);
        }
        if let Some((tell, thread)) = self.claim {
            let _ = tell.send(Some(match departure.fenced {
                true => claiming::standing::Ending::InOrder,
                false => claiming::standing::Ending::Unsure,
            }));
            let _ = thread.join();
        }
        Ok(Ending::InOrder(departure))
    }
}

/// Waits until it is known that this process is not to write to the store, and does not wait for its turn; or that a store
/// which it has never held cannot keep a claim.
async fn claim_refused(shared: &Shared) {
    let (mut claim, mut has_held) = (shared.claim.subscribe(), false);
    loop {
        let standing = claim.borrow_and_update().clone();
        has_held |= standing.epoch().is_some();
        let is_unkeepable = !has_held && matches!(standing, Standing::Unkeepable(_));
        let waits = shared.settings().standby || shared.has_predecessor();
        if !waits && (standing.is_refused() || is_unkeepable) {
            return;
        }
        if claim.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Begins to keep the claim of the store, on a thread of its own.
fn keep_claim(shared: &Arc<Shared>) -> io::Result<ClaimKeeper> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (tell, ending) = watch::channel(None);
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name("claim".to_owned()).spawn(move || {
        // What asks is of this thread alone.
        let local = LocalSet::new();
        local.block_on(&runtime, claiming::attend(shared, Identity::of_process(), ending));
    })?;
    Ok((tell, thread))
}

/// The settings of a store in a file, with its folder for copies by the name that it has without links.
fn with_folder(store: &StoreSettings) -> Result<StoreSettings, UsageError> {
    let folder = |folder: &PathBuf| {
        files::folder(folder).map_err(|problem| {
            let problem = format!("{} {problem}", folder.display());
            UsageError::new("store.copy_dir", problem, "a folder that not all may write to")
        })
    };
    Ok(StoreSettings {
        copy_dir: store.copy_dir.as_ref().map(folder).transpose()?,
        ..store.clone()
    })
}

/// The longest that an orderly end takes, behind `drain_delay`.
pub fn end_patience(settings: &Settings) -> Duration {
    settings.drain_timeout + settings.pairing.fence_timeout + END_GRACE
}

/// The guard and everything else that workers share, for a backend that nothing is known of yet, unless it is in this
/// process and empty.
fn share(settings: Settings, guards: Arc<[At]>, is_empty: bool, has_predecessor: bool) -> Arc<Shared> {
    let clock: Clock = Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let rules = settings.rules.clone();
    let (horizon, hidden) = if is_empty {
        // No key has any stamp.
        (0, HiddenCount::zero())
    } else {
        (
            Guard::<Notice>::horizon_at_start(&rules, clock()),
            HiddenCount::uncertain(),
        )
    };
    let seed = HashSeed([fastrand::u64(..), fastrand::u64(..)]);
    let ledger = match settings.is_edge() {
        true => Ledger::with_entries(1, horizon),
        false => Ledger::with_memory(settings.ledger_memory, horizon),
    };
    let guard = Guard::new(rules, seed, ledger);
    let metrics = Arc::new(Metrics::new(&Fault::NAMES));
    let name = Printable::of(&Identity::of_process().holder);
    let shared = Shared::new(settings, guard, guards, name, metrics, hidden, clock);
    if has_predecessor {
        shared.await_predecessor();
    }
    shared
}

/// Keeps the history, for as long as it is polled.
async fn sample(shared: Arc<Shared>) {
    let mut ticks = interval(history::SAMPLE);
    // After a pause there is one longer sample, not several that hold nothing.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = ticks.tick().await;
    loop {
        shared.sample(start.elapsed());
        ticks.tick().await;
    }
}
