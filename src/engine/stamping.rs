//! Stamps that ttguard gives: to a client's writes where the client asks, and taken off again before it reads.
//!
//! Whoever a client asks, an edge or a guard, gives the [stamp](Engine::give) when a request has come whole. The guard puts it
//! before the value ([`values`]), so that from there on it is judged as any stamped write is. What is made of what is stored
//! gets its stamp where it is made: `engine::sequence::stamped`.

pub mod giving;
pub mod time;
pub mod values;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use self::values::{Stamping, Values, Writing, is_write};
use super::Engine;
use super::request::{Request, StampStage};
use super::state::Cause;
use crate::clock::now;
use crate::command::{Answer, Command, Reply};
use crate::engine::apart::{MANY, apart, is_long_copy, strings_in, strings_of_command};
use crate::engine::failure::Failure;
use crate::guard::rules::{Mode, Tie};
use crate::guard::stamp::StampFormat;
use crate::guard::verdict::{Change, Refusal};

/// How long a write that has no stamp yet is held before it is asked again whether there is one.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The newest stamp that was seen on behalf of a request, beside what comes of it; 0 for none.
pub type Newest = Rc<Cell<u64>>;

impl Engine {
    /// The format of the stamps at the head of values, where ttguard gives them: then every read takes them off.
    pub fn given_format(&self) -> Option<StampFormat> {
        let format = self.shared.guard.stamp();
        format.is_given().then_some(format)
    }

    /// Whether writes are given stamps here. In observe mode nothing that is stored is changed.
    pub fn gives_stamps(&self) -> bool {
        if self.is_edge() {
            self.guard_gives.get()
        } else {
            self.shared.guard.stamp().is_given() && self.settings.borrow().rules.mode == Mode::Enforce
        }
    }

    /// The stamp of a request that had come whole at `received`; nothing where it needs none, or none can be given yet.
    pub fn give(&self, command: &Command, received: Instant) -> Option<u64> {
        (self.gives_stamps() && is_write(command)).then(|| self.stamp_at(received))?
    }

    /// A stamp by the clock that stamps are given by; nothing as long as that may give one that was given before.
    fn stamp_at(&self, at: Instant) -> Option<u64> {
        let shared = &self.shared;
        let now = match self.is_edge() {
            true => shared.giving.time.at(at)?,
            false => (shared.clock)(),
        };
        shared.giving.give(StampFormat::given(Default::default()), now)
    }

    /// What a write waits for that has no stamp yet, where edges give them.
    pub fn awaits_stamp(&self, request: &mut Request) -> Option<Cause> {
        if request.stamp.is_some() || !self.gives_stamps() || !is_write(&request.command) {
            return None;
        }
        request.stamp = self.stamp_at(request.received);
        request.stamp.is_none().then(|| Cause::Hold(now() + LOOK_AGAIN))
    }

    /// What puts a stamp before values.
    pub fn stamping(&self, stamp: u64) -> Stamping {
        let last_only = self.settings.borrow().rules.tie != Tie::Last && self.capabilities().lists_replace();
        Stamping {
            format: self.shared.guard.stamp(),
            stamp,
            column: self.stamp_column().map(str::to_owned),
            last_only,
        }
    }

    /// Gives a request that is about to be routed what it needs of its stamp. What it has to wait for, where there is none
    /// for it yet.
    pub fn stamp(&self, request: &mut Request) -> Option<Cause> {
        if request.stamping != StampStage::Due {
            return None;
        }
        if let Some(cause) = self.awaits_stamp(request) {
            return Some(cause);
        }
        // An edge may say one all the same, or have given it before this guard's settings were others.
        request.stamp = request.stamp.filter(|_| self.gives_stamps());
        request.stamping = match request.stamp {
            None => StampStage::Done,
            Some(stamp) => match Writing::of(&request.command) {
                _ if request.edit.is_some() => StampStage::InSequence,
                Writing::Plain if is_long_copy(request.bytes) || strings_of_command(&request.command) > MANY => {
                    StampStage::InSequence
                }
                Writing::Plain => {
                    let command = std::mem::replace(&mut request.command, Command::Rnum);
                    request.command = self.stamping(stamp).command(command);
                    StampStage::Done
                }
                Writing::Made => StampStage::InSequence,
                Writing::None => StampStage::Done,
            },
        };
        None
    }

    /// As [`Self::saw`], of the stamp that a refusal names.
    pub fn saw_in(&self, refusal: Refusal) -> u64 {
        match refusal {
            Refusal::Stale { newer } if self.given_format().is_some() => self.saw(newer),
            _ => 0,
        }
    }

    /// Takes note of a stamp that a client has read, or that refused its write: what it writes then is above it. One that is
    /// further ahead than a write's may be binds nobody, and does not spread. Gives what an edge is to be told; 0 for
    /// nothing.
    pub fn saw(&self, stamp: u64) -> u64 {
        if stamp == 0 || self.is_ahead(stamp) {
            return 0;
        }
        self.shared.giving.learn(stamp);
        stamp
    }

    /// A write with a stamp that ttguard gave was let in.
    pub fn let_in(&self, change: Change<'_>) {
        if let (Some(_), Change::Stamped { stamp, .. } | Change::DeleteAt(stamp)) = (self.given_format(), change) {
            self.shared.giving.let_in(stamp);
        }
    }

    /// The answer to a command as its client sees it, and the newest stamp in it; 0 for none.
    pub fn stripped(&self, values: Values, reply: Reply) -> (Reply, u64) {
        match self.given_format() {
            Some(format) if values != Values::None => {
                let column = self.stamp_column();
                let (reply, newest) = values.strip(format, column, reply);
                (reply, self.saw(newest))
            }
            _ => (reply, 0),
        }
    }

    /// As [`Self::stripped`], with the help of another thread where the answer has very many strings.
    ///
    /// # Errors
    /// When there is no thread for it any more.
    pub async fn stripped_apart(&self, values: Values, answer: Answer) -> Result<(Answer, u64), Failure> {
        let (format, reply) = match (self.given_format(), answer) {
            (Some(format), Answer::Reply(reply)) if values != Values::None => (format, reply),
            (_, answer) => return Ok((answer, 0)),
        };
        let column = self.stamp_column().map(str::to_owned);
        let stripped = apart(strings_in(&reply), move || {
            values.strip(format, column.as_deref(), reply)
        });
        let (reply, newest) = stripped.await?;
        Ok((Answer::Reply(reply), self.saw(newest)))
    }
}
