//! Answers to bytes, in the form that the request asked for.

use super::outgoing::Outgoing;
use super::tyrant::reply;
use super::{Protocol, http, memcached};
use crate::command::{Answer, Command, Verb};

/// In what form a request is answered: that of the protocol that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Tokyo Tyrant's own protocol.
    Binary,
    /// memcached's text.
    Memcached(memcached::reply::Form),
    /// HTTP.
    Http(http::reply::Form),
}

impl Form {
    /// The protocol that it is a form of.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Binary => Protocol::Binary,
            Self::Memcached(_) => Protocol::Memcached,
            Self::Http(_) => Protocol::Http,
        }
    }

    /// Whether a request of this form is owed no answer.
    pub fn is_silent(self, command: &Command) -> bool {
        match self {
            Self::Binary => command.verb() == Verb::PutNr,
            Self::Memcached(form) => form.silent,
            Self::Http(_) => false,
        }
    }

    /// Whether the connection ends with the answer.
    pub fn is_last(self) -> bool {
        matches!(self, Self::Http(http::reply::Form { close: true, .. }))
    }

    /// Whether it has words for [`Answer::Unavailable`].
    pub fn can_say_unavailable(self) -> bool {
        self != Self::Binary
    }
}

/// Adds an answer to `out`.
pub fn encode(form: Form, answer: &Answer, out: &mut Outgoing) {
    match (form, answer) {
        (Form::Binary, Answer::Reply(told) | Answer::Refused { told, .. }) => reply::encode(told, out),
        (Form::Binary, Answer::Unavailable) => {
            debug_assert!(false, "the session ends rather than say something wrong");
        }
        (Form::Memcached(form), answer) => memcached::reply::encode(form.asked, answer, out),
        (Form::Http(form), answer) => http::reply::encode(form.asked, answer, out),
    }
}
