//! The HTTP side: `/metrics` for Prometheus, `/healthz`, `/livez` and `/readyz` for whoever keeps us running, a
//! dashboard for people, which is made of the JSON documents of [`api`], one [`key`] for whoever asks after it, and two
//! more pages of `/api` for whoever changes something.
//!
//! Made for an open port: one request a connection, no body is read, the head is bounded in size and
//! in time, the whole connection in time, and their number is bounded by [`places`]. A client that stalls holds
//! its own connection and nothing else, and it has a [thread](spawn) of its own: whatever it does, signals are answered.

pub mod access;
pub mod api;
pub mod key;
mod page;
pub mod places;
mod reply;
mod routes;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::access::Access;
use self::places::{Place, Places};
use crate::logging::RateLimit;
use crate::metrics::Metrics;
use crate::transport::concerns_one_client;

/// How long a client may take to send the head of its request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may last in all, which bounds a client that does not read its answer.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A head of more bytes than this is answered with 431 and closed.
pub const MAX_HEAD_BYTES: usize = 8192;

/// How long answers that have begun may take once the server is told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long its thread is waited for at the end; it may be stuck.
pub const END_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to leave the listener alone when it cannot accept (no file descriptors left, as a rule).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

static CANNOT_ACCEPT: RateLimit = RateLimit::new(Duration::from_secs(1));
static CROWDED: RateLimit = RateLimit::new(Duration::from_secs(10));

/// Whether this proxy should be given traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It should.
    Ready,
    /// It should not, for the reason given: one line for people, such as "no lane is up".
    NotReady(String),
}

/// What the pages are made of.
pub struct State {
    /// The metrics to render.
    pub metrics: Arc<Metrics>,
    /// Called just before rendering, to set the gauges that mirror the state of other parts. Must be quick.
    pub refresh: Box<dyn Fn(&Metrics) + Send + Sync>,
    /// Asked by `/readyz`. Must be quick.
    pub readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
    /// Asked by `/api/...`.
    pub facts: Box<dyn api::Facts>,
    /// Asked by `/api/key`.
    pub inquire: Box<dyn Fn(Bytes) -> key::Inquiry + Send + Sync>,
    /// Reads the settings again; the keys that changed, or why none did.
    pub reload: Box<dyn Fn() -> Result<Vec<&'static str>, String> + Send + Sync>,
    /// Who may see what, as of now.
    pub access: Box<dyn Fn() -> Arc<Access> + Send + Sync>,
}

/// Answers on a thread of its own until `shutdown` is done, and does what is `beside` it there. What it gives resolves when
/// the thread has ended, which is not to be waited for without a bound.
///
/// # Errors
/// When there is no thread, or no runtime on it.
pub fn spawn(
    listener: std::net::TcpListener,
    state: Arc<State>,
    beside: impl Future<Output = ()> + Send + 'static,
    shutdown: impl Future + Send + 'static,
) -> io::Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let (ended, end) = oneshot::channel();
    let thread = std::thread::Builder::new().name("admin".into());
    thread.spawn(move || {
        runtime.block_on(async move {
            tokio::spawn(beside);
            serve(listener, state, shutdown).await;
        });
        let _ = ended.send(());
    })?;
    Ok(end)
}

/// Answers on `listener` until `shutdown` is done; then stops accepting, lets answers that have begun
/// end for at most a second, and returns.
pub async fn serve(listener: TcpListener, state: Arc<State>, shutdown: impl Future) {
    let mut connections = JoinSet::new();
    let places = Places::default();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            _ = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, from)) => {
                    let (place, crowded) = places.enter(from.ip().to_canonical());
                    if let Some(suppressed) = crowded.then(|| CROWDED.admit(Instant::now())).flatten() {
                        tracing::warn!(%from, suppressed, "admin has too many half-sent requests: the oldest one is closed");
                    }
                    connections.spawn(answer(socket, Arc::clone(&state), place));
                }
                Err(error) if concerns_one_client(&error) => {}
                Err(error) => {
                    if let Some(suppressed) = CANNOT_ACCEPT.admit(Instant::now()) {
                        tracing::warn!(%error, suppressed, "the admin listener cannot accept");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(DRAIN_TIMEOUT, drained).await; // what is left ends with the set
}

/// One request, one answer. What a client does wrong is its own business, so no error is kept.
async fn answer(socket: TcpStream, state: Arc<State>, place: Place) {
    let service = service_fn(|request: Request<Incoming>| {
        let state = Arc::clone(&state);
        let is_health = routes::is_health(request.uri().path());
        let has_room = if is_health {
            place.health();
            true
        } else {
            place.page(Instant::now())
        };
        async move {
            Ok::<_, Infallible>(if has_room {
                routes::respond(&state, &request).await
            } else {
                routes::busy()
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        _ = timeout(CONNECTION_TIMEOUT, connection) => {}
        () = place.dismissed() => {}
    }
}

#[cfg(test)]
mod tests;
