//! Reads that need the whole of a value to tell a client of its own bytes: where ttguard gives the stamps, what is stored is
//! longer than they are.

use bytes::Bytes;

use super::{Call, Done, Sequence, answered, outcome};
use crate::command::{Command, Reply};
use crate::engine::failure::Failure;
use crate::metrics::RetryKind;
use crate::store::embedded::part;

impl Sequence {
    /// `vsiz`: the size of the client's own bytes, for which the value is read.
    pub(super) async fn size_of(&mut self, key: Bytes) -> Done {
        if let Some(column) = self.engine.stamp_column() {
            // A row is kept in a form of its own: each name and each value behind its length.
            let taken = column.len() + usize::from(self.engine.shared.guard.stamp().digits()) + 2;
            let reply = self.exchange(&Command::Vsiz { key: key.clone() }, true).await?;
            let Reply::Number(size) = reply else {
                return Ok(answered(reply));
            };
            let row = self.exchange(&self.engine.question_of(&key), true).await?;
            let has_stamp = self
                .engine
                .read_back_of(&key, row)
                .is_some_and(|row| row.stamp.is_some());
            let taken = i32::try_from(taken).unwrap_or(0);
            return Ok(answered(Reply::Number(if has_stamp { size - taken } else { size })));
        }
        Ok(answered(match self.read(key).await? {
            Ok(value) => Reply::Number(i32::try_from(value.len()).unwrap_or(i32::MAX)),
            Err(code) => Reply::Code(code),
        }))
    }

    /// `getpart`: a part of the client's own bytes.
    pub(super) async fn part_of(&mut self, call: Call) -> Done {
        let key = match call.arguments.first() {
            Some(key) if self.engine.stamp_column().is_none() => key.clone(),
            _ => return Ok(answered(self.exchange(&call.command(), true).await?)),
        };
        let (code, strings) = match self.read(key).await? {
            Ok(value) => match part(value, &call.arguments) {
                Some(part) => (0, vec![part]),
                None => (1, Vec::new()),
            },
            Err(code) => (code, Vec::new()),
        };
        Ok(answered(Reply::Strings { code, strings }))
    }

    /// A client's own bytes; or the code of the store where it has none, or cannot say.
    async fn read(&mut self, key: Bytes) -> Result<Result<Bytes, u8>, Failure> {
        let format = self.engine.shared.guard.stamp();
        // An answer to `mget` names its key; a server that denies it finds nothing.
        let value = if self.engine.settings().verify_reads && self.engine.mget_finds.get() {
            let keys = vec![key.clone()];
            let via = self.via(Some(&key), 1).await?;
            match outcome(self.ask(&via, &Command::Mget { keys: keys.clone() }, keys)).await {
                Ok(Reply::Records(found)) => found.into_iter().next().map(|(_, value)| value).ok_or(1),
                Ok(other) => Err(other.code()),
                Err(none) => {
                    self.may_repeat(none, true, RetryKind::Read)?;
                    return Box::pin(self.read(key)).await;
                }
            }
        } else {
            match self.exchange(&Command::Get { key }, true).await? {
                Reply::Value(value) => Ok(value),
                other => Err(other.code()),
            }
        };
        let Ok(value) = value else {
            return Ok(value);
        };
        if let Some((stamp, own)) = format.strip(&value) {
            self.saw(self.engine.saw(stamp));
            return Ok(Ok(own));
        }
        Ok(Ok(value))
    }
}
