//! Gives old values a stamp, or takes off those that ttguard gave: one record after the other, each with its key to itself.

use std::fmt;

use bytes::Bytes;

use super::no_guard;
use super::pace::Pace;
use super::pairs::Pairs;
use crate::config::{Becomes, RestampSettings};
use crate::engine::records;
use crate::transfer::walk::Walk;
use crate::transfer::{Fault, place_of, progress};

/// Walks over the store until one finds nothing more to do, and no more of them than this: a server's iterator may come by
/// a record again, or miss it, when that is written meanwhile.
const WALKS: usize = 10;

/// What became of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restamped {
    /// What they were to become.
    pub becomes: Becomes,
    /// Values that have become so.
    pub changed: u64,
    /// Records that were met last, and needed nothing.
    pub left: u64,
}

impl fmt::Display for Restamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { becomes, changed, left } = self;
        let what = match becomes {
            Becomes::Stamped => "stamped",
            Becomes::Unstamped => "unstamped",
        };
        write!(f, "{changed} {what}, {left} left as they are")
    }
}

/// Has every value get a stamp, or lose it. It can be ended at any time, and goes on where it is begun again.
///
/// # Errors
/// A connection that breaks, a server that is no ttguard, or a ttguard whose settings do not allow it.
pub fn run(settings: &RestampSettings) -> Result<Restamped, Fault> {
    let place = place_of(&settings.server)?;
    if !Walk::of_all_keys(&place)?.is_through_guard() {
        return Err(no_guard(&settings.server));
    }
    let (function, problem) = match settings.becomes {
        Becomes::Stamped => (
            "ttguard_stamp",
            "gives no stamps now; allowed: a ttguard with stamp.source = \"edge\", and guard.mode = \"enforce\"",
        ),
        Becomes::Unstamped => (
            "ttguard_unstamp",
            "takes no stamps off now; allowed: a ttguard with stamp.source = \"edge\", and guard.mode = \"observe\", so that \
             what is written meanwhile gets none",
        ),
    };
    let mut pairs = Pairs::connect(&place)?;
    if !pairs.tidy(function, Vec::new())? {
        return Err(Fault::Server {
            server: settings.server.to_string(),
            problem: problem.to_owned(),
        });
    }
    let mut pace = Pace::of(settings.rate);
    let mut restamped = Restamped {
        becomes: settings.becomes,
        changed: 0,
        left: 0,
    };
    for _ in 0..WALKS {
        let before = restamped.changed;
        restamped.left = 0;
        walk_over(&mut Walk::of_all_keys(&place)?, |key| {
            pace.wait();
            let changed = pairs.tidy(function, vec![key])?;
            restamped.changed += u64::from(changed);
            restamped.left += u64::from(!changed);
            Ok(())
        })?;
        if restamped.changed == before {
            break;
        }
    }
    Ok(restamped)
}

/// Calls `each` with every key that is no record of a stamp.
fn walk_over(walk: &mut Walk, mut each: impl FnMut(Bytes) -> Result<(), Fault>) -> Result<(), Fault> {
    let total = walk.count()?;
    let bar = progress(Some(total), "{bar:30} {pos} of {len} records, {per_sec}, {eta}");
    walk.start()?;
    while let Some((key, _)) = walk.next()? {
        bar.inc(1);
        if !records::is_hidden(&key) {
            each(key)?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}
