//! A lane's queue of owed replies against a list of who wrote each byte.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use ttguard::command::Shape;
use ttguard::pairing::owed::{Lost, Owed};

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
}

/// One request, and what is known of it.
#[derive(Debug)]
struct Request {
    number: u64,
    shape: Shape,
    deadline: Instant,
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
            Step::Push { shape, size, deadline } => self.push(shape, usize::from(size) + 1, deadline),
            Step::Wrote(count) => self.wrote(count.into()),
            Step::Answered => {
                let wanted = self.requests.pop_front_if(|head| head.left == 0);
                assert_eq!(self.owed.answered(), wanted.map(|request| request.number));
            }
        }
    }

    /// A request whose `size` does not count a byte that has gone ahead.
    fn push(&mut self, shape: u8, size: usize, deadline: u16) {
        let (number, shape) = (self.next, SHAPES[usize::from(shape) % SHAPES.len()]);
        let deadline = self.start + Duration::from_millis(deadline.into());
        self.next += 1;
        self.owed.push(shape, deadline, size, number);
        let is_ahead = self.ahead.take() == Some(false);
        self.requests.push_back(Request {
            number,
            shape,
            deadline,
            left: size + usize::from(is_ahead),
            is_ahead,
            is_begun: false,
        });
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
        let whole = self.requests.front().filter(|head| head.left == 0);
        assert_eq!(self.owed.expected(), whole.map(|head| head.shape));
        assert_eq!(self.owed.len(), self.requests.len());
        assert_eq!(self.owed.is_empty(), self.requests.is_empty());
        assert_eq!(self.owed.is_primed(), self.ahead.is_some());
        let earliest = self.requests.iter().map(|request| request.deadline).min();
        assert_eq!(self.owed.earliest_deadline(), earliest);
    }
}
