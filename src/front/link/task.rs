//! The task of a link: reads what the edge says, and steps in when that does not take at once what it is told.

mod asking;
mod greeting;
mod leaving;
mod standing;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep_until};

use self::asking::Decoding;
use self::greeting::LOOKS;
use self::standing::{Known, Told};
use super::clients::Clients;
use super::end::{End, Fault};
use super::{Link, PAUSE};
use crate::clock::now;
use crate::engine::claiming::standing::Standing as Claim;
use crate::engine::shared::Phase;
use crate::front::fencing::Fenced;
use crate::front::gate::Gate;
use crate::protocol::link::hello::{Opened, Standing};
use crate::protocol::link::receiving::{Bounds, Received, Receiving};
use crate::protocol::link::{self, Kind};
use crate::transport::{self, READ_ROOM, Reader};

/// So many frames are taken before others have their turn.
const FRAMES: usize = 256;

/// What an ask has beside its request, at most.
const ASK_HEAD: usize = 64;

/// The task of a link.
pub(super) struct Task {
    link: Rc<Link>,
    gate: Arc<Gate>,
    reader: Reader,
    input: BytesMut,
    receiving: Receiving,
    clients: Clients,
    /// The request that is being taken apart.
    decoding: Option<Decoding>,
    /// Requests that may be without an answer at once.
    asks_max: usize,
    /// What the edge was told last of whether this guard serves.
    told: Told,
    /// What it was told of the store.
    known: Known,
    /// When what was read last had come.
    came: Instant,
    /// When something was asked last.
    asked: Instant,
    /// When bytes were read last.
    progress: Instant,
    /// Since when it is about to end.
    leaving: Option<Instant>,
    was_full: bool,
    claim: watch::Receiver<Claim>,
    phase: watch::Receiver<Phase>,
}

impl Task {
    fn new(link: Rc<Link>, reader: Reader, input: BytesMut, gate: Arc<Gate>) -> Self {
        let (shared, settings) = (&link.engine().shared, link.engine().settings());
        let asks_max = settings.limits.lane_queue;
        let bounds = Bounds {
            body_max: settings.limits.request.frame_max.saturating_add(ASK_HEAD),
            pieces_max: asks_max,
        };
        Self {
            claim: shared.claim.subscribe(),
            phase: shared.phase.subscribe(),
            receiving: Receiving::new(bounds),
            clients: Clients::default(),
            decoding: None,
            asks_max,
            told: (Standing::Waits, 0),
            known: Known::default(),
            came: now(),
            asked: now(),
            progress: now(),
            leaving: None,
            was_full: false,
            link,
            gate,
            reader,
            input,
        }
    }

    /// Serves the edge until either side ends it.
    async fn run(&mut self, place: &mut Fenced) -> End {
        let timer = sleep_until(tokio::time::Instant::now());
        tokio::pin!(timer);
        loop {
            let engine = Rc::clone(self.link.engine());
            let pumped = self.begin_turn().and_then(|()| self.pump());
            if !self.link.inner.borrow().blocked {
                self.link.write_ready();
            }
            engine.flush_touched();
            match pumped {
                Ok(true) => {
                    yield_now().await;
                    continue;
                }
                Ok(false) => {}
                Err(end) => return end,
            }
            if self.has_left(now()) {
                return End::Drain;
            }
            self.weigh();
            if let Err(end) = self.wait(place, timer.as_mut()).await {
                return end;
            }
        }
    }

    fn begin_turn(&mut self) -> Result<(), End> {
        if let Some(end) = self.link.ended() {
            return Err(end);
        }
        if self.link.is_stopping() {
            self.leaving.get_or_insert_with(now);
        }
        // Streams wait for the edge to take what it was told.
        let is_full = self.link.is_full() || !self.link.has_place();
        if std::mem::replace(&mut self.was_full, is_full) && !is_full {
            self.clients.wake();
        }
        self.tell_standing()
    }

    /// Takes what has come; whether there is more to do, once others had their turn.
    fn pump(&mut self) -> Result<bool, End> {
        for _ in 0..FRAMES {
            if !self.decode() {
                return Ok(true);
            }
            if self.link.is_full() {
                return Ok(false);
            }
            match self.receiving.next(&mut self.input)? {
                None => return Ok(false),
                Some(Received::Whole { kind, id, body }) => self.take(kind, id, body)?,
                Some(Received::Begun { kind: Kind::Ask, .. } | Received::Dropped { .. }) => {}
                Some(Received::Begun { kind, .. }) => return Err(link::Fault::Unexpected(kind).into()),
            }
        }
        Ok(true)
    }

