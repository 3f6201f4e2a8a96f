//! Room for a value that is about to come.

use bytes::BytesMut;

use super::{ALWAYS_FITS, Lane};
use crate::store::completion::Completion;

/// Makes room for a value of so many bytes, some of which may lie in `input`: what grew with them would be copied again
/// and again.
pub(super) fn make_room(input: &mut BytesMut, size: usize) {
    input.reserve((size + HEADS).saturating_sub(input.len()));
}

/// More than what lies around a value.
const HEADS: usize = 4096;

impl<P: Completion> Lane<P> {
    /// Whether one of the oldest requests, by its place among them, has room for a value of so many bytes.
    pub(super) fn has_room_for(&self, place: usize, size: usize) -> bool {
        let mut owed = self.owed.borrow_mut();
        if self.limits.large.is_some_and(|large| size > large) {
            self.large_for.set(Some(place));
            if owed.len() > 1 {
                self.held_up.notify_one();
            }
        }
        if size <= ALWAYS_FITS {
            return true;
        }
        let completion = owed.tags_mut().nth(place).and_then(Option::as_mut);
        completion.is_none_or(|completion| {
            let has_room = completion.has_room_for(size);
            self.roomed.set(if has_room { completion.room() } else { 0 });
            has_room
        })
    }
}
