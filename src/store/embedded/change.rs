//! Changes of a record that depend on what it holds: `putcat`, `putshl`, `addint`, `adddouble`.

use bytes::{Bytes, BytesMut};

use super::answering::{Answering, FAILED};
use super::number::{self, Sum};
use super::records::{Fault, Records};
use crate::command::Reply;

/// Bytes of a value, at most: what the protocol can say of one.
const VALUE_MAX: usize = i32::MAX as usize;

impl<R: Records> Answering<'_, R> {
    /// Appends to a record, or makes one. Fails, and changes nothing, when the value would become larger than the protocol can say.
    pub(super) fn append(&self, key: &[u8], tail: &[u8]) -> Result<bool, Fault> {
        let mut fits = true;
        self.records.update(key, |value| match value {
            None => Bytes::copy_from_slice(tail),
            Some(value) if value.len() + tail.len() > VALUE_MAX => {
                fits = false;
                value
            }
            Some(value) => {
                // Grows in place, unless an answer with the value is still on its way.
                let mut value = value
                    .try_into_mut()
                    .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
                value.extend_from_slice(tail);
                value.freeze()
            }
        })?;
        Ok(fits)
    }

    /// Appends and keeps the last `width` bytes; a new record is stored whole, whatever the width.
    pub(super) fn shift(&self, key: &[u8], tail: &[u8], width: i32) -> Result<Reply, Fault> {
        let width = usize::try_from(width).unwrap_or(0);
        self.records.update(key, |value| {
            let Some(value) = value else {
                return Bytes::copy_from_slice(tail);
            };
            let size = width.min(value.len() + tail.len());
            let kept = size.saturating_sub(tail.len());
            let mut shifted = BytesMut::with_capacity(size);
            shifted.extend_from_slice(&value[value.len() - kept..]);
            shifted.extend_from_slice(&tail[tail.len() - (size - kept)..]);
            shifted.freeze()
        })?;
        Ok(Reply::OK)
    }

    /// Answers the sum, or the failure that stands for it: [`number::add_integer`].
    pub(super) fn add_integer(&self, key: &[u8], number: i32) -> Result<Reply, Fault> {
        let mut answer = None;
        self.records.update(key, |value| {
            let Sum { answer: sum, value } = number::add_integer(value, number);
            answer = sum;
            value
        })?;
        Ok(answer.map_or(FAILED, Reply::Number))
    }

    /// Answers the sum, or the failure that stands for it: [`number::add_double`].
    pub(super) fn add_double(&self, key: &[u8], number: f64) -> Result<Reply, Fault> {
        let mut answer = None;
        self.records.update(key, |value| {
            let Sum { answer: sum, value } = number::add_double(value, number);
            answer = sum;
            value
        })?;
        let parts = answer.map(number::pack);
        Ok(parts.map_or(FAILED, |(integral, fractional)| Reply::Double { integral, fractional }))
    }
}
