//! What each signal does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::exit::Exit;
use super::notify;
use crate::front::control::Control;
use crate::logging;

/// How long the process may take to end at once.
const LAST_MOMENT: Duration = Duration::from_secs(1);

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_1: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
        })
    }
}

/// Calls `ready` once signals are seen, and does what they say; resolves when the process is to end at once.
pub(super) async fn attend(control: Arc<Control>, ready: impl FnOnce()) {
    let signals = Signals::new();
    ready();
    let Ok(mut signals) = signals else {
        tracing::warn!("signals cannot be seen here: the process ends without letting its sessions finish");
        return std::future::pending().await;
    };
    let every = notify::alive_every();
    let mut next = Instant::now();
    let reloads = Reloads::default();
    let mut draining = false;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => if end(&control, &mut draining) { return },
            _ = signals.interrupt.recv() => if end(&control, &mut draining) { return },
            _ = signals.hang_up.recv() => reloads.ask(&control),
            _ = signals.user_1.recv() => logging::reopen(),
            () = sleep_until(next), if every.is_some() => {
                // A drain has bounds of its own, and its workers end one by one.
                if draining || control.is_alive() {
                    notify::alive();
                }
                next = Instant::now() + every.unwrap_or_default();
            }
        }
    }
}

/// Drains at the first signal; says whether it was the second.
fn end(control: &Control, draining: &mut bool) -> bool {
    if std::mem::replace(draining, true) {
        end_soon();
        tracing::warn!("told to stop a second time: the process ends at once");
        return true;
    }
    control.drain();
    tracing::info!("told to stop: not ready any more");
    notify::stopping();
    false
}

/// Ends the process after a second, where something on the way to its end is stuck: a log that nobody reads, for one.
fn end_soon() {
    let _ = std::thread::Builder::new().name("end".into()).spawn(|| {
        std::thread::sleep(LAST_MOMENT);
        std::process::exit(Exit::AtOnce.code());
    });
}

/// Reloads, each on a thread of its own, one after the other: whatever a file or a name makes them wait for, signals are
/// seen.
#[derive(Default)]
struct Reloads(Arc<AtomicUsize>);

impl Reloads {
    /// What came of it is logged.
    fn ask(&self, control: &Arc<Control>) {
        if self.0.fetch_add(1, Ordering::AcqRel) > 0 {
            // Who is at it begins again when he is done.
            return;
        }
        let (asked, control) = (Arc::clone(&self.0), Arc::clone(control));
        let thread = std::thread::Builder::new().name("reload".into()).spawn(move || {
            loop {
                let so_far = asked.load(Ordering::Acquire);
                let _ = control.reload();
                if asked
                    .compare_exchange(so_far, 0, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok()
                {
                    break;
                }
            }
        });
        if let Err(error) = thread {
            self.0.store(0, Ordering::Release);
            tracing::error!(%error, "settings were not reloaded: there is no thread for it");
        }
    }
}
