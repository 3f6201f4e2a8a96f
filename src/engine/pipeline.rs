//! One client's requests, one after the other: each goes on its way at once, or stays at the head until it can.

mod access;
mod ahead;
mod asking;
mod routes;
mod writes;

pub use self::ahead::Looked;

use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use super::Engine;
use super::channel::{Channel, Client};
use super::completion::{ClientRequest, Completion, Form, Purpose};
use super::failure::Failure;
use super::patience;
use super::request::{Asked, Request, StampStage, Waiting};
use super::sending::Via;
use super::sequence::{Done, Sequence};
use super::stamping::Newest;
use super::state::{Cause, Seen, Settled, State};
use super::waiting::{Standing, Unfenced};
use super::write::settlement::Tickets;
use crate::command::{Answer, Command};
use crate::metrics::Outcome;

/// What its client has sent behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Nothing yet.
    Nothing,
    /// What can be a request.
    Request,
    /// What can be none.
    Else,
}

/// What is next.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once: a box would cost an allocation"
)]
pub enum Head {
    /// This request goes on: it waited, or a lane has lost it.
    Goes(Request),
    /// The one at the head cannot go yet.
    Stalled,
    /// Nothing: one that has not been taken up may be.
    Free,
}

/// What became of submitting a request.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once: a box would cost an allocation"
)]
pub enum Submitted {
    /// It is on its way, or settled.
    Gone,
    /// It is at the head, and cannot go yet.
    Stalled,
    /// Its answer is an endless stream, for which it has to have its client to itself.
    Streams(Request),
}

/// What came of waiting for the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It may be tried again.
    Again,
    /// A command that may take long by its nature has its outcome: what was asked behind it could not be answered before.
    SlowEnded,
}

/// A command that takes several exchanges.
struct Running {
    asked: Asked,
    is_slow: bool,
    seen: Newest,
    sequence: CarriedOut,
}

/// A sequence that is under way.
type CarriedOut = Pin<Box<dyn Future<Output = Done>>>;

/// What becomes of a request that has its turn.
enum Next {
    Gone,
    Waits(Request, Waiting),
    Runs(Running),
    Streams(Request),
}

/// The requests of one client. Whoever has it takes them up one by one.
pub struct Pipeline {
    client: Rc<dyn Client>,
    waiting: Option<(Request, Waiting)>,
    running: Option<Running>,
}

impl Pipeline {
    /// Of a client that has asked nothing yet.
    pub fn new(client: Rc<dyn Client>) -> Self {
        Self {
            client,
            waiting: None,
            running: None,
        }
    }

    fn channel(&self) -> &Channel {
        self.client.channel()
    }

    fn engine(&self) -> &Rc<Engine> {
        &self.channel().engine
    }

    /// The next request to go on: one that a lane lost, or the one that waited. `is_followed` says that the client has
    /// sent more behind it, or will send nothing more.
    pub fn head(&mut self, is_followed: bool) -> Head {
        if self.running.is_some() {
            return Head::Stalled;
        }
        if let Some(request) = self.next_lost() {
            return Head::Goes(request);
        }
        let Some((mut request, waiting)) = self.waiting.take() else {
            return Head::Free;
        };
        let (channel, cause) = (self.channel(), waiting.cause());
        let seen = Seen {
            now: channel.turn(),
            in_flight: channel.in_flight(),
            is_taken: cause == Cause::Taken && self.client.is_taken(),
            is_followed,
        };
        if !cause.is_over(seen) {
            self.waiting = Some((request, waiting));
            return Head::Stalled;
        }
        if cause == Cause::Taken {
            // It could not be answered before.
            request.deadline = channel.turn() + self.engine().settings().pairing.request_timeout;
        }
        Head::Goes(request)
    }

