//! One request on its way, and what is needed to answer it.

use std::pin::Pin;
use std::time::Instant;

use super::memory::Room;
use super::state::{Cause, Settled, State};
use super::waiting::{GuardWait, Standing};
use crate::command::edit::Edit;
use crate::command::{Command, Verb};
use crate::pairing::order::Place;
use crate::protocol::Protocol;
use crate::protocol::answer::Form;

/// One request on its way.
#[derive(Debug)]
pub struct Request {
    /// Its number among its client's requests.
    pub number: u64,
    /// Where its answer belongs; nothing where none is owed.
    pub place: Option<Place>,
    /// What is asked.
    pub command: Command,
    /// Bytes that it came in.
    pub bytes: usize,
    /// It names a key that is denied here, or concerns more than the keys that it names where some are.
    pub barred: bool,
    /// It names so many keys that they have yet to be looked at, where some are denied.
    pub unlooked: bool,
    /// How it differs from its command.
    pub edit: Option<Edit>,
    /// The stamp that it was given, where ttguard gives stamps and it is a write.
    pub stamp: Option<u64>,
    /// How far it is with that.
    pub stamping: StampStage,
    /// The newest stamp that was seen on its behalf, of those that ttguard gave; 0 for none.
    pub seen: u64,
    /// How it is answered.
    pub form: Form,
    /// Its answer has so many bytes, and had to wait; 0 where nothing is known of it.
    pub wants: usize,
    /// Room for that.
    pub room: Option<Room>,
    /// When it had come whole, as far as can be known.
    pub received: Instant,
    /// When it fails without an answer.
    pub deadline: Instant,
    /// It was sent before, on a lane that was lost.
    pub retried: bool,
    /// It goes out by itself: a request that it shared with others has failed.
    pub apart: bool,
    /// What it comes back to the judge with.
    pub standing: Standing,
    /// How far it is.
    pub state: State,
}

/// How far a request is with getting its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampStage {
    /// It was not looked at yet.
    Due,
    /// It gets it where it is carried out in several exchanges: what it stores is made of what is there, or much.
    InSequence,
    /// It has it, or needs none.
    Done,
}

/// What is needed to answer a request.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// What was asked.
    pub verb: Verb,
    /// How many keys a `get` of memcached's names; 0 for all others.
    pub keys: usize,
    /// Where the answer belongs; nothing where none is owed.
    pub place: Option<Place>,
    /// How it is answered.
    pub form: Form,
    /// When it had come whole, as far as can be known.
    pub received: Instant,
    /// When it fails without an answer.
    pub deadline: Instant,
    /// Bytes that it came in.
    pub bytes: usize,
    /// The newest stamp that was seen on its behalf, of those that ttguard gave; 0 for none.
    pub seen: u64,
}

impl Request {
    /// The protocol that it came in.
    pub fn protocol(&self) -> Protocol {
        self.form.protocol()
    }

    /// It goes on from the state that it is in.
    pub fn enter(&mut self, next: State) {
        debug_assert!(self.state.may_become(next), "from {:?} to {next:?}", self.state);
        self.state = next;
    }

    /// It has its outcome. What is left of it is what is needed to say so.
    pub fn settled(mut self, outcome: Settled) -> Asked {
        self.enter(State::Settled(outcome));
        self.asked()
    }

    /// What is needed to answer it.
    pub fn asked(&self) -> Asked {
        Asked {
            verb: self.command.verb(),
            keys: match (&self.command, self.form) {
                (Command::Mget { keys }, Form::Memcached(_)) => keys.len(),
                _ => 0,
            },
            place: self.place,
            form: self.form,
            received: self.received,
            deadline: self.deadline,
            bytes: self.bytes,
            seen: self.seen,
        }
    }
}

/// Room for an answer, once there is some.
pub type RoomWait = Pin<Box<dyn Future<Output = Option<Room>>>>;

/// A wait, and what ends it.
pub enum Waiting {
    /// The guard says when.
    Guard(GuardWait),
    /// There is room.
    Room(RoomWait),
    /// Whoever waits looks by itself: at any of the other causes.
    Look(Cause),
}

impl Waiting {
    /// What is waited for.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Guard(_) => Cause::Key,
            Self::Room(_) => Cause::Room,
            Self::Look(cause) => *cause,
        }
    }
}
