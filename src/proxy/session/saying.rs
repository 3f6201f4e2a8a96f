//! Answers on their way into a session's order.

use std::rc::Rc;

use tokio::task::spawn_local;

use super::{Concluding, End, Session, now};
use crate::command::Answer;
use crate::protocol::answer::{self, Form};
use crate::protocol::outgoing::Outgoing;
use crate::proxy::apart::{apart, strings_of};

/// An answer in its place.
#[derive(Debug)]
pub(super) enum Said {
    /// Short enough to be put together when it leaves.
    Short(Answer),
    /// Its bytes, which another thread has put together.
    Bytes(Outgoing),
}

impl Said {
    /// Puts it behind what leaves before it.
    pub(super) fn put(self, form: Form, out: &mut Outgoing) {
        match self {
            Self::Short(answer) => answer::encode(form, &answer, out),
            Self::Bytes(bytes) => out.append(bytes),
        }
    }
}

impl Session {
    /// Has a long answer put together by another thread. Its place is kept.
    pub(super) fn say_apart(self: &Rc<Self>, what: Concluding, answer: Answer) {
        let session = Rc::clone(self);
        spawn_local(async move {
            let form = what.form;
            let encoded = apart(strings_of(&answer), move || {
                let mut out = Outgoing::new();
                answer::encode(form, &answer, &mut out);
                out
            });
            match encoded.await {
                Ok(bytes) if now() < what.deadline => session.say(what, Said::Bytes(bytes), now()),
                Ok(_) => session.end(End::Deadline),
                Err(end) => session.end(end),
            }
            session.worker.flush_touched();
            session.wake.notify_one();
        });
    }
}
