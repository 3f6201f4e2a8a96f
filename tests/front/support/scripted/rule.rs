//! What the scripted backend is told to do wrong, and when.

use super::request::Request;

/// A door that a request stops at. Tests wait until something stands before it, then open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate(pub usize);

/// What becomes of a request that a rule applies to.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Not carried out and not answered before the gate opens: a buffered write, a zombie.
    HoldRequest(Gate),
    /// Carried out at once, answered when the gate opens: a late answer.
    HoldAnswer(Gate),
    /// Carried out, then the first bytes of the answer, and the rest when the gate opens.
    HoldRest(usize, Gate),
    /// Carried out, then the first bytes of the answer and the end of the connection.
    Cut(usize, End),
    /// Not carried out; the connection ends instead of an answer.
    Refuse(End),
    /// Not carried out, and answered by this code alone.
    Fail(u8),
    /// Carried out; the connection ends instead of an answer.
    Lose(End),
    /// The answer, and a byte that nobody asked for.
    ExtraByte,
    /// The answer, with another code at its head.
    WrongCode(u8),
    /// The answer, with another size or count behind its code.
    Announce(i32),
    /// Answered as if it had asked for this other key.
    AnswerFor(&'static str),
    /// Carried out, once somebody else has set the iterator back.
    Rewound,
    /// Carried out, never answered; the same for all that follows on this connection.
    Silence,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Fin,
    Rst,
}

type Matches = Box<dyn Fn(&Request) -> bool + Send>;

pub struct Rule {
    /// The connection, in the order of accepting, if only one is meant.
    pub connection: Option<usize>,
    /// The request, in its connection's order, if only one is meant.
    pub request: Option<usize>,
    pub matches: Matches,
    pub act: Act,
    /// How often it still applies.
    pub left: usize,
}

impl Rule {
    /// The next request that this holds for.
    pub fn once(act: Act, matches: impl Fn(&Request) -> bool + Send + 'static) -> Self {
        Self {
            connection: None,
            request: None,
            matches: Box::new(matches),
            act,
            left: 1,
        }
    }

    /// The next write of this key, by whatever command.
    pub fn write(key: &'static str, act: Act) -> Self {
        Self::once(act, move |request| request.writes(key))
    }

    /// The next `get` of this key.
    pub fn read(key: &'static str, act: Act) -> Self {
        Self::once(act, move |request| request.reads(key))
    }

    /// The guard's next look at this key and its hidden record.
    pub fn look(key: &'static str, act: Act) -> Self {
        Self::once(act, move |request| request.looks_at(key))
    }

    /// The request with this number on the connection with that number.
    pub fn nth(connection: usize, request: usize, act: Act) -> Self {
        Self {
            connection: Some(connection),
            request: Some(request),
            ..Self::once(act, |_| true)
        }
    }

    /// Every request on every connection.
    pub fn all(act: Act) -> Self {
        Self {
            left: usize::MAX,
            ..Self::once(act, |_| true)
        }
    }

    pub fn applies(&self, connection: usize, number: usize, request: &Request) -> bool {
        self.left > 0
            && self.connection.is_none_or(|one| one == connection)
            && self.request.is_none_or(|one| one == number)
            && (self.matches)(request)
    }
}
