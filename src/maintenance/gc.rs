//! Removes the tombstones of old deletes, and those of the far future.

use std::fmt;

use bytes::Bytes;

use super::pace::Pace;
use super::pairs::{BATCH, Pairs};
use super::{no_guard, since_epoch};
use crate::config::GcSettings;
use crate::engine::records;
use crate::transfer::walk::Walk;
use crate::transfer::{Fault, place_of, progress};

/// What became of the tombstones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Tombstones that were seen.
    pub tombstones: u64,
    /// Those of them that are old enough.
    pub old: u64,
    /// Those of them that lie further in the future than any guard lets in: they bind nobody, and go too.
    pub ahead: u64,
    /// Those of them that are removed.
    pub removed: u64,
}

impl fmt::Display for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tombstones,
            old,
            ahead,
            removed,
        } = self;
        write!(f, "{tombstones} tombstones, {old} old enough, ")?;
        if *ahead > 0 {
            write!(f, "{ahead} in the future, ")?;
        }
        write!(f, "{removed} removed")
    }
}

/// Walks over all records, and has those tombstones removed that are old enough. What a walk misses, because records go
/// while it is under way, the next one finds.
///
/// # Errors
/// A connection that breaks, a server that is no ttguard (but for a dry run), or one that wants older tombstones kept.
pub fn run(settings: &GcSettings) -> Result<Collected, Fault> {
    let place = place_of(&settings.server)?;
    let mut walk = Walk::of_all_keys(&place)?;
    if !settings.dry_run && !walk.is_through_guard() {
        return Err(no_guard(&settings.server));
    }
    let total = walk.count()?;
    let mut collector = Collector {
        settings,
        pairs: Pairs::connect(&place)?,
        collected: Collected::default(),
        age: Bytes::from(settings.older_than.as_millis().to_string()),
        pace: Pace::of(settings.rate),
    };
    let bar = progress(Some(total), "{bar:30} {pos} of {len} records, {msg}, {per_sec}, {eta}");
    walk.start()?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some((name, _)) = walk.next()? {
        bar.inc(1);
        if records::is_hidden(&name) {
            batch.push(name.slice(records::PREFIX.len()..));
        }
        if batch.len() == BATCH {
            collector.collect(std::mem::take(&mut batch))?;
            bar.set_message(collector.collected.to_string());
        }
    }
    collector.collect(batch)?;
    bar.finish_and_clear();
    Ok(collector.collected)
}

struct Collector<'a> {
    settings: &'a GcSettings,
    pairs: Pairs,
    collected: Collected,
    /// In milliseconds, as it is sent.
    age: Bytes,
    pace: Pace,
}

impl Collector<'_> {
    fn collect(&mut self, batch: Vec<Bytes>) -> Result<(), Fault> {
        if batch.is_empty() {
            return Ok(());
        }
        let (newest, rules) = (self.settings.newest(since_epoch()), &self.settings.rules);
        let latest = rules.stamp.at(since_epoch() + rules.future_tolerance);
        for pair in self.pairs.look(batch)? {
            let stamp = pair
                .record
                .and_then(|record| self.settings.rules.stamp.read_digits(&record));
            let (None, Some(stamp)) = (pair.value, stamp) else {
                continue;
            };
            self.collected.tombstones += 1;
            match latest {
                Some(latest) if stamp > latest => self.collected.ahead += 1,
                _ if stamp >= newest => continue,
                _ => self.collected.old += 1,
            }
            if !self.settings.dry_run {
                self.pace.wait();
                let gone = self.pairs.tidy("ttguard_forget", vec![self.age.clone(), pair.key])?;
                self.collected.removed += u64::from(gone);
            }
        }
        Ok(())
    }
}
