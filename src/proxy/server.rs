//! The whole proxy: listeners, workers, admin, and an orderly end.

use std::io;
use std::net::ToSocketAddrs;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::LocalOptions;
use tokio::task::spawn_local;

use super::crew::{self, Crew};
use super::listener::{Listener, Listening};
use super::records::HiddenCount;
use super::shared::{Clock, Shared};
use super::worker::Worker;
use crate::admin;
use crate::backend::embedded::{Embedded, OpenError};
use crate::backend::tyrant::connect::Route;
use crate::config::{Address, BackendUrl, ListenerSettings, Settings};
use crate::guard::Guard;
use crate::guard::ledger::{HashSeed, Ledger};
use crate::metrics::Metrics;
use crate::protocol::request::Fault;

/// Why the proxy could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(
        "{setting}: cannot listen on {address}: {error}; allowed: an address of this machine that no other process uses"
    )]
    Bind {
        /// Which setting names it.
        setting: &'static str,
        /// The address.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// The store's file cannot be used.
    #[error("backend: {0}")]
    Store(#[from] OpenError),
    /// The system refuses something else.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

/// A proxy that listens and serves.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<io::Result<()>>>,
    admin: Option<std::net::TcpListener>,
    /// Where clients connect, with the ports that the system chose.
    pub listen: Vec<Address>,
    /// The store behind the guard.
    pub backend: BackendUrl,
    /// Where metrics and health are.
    pub admin_address: Option<std::net::SocketAddr>,
}

impl Server {
    /// Binds every address and starts the workers.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let embedded = Arc::new(match &settings.backend {
            BackendUrl::File(path) => Embedded::open(path, &settings.store)?,
            BackendUrl::Memory | BackendUrl::Tyrant(_) => Embedded::new(),
        });
        let listening = settings.listeners.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        let admin = settings.admin.as_deref().map(bind_admin).transpose()?;
        let admin_address = admin.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
        let listen = listening.iter().map(|listening| listening.address.clone()).collect();
        let backend = settings.backend.clone();
        let shared = share(settings, embedded.is_empty().unwrap_or(false));
        let mut workers = Vec::new();
        for index in 0..shared.settings.workers {
            let sockets = listening.iter().map(Listening::share).collect::<io::Result<Vec<_>>>()?;
            let (shared, embedded) = (Arc::clone(&shared), Arc::clone(&embedded));
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            workers.push(thread.spawn(move || run_worker(shared, embedded, sockets))?);
        }
        Ok(Self {
            shared,
            workers,
            admin,
            listen,
            backend,
            admin_address,
        })
    }

    /// Serves admin requests until `stop` resolves, then lets every session finish what it has begun.
    pub fn run_until(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (admin, shared) = (self.admin, Arc::clone(&self.shared));
        runtime.block_on(async move {
            if let Some(listener) = admin {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let mut stopping = shared.stopping.subscribe();
                let until = async move {
                    let _ = stopping.wait_for(|stopping| *stopping).await;
                };
                tokio::spawn(admin::serve(listener, Arc::new(admin_state(&shared)), until));
            }
            stop.await;
            tracing::info!("stopping: sessions finish what they have begun");
            shared.stopping.send_replace(true);
            io::Result::Ok(())
        })?;
        for worker in self.workers {
            worker.join().map_err(|_| io::Error::other("a worker has panicked"))??;
        }
        Ok(())
    }
}

fn bind(settings: &ListenerSettings) -> Result<Listening, StartError> {
    Listening::bind(settings).map_err(|error| StartError::Bind {
        setting: "listen",
        address: settings.address.to_string(),
        error,
    })
}

fn bind_admin(host_port: &str) -> Result<std::net::TcpListener, StartError> {
    let bound = host_port.to_socket_addrs().and_then(|addresses| {
        let addresses: Vec<_> = addresses.collect();
        let listener = std::net::TcpListener::bind(&addresses[..])?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| StartError::Bind {
        setting: "admin",
        address: host_port.to_owned(),
        error,
    })
}

/// The guard and everything else that workers share, for a backend that nothing is known of yet, unless it is in this
/// process and empty.
fn share(settings: Settings, is_empty: bool) -> Arc<Shared> {
    let clock: Clock = Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let rules = settings.rules.clone();
    let (horizon, hidden) = match settings.backend {
        // No key has any stamp.
        BackendUrl::Memory | BackendUrl::File(_) if is_empty => (0, HiddenCount::zero()),
        _ => (
            Guard::<super::waiting::Notice>::horizon_at_start(&rules, clock()),
            HiddenCount::uncertain(),
        ),
    };
    let seed = HashSeed([fastrand::u64(..), fastrand::u64(..)]);
    let ledger = Ledger::with_memory(settings.ledger_memory, horizon);
    let guard = Guard::new(rules, seed, ledger);
    let metrics = Arc::new(Metrics::new(&Fault::NAMES));
    Shared::new(settings, guard, metrics, hidden, clock)
}

fn admin_state(shared: &Arc<Shared>) -> admin::State {
    let (mirror, ready, asked) = (Arc::clone(shared), Arc::clone(shared), Arc::clone(shared));
    admin::State {
        metrics: Arc::clone(&shared.metrics),
        refresh: Box::new(move |_| mirror.refresh_gauges()),
        readiness: Box::new(move || match ready.settings.backend {
            _ if ready.is_stopping() => admin::Readiness::NotReady("stopping".to_owned()),
            BackendUrl::Tyrant(_) if ready.lanes.load(Ordering::Relaxed) == 0 => {
                admin::Readiness::NotReady("no lane is up".to_owned())
            }
            _ => admin::Readiness::Ready,
        }),
        inquire: Box::new(move |key| {
            let shared = Arc::clone(&asked);
            Box::pin(async move { shared.inquiries.ask(key).await })
        }),
    }
}

/// The thread of one worker.
fn run_worker(shared: Arc<Shared>, embedded: Arc<Embedded>, sockets: Vec<Listening>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let listeners = sockets
            .into_iter()
            .map(Listening::into_listener)
            .collect::<io::Result<Vec<_>>>()?;
        let store = match &shared.settings.backend {
            BackendUrl::Memory | BackendUrl::File(_) => crew::embedded_store(&shared, embedded),
            BackendUrl::Tyrant(address) => crew::tyrant_store(&shared, Route::Address(address.clone())),
        };
        let crew = Crew::start(Worker::new(shared, store, fastrand::Rng::new()));
        serve(crew, listeners).await;
        Ok(())
    })
}

/// Serves clients until the proxy stops, then lets them finish.
async fn serve(crew: Crew, listeners: Vec<Listener>) {
    let crew = Rc::new(crew);
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| spawn_local(accept(Rc::clone(&crew), listener)))
        .collect();
    let worker = Rc::clone(&crew.worker);
    let polling = spawn_local(async move { worker.busy_poll.run().await });
    let mut stopping = crew.worker.shared.stopping.subscribe();
    let _ = stopping.wait_for(|stopping| *stopping).await;
    for task in accepting {
        task.abort();
    }
    crew.drain().await;
    polling.abort();
}

async fn accept(crew: Rc<Crew>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok((reader, writer)) => crew.open(reader, writer, Arc::clone(&listener.settings)),
            Err(error) => {
                // Most often there are no descriptors left: they come back as sessions end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