    fn take(&mut self, kind: Kind, id: u64, body: BytesMut) -> Result<(), End> {
        match kind {
            Kind::Ask => self.ask(id, body),
            Kind::Open => {
                let opened = Opened::parse(&body)?;
                self.clients
                    .open(&self.link, &self.gate, client_of(id, kind)?, opened)?;
                Ok(())
            }
            Kind::Close => Ok(self.clients.close(client_of(id, kind)?)?),
            Kind::Ping => {
                let pong = self.pong();
                self.link.say(Kind::Pong, id, |out| pong.put(out));
                Ok(())
            }
            Kind::Hello => Err(Fault::Hello.into()),
            Kind::Welcome | Kind::Told | Kind::Standing | Kind::Pong | Kind::Seen | Kind::Part => {
                Err(link::Fault::Unexpected(kind).into())
            }
        }
    }

    /// Waits until there is anything to go on with.
    async fn wait(&mut self, place: &mut Fenced, timer: Pin<&mut Sleep>) -> Result<(), End> {
        let may_read = !self.link.is_full();
        if !may_read {
            // What is not read is not late.
            self.progress = now();
        }
        let until = self.due(may_read);
        let armed = until.is_some();
        let mut timer = timer;
        if let Some(until) = until
            && (timer.is_elapsed() || timer.deadline() > until.into())
        {
            timer.as_mut().reset(until.into());
        }
        let link = Rc::clone(&self.link);
        let writer = link
            .inner
            .borrow()
            .blocked
            .then(|| link.writer.borrow().clone())
            .flatten();
        let is_blocked = writer.is_some();
        let writable = async {
            match &writer {
                Some(writer) => drop(writer.writable().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = link.wake.notified() => {}
            () = place.overtaken() => return Err(End::Overtaken),
            read = self.reader.read_some(&mut self.input, READ_ROOM), if may_read => self.received(read)?,
            () = writable, if is_blocked => link.write_ready(),
            _ = self.claim.changed() => {}
            _ = self.phase.changed() => {}
            () = link.engine().stopped(), if self.leaving.is_none() => {}
            () = timer, if armed => self.overdue(may_read)?,
        }
        Ok(())
    }

    /// When something is due that nobody tells of.
    fn due(&self, may_read: bool) -> Option<Instant> {
        let now = now();
        let looks = (self.told.0 == Standing::Waits).then(|| now + LOOKS);
        let half_said = self.half_said_until().filter(|_| may_read);
        let ends = [looks, half_said, self.link.taken_until(now), self.leaves_at(now)];
        ends.into_iter().flatten().min()
    }

    /// Until when the rest of what the edge has begun to say is waited for.
    fn half_said_until(&self) -> Option<Instant> {
        let is_half = !self.input.is_empty() || self.receiving.kept() > 0;
        let patience = self.link.engine().settings().pairing.frame_timeout;
        is_half.then(|| self.progress + patience)
    }

    fn overdue(&mut self, may_read: bool) -> Result<(), End> {
        let now = now();
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        if is_over(self.link.taken_until(now)) {
            return Err(End::Backlog);
        }
        if may_read && is_over(self.half_said_until()) {
            return Err(End::HalfSaid);
        }
        Ok(())
    }

    /// Reads what the edge says before it is welcomed.
    async fn read_more(&mut self) -> Result<(), End> {
        let link = Rc::clone(&self.link);
        tokio::select! {
            biased;
            () = link.wake.notified() => link.ended().map_or(Ok(()), Err),
            () = link.engine().stopped() => Err(End::Drain),
            read = self.reader.read_some(&mut self.input, READ_ROOM) => self.received(read),
        }
    }

    fn received(&mut self, read: std::io::Result<usize>) -> Result<(), End> {
        match read {
            Ok(0) | Err(_) => Err(End::Edge),
            Ok(_) => {
                self.progress = now();
                let context = &self.link.context;
                self.came = context.heartbeat.came(self.progress);
                context.engine.busy_poll.worked();
                Ok(())
            }
        }
    }

    /// Counts what it holds, and gives back what it does not need.
    fn weigh(&mut self) {
        if self.link.engine().held.is_short() && self.input.capacity() > 2 * self.input.len() + PAUSE / 64 {
            transport::let_go(&mut self.input);
        }
        self.link.input.set(self.input.capacity() + self.receiving.kept());
        self.link.weigh();
    }
}

/// The number of a client, which is the id of what is said of it.
fn client_of(id: u64, kind: Kind) -> Result<u32, End> {
    u32::try_from(id).map_err(|_| link::Fault::Body(kind).into())
}

impl Link {
    /// Why it must end, where anybody has found that.
    fn ended(&self) -> Option<End> {
        self.inner.borrow().ended
    }
}
