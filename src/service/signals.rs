//! What each signal does.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::notify;
use crate::logging;
use crate::proxy::control::Control;

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
    let mut draining = false;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => if end(&control, &mut draining) { return },
            _ = signals.interrupt.recv() => if end(&control, &mut draining) { return },
            _ = signals.hang_up.recv() => {
                // What came of it is logged.
                let _ = control.reload();
            }
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
        tracing::warn!("told to stop a second time: the process ends at once");
        return true;
    }
    tracing::info!("told to stop: not ready any more");
    notify::stopping();
    control.drain();
    false
}
