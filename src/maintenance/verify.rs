//! Looks through all stamps.

use bytes::Bytes;

use super::pairs::{BATCH, Pair, Pairs};
use super::report::{Kind, Report};
use super::{no_guard, since_epoch};
use crate::config::VerifySettings;
use crate::engine::records;
use crate::guard::rules::LedgerMode;
use crate::guard::spread::Lies;
use crate::transfer::walk::Walk;
use crate::transfer::{Fault, place_of, progress};

/// Looks at every record, and mends what is to be mended.
///
/// # Errors
/// A connection that breaks, a server whose records are no plain values, and `--fix` where no ttguard is asked.
pub fn run(settings: &VerifySettings) -> Result<Report, Fault> {
    let place = place_of(&settings.server)?;
    let mut walk = Walk::of_all(&place)?;
    if settings.fix && !walk.is_through_guard() {
        return Err(no_guard(&settings.server));
    }
    let before = walk.count()?;
    let mut look = Look {
        settings,
        pairs: Pairs::connect(&place)?,
        report: Report {
            through_guard: walk.is_through_guard(),
            ..Report::default()
        },
        batch: Vec::with_capacity(BATCH),
    };
    let bar = progress(Some(before), "{bar:30} {pos} of {len} records, {per_sec}, {eta}");
    walk.start()?;
    while let Some((key, value)) = walk.next()? {
        look.record(key, &value)?;
        bar.inc(1);
    }
    look.batch_done()?;
    bar.finish_and_clear();
    let after = walk.count()?;
    let mut report = look.report;
    report.counted = [before, after];
    // What is mended meanwhile may go before the walk comes by, or after.
    report.complete = (before.min(after)..=before.max(after)).contains(&walk.met());
    Ok(report)
}

struct Look<'a> {
    settings: &'a VerifySettings,
    pairs: Pairs,
    report: Report,
    /// Keys whose `timestamp.` record has been seen.
    batch: Vec<Bytes>,
}

impl Look<'_> {
    fn record(&mut self, name: Bytes, value: &Bytes) -> Result<(), Fault> {
        self.report.records += 1;
        if records::is_hidden(&name) {
            self.batch.push(name.slice(records::PREFIX.len()..));
            return if self.batch.len() == BATCH {
                self.batch_done()
            } else {
                Ok(())
            };
        }
        let rules = &self.settings.rules;
        let lies = Lies::of(rules.stamp.read(value), rules, since_epoch());
        *self.report.stamps.entry(lies).or_default() += 1;
        match lies {
            Lies::Nowhere => self.note(Kind::Unstamped, &name, false),
            Lies::Future => self.note(Kind::Future, &name, false),
            _ => {}
        }
        Ok(())
    }

    fn is_future(&self, stamp: u64) -> bool {
        let rules = &self.settings.rules;
        let latest = rules.stamp.at(since_epoch() + rules.future_tolerance);
        latest.is_some_and(|latest| stamp > latest)
    }

    fn note(&mut self, kind: Kind, key: &Bytes, fixed: bool) {
        self.report.add(kind, key, fixed, self.settings.keys);
    }

    /// Holds the records of the batch against their values.
    fn batch_done(&mut self) -> Result<(), Fault> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let keys = std::mem::take(&mut self.batch);
        for pair in self.pairs.look(keys)? {
            if let Some(kind) = self.judge(&pair) {
                self.found(kind, pair)?;
            }
        }
        Ok(())
    }

    fn judge(&self, pair: &Pair) -> Option<Kind> {
        let rules = &self.settings.rules;
        let record = pair.record.as_ref()?;
        let Some(stamp) = rules.stamp.read_digits(record) else {
            return Some(Kind::RecordUnreadable);
        };
        if self.is_future(stamp) {
            return Some(Kind::RecordFuture);
        }
        let Some(value) = &pair.value else {
            return Some(Kind::Tombstone);
        };
        // A value without a stamp is told as such.
        let own = rules.stamp.read(value)?;
        match stamp.cmp(&own) {
            std::cmp::Ordering::Greater => Some(Kind::RecordNewer),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Less if rules.ledger == LedgerMode::Record => Some(Kind::RecordOlder),
            std::cmp::Ordering::Less => Some(Kind::Leftover),
        }
    }

    fn found(&mut self, kind: Kind, pair: Pair) -> Result<(), Fault> {
        if matches!(kind, Kind::RecordNewer | Kind::RecordOlder | Kind::Leftover) {
            // Value and record are written one after the other: what is still the same when it is looked at again was not
            // caught between the two.
            let again = self.pairs.look(vec![pair.key.clone()])?;
            if again.first() != Some(&pair) {
                return Ok(());
            }
        }
        // One of the far future without a value is a tombstone, which `gc` removes.
        let can_fix =
            matches!(kind, Kind::RecordOlder | Kind::Leftover) || kind == Kind::RecordFuture && pair.value.is_some();
        let fixed = can_fix && self.settings.fix && self.pairs.tidy("ttguard_mend", vec![pair.key.clone()])?;
        self.note(kind, &pair.key, fixed);
        Ok(())
    }
}