    /// The first request that a lane lost, unless an earlier one is waiting. What waited goes behind it.
    fn next_lost(&mut self) -> Option<Request> {
        let first = self.channel().first_lost()?;
        if matches!(&self.waiting, Some((request, _)) if request.number < first) {
            return None;
        }
        let lost = self.channel().take_lost();
        if let Some((request, _)) = self.waiting.take() {
            self.channel().put_behind(request);
        }
        lost
    }

    /// Puts a request on its way: the one that is next, or, where none is, a new one.
    pub fn submit(&mut self, request: Request, behind: Behind) -> Submitted {
        let turn = self.channel().turn();
        if request.deadline <= turn {
            self.fail(request, Failure::Deadline);
            return Submitted::Gone;
        }
        match self.route(request, behind) {
            Next::Gone => Submitted::Gone,
            Next::Streams(request) => Submitted::Streams(request),
            Next::Runs(running) => {
                self.running = Some(running);
                Submitted::Stalled
            }
            Next::Waits(mut request, waiting) => {
                let cause = waiting.cause();
                if let (Cause::Lane, Some((until, failure))) = (cause, self.until(cause, request.deadline))
                    && until <= turn
                {
                    self.fail(request, failure);
                    return Submitted::Gone;
                }
                request.enter(State::Waiting(cause));
                self.waiting = Some((request, waiting));
                Submitted::Stalled
            }
        }
    }

    /// Waits until the request at the head may go on. Nothing is lost when this is cancelled.
    pub async fn progress(&mut self) -> Progress {
        if let Some(running) = &mut self.running {
            let result = running.sequence.as_mut().await;
            return self.ended(result);
        }
        match &mut self.waiting {
            Some((_, Waiting::Guard(wait))) => {
                let woken = wait.woken().await;
                self.woken(woken);
            }
            Some((_, Waiting::Room(wait))) => {
                let room = wait.await;
                if let Some((mut request, _)) = self.waiting.take() {
                    request.room = room;
                    self.channel().again(request);
                }
            }
            Some((_, Waiting::Look(Cause::Lane))) => self.client.channel().engine.changed.notified().await,
            _ => pending().await,
        }
        Progress::Again
    }

    /// Whether there is anything that [`Self::progress`] would wait for.
    pub fn may_progress(&self) -> bool {
        let waits = |waiting: &Waiting| !matches!(waiting, Waiting::Look(cause) if *cause != Cause::Lane);
        self.running.is_some() || self.waiting.as_ref().is_some_and(|(_, waiting)| waits(waiting))
    }

    fn ended(&mut self, result: Done) -> Progress {
        let Some(Running {
            mut asked,
            is_slow,
            seen,
            ..
        }) = self.running.take()
        else {
            return Progress::Again;
        };
        asked.seen = asked.seen.max(seen.get());
        let client = Rc::clone(&self.client);
        match result {
            Ok((outcome, answer)) => client.answered(asked, outcome, answer, self.channel().turn()),
            Err(failure) => client.failed(asked, failure),
        }
        if is_slow { Progress::SlowEnded } else { Progress::Again }
    }

    fn woken(&mut self, woken: Result<Standing, Unfenced>) {
        let Some((mut request, _)) = self.waiting.take() else {
            return;
        };
        match woken {
            // Whether it was stored is not known and will not be.
            Err(Unfenced) if request.retried => self.fail(request, Failure::LaneLost),
            Err(Unfenced) => self.channel().again(request),
            Ok(standing) => {
                request.standing = standing;
                self.channel().again(request);
            }
        }
    }

    /// What the request at the head waits for.
    pub fn waits_for(&self) -> Option<Cause> {
        self.waiting.as_ref().map(|(_, waiting)| waiting.cause())
    }

    /// The number of the request that waits at the head.
    pub fn number_of_head(&self) -> Option<u64> {
        self.waiting.as_ref().map(|(request, _)| request.number)
    }

    /// Whether nothing is at the head.
    pub fn is_free(&self) -> bool {
        self.waiting.is_none() && self.running.is_none()
    }

