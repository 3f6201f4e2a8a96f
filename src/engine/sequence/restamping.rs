//! Stamps that are given to what is stored, or taken off it, for operators.

use bytes::Bytes;

use super::tidy::{LEFT, says};
use super::{Call, Done, Sequence};
use crate::command::{Command, Reply};
use crate::engine::Engine;
use crate::engine::stamping::values::Values;
use crate::guard::verdict::{Change, ReadBack};
use crate::metrics::RetryKind;

impl Sequence {
    /// `ttguard_stamp`: a value without a stamp gets one that is older than any other, or that of its record: code 0. Code 1
    /// where there is no such value, or no stamps are given here. Without a key nothing is done but to say which.
    pub(super) async fn stamp_stored(&mut self, call: Call) -> Done {
        if call.arguments.is_empty() {
            return says(if self.engine.gives_stamps() { 0 } else { LEFT });
        }
        let (Some(_), [key]) = (self.stamp, &call.arguments[..]) else {
            return says(LEFT);
        };
        let format = self.engine.shared.guard.stamp();
        self.restamp(key.clone(), |engine, found| {
            let value = found.value.as_ref().filter(|_| found.stamp.is_none())?;
            let stamp = found
                .record
                .filter(|record| !engine.is_ahead(*record))
                .unwrap_or(0)
                .max(1);
            let value = match engine.stamp_column() {
                Some(_) => engine.stamping(stamp).value(value),
                None => format.stamped(stamp, value),
            };
            Some((value, stamp))
        })
        .await
    }

    /// `ttguard_unstamp`: a value loses the stamp that ttguard gave it: code 0. Code 1 where it has none, or where writes are
    /// given stamps now, so that it would have one again. Without a key nothing is done but to say which.
    pub(super) async fn unstamp_stored(&mut self, call: Call) -> Done {
        let takes_off = self.engine.given_format().is_some() && !self.engine.gives_stamps();
        if call.arguments.is_empty() {
            return says(if takes_off { 0 } else { LEFT });
        }
        let (Some(format), true, [key]) = (self.engine.given_format(), takes_off, &call.arguments[..]) else {
            return says(LEFT);
        };
        self.restamp(key.clone(), |engine, found| {
            found.stamp?;
            let stored = Reply::Value(found.value.clone()?);
            match Values::One.strip(format, engine.stamp_column(), stored) {
                (Reply::Value(own), _) => Some((own, 0)),
                _ => None,
            }
        })
        .await
    }

    /// Has the key to itself from looking at it until its value is what it is to become, where it is to be another, and has
    /// this stamp then.
    async fn restamp(&mut self, key: Bytes, becomes: impl Fn(&Engine, &ReadBack) -> Option<(Bytes, u64)>) -> Done {
        loop {
            // Without a stamp it is to be read back before its next write.
            let change = if self.stamp.is_some() {
                Change::Made
            } else {
                Change::Unordered
            };
            let Ok(passage) = self.take_key(&key, change, false).await? else {
                return says(LEFT);
            };
            let found = match self.found(&passage.via, &key).await {
                Ok(Ok(found)) => found,
                Ok(Err(_)) => return says(LEFT),
                Err(none) => {
                    self.may_repeat(none, true, RetryKind::Read)?;
                    continue;
                }
            };
            let Some((value, stamp)) = becomes(&self.engine, &found) else {
                return says(LEFT);
            };
            // A server takes what lies behind an argument that is too large for it for new requests.
            if value.len() > self.engine.settings().limits.request.argument_max as usize {
                return says(LEFT);
            }
            let wire = Command::Put {
                key: key.clone(),
                value,
            };
            if let Some(code) = self.send_made(&key, passage, &wire, stamp).await? {
                return says(code);
            }
        }
    }
}
