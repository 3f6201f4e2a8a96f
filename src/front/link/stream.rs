//! A client of an edge's: to the engine what a session is.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::spawn_local;

use super::{Link, PAUSE};
use crate::clock::now;
use crate::command::{Answer, Command};
use crate::engine::apart::{MANY, apart, strings_of};
use crate::engine::channel::{Channel, Client};
use crate::engine::failure::Failure;
use crate::engine::memory::Room;
use crate::engine::request::{Asked, Request};
use crate::front::counted;
use crate::front::fairness::{Allowance, Share};
use crate::metrics::Outcome;
use crate::pairing::order::Place;
use crate::protocol::link::ask::Ask;
use crate::protocol::link::told::{Failed, Told};
use crate::protocol::outgoing::Outgoing;
use crate::protocol::request;
use crate::transport::Who;

/// A client of an edge's.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) link: Rc<Link>,
    /// Its number among all that were ever on the link.
    number: u64,
    pub(super) channel: Channel,
    pub(super) share: Share,
    /// What it asks and is not taken up; bounded by what the link may owe.
    pub(super) queue: RefCell<VecDeque<Request>>,
    /// As many bytes the next answer may well have.
    expected: Cell<usize>,
    /// How long what it asked last may take, as its edge has it.
    left: Cell<Duration>,
    /// The room of the answer that it is about to be given.
    room: RefCell<Option<Room>>,
    /// The client has gone, or the link ends.
    pub(super) is_gone: Cell<bool>,
}

impl Stream {
    /// Of a client that has connected to the edge.
    pub(super) fn new(link: Rc<Link>, number: u64, who: Who) -> Rc<Self> {
        let engine = Rc::clone(link.engine());
        Rc::new(Self {
            channel: Channel::new(engine, who, link.listener.clone()),
            link,
            number,
            share: Share::default(),
            queue: RefCell::default(),
            expected: Cell::new(0),
            left: Cell::new(Duration::ZERO),
            room: RefCell::default(),
            is_gone: Cell::new(false),
        })
    }

    /// Its number among all that were ever on the link.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Its client asks something that came at `received`, in so many bytes. That it is owed is known already.
    pub(super) fn ask(&self, id: u64, ask: Ask, command: Command, bytes: usize, received: Instant) {
        let (place, deadline) = (Place::numbered(id), received + Duration::from_millis(ask.left.into()));
        let request = request::Request {
            command,
            edit: ask.edit,
            form: ask.form,
        };
        let mut request = self.channel.admit(request, ask.stamp, received, bytes, || place);
        // Also what a client is not answered is: the edge keeps its id until then.
        request.place = Some(place);
        request.deadline = request.deadline.min(deadline);
        let metrics = &self.channel.engine.shared.metrics;
        let (protocol, verb) = (request.protocol(), request.command.verb());
        metrics.request_bytes.of(protocol, verb).increment(bytes as u64);
        self.left.set(deadline.saturating_duration_since(received));
        self.link.queued(bytes, 0);
        self.queue.borrow_mut().push_back(request);
        self.moved(bytes, received);
        self.channel.wake.notify_one();
    }

    /// The next request that is not taken up.
    pub(super) fn take_up(&self) -> Option<Request> {
        let request = self.queue.borrow_mut().pop_front()?;
        self.link.queued(0, request.bytes);
        Some(request)
    }

    /// Whether some of its requests must be answered before a further one is taken up.
    pub(super) fn is_full(&self) -> bool {
        let (in_flight, expected) = (self.channel.in_flight(), self.expected.get());
        let limits = &self.channel.engine.settings().limits;
        in_flight >= limits.pipeline
            || self.link.inner.borrow().loose() > PAUSE.max(limits.session_backlog)
            || in_flight.saturating_mul(expected) > limits.session_backlog
            || (in_flight > 0 && limits.is_large_answer(expected))
            || (in_flight > 0 && !self.share.has_room_beside(in_flight))
    }