    /// When the request at the head is worth a look again, at the latest.
    pub fn looks_at(&self) -> Option<Instant> {
        let (request, waiting) = self.waiting.as_ref()?;
        waiting.cause().looks_at(request.deadline, self.gives_up_at())
    }

    /// Fails the request at the head where it has waited for too long; whether it has.
    pub fn fail_overdue(&mut self, now: Instant) -> bool {
        let Some((request, waiting)) = self.waiting.take() else {
            return false;
        };
        match self.until(waiting.cause(), request.deadline) {
            Some((until, failure)) if until <= now => {
                self.fail(request, failure);
                true
            }
            _ => {
                self.waiting = Some((request, waiting));
                false
            }
        }
    }

    /// Whether every request that was taken up is settled.
    pub fn is_empty(&self) -> bool {
        self.is_free() && self.channel().is_at_rest()
    }

    fn gives_up_at(&self) -> Option<Instant> {
        self.engine().gives_up_at(self.channel().links.current())
    }

    fn until(&self, cause: Cause, deadline: Instant) -> Option<(Instant, Failure)> {
        cause.until(deadline, self.gives_up_at())
    }

    fn fail(&self, request: Request, failure: Failure) {
        Rc::clone(&self.client).failed(request.settled(Settled::Failed), failure);
    }

    /// Answers a request that was not carried out.
    fn answer(&self, request: Request, outcome: Outcome, answer: Answer) {
        let asked = request.settled(Settled::Answered);
        Rc::clone(&self.client).answered(asked, outcome, answer, self.channel().turn());
    }

    fn wait(request: Request, cause: Cause) -> Next {
        Next::Waits(request, Waiting::Look(cause))
    }

    /// A command that takes several exchanges.
    fn run_alone(&self, request: Request) -> Next {
        self.run(request, |sequence, request| match request.edit {
            edit @ Some(_) => Box::pin(sequence.carry_out_edit(request.command, edit)),
            None if request.unlooked || request.stamping == StampStage::InSequence => {
                Box::pin(sequence.carry_out_whole(request.command, request.unlooked))
            }
            None => Box::pin(sequence.carry_out_shown(request.command)),
        })
    }

    /// Carries a request out by what `begin` makes of it, alone among its client's requests until it is done.
    fn run(&self, mut request: Request, begin: impl FnOnce(Sequence, Request) -> CarriedOut) -> Next {
        if self.channel().in_flight() > 0 {
            return Self::wait(request, Cause::Earlier);
        }
        request.enter(State::InSequence);
        let sequence = Sequence::new(self.channel(), &request);
        Next::Runs(Running {
            asked: request.asked(),
            is_slow: patience::is_slow(&request.command),
            seen: sequence.seen(),
            sequence: begin(sequence, request),
        })
    }

    fn send(&self, via: &Via, wire: &Command, request: Request, tickets: Tickets, form: Form) -> Next {
        let deadline = request.deadline;
        let completion = self.completion(wire, request, tickets, form);
        self.engine().send(via, wire, deadline, completion);
        Next::Gone
    }

    /// A request that is about to travel with this command.
    fn completion(&self, wire: &Command, request: Request, tickets: Tickets, form: Form) -> Completion {
        let writes = !tickets.is_empty();
        self.completion_of(wire, request, tickets, form, writes)
    }

    /// The same for one of which it is known otherwise whether it may change something.
    fn completion_of(
        &self,
        wire: &Command,
        mut request: Request,
        tickets: Tickets,
        form: Form,
        writes: bool,
    ) -> Completion {
        let channel = self.channel();
        request.enter(State::InFlight);
        channel.took_off(writes);
        let purpose = Purpose::Client(ClientRequest {
            client: Rc::clone(&self.client),
            request,
            writes,
            form,
        });
        self.engine().completion(wire, tickets, purpose, channel.turn())
    }
}
