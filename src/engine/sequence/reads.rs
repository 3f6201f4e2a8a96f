//! Reads that must not show the records that keep stamps.

use std::sync::Arc;

use bytes::Bytes;

use super::dedicated::{self, Touches};
use super::{Call, Done, Sequence, answered};
use crate::command::{Command, Reply, function};
use crate::engine::apart::apart;
use crate::engine::failure::Failure;
use crate::engine::records;
use crate::engine::stint::Stint;
use crate::engine::tally;
use crate::metrics::Alarm;

impl Sequence {
    pub(super) async fn iter_next(&mut self) -> Done {
        let mut stint = Stint::begin();
        loop {
            stint.breathe().await;
            match self.exchange(&Command::IterNext, false).await? {
                Reply::Value(key) if records::is_hidden(&key) => {}
                reply => return Ok(answered(reply)),
            }
        }
    }

    pub(super) async fn misc_iter_next(&mut self, call: Call) -> Done {
        let command = call.command();
        let mut stint = Stint::begin();
        loop {
            stint.breathe().await;
            match self.exchange(&command, false).await? {
                Reply::Strings { strings, .. } if strings.first().is_some_and(|key| records::is_hidden(key)) => {}
                reply => return Ok(answered(reply)),
            }
        }
    }

    /// Asks for more than was asked for as long as hidden keys take the place of visible ones.
    pub(super) async fn fwmkeys(&mut self, prefix: Bytes, max: i32) -> Done {
        let mut ask = max;
        loop {
            let command = Command::FwmKeys {
                prefix: prefix.clone(),
                max: ask,
            };
            let keys = match dedicated::exchange(self, command.clone(), Touches::Nothing).await? {
                Reply::Keys(keys) => keys,
                other => return Ok(answered(other)),
            };
            // In a fixed-length database it is a range of numbers.
            let by_prefix = self.engine.capabilities().knows_keys();
            let found = keys.len();
            let (listener, asked) = (Arc::clone(&self.listener), prefix.clone());
            let looked = apart(found, move || {
                let is_unasked = by_prefix && keys.iter().any(|key| !key.starts_with(&asked));
                let visible = Reply::Keys(records::visible_keys(keys));
                let mut own = listener.keys.leave(&command, visible);
                if let Some(Reply::Keys(visible)) = &mut own {
                    visible.retain(|key| listener.keys.allows(key));
                }
                (is_unasked, own)
            });
            let (is_unasked, own) = looked.await?;
            // A key of others is the graver of the two.
            let Some(Reply::Keys(mut visible)) = self.engine.shown(own) else {
                return Err(Failure::LaneLost);
            };
            if is_unasked {
                let what = "the backend listed a key that does not begin as was asked for";
                self.engine.shared.raise(Alarm::UnaskedKey, what);
                return Err(Failure::LaneLost);
            }
            let (Ok(wanted), Ok(asked)) = (usize::try_from(max), usize::try_from(ask)) else {
                return Ok(answered(Reply::Keys(visible)));
            };
            if visible.len() >= wanted || found < asked {
                visible.truncate(wanted);
                return Ok(answered(Reply::Keys(visible)));
            }
            ask = ask.saturating_mul(2);
        }
    }

    /// `regex` and `range`: keys and values in turn, and as `fwmkeys` where a most is given (the second argument).
    pub(super) async fn scan(&mut self, mut call: Call) -> Done {
        let most = call
            .arguments
            .get(1)
            .and_then(|most| std::str::from_utf8(most).ok()?.trim().parse().ok());
        let wanted = most.filter(|most: &usize| *most > 0);
        let mut ask = wanted.unwrap_or(0);
        loop {
            if let (Some(_), Some(argument)) = (wanted, call.arguments.get_mut(1)) {
                *argument = Bytes::from(ask.to_string());
            }
            let (code, strings) = match dedicated::exchange(self, call.clone().command(), Touches::Nothing).await? {
                Reply::Strings { code, strings } => (code, strings),
                other => return Ok(answered(other)),
            };
            let found = strings.len() / 2;
            let mut strings = apart(strings.len(), move || records::visible_pairs(strings)).await?;
            match wanted {
                Some(wanted) if strings.len() / 2 < wanted && found >= ask => ask = ask.saturating_mul(2),
                _ => {
                    strings.truncate(wanted.map_or(strings.len(), |wanted| wanted * 2));
                    return Ok(answered(Reply::Strings { code, strings }));
                }
            }
        }
    }