    /// Counts bytes that were asked or answered. Whoever moves many of them lets others go first.
    fn moved(&self, bytes: usize, now: Instant) {
        let engine = &self.channel.engine;
        let settings = engine.settings();
        let allowance = Allowance {
            rate: settings.limits.heavy_rate as u64,
            // An edge may be less patient than its guard.
            request: settings.pairing.request_timeout.min(self.left.get()),
        };
        if self.link.context.fairness.moved(&self.share, bytes, allowance, now) {
            engine.shared.metrics.heavy_pauses.increment(1);
        }
    }

    fn tell(self: &Rc<Self>, asked: &Asked, room: Option<Room>, now: Instant, put: impl FnOnce(&mut Outgoing)) {
        let Some(place) = asked.place else {
            return;
        };
        self.link.saw(asked.seen);
        let told = self.link.tell(place.number(), Some(self.number), room, put);
        let Some(bytes) = told else {
            return;
        };
        self.share.answered(now);
        self.moved(bytes, now);
        let reply_bytes = &self.channel.engine.shared.metrics.reply_bytes;
        reply_bytes
            .of(asked.form.protocol(), asked.verb)
            .increment(bytes as u64);
        if self.link.touch() {
            let client: Rc<dyn Client> = Rc::<Self>::clone(self);
            self.channel.engine.touch(client);
        }
    }

    /// Has a long answer put together by another thread.
    fn tell_apart(self: &Rc<Self>, asked: Asked, answer: Answer, room: Option<Room>) {
        let stream = Rc::clone(self);
        spawn_local(async move {
            let encoded = apart(strings_of(&answer), move || {
                let mut out = Outgoing::new();
                Told::Answer(answer).put(&mut out);
                out
            });
            match encoded.await {
                Ok(bytes) if now() < asked.deadline => stream.tell(&asked, room, now(), |out| out.append(bytes)),
                Ok(_) => stream.tell_failure(&asked, Failure::Deadline),
                Err(failure) => stream.tell_failure(&asked, failure),
            }
            stream.channel.engine.flush_touched();
        });
    }

    fn tell_failure(self: &Rc<Self>, asked: &Asked, failure: Failure) {
        let told = Told::Failed(match failure {
            Failure::Deadline => Failed::Deadline,
            Failure::BackendDown => Failed::BackendDown,
            Failure::LaneLost => Failed::LaneLost,
            Failure::ReplyTooLarge => Failed::ReplyTooLarge,
            Failure::RefusedCommand => Failed::Refused,
            Failure::Stopping => Failed::Stopping,
        });
        self.tell(asked, None, now(), |out| told.put(out));
    }
}

impl Client for Stream {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn answered(self: Rc<Self>, asked: Asked, outcome: Outcome, answer: Answer, now: Instant) {
        if asked.deadline <= now {
            return self.failed(asked, Failure::Deadline);
        }
        counted::answered(&self.channel.engine.shared, &asked, outcome, &answer, now);
        if let Answer::Reply(reply) = &answer {
            self.channel.links.answered(reply);
        }
        let room = self.room.take();
        if strings_of(&answer) > MANY {
            self.tell_apart(asked, answer, room);
        } else {
            self.tell(&asked, room, now, |out| Told::Answer(answer).put(out));
        }
    }

    fn failed(self: Rc<Self>, asked: Asked, failure: Failure) {
        counted::unanswered(&self.channel.engine.shared, &asked);
        self.room.take();
        self.tell_failure(&asked, failure);
    }

    /// What is large leaves in pieces, with what is short between them, and has to have room.
    fn has_place_for(&self, bytes: usize) -> bool {
        let limits = &self.channel.engine.settings().limits;
        limits.is_large_answer(bytes)
            || self.link.has_place()
            || self.link.inner.borrow().loose() + bytes <= limits.session_backlog
    }

    fn is_taken(&self) -> bool {
        self.link.has_place()
    }

    fn take_room(&self, room: Option<Room>, bytes: usize) {
        let expected = self.expected.get();
        self.expected.set(bytes.max(expected - expected / 8));
        if let Some(room) = room {
            self.room.replace(Some(room));
            self.link.inner.borrow_mut().pressed = None;
        }
    }

    fn flush(&self) {
        self.link.write_ready();
    }
}
