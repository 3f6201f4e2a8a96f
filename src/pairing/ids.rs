//! The questions of a link that are owed an answer: each has an id, which its answer repeats.
//!
//! An id is never given twice while a late answer to its first question could be taken for one to the second: it has the
//! place of its question and how often that place was given.

use std::time::Instant;

use super::owed::Lost;

/// An answer came to what is not owed one: nothing on that link can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an answer to the id {0}, which is owed none")]
pub struct NotOwed(pub u64);

#[derive(Debug)]
struct Question<T> {
    deadline: Instant,
    /// Where its last byte lies in all that the link is ever given to write, once that is known.
    end: Option<u64>,
    /// Nothing once it is given up.
    tag: Option<T>,
}

#[derive(Debug)]
struct Place<T> {
    /// How often it was given.
    generation: u32,
    question: Option<Question<T>>,
}

/// The questions of a link that have no answer yet.
#[derive(Debug)]
pub struct Ids<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    owed: usize,
    /// No question is due before this.
    next_deadline: Option<Instant>,
}

impl<T> Default for Ids<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            owed: 0,
            next_deadline: None,
        }
    }
}

impl<T> Ids<T> {
    /// Questions that are owed an answer, given up or not.
    pub fn len(&self) -> usize {
        self.owed
    }

    /// Whether no answer is owed.
    pub fn is_empty(&self) -> bool {
        self.owed == 0
    }

    /// Gives a question an id. The caller sees to it that there are fewer than 2^32 at once.
    pub fn open(&mut self, deadline: Instant, tag: T) -> u64 {
        let question = Some(Question {
            deadline,
            end: None,
            tag: Some(tag),
        });
        self.owed += 1;
        self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
        if let Some(at) = self.free.pop() {
            let place = &mut self.places[at as usize];
            place.generation = place.generation.wrapping_add(1);
            place.question = question;
            return id(at, place.generation);
        }
        let at = self.places.len() as u32;
        self.places.push(Place {
            generation: 0,
            question,
        });
        id(at, 0)
    }

    fn question(&mut self, id: u64) -> Option<&mut Question<T>> {
        let place = self.places.get_mut((id & u64::from(u32::MAX)) as usize)?;
        place
            .question
            .as_mut()
            .filter(|_| u64::from(place.generation) == id >> 32)
    }

    /// Takes note of where the last byte of a question lies in all that the link is ever given to write.
    pub fn ends_at(&mut self, id: u64, end: u64) {
        if let Some(question) = self.question(id) {
            question.end = Some(end);
        }
    }

    /// Who waits for the answer with this id; nobody once it is given up.
    ///
    /// # Errors
    /// When none is owed.
    pub fn waiting(&mut self, id: u64) -> Result<Option<&mut T>, NotOwed> {
        self.question(id)
            .map(|question| question.tag.as_mut())
            .ok_or(NotOwed(id))
    }

    /// The answer with this id has come: returns who waited for it, where that was not given up.
    ///
    /// # Errors
    /// When none is owed.
    pub fn answered(&mut self, id: u64) -> Result<Option<T>, NotOwed> {
        self.question(id).ok_or(NotOwed(id))?;
        let at = (id & u64::from(u32::MAX)) as u32;
        self.owed -= 1;
        self.free.push(at);
        let question = self.places[at as usize].question.take();
        Ok(question.and_then(|question| question.tag))
    }

    /// No question is due before this.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    /// Gives up what is overdue: returns who waited. Their answers are still owed. Whether any question is still owed
    /// one that was due before `dead`: then whoever should have answered it does not answer at all.
    pub fn give_up(&mut self, now: Instant, dead: Instant) -> (Vec<T>, bool) {
        let (mut overdue, mut is_dead, mut next) = (Vec::new(), false, None::<Instant>);
        for question in self.places.iter_mut().filter_map(|place| place.question.as_mut()) {
            is_dead |= question.deadline <= dead;
            let due = if question.deadline <= now {
                overdue.extend(question.tag.take());
                // Looked at again when it is dead.
                question.deadline + now.saturating_duration_since(dead)
            } else {
                question.deadline
            };
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        self.next_deadline = next;
        (overdue, is_dead)
    }

    /// Everybody who still waits, when the link is gone, of which so many bytes were written. A question of which the last
    /// byte was not written cannot have been understood; `was_written` says that of those which left in pieces.
    pub fn abandon(self, written: u64, was_written: impl Fn(u64) -> bool) -> Vec<(Lost, T)> {
        let questions = self.places.into_iter().enumerate();
        let lost = questions.filter_map(|(at, place)| {
            let question = place.question?;
            let is_whole = match question.end {
                Some(end) => end <= written,
                None => was_written(id(at as u32, place.generation)),
            };
            let lost = if is_whole { Lost::Sent } else { Lost::Unsent };
            Some((lost, question.tag?))
        });
        lost.collect()
    }
}

fn id(place: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(place)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn answers_in_any_order_find_their_questions_once_each() {
        let (now, mut ids) = (Instant::now(), Ids::default());
        let first = ids.open(now, "first");
        let second = ids.open(now, "second");
        assert_eq!(ids.answered(second), Ok(Some("second")));
        assert_eq!(ids.answered(second), Err(NotOwed(second)));
        let third = ids.open(now, "third");
        assert_ne!(third, second, "its place is another one's now");
        assert_eq!(ids.answered(second), Err(NotOwed(second)));
        assert_eq!(
            (ids.answered(first), ids.answered(third)),
            (Ok(Some("first")), Ok(Some("third")))
        );
        assert!(ids.is_empty());
        assert_eq!(ids.answered(u64::MAX), Err(NotOwed(u64::MAX)));
    }

    #[test]
    fn what_is_given_up_is_owed_still_and_answered_to_nobody() {
        let (now, mut ids) = (Instant::now(), Ids::default());
        let grace = seconds(1);
        let soon = ids.open(now + seconds(1), "soon");
        let late = ids.open(now + seconds(5), "late");
        assert_eq!(ids.next_deadline(), Some(now + seconds(1)));
        let give_up = |ids: &mut Ids<_>, at| ids.give_up(now + seconds(at), now + seconds(at) - grace);
        assert_eq!(give_up(&mut ids, 1), (vec!["soon"], false));
        assert_eq!(ids.next_deadline(), Some(now + seconds(2)));
        assert_eq!(ids.waiting(soon), Ok(None));
        assert_eq!(give_up(&mut ids, 2), (vec![], true), "whoever should answer is dead");
        assert_eq!(ids.answered(soon), Ok(None));
        assert_eq!(give_up(&mut ids, 3), (vec![], false));
        assert_eq!(ids.answered(late), Ok(Some("late")));
    }

    #[test]
    fn what_was_not_written_whole_cannot_have_been_understood() {
        let (now, mut ids) = (Instant::now(), Ids::default());
        let [whole, cut, begun, untouched] = ["whole", "cut", "begun", "untouched"].map(|tag| ids.open(now, tag));
        ids.ends_at(whole, 10);
        ids.ends_at(cut, 11);
        let lost = ids.abandon(10, |id| id == begun);
        assert_ne!(begun, untouched);
        assert_eq!(
            lost,
            [
                (Lost::Sent, "whole"),
                (Lost::Unsent, "cut"),
                (Lost::Sent, "begun"),
                (Lost::Unsent, "untouched")
            ]
        );
    }
}
