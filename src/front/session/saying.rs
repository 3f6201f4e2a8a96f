//! Answers on their way into a session's order.

use std::rc::Rc;

use tokio::task::spawn_local;

use super::{End, Session};
use crate::clock::now;
use crate::command::{Answer, Verb};
use crate::engine::apart::{apart, strings_of};
use crate::engine::request::Asked;
use crate::protocol::Protocol;
use crate::protocol::answer;
use crate::protocol::outgoing::Outgoing;

/// What is said in its place.
#[derive(Debug)]
pub(super) enum Said {
    /// Words that answer no request.
    Words(&'static [u8]),
    /// An answer that is short enough to be put together when it leaves.
    Short(Asked, Answer),
    /// The bytes of an answer, which another thread has put together.
    Bytes(Asked, Outgoing),
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
    pub(super) fn say_apart(self: &Rc<Self>, asked: Asked, answer: Answer) {
        let session = Rc::clone(self);
        spawn_local(async move {
            let form = asked.form;
            let encoded = apart(strings_of(&answer), move || {
                let mut out = Outgoing::new();
                answer::encode(form, &answer, &mut out);
                out
            });
            match encoded.await {
                Ok(bytes) if now() < asked.deadline => {
                    session.say(asked.place, Said::Bytes(asked, bytes), now());
                }
                Ok(_) => session.end(End::Deadline),
                Err(failure) => session.end(failure.into()),
            }
            session.engine().flush_touched();
            session.channel.wake.notify_one();
        });
    }
}
