//! Answers to bytes, in the form that the request asked for.

use super::outgoing::Outgoing;
use super::tyrant::dialect::Dialect;
use super::tyrant::reply;
use super::{Protocol, http, memcached};
use crate::command::{Answer, Command, Verb};

/// In what form a request is answered: that of the protocol that it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Tokyo Tyrant's own protocol, in the client's form of it.
    Binary(Dialect),
    /// memcached's text.
    Memcached(memcached::reply::Form),
    /// HTTP.
    Http(http::reply::Form),
}

impl Form {
    /// Which protocol that is.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Binary(_) => Protocol::Binary,
            Self::Memcached(_) => Protocol::Memcached,
            Self::Http(_) => Protocol::Http,
        }
    }

    /// Whether it is Tokyo Tyrant's own protocol.
    pub fn is_binary(self) -> bool {
        self.protocol() == Protocol::Binary
    }

    /// Whether a request of this form is owed no answer.
    pub fn is_silent(self, command: &Command) -> bool {
        match self {
            Self::Binary(_) => command.verb() == Verb::PutNr,
            Self::Memcached(form) => form.silent,
            Self::Http(_) => false,
        }
    }

    /// Whether only the server's version is wanted, of all that `stat` says.
    pub fn asks_for_version(self) -> bool {
        matches!(self, Self::Memcached(form) if form.asked == memcached::reply::Asked::Version)
    }

    /// Whether the connection ends with the answer.
    pub fn is_last(self) -> bool {
        matches!(self, Self::Http(http::reply::Form { close: true, .. }))
    }

    /// Whether it has words for [`Answer::Unavailable`].
    pub fn can_say_unavailable(self) -> bool {
        !self.is_binary()
    }
}

/// Adds an answer to `out`.
pub fn encode(form: Form, answer: &Answer, out: &mut Outgoing) {
    match (form, answer) {
        (Form::Binary(dialect), Answer::Reply(told) | Answer::Refused { told, .. }) => {
            reply::encode_in(dialect, told, out);
        }
        (Form::Binary(_), Answer::Unavailable | Answer::NoRecord) => {
            debug_assert!(false, "the session ends rather than say something wrong");
        }
        (Form::Memcached(form), answer) => memcached::reply::encode(form.asked, answer, out),
        (Form::Http(form), answer) => http::reply::encode(form, answer, out),
    }
}

#[cfg(test)]
mod tests;
