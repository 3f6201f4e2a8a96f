//! Answers on their way into a session's order.

use std::rc::Rc;

use tokio::task::spawn_local;

use super::{Concluding, End, Session, now};
use crate::command::{Answer, Verb};
use crate::engine::apart::{apart, strings_of};
use crate::protocol::Protocol;
use crate::protocol::answer;
use crate::protocol::outgoing::Outgoing;

/// What is said in its place.
#[derive(Debug)]
pub(super) enum Said {
    /// Words that answer no request.
    Words(&'static [u8]),
    /// An answer that is short enough to be put together when it leaves.
    Short(Concluding, Answer),
    /// The bytes of an answer, which another thread has put together.
    Bytes(Concluding, Outgoing),
}

impl Said {
    /// Puts it behind what leaves before it. What it answers, where it is an answer.
    pub(super) fn put(self, out: &mut Outgoing) -> Option<(Protocol, Verb)> {
        let what = match self {
            Self::Words(words) => {
                out.put_slice(words);
                return None;
            }
            Self::Short(what, answer) => {
                answer::encode(what.form, &answer, out);
                what
            }
            Self::Bytes(what, bytes) => {
                out.append(bytes);
                what
            }
        };
        Some((what.form.protocol(), what.verb))
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
                Ok(bytes) if now() < what.deadline => session.say(what.place, Said::Bytes(what, bytes), now()),
                Ok(_) => session.end(End::Deadline),
                Err(end) => session.end(end),
            }
            session.engine.flush_touched();
            session.wake.notify_one();
        });
    }
}
