//! File descriptors: enough for all that the settings allow, and some that clients cannot take.

use std::sync::atomic::Ordering;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::admin;
use crate::config::{Settings, UsageError};
use crate::engine::shared::Shared;
use crate::engine::store_descriptors;

/// For a log that is opened again, a name that is resolved, a client that is about to be turned away, and what a reload
/// opens beside what it replaces.
const SPARE: u64 = 48;

/// Those of a worker's own runtime.
const RUNTIME: u64 = 4;

/// How many clients there are descriptors for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Clients that may be connected at once.
    pub sessions: usize,
    /// What the limit of descriptors has to be for as many as the settings allow.
    pub needed: u64,
    /// What it is.
    pub limit: u64,
}

/// Descriptors that are used for other things than clients, beside those that are `open` when the process starts.
fn others(settings: &Settings, open: u64) -> u64 {
    let workers = settings.workers as u64;
    let listening = (workers + 1) * settings.listeners.len() as u64;
    let admin = settings
        .admin
        .as_ref()
        .map_or(0, |_| admin::places::CONNECTIONS_MAX as u64 + 2);
    open + RUNTIME * (workers + 2) + store_descriptors(settings) + listening + admin + SPARE
}

/// How many clients fit a limit, beside so many `others`.
fn room(sessions: usize, others: u64, limit: u64) -> Room {
    let fit = usize::try_from(limit.saturating_sub(others)).unwrap_or(usize::MAX);
    Room {
        sessions: sessions.min(fit),
        needed: others.saturating_add(sessions as u64),
        limit,
    }
}

/// Raises the limit of this process to what the settings need, or as far as it may be raised; `open` descriptors were in
/// use when it started.
pub fn make_room(settings: &Settings, open: u64) -> Room {
    let (others, Rlimit { current, maximum }) = (others(settings, open), getrlimit(Resource::Nofile));
    let sessions = settings.limits.sessions;
    let Some(limit) = current else {
        return room(sessions, others, u64::MAX);
    };
    let wanted = room(sessions, others, limit).needed;
    let raised = wanted.min(maximum.unwrap_or(u64::MAX));
    let may_raise = raised > limit;
    let current = Some(raised);
    if may_raise && setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok() {
        return room(sessions, others, raised);
    }
    room(sessions, others, limit)
}

/// Descriptors that this process has open; a guess where the system does not show them.
pub fn open_now() -> u64 {
    const GUESS: u64 = 16;
    std::fs::read_dir("/proc/self/fd").map_or(GUESS, |open| open.count() as u64)
}

impl Shared {
    /// Has descriptors for what the settings allow, or takes in fewer clients than they do: the operator is told, and
    /// admin, health checks and lanes have theirs either way. `open` descriptors were in use when the process started.
    ///
    /// To serve fewer is better than to refuse to start: the number is a bound for a peak that may never come, and its
    /// default is no promise.
    ///
    /// # Errors
    /// When there are none for a single client.
    pub fn make_room_for(&self, settings: &Settings, open: u64) -> Result<(), UsageError> {
        let room = make_room(settings, open);
        if room.sessions == 0 {
            return Err(UsageError::new(
                "the limit of open files",
                format_args!("is {}, which leaves none for clients", room.limit),
                format_args!(
                    "a hard limit (LimitNOFILE, ulimit -Hn) of {} for limits.sessions = {}",
                    room.needed, settings.limits.sessions
                ),
            ));
        }
        self.places.store(room.sessions, Ordering::Relaxed);
        if room.sessions < settings.limits.sessions {
            tracing::warn!(
                "limits.sessions is {}, but this process may open {} files: {} clients are served at once; raise the \
                 hard limit (LimitNOFILE, ulimit -Hn) to {}",
                settings.limits.sessions,
                room.limit,
                room.sessions,
                room.needed
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_have_theirs_before_clients_have_any() {
        assert_eq!(
            room(600, 100, 1024),
            Room {
                sessions: 600,
                needed: 700,
                limit: 1024
            }
        );
        assert_eq!(
            room(600, 100, 256),
            Room {
                sessions: 156,
                needed: 700,
                limit: 256
            }
        );
        assert_eq!(room(600, 100, 64).sessions, 0);
    }

    #[test]
    fn lanes_admin_and_listeners_count() {
        let fewer = Settings {
            admin: None,
            ..Settings::default()
        };
        let backend = "tyrant://127.0.0.1:1".parse().expect("an address");
        let settings = Settings {
            backend,
            ..Settings::default()
        };
        let lanes = settings.workers * (2 * settings.links() + settings.limits.slow_connections);
        let admin = admin::places::CONNECTIONS_MAX as u64 + 2;
        assert_eq!(others(&settings, 10), others(&fewer, 10) + lanes as u64 + admin);
        assert_eq!(others(&settings, 10), others(&settings, 0) + 10);
    }

    #[test]
    fn the_limit_is_raised_only_as_far_as_needed() {
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let mut settings = Settings::default();
        settings.limits.sessions = 100;
        let room = make_room(&settings, 10);
        let after = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert_eq!((room.sessions, after), (100, before.max(room.needed.min(hard))));
    }
}
