//! What systemd is told; nothing where it does not ask.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::front::control::Reload;

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told what happens");
    }
}

/// Clients can come.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The settings are read again, or have been.
pub(super) fn reload(what: Reload) {
    match (what, NotifyState::monotonic_usec_now()) {
        (Reload::Begun, Ok(now)) => tell(&[NotifyState::Reloading, now]),
        (Reload::Begun, Err(_)) => tell(&[NotifyState::Reloading]),
        (Reload::Done, _) => ready(),
    }
}

/// The drain has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// All is well.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear that all is well: at least twice as often as it asks for.
pub(super) fn alive_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| timeout / 2)
}
