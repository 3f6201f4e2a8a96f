//! A lane's queue of owed replies against a list of who wrote each byte.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use ttguard::command::Shape;
use ttguard::pairing::owed::{Expected, Joinable, Lost, Owed};

use super::reply::SHAPES;

/// What happens to a queue.
#[derive(Arbitrary, Debug)]
enum Step {
    /// The first byte of the next request goes ahead.
    Prime,
    /// A request of this size joins the queue.
    Push {
        shape: u8,
        size: u8,
        deadline: u16,
    },
    /// So many bytes more are written, as far as there are so many.
    Wrote(u8),
    Answered,
    /// A request whose question others may join, or one that joins the newest where it may.
    Share {
        joins: bool,
        size: u8,
        deadline: u16,
    },
    /// The same for one that has a question of its own until another joins it: so many bytes more then.
    Store {
        joins: bool,
        size: u8,
        grows: u8,
        deadline: u16,
    },
}

/// What answers a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Due {
    Alone(Shape),
    /// A code, as long as nobody joins this question.
    Joinable(u64),
    /// What answers all requests of this question.
    Shared(Shape, u64),
    /// The same, and some of them have their part of it.
    Begun(u64),
}

/// One request, and what is known of it.
#[derive(Debug)]
struct Request {
    number: u64,
    due: Due,
    deadline: Instant,
    /// Its bytes without one that has gone ahead.
    size: usize,
    /// Its bytes that are not written.
    left: usize,
    /// The first of them joined the queue ahead of the others, and makes no request sent.
    is_ahead: bool,
    is_begun: bool,
}

/// The queue, and what it should say.
struct Book {
    owed: Owed<u64>,
    start: Instant,
    requests: VecDeque<Request>,
    next: u64,
    /// A byte has gone ahead of its request: whether it is written.
    ahead: Option<bool>,
}

/// Checks one input: what happens to a queue, until it is abandoned.
///
/// # Panics
/// When the queue owes an answer to another request than the oldest whole one, or takes one that was begun for unsent.
pub fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let mut book = Book {
        owed: Owed::new(),
        start: Instant::now(),
        requests: VecDeque::new(),
        next: 0,
        ahead: None,
    };
    while !input.is_empty() {
        let Ok(step) = Step::arbitrary(&mut input) else {
            break;
        };
        book.take(&step);
        book.check();
    }
    let lost: Vec<_> = book.owed.abandon().collect();
    let wanted = book.requests.iter().map(|request| {
        let lost = if request.is_begun { Lost::Sent } else { Lost::Unsent };
        (lost, request.number)
    });
    assert_eq!(lost, wanted.collect::<Vec<_>>());
    assert!(book.owed.is_empty());
}

