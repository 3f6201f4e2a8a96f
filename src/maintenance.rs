//! `ttguard verify`, `gc`, `stamp` and `unstamp`: the stamps that are stored in a server, looked through, tidied up, given
//! and taken off.
//!
//! They walk over every record with the server's one iterator, and hold no more than a small batch of records at a time.
//! Nothing is changed but by the ttguard that they go through: only there can a key be kept from others between the look
//! at it and the change.

mod gc;
mod pace;
mod pairs;
mod report;
mod restamp;
mod verify;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use gc::{Collected, run as gc};
pub use report::{Kind, Report};
pub use restamp::{Restamped, run as restamp};
pub use verify::run as verify;

use crate::config::GcSettings;
use crate::transfer::Fault;

/// Why nothing was changed.
fn no_guard(server: &crate::config::Address) -> Fault {
    Fault::Server {
        server: server.to_string(),
        problem: "is no ttguard, or one that does not know this: only a ttguard can keep others off a key while its \
                  record is looked at and changed; name the one that clients connect to"
            .to_owned(),
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl GcSettings {
    /// Stamps below this are old enough, where it is that late.
    fn newest(&self, now: Duration) -> u64 {
        self.rules.stamp.at(now.saturating_sub(self.older_than)).unwrap_or(0)
    }
}
