//! A session's order of answers: they leave in the order of its requests, whatever order they come in.

use std::collections::VecDeque;

/// A place in a session's order of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

impl Place {
    /// The place of the answer with this number, where each has its own and they leave in any order.
    pub fn numbered(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The answers that a session owes to its client, oldest first.
#[derive(Debug)]
pub struct Order<A> {
    /// The place of the first element of `answers`.
    first: u64,
    answers: VecDeque<Option<A>>,
}

impl<A> Default for Order<A> {
    fn default() -> Self {
        Self {
            first: 0,
            answers: VecDeque::new(),
        }
    }
}

impl<A> Order<A> {
    /// Nothing is owed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers owed, come or not.
    pub fn owed(&self) -> usize {
        self.answers.len()
    }

    /// Gives back room that is not needed now.
    pub fn shrink(&mut self) {
        self.answers.shrink_to_fit();
    }

    /// Takes the next place, for a request that is owed an answer.
    pub fn open(&mut self) -> Place {
        self.answers.push_back(None);
        Place(self.first + self.answers.len() as u64 - 1)
    }

    /// Puts the answer into its place. A place that is filled or gone takes nothing.
    pub fn answer(&mut self, place: Place, answer: A) {
        let slot = place
            .0
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = slot.and_then(|index| self.answers.get_mut(index))
            && slot.is_none()
        {
            *slot = Some(answer);
        }
    }

    /// The answer that may leave now, if it has come.
    pub fn take_next(&mut self) -> Option<A> {
        self.answers.front()?.as_ref()?;
        self.first += 1;
        self.answers.pop_front().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_leave_in_the_order_of_the_requests() {
        let mut order = Order::new();
        let places: Vec<_> = (0..3).map(|_| order.open()).collect();
        order.answer(places[2], "c");
        assert_eq!(order.take_next(), None);
        order.answer(places[0], "a");
        assert_eq!((order.take_next(), order.take_next()), (Some("a"), None));
        order.answer(places[1], "b");
        order.answer(places[1], "another");
        order.answer(places[0], "late");
        assert_eq!(
            (order.take_next(), order.take_next(), order.take_next()),
            (Some("b"), Some("c"), None)
        );
        assert_eq!(order.owed(), 0);
    }
}
