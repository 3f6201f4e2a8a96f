//! How a client takes its answers: one that is being read is no backlog, however large it is.

use std::ops::Range;
use std::time::{Duration, Instant};

/// What a client has been given to take, and how it gets on with that.
#[derive(Debug, Default)]
pub(super) struct Taking {
    /// Bytes of answers since the session began.
    queued: u64,
    /// Where the answer lies that alone has more bytes than may queue up, if it is not taken whole.
    long: Range<u64>,
    /// When, and by what bytes, its progress was looked at.
    looked: Option<(Instant, u64)>,
    /// The same, while others wait for room.
    pressed: Option<(Instant, u64)>,
}

impl Taking {
    /// An answer of so many bytes is queued behind `unread` others.
    pub(super) fn queue(&mut self, bytes: usize, unread: usize, backlog: usize) {
        let (from, bytes) = (self.queued, bytes as u64);
        self.queued += bytes;
        if bytes > backlog as u64 && self.rest(from - unread as u64) == 0 {
            self.long = from..self.queued;
        }
    }

    /// Bytes of the long answer that are not taken.
    fn rest(&self, taken: u64) -> usize {
        self.long.end.saturating_sub(self.long.start.max(taken)) as usize
    }

    fn taken(&self, unread: usize) -> u64 {
        self.queued.saturating_sub(unread as u64)
    }

    /// Of so many unread bytes those that queue up beside the long answer.
    pub(super) fn backlog(&self, unread: usize) -> usize {
        unread.saturating_sub(self.rest(self.taken(unread)))
    }

    /// Until when a client with so much unread has to take some of it; nothing where that is no more than may queue up.
    pub(super) fn until(&mut self, unread: usize, backlog: usize, patience: Duration, now: Instant) -> Option<Instant> {
        if unread <= backlog {
            self.looked = None;
            return None;
        }
        let taken = self.taken(unread);
        Some(self.looked.get_or_insert((now, taken)).0 + patience)
    }

    /// Whether it has taken less than `least` bytes since that began. Else it begins anew.
    pub(super) fn is_stuck(&mut self, unread: usize, least: usize, now: Instant) -> bool {
        let taken = self.taken(unread);
        let stuck = self.looked.is_some_and(|(_, before)| taken - before < least as u64);
        self.looked = Some((now, taken));
        stuck
    }

    /// Whether it has taken less than `least` bytes within `patience`, while others wait for the room of its answer.
    pub(super) fn is_in_the_way(&mut self, unread: usize, least: usize, patience: Duration, now: Instant) -> bool {
        let taken = self.taken(unread);
        let (since, before) = *self.pressed.get_or_insert((now, taken));
        if taken - before >= least as u64 {
            self.pressed = Some((now, taken));
        }
        taken - before < least as u64 && now.saturating_duration_since(since) >= patience
    }

    /// Nobody waits, or it has just got its answer.
    pub(super) fn is_left_alone(&mut self) {
        self.pressed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKLOG: usize = 1000;
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn one_long_answer_is_no_backlog_and_what_queues_behind_it_is() {
        let mut taking = Taking::default();
        taking.queue(10, 0, BACKLOG);
        taking.queue(5000, 10, BACKLOG);
        assert_eq!(taking.backlog(5010), 10, "what is before it");
        taking.queue(600, 5000, BACKLOG);
        assert_eq!(
            (taking.backlog(5600), taking.backlog(601), taking.backlog(600)),
            (600, 600, 600)
        );
        // Another one of that size, while the first is not taken.
        taking.queue(2000, 5600, BACKLOG);
        assert_eq!(taking.backlog(7600), 2600);
        // The next is long again.
        taking.queue(3000, 0, BACKLOG);
        assert_eq!((taking.backlog(3000), taking.backlog(1)), (0, 0));
    }

    #[test]
    fn many_answers_are_backlog() {
        let mut taking = Taking::default();
        for number in 0..20 {
            taking.queue(100, number * 100, BACKLOG);
        }
        assert_eq!(taking.backlog(2000), 2000);
    }

    #[test]
    fn who_takes_too_little_in_its_time_is_stuck() {
        let (start, mut taking) = (Instant::now(), Taking::default());
        taking.queue(5000, 0, BACKLOG);
        assert_eq!(taking.until(1000, BACKLOG, PATIENCE, start), None);
        assert_eq!(taking.until(5000, BACKLOG, PATIENCE, start), Some(start + PATIENCE));
        let later = start + PATIENCE;
        assert_eq!(taking.until(4500, BACKLOG, PATIENCE, later), Some(later));
        assert!(!taking.is_stuck(4500, 500, later), "it has taken as much as it has to");
        assert_eq!(taking.until(4500, BACKLOG, PATIENCE, later), Some(later + PATIENCE));
        assert!(taking.is_stuck(4001, 500, later + PATIENCE));
    }

    #[test]
    fn who_takes_nothing_while_others_wait_is_in_the_way() {
        let (start, mut taking) = (Instant::now(), Taking::default());
        taking.queue(5000, 0, BACKLOG);
        let mut at =
            |seconds, unread| taking.is_in_the_way(unread, 100, PATIENCE, start + Duration::from_secs(seconds));
        assert!(!at(0, 5000) && !at(9, 5000) && !at(11, 4900) && !at(20, 4900));
        assert!(at(21, 4899));
        taking.is_left_alone();
        assert!(!taking.is_in_the_way(4899, 100, PATIENCE, start + 9 * PATIENCE));
    }
}