    /// `search` and `metasearch`, which can delete what they find.
    pub(super) async fn search(&mut self, mut call: Call) -> Done {
        let deletes = function::deletes(&call.arguments);
        if self.engine.capabilities().has_columns {
            call.arguments = records::visible_rows(call.arguments);
        }
        if deletes {
            return self.upheaval_allowed(call).await;
        }
        let command = call.command();
        Ok(answered(dedicated::exchange(self, command, Touches::Nothing).await?))
    }

    pub(super) async fn rnum(&mut self) -> Done {
        let reply = self.exchange(&Command::Rnum, true).await?;
        let Reply::Count(all) = reply else {
            return Ok(answered(reply));
        };
        let hidden = self.hidden_records().await?.unwrap_or(0);
        Ok(answered(Reply::Count(all.saturating_sub(hidden))))
    }

    /// `stat` with hidden records left out of `rnum`, and said in a line of their own where there are any, and with the
    /// counts of what clients did.
    pub(super) async fn stat(&mut self) -> Done {
        let reply = self.exchange(&Command::Stat, true).await?;
        let Reply::Value(lines) = &reply else {
            return Ok(answered(reply));
        };
        let hidden = self.hidden_records().await?;
        let text = String::from_utf8_lossy(lines);
        let mut visible = String::with_capacity(text.len() + 1024);
        for line in text.lines() {
            let rnum = line.strip_prefix("rnum\t").and_then(|rnum| rnum.parse::<u64>().ok());
            match (rnum, hidden) {
                (Some(all), Some(hidden)) => {
                    visible.push_str(&format!("rnum\t{}\n", all.saturating_sub(hidden)));
                    if hidden > 0 {
                        visible.push_str(&format!("ttguard_hidden\t{hidden}\n"));
                    }
                }
                // What the backend was asked is not what clients asked.
                _ if line.starts_with(tally::PREFIX) => {}
                _ => {
                    visible.push_str(line);
                    visible.push('\n');
                }
            }
        }
        visible.push_str(&self.engine.shared.tally.lines());
        if !self.form.is_binary() {
            // memcached's `stats` tells how many threads serve clients, and Tyrant's `stat` does not.
            visible.push_str(&format!("threads\t{}\n", self.engine.settings().workers));
        }
        Ok(answered(Reply::Value(Bytes::from(visible))))
    }

    /// How many hidden records there are; counted when nobody knows, which takes as long as listing them. Nothing when
    /// the count kept changing.
    async fn hidden_records(&self) -> Result<Option<u64>, Failure> {
        const TRIES: usize = 3;
        // Beside those of stamps there are those of the claim, which a table holds too.
        if !self.engine.capabilities().holds_records && !self.engine.settings().claims() {
            return Ok(Some(0));
        }
        let hidden = &self.engine.shared.hidden;
        hidden.watch();
        for _ in 0..TRIES {
            if let Some(count) = hidden.get() {
                return Ok(Some(count));
            }
            let changes = hidden.changes();
            let command = Command::FwmKeys {
                prefix: Bytes::from_static(records::PREFIX),
                max: -1,
            };
            if let Reply::Keys(keys) = dedicated::exchange(self, command, Touches::Nothing).await? {
                hidden.counted(keys.len() as u64, changes);
                apart(keys.len(), move || drop(keys)).await?;
            }
        }
        Ok(hidden.get())
    }
}
