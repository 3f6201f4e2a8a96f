//! What travels with each request to a store.

use std::time::Instant;

use bytes::Bytes;

use crate::command::Reply;
use crate::pairing::owed::Lost;
use crate::protocol::link::told::Told;
use crate::protocol::tyrant::reply::Dropped;

/// What travels with each request to a store, and is told what became of it.
pub trait Completion: 'static {
    /// The keys whose records are asked for, where nothing else is and it [may share](super::Via::submit_read) its request.
    fn keys(&self) -> &[Bytes];
    /// Its answer, where these records of its keys were found.
    fn answer_of(&self, found: impl Iterator<Item = (Bytes, Bytes)>) -> Reply;
    /// Whether there is room for a value of so many bytes, which the server has announced and which is not all there.
    /// Asked again with more of it, those who had room have it still. Where there is none it is
    /// [dropped](Self::dropped) as it comes.
    fn has_room_for(&mut self, bytes: usize) -> bool;
    /// Bytes of the room that has been set apart for its answer.
    fn room(&self) -> usize;
    /// Whether the answer can belong to the question.
    fn accepts(&self, reply: &Reply) -> bool;
    /// The answer has come, in so many bytes. `now` is when it was read.
    fn answered(self, reply: Reply, bytes: usize, now: Instant);
    /// The record that it is to store, key and value, where it does nothing else and [may share](super::Via::submit_write) its
    /// request.
    fn record(&self) -> Option<(&Bytes, &Bytes)>;
    /// The answer to those who share its request has come, in so many bytes: with this code, which says that what one of
    /// them asked for was not done, and not which.
    fn undone(self, code: u8, bytes: usize, now: Instant);
    /// The guard that judges for this edge has said what became of the request, in so many bytes; or that has been given up,
    /// in none.
    fn told(self, told: Told, bytes: usize, now: Instant);
    /// The answer has come, was over a limit or [without room](Self::has_room_for), and is gone. `now` is when its last
    /// byte was read.
    fn dropped(self, dropped: Dropped, now: Instant);
    /// The lane is out of service: no answer will come from it.
    fn lost(self, lost: Lost);
    /// Who asked goes to ask elsewhere, where it only asks, and nothing that it has asked on this lane changes anything:
    /// that is returned. What stays takes the answer when it comes, and does nothing with it.
    fn part(&mut self) -> Option<Self>
    where
        Self: Sized;
    /// Whether it may change something at the store.
    fn changes(&self) -> bool;
    /// Whether somebody waits for the answer.
    fn is_awaited(&self) -> bool;
    /// Whether a read may go before the changes that are under way to the same store: nothing of the same client is among
    /// them, nor of the same key.
    fn may_overtake(&self) -> bool;
    /// What was asked could not be found out, and cannot be said.
    fn unanswerable(self);
}
