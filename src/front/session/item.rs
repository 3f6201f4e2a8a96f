//! One request on its way through a session, and what can become of it.

use std::pin::Pin;
use std::time::Instant;

use crate::command::edit::Edit;
use crate::command::{Answer, Command, Verb};
use crate::engine::memory::Room;
use crate::engine::waiting::{GuardWait, Standing};
use crate::metrics::Outcome;
use crate::pairing::order::Place;
use crate::protocol::Protocol;
use crate::protocol::answer::Form;
use crate::protocol::request::Fault;

/// Why a session ends.
#[derive(Debug)]
pub enum End {
    /// The client ended it.
    Client,
    /// The client asked for it, and has its last answer.
    Done,
    /// A request could not be decoded.
    Fault(Fault),
    /// A request was not answered in time.
    Deadline,
    /// A half-sent request made no progress, or took too long.
    HalfSent,
    /// The client asked nothing for too long.
    Idle,
    /// The backend is out of reach, and has been for too long to wait for it.
    BackendDown,
    /// A second request came while an answer was owed, where that means that the client gave up on the first.
    GaveUp,
    /// A request that must not be sent twice was lost with its lane.
    LaneLost,
    /// The backend's answer is larger than allowed.
    ReplyTooLarge,
    /// The client does not take its answers.
    Backlog,
    /// All sessions together hold too much memory, and this one more than others.
    Memory,
    /// A command that is not served here.
    RefusedCommand,
    /// The proxy is stopping.
    Drain,
}

/// One request on its way through the session.
#[derive(Debug)]
pub struct Item {
    /// Its number among the session's requests.
    pub number: u64,
    /// Where its answer belongs; nothing where none is owed.
    pub place: Option<Place>,
    pub command: Command,
    /// Bytes that it came in.
    pub bytes: usize,
    /// It names a key that is denied here, or concerns more than the keys that it names where some are.
    pub barred: bool,
    /// It names so many keys that they have yet to be looked at, where some are denied.
    pub unlooked: bool,
    /// How it differs from its command.
    pub edit: Option<Edit>,
    pub form: Form,
    /// Its answer has so many bytes, and had to wait; 0 where nothing is known of it.
    pub wants: usize,
    /// Room for that.
    pub room: Option<Room>,
    /// When it had come whole, as far as can be known.
    pub received: Instant,
    pub deadline: Instant,
    /// It was sent before, on a lane that was lost.
    pub retried: bool,
    /// It goes out by itself: a request that it shared with others has failed.
    pub apart: bool,
    /// What it comes back to the judge with.
    pub standing: Standing,
}

/// What is needed to conclude a request.
#[derive(Clone, Copy, Debug)]
pub struct Concluding {
    pub verb: Verb,
    /// How many keys a `get` of memcached's names; 0 for all others.
    pub keys: usize,
    pub place: Option<Place>,
    pub form: Form,
    pub received: Instant,
    pub deadline: Instant,
    /// Bytes that it came in.
    pub bytes: usize,
}

impl Item {
    /// The protocol that it came in.
    pub fn protocol(&self) -> Protocol {
        self.form.protocol()
    }

    pub fn concluding(&self) -> Concluding {
        Concluding {
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
        }
    }
}

/// Room for an answer, once there is some.
pub type RoomWait = Pin<Box<dyn Future<Output = Option<Room>>>>;

/// What a request waits for before it can be dispatched.
pub enum Waiting {
    /// The guard's word.
    Guard(GuardWait),
    /// A lane, or room on it.
    Lane,
    /// The end of the hold after a start.
    Hold(Instant),
    /// More bytes, or the certainty that none follow at once.
    Grace(Instant),
    /// The outcome of everything that the session sent before.
    Settled,
    /// That the client takes what it has been answered.
    Taken,
    /// Room for its answer.
    Room(RoomWait),
}

/// A command that takes several exchanges.
pub type Step = Pin<Box<dyn Future<Output = Result<(Outcome, Answer), End>>>>;

/// What became of dispatching a request.
pub enum Next {
    Done,
    Wait(Item, Waiting),
    Step(Concluding, Step),
    Stream(Item),
}