impl Book {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Prime if self.ahead.is_none() => {
                self.owed.prime();
                self.ahead = Some(false);
            }
            Step::Prime => {}
            Step::Push { shape, size, deadline } => {
                let (size, shape) = (usize::from(size) + 1, SHAPES[usize::from(shape) % SHAPES.len()]);
                let deadline = self.deadline(deadline);
                self.owed.push(shape, deadline, size, self.next);
                self.pushed(Due::Alone(shape), size, deadline);
            }
            Step::Share { joins, size, deadline } => self.share(joins, usize::from(size) + 1, deadline),
            Step::Store {
                joins,
                size,
                grows,
                deadline,
            } => self.store(joins, usize::from(size) + 1, grows.into(), deadline),
            Step::Wrote(count) => self.wrote(count.into()),
            Step::Answered => self.answered(),
        }
    }

    fn deadline(&self, milliseconds: u16) -> Instant {
        self.start + Duration::from_millis(milliseconds.into())
    }

    fn share(&mut self, joins: bool, size: usize, deadline: u16) {
        let deadline = self.deadline(deadline);
        let newest = self.joinable(Shape::Records).filter(|_| joins);
        match newest {
            Some((_, newest)) => self.owed.join(newest, deadline, size, self.next),
            None => self.owed.push_shared(Shape::Records, deadline, size, self.next),
        }
        let question = newest.map_or(self.next, |(question, _)| question);
        self.pushed(Due::Shared(Shape::Records, question), size, deadline);
    }

    fn store(&mut self, joins: bool, size: usize, grows: usize, deadline: u16) {
        let deadline = self.deadline(deadline);
        let Some((question, newest)) = self.joinable(Shape::Strings).filter(|_| joins) else {
            self.owed
                .push_joinable(Shape::Code, Shape::Strings, deadline, size, self.next);
            self.pushed(Due::Joinable(self.next), size, deadline);
            return;
        };
        let due = Due::Shared(Shape::Strings, question);
        if let Some(first) = self.requests.back_mut()
            && first.due == Due::Joinable(question)
        {
            self.owed.ask_newest_otherwise(newest, first.size, first.size + grows);
            first.size += grows;
            first.left += grows;
            first.due = due;
        }
        self.owed.join(newest, deadline, size, self.next);
        self.pushed(due, size, deadline);
    }

    /// The newest question, if one more may join it that is answered so.
    fn joinable(&self, by: Shape) -> Option<(u64, Joinable)> {
        let due = self.requests.back()?.due;
        let (shape, question) = match due {
            Due::Joinable(question) => (Shape::Strings, question),
            Due::Shared(shape, question) => (shape, question),
            Due::Alone(_) | Due::Begun(_) => return None,
        };
        let mut sharing = self.requests.iter().filter(|request| request.due == due);
        let may = shape == by && self.ahead.is_none() && !sharing.next()?.is_begun;
        let requests = 1 + sharing.count();
        may.then_some((question, Joinable { shape, requests }))
    }

    /// The oldest requests that share this answer.
    fn sharing(&self, due: Due) -> impl Iterator<Item = &Request> {
        self.requests.iter().take_while(move |request| request.due == due)
    }

    /// The next answer has come, or the next part of one: for the newest of those who share it, and so on.
    fn answered(&mut self) {
        let Some(due) = self.requests.front().map(|head| head.due) else {
            assert_eq!(self.owed.answered(), None);
            return;
        };
        let is_alone = matches!(due, Due::Alone(_) | Due::Joinable(_));
        if self.sharing(due).any(|request| request.left > 0) && !is_alone {
            return;
        }
        let (Due::Shared(_, question) | Due::Begun(question)) = due else {
            let wanted = self.requests.pop_front_if(|head| head.left == 0);
            assert_eq!(self.owed.answered(), wanted.map(|request| request.number));
            return;
        };
        let last = self.sharing(due).count() - 1;
        let wanted = self.requests.remove(last).map(|request| request.number);
        assert!(self.owed.tags_from(last).next() == wanted.as_ref());
        assert_eq!(self.owed.take(last), wanted);
        self.requests
            .iter_mut()
            .take(last)
            .for_each(|request| request.due = Due::Begun(question));
    }

    /// A request has joined the queue whose `size` does not count a byte that has gone ahead.
    fn pushed(&mut self, due: Due, size: usize, deadline: Instant) {
        let is_ahead = self.ahead.take() == Some(false);
        self.requests.push_back(Request {
            number: self.next,
            due,
            deadline,
            size,
            left: size + usize::from(is_ahead),
            is_ahead,
            is_begun: false,
        });
        self.next += 1;
    }

    fn wrote(&mut self, count: usize) {
        let mut left = count;
        for request in &mut self.requests {
            let bytes = left.min(request.left);
            request.left -= bytes;
            request.is_begun |= bytes > usize::from(request.is_ahead);
            request.is_ahead &= bytes == 0;
            left -= bytes;
        }
        if let (1.., Some(written @ false)) = (left, &mut self.ahead) {
            *written = true;
            left -= 1;
        }
        self.owed.wrote(count - left);
    }

    fn check(&self) {
        assert_eq!(self.owed.expected(), self.expected());
        let newest = self.joinable(Shape::Records).or_else(|| self.joinable(Shape::Strings));
        assert_eq!(self.owed.joinable(), newest.map(|(_, newest)| newest));
        assert_eq!(self.owed.len(), self.requests.len());
        assert_eq!(self.owed.is_empty(), self.requests.is_empty());
        assert_eq!(self.owed.is_primed(), self.ahead.is_some());
        let earliest = self.requests.iter().map(|request| request.deadline).min();
        assert_eq!(self.owed.earliest_deadline(|_| true), earliest);
    }

    fn expected(&self) -> Option<Expected> {
        let due = self.requests.front()?.due;
        let expected = match due {
            Due::Alone(shape) => return (self.requests[0].left == 0).then_some(Expected::Alone(shape)),
            Due::Joinable(_) => return (self.requests[0].left == 0).then_some(Expected::Alone(Shape::Code)),
            Due::Shared(shape, _) => Expected::Shared(shape, self.sharing(due).count()),
            Due::Begun(_) => return None,
        };
        self.sharing(due).all(|request| request.left == 0).then_some(expected)
    }
}
